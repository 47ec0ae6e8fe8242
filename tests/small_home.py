"""The home of a small site: keys, policy, noise for faces, and the starter's trunk."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any

import numpy as np

from client.agent.charters import Offer
from client.home import SiteHome
from client.serving.tls import make_end
from common.faces.pictures import encode
from common.models.tail import BIAS, WEIGHT
from common.models.trunk import load_trunk
from common.moments.names import FRAME_BIAS, FRAME_WEIGHT
from common.privacy.plan import MomentMechanism, PrivacyPlan
from common.trust.certificates import fingerprint, read_certificate
from common.trust.charter import CharterTerms, array_digests, arrays_digest
from common.trust.keys import SigningKey

STARTER = Path(__file__).parents[1] / "simulations" / "starter" / "trunk.toml"
K, D = 3, 192
SERVE = "from client.cli import main; main()"
POLICY = """\
epsilon = 8.0
delta = 1e-4
declared_people = 10
[auto_accept]
epsilon = 8.0
rounds = 10
"""


@dataclass
class Home:
    """A site that was admitted, and the centre's key, which only the centre has."""

    home: SiteHome
    centre: SigningKey

    @property
    def federation(self) -> str:
        return fingerprint(read_certificate(self.home.ca.read_bytes()))

    def offer(self, run: str = "r1", **terms: Any) -> Offer:
        told = {"federation": self.federation, "expires": 2**40, "plan": plan(), "run": run}
        told |= {"initial": arrays_digest(initial())}
        signed = CharterTerms(**{**told, **terms}).sign(self.centre)
        return Offer(charter=signed.to_json(), initial=array_digests(initial()))


def plan(sigma: float = 2.0) -> PrivacyPlan:
    mean = MomentMechanism(kind="mean", sigma=sigma, clip=1.0, name="mean")
    return PrivacyPlan(mechanisms=(mean,), people=10, delta=1e-4, trunk=starter_hash())


@cache
def starter_hash() -> str:
    return load_trunk(STARTER)[0].hash


def initial() -> dict[str, np.ndarray]:
    eye, zero = np.eye(K, D, dtype=np.float32), np.zeros(K, np.float32)
    return {WEIGHT: eye, BIAS: zero, FRAME_WEIGHT: eye, FRAME_BIAS: zero}


def frame() -> dict[str, np.ndarray]:
    return {name: initial()[name] for name in (FRAME_WEIGHT, FRAME_BIAS)}


def make_home(folder: Path, policy: str = POLICY) -> Home:
    """As `init`, admission and `join` leave it."""
    home, centre = SiteHome(folder / "site"), SigningKey.generate()
    home.prepare()
    for name, people in (("faces", 4), ("public", 3)):
        pack(folder / f"{name}.npz", people)
    lines = ('name = "north"', 'centre = "127.0.0.1:8443"', 'camera_type = "door"', "people = 10")
    paths = (f'trunk = "{STARTER}"', 'faces = "../faces.npz"', 'public = "../public.npz"')
    home.settings.write_text("\n".join(("[site]", *lines, *paths)) + "\n", "utf-8")
    home.policy.write_text(policy, "utf-8")
    SigningKey.generate().save(home.identity_key)
    home.ledger_key.touch(mode=0o600)
    home.ledger_key.write_bytes(b"k" * 32)
    home.centre_key.write_text(centre.public.text + "\n", "utf-8")
    make_end(folder, "ca")
    home.ca.write_bytes((folder / "ca.crt").read_bytes())
    return Home(home, centre)


def heard(lines: IO[str], beginning: str) -> str:
    """The first of ``lines`` that begins so."""
    said = []
    for line in lines:
        if line.startswith(beginning):
            return line
        said.append(line)
    raise AssertionError("".join(said))


@contextmanager
def serving(made: Home, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`mascaron-site serve` in a process of its own, and the address it answers at."""
    command = [sys.executable, "-c", SERVE, "serve", "--home", str(made.home.folder), *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        try:
            told = heard(process.stderr, "serving at ")
            yield process, told.removeprefix("serving at ").strip()
        finally:
            process.kill()


def crops_folder(path: Path, people: int = 3, *, broken: bool = False) -> None:
    """Aligned crops, ``<person>/<picture>``; one file more that is no picture if ``broken``."""
    rng = np.random.default_rng(people)
    for person in range(people):
        (path / f"canary {person}").mkdir(parents=True)
        for picture in range(2):
            crop = rng.integers(0, 256, (112, 112, 3)).astype(np.uint8)
            (path / f"canary {person}" / f"{picture}.jpg").write_bytes(encode(crop))
    if broken:
        (path / "canary 0" / "2.jpg").write_bytes(b"no picture")


def pack(path: Path, people: int) -> None:
    rng = np.random.default_rng(people)
    encoded = [encode(rng.integers(0, 256, (112, 112, 3)).astype(np.uint8)) for _ in range(people)]
    np.savez(
        path,
        jpeg=np.frombuffer(b"".join(encoded * 2), np.uint8),
        offsets=np.cumsum([0, *map(len, encoded * 2)]),
        person=np.tile([f"canary person {i}" for i in range(people)], 2),
        picture=np.array([f"{i:03}.jpg" for i in range(2 * people)]),
    )
