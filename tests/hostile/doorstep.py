"""A real door over planted canaries, served by the real command, and callers of every kind."""

import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from client.audit.chain import Entry
from client.audit.reading import read_entries
from client.cli import main
from client.door.eye import fused
from client.door.thresholds import Band
from client.home import SiteHome
from client.recognition import Recognition
from client.serving.tls import Tls, make_end
from common.faces.pictures import decode, encode
from common.faces.store import save_pack
from common.models.trunk import load_trunk
from common.synthetic.generate import synthetic_faces
from tests.hostile.canaries import Canaries
from tests.hostile.deployed import OWN, environment
from tests.small_door import free_port
from tests.small_home import STARTER

PEOPLE, VIEWS, STRANGERS = 6, 5, 2  # enrolled, pictures of each (the last to be recognised), others
PUBLIC = 25
LABEL = "canary 4711"
RULES = """
[door]
aligned = true
identify = true
least_quality = 0.0
enrol_quality = 0.0
claims = 100000
misses = 100000
address = "127.0.0.1:{port}"
"""
SERVE = """
import sys
if sys.argv[2:]:  # our clocks alone, which are bound when modules are loaded: not the libraries'
    import os, time
    from pathlib import Path
    os.environ["GRPC_VERBOSITY"] = "NONE"
    true, wrong = time.time, Path(sys.argv[2])
    time.time = lambda: true() + float(wrong.read_text("ascii"))
    import client.door.answering
    time.time = true
from client.cli import main
main(["serve", "--home", sys.argv[1]])
"""
CALLERS = {
    "camera": "verify",
    "poor": "verify",
    "finder": "identify",
    "other-finder": "identify",
    "both": "identify,confirm",
    "guard-1": "confirm",
    "guard-2": "confirm",
    "enroller": "enrol",
    "other-enroller": "enrol",
    "eraser": "erase",
    "operating": "operate",
    "auditor": "audit",
    "gate": "verify",
    "fired": "verify",
}
AT_THE_PORT = ("gate", "fired")


@dataclass(kw_only=True)
class Doorstep:
    """One site that is up, who may call there, and what must not come out of it."""

    folder: Path
    port: int
    canaries: Canaries
    tokens: dict[str, str] = field(default_factory=dict)
    people: list[bytes] = field(default_factory=list)
    process: Any = None

    @property
    def home(self) -> SiteHome:
        return SiteHome(self.folder / "site")

    @property
    def log(self) -> Path:
        return self.folder / "serve.log"

    def picture(self, person: int, view: int = VIEWS - 1) -> bytes:
        return (self.folder / "people" / f"{person:02}" / f"{view}.jpg").read_bytes()

    def typed(self, *words: str) -> Result:
        """A command of the operator's; nothing of a canary is in what it says."""
        done = CliRunner().invoke(main, [*words, "--home", str(self.home.folder)])
        assert self.canaries.found_in((done.output + done.stderr).encode()) <= {"token"}
        return done

    def told(self, *words: str) -> Any:
        done = self.typed(*words)
        assert done.exit_code == 0, done.stderr
        return json.loads(done.stdout)

    def at(self, name: str) -> Recognition:
        return Recognition.at(self.home.door_socket(), self.tokens[name])

    def end(self, name: str) -> Tls:
        """A camera's own key and certificate, made where there is none."""
        folder = self.folder / "ends"
        folder.mkdir(exist_ok=True)
        if not (folder / f"{name}.key").exists():
            make_end(folder, name)
        peer = self.home.door_certificate
        return Tls(key=folder / f"{name}.key", certificate=folder / f"{name}.crt", peer=peer)

    def start(self, *clock: str) -> None:
        """`serve`; ``clock`` names a file with seconds that its clock is wrong by."""
        command = [sys.executable, "-c", SERVE, str(self.home.folder), *clock]
        with self.log.open("w") as output:
            pipes = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output}
            self.process = subprocess.Popen(command, **pipes, env=environment(), text=True)
        while not re.search(f"answers at .*:{self.port}$", self.said(), re.MULTILINE):
            assert self.process.poll() is None, self.said()
            time.sleep(0.05)

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)
            self.process = None

    def refuses_to_start(self) -> str:
        """The reason for which `serve` gives up at once."""
        command = [sys.executable, "-c", SERVE, str(self.home.folder)]
        done = subprocess.run(
            command, capture_output=True, env=environment(), text=True, timeout=120
        )
        assert done.returncode != 0
        assert self.canaries.found_in(done.stderr.encode()) == set()
        return done.stderr.removeprefix("Error: ").partition(":")[0]

    def said(self) -> str:
        return self.log.read_text("utf-8", "replace")

    def rows(self) -> list[Entry]:
        return list(read_entries(self.home.audit, 0, 10**6))

    def kinds(self) -> Counter[str]:
        return Counter(row.event.kind.value for row in self.rows())

    def changing(self) -> dict[str, bytes]:
        """The files that every change of people, releases or callers writes."""
        paths = (self.home.vault / "keyring", self.home.releases / "state.json", self.home.callers)
        return {path.name: path.read_bytes() for path in paths}

    def check_log(self) -> None:
        """Lines of our own words, not many, and nothing of anybody in them."""
        said = self.said()
        assert [line for line in said.splitlines() if not OWN.match(line)] == []
        assert self.canaries.found_in(said.encode()) == set()

    def check_answers(self) -> None:
        """The door still knows who is who."""
        with self.at("camera") as door:
            bands = [door.verify(self.people[0], self.picture(0, view)) for view in (0, VIEWS - 1)]
            assert Band.MATCH in bands
            with self.at("operating") as desk:
                assert desk.status().calibrated


@contextmanager
def doorstep() -> Iterator[Doorstep]:
    """A site as `init --alone` leaves it, with people, callers and thresholds; it ends here."""
    folder = Path(tempfile.mkdtemp(prefix="mascaron"))
    folder.chmod(0o755)
    made = Doorstep(folder=folder, port=free_port(), canaries=Canaries())
    try:
        _pictures(made)
        options = ["--trunk", str(STARTER), "--public", str(folder / "public.npz"), "--aligned"]
        made.told("init", "--alone", "--name", "clinic", *options)
        with made.home.settings.open("a", encoding="utf-8") as file:
            file.write(RULES.format(port=made.port))
        for name, may in CALLERS.items():
            pinned = ["--certificate", str(made.end(name).certificate)] * (name in AT_THE_PORT)
            often = ["--hourly", "3" if name == "poor" else "100000", "--daily", "100000"]
            told = made.told("caller", "add", name, "--may", may, *often, *pinned)
            made.tokens[name] = told["token"]
        made.start()
        _enrol(made)
        _plant(made)
        yield made
        made.stop()
    finally:
        if made.process is not None:
            made.process.kill()
            made.process.wait()
        shutil.rmtree(folder)


def _pictures(made: Doorstep) -> None:
    faces = _faces()
    for person in range(PEOPLE + STRANGERS):
        place = made.folder / "people" / f"{person:02}"
        place.mkdir(parents=True)
        for number, index in enumerate(faces.pictures_of(person)):
            (place / f"{number}.jpg").write_bytes(encode(faces.crop(int(index))))
    save_pack(made.folder / "public.npz", synthetic_faces(PUBLIC, 2, 99, lambda count: None))
    (made.folder / "consent.txt").write_text("I agree.\n", "utf-8")


@cache
def _faces() -> Any:
    return synthetic_faces(PEOPLE + STRANGERS, VIEWS, 7, lambda count: None)


def _enrol(made: Doorstep) -> None:
    """The first four agree to everything, the fifth to be verified alone, the sixth to searches."""
    text = ["--consent-text", str(made.folder / "consent.txt"), "--expires", "2028-11-21"]
    for number in range(PEOPLE):
        purposes = {4: "verify", 5: "identify"}.get(number, "verify,identify")
        views = [str(made.folder / "people" / f"{number:02}" / f"{n}.jpg") for n in range(VIEWS)]
        words = ["--label", f"{LABEL} {number}", "--purposes", purposes, "--despite-duplicate"]
        told = made.told("enrol", *views[:-1], *words, *text)
        made.people.append(bytes.fromhex(told["person"]))
    made.told("calibrate", "--fmr", "0.1", "--fpir", "0.2")


def _plant(made: Doorstep) -> None:
    canaries, home = made.canaries, made.home
    trunk, tail = load_trunk(STARTER)
    for number in range(PEOPLE):
        canaries.name(f"{LABEL} {number}")
        views = np.stack([decode(made.picture(number, view)) for view in range(VIEWS)])
        features = fused(trunk, views)
        canaries.feature(features)
        canaries.blob("feature", features.astype("<f2").tobytes())
        canaries.feature(tail.embed(features))
    for name, token in made.tokens.items():
        canaries.blob("token", token.encode() if name else b"")
    canaries.blob("token", home.operator_token.read_bytes().strip())
    canaries.blob("key", home.vault_key.read_bytes())
    for path in (home.identity_key, home.door_tls / "door.key"):
        canaries.blob("key", _secret(path.read_bytes()))
    for path in home.releases.glob("*.calibration.json"):
        for levels in ("verify", "search"):
            told = json.loads(path.read_bytes())[levels]
            numbers = np.array([told["match"], told["near"], told["own_bound"]])
            canaries.blob("threshold", np.repeat(numbers, 2).tobytes())
            canaries._slices["threshold"] |= {repr(float(n))[:10].encode() for n in numbers}


def _secret(pem: bytes) -> bytes:
    """The private number alone: what is beside it in the file is public."""
    key = serialization.load_pem_private_key(pem, None)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.private_numbers().private_value.to_bytes(32, "big")
    assert isinstance(key, Ed25519PrivateKey)
    return key.private_bytes_raw()
