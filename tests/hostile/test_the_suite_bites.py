"""The same attacks on the plain pattern, where code and settings come from the server, succeed.

So the searches of the suite find what comes out, wherever something does.
"""

import base64
import dataclasses
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from common.faces.load import load_faces
from common.privacy import accountant
from common.privacy.accountant import Event
from tests.hostile.canaries import Canaries
from tests.hostile.couriers import Catch, Scene
from tests.hostile.deployed import COURIER, NOBODY, Worker, environment, separable
from tests.hostile.plain_flower import PlainServer
from tests.hostile.plain_site import NODE, Data
from tests.small_home import pack

D = 64
FILES, MEMORY = "reads_every_file_of_the_site", "reads_the_agents_memory"


@dataclasses.dataclass(frozen=True)
class Plain:
    folder: Path
    data: Data
    canaries: Canaries

    def server(self) -> PlainServer:
        return PlainServer(self.folder / "site", (len(self.data.names), D))


@pytest.fixture(scope="module")
def plain() -> Iterator[Plain]:
    folder = Path(tempfile.mkdtemp(prefix="plain"))
    try:
        yield made_plain(folder)
    finally:
        shutil.rmtree(folder)


def made_plain(folder: Path) -> Plain:
    site = folder / "site"
    site.mkdir()
    pack(site / "faces.npz", 4)
    faces, _ = load_faces(site / "faces.npz")
    features = np.random.default_rng(4).normal(size=(len(faces), D)).astype(np.float32)
    data = Data(features, faces.person.astype(np.int64), tuple(map(str, faces.names)))
    data.save(site)
    canaries = Canaries()
    canaries.feature(features)
    for name in data.names:
        canaries.name(name)
    with np.load(site / "faces.npz", allow_pickle=False) as kept:
        canaries.blob("picture", kept["jpeg"][700:].tobytes())
    return Plain(folder, data, canaries)


@contextmanager
def standing(plain: Plain) -> Iterator[int]:
    """A node of the plain pattern; data and courier belong to one user, as they have to."""
    users = [str(COURIER), str(NOBODY)] if separable() else []
    if users:
        for path in (plain.folder, *plain.folder.rglob("*")):
            shutil.chown(path, COURIER, NOBODY)
    command = [sys.executable, "-c", NODE, str(plain.folder / "site"), *users]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment(), text=True) as node:
        try:
            assert node.stdout
            yield int(node.stdout.readline().split()[2])
        finally:
            node.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_files_and_memory_of_the_plain_pattern_are_the_servers(plain: Plain) -> None:
    worker = Worker(separate=separable())
    with standing(plain) as pid:
        loot = plain.folder / "loot"
        loot.mkdir()
        if separable():
            shutil.chown(loot, COURIER, NOBODY)
        scene = Scene(
            home=plain.folder / "site",
            address="",
            pid=pid,
            owner=COURIER,
            trunk="",
            federation="",
            loot=loot,
        )
        try:
            files, memory = worker.do(scene, FILES), worker.do(scene, MEMORY)
            assert files
            assert plain.canaries.found_in_file(files.file) == {"name", "picture", "feature"}
            assert memory
            few = Canaries()  # memory is large
            few.blob("feature", plain.data.features[0, :16].tobytes())
            assert few.found_in_file(memory.file) == {"feature"}
        finally:
            worker.close()


def test_a_server_that_asks_for_no_noise_gets_none(plain: Plain) -> None:
    honest = plain.server().moved(noise_multiplier=20.0)
    assert not plain.canaries.along(honest)
    exact = plain.server().moved(noise_multiplier=0.0, batch_size=1)
    assert plain.canaries.along(exact)


def test_a_clip_without_end_and_a_batch_of_one_are_a_face(plain: Plain) -> None:
    wide = {"max_grad_norm": 1e9, "noise_multiplier": 1e-12, "batch_size": 1}
    assert plain.canaries.along(plain.server().moved(**wide))


def test_extra_rounds_are_answered_and_none_of_them_knows_of_the_others(plain: Plain) -> None:
    server, agreed = plain.server(), 3
    told = [float(server.ask().content["metrics"]["epsilon"]) for _ in range(10 * agreed)]  # type: ignore[index,call-overload,arg-type]
    assert len(told) > agreed
    lost = accountant.epsilon((Event(1.0, 1.0, len(told)),), 1e-4)
    assert lost > 3 * max(told)


def test_metrics_tell_who_is_there(plain: Plain) -> None:
    server, data = plain.server(), plain.data
    probe = data.features[:4].copy()
    told = []
    for weight in (probe, -probe):
        metrics = server.ask("evaluate", weight=weight).content["metrics"]
        assert metrics["num-examples"] == len(data.person)  # type: ignore[index,call-overload]
        told.append(metrics["accuracy"])  # type: ignore[index,call-overload]
    assert told[0] != told[1]  # the answer depends on faces


def test_the_text_of_an_exception_names_a_person(plain: Plain, tmp_path: Path) -> None:
    broken = plain.data.features.copy()
    broken[0, 0] = np.nan
    (tmp_path / "site").mkdir()
    dataclasses.replace(plain.data, features=broken).save(tmp_path / "site")
    reply = dataclasses.replace(plain, folder=tmp_path).server().ask()
    assert reply.has_error()
    assert plain.canaries.found_in(str(reply.error.reason).encode()) == {"name"}


def test_a_canary_is_found_in_every_spelling_and_nothing_else_is(plain: Plain) -> None:
    row, name = plain.data.features[0], plain.data.names[0]
    raw = row.tobytes()
    spelt = (raw, raw.hex().encode(), raw.hex().upper().encode(), repr(row.tolist()).encode())
    spelt += tuple(base64.b64encode(b"x" * n + raw) for n in range(3))
    spelt += (base64.urlsafe_b64encode(raw), raw[7:60], row.astype("<f8").tobytes())
    for content in spelt:
        assert plain.canaries.found_in(b"before" + content + b"after") == {"feature"}
    assert plain.canaries.found_in(f"x{name}x".encode()) == {"name"}
    assert plain.canaries.near(np.append(np.zeros(5), row[:3]))
    noise = np.random.default_rng(9).normal(size=4 * D)
    assert not plain.canaries.near(noise)
    assert not plain.canaries.along(noise)
    assert plain.canaries.found_in(noise.astype("<f4").tobytes()) == set()


def test_a_catch_keeps_what_it_takes(tmp_path: Path) -> None:
    catch = Catch(file=tmp_path / "loot")
    (tmp_path / "secret").write_bytes(b"word")
    assert catch.read(tmp_path / "secret")
    assert not catch.read(tmp_path / "none")
    assert (b"word" in catch.file.read_bytes(), catch.denied) == (True, 1)
