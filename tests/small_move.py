"""A site with pictures of a few people that moves from one trunk to another, for tests."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from click.testing import CliRunner

from client.cli import main
from client.door.calibrating import Target
from client.door.opening import OpenDoor, open_door
from client.home import SiteHome
from client.vault.consent import Consent
from client.vault.identity import PersonId
from common.faces.pictures import encode
from common.faces.store import save_pack
from common.models.tail import Tail
from common.models.trunk import load_trunk
from common.synthetic.generate import synthetic_faces
from tests.small_home import STARTER
from tests.small_reception import ANYTHING

MANY, VIEWS = 8, 7  # people, and pictures of each: the last is for recognising
NOW = 1_800_000_000.0
RULES = """
[door]
aligned = true
identify = true
four_eyes = false
least_quality = 0.0
enrol_quality = 0.0
claims = 10000
misses = 10000
most_pictures = 8
"""
LOOSE = Target(fmr=0.1, fpir=0.25)


class Move:
    """One site, its people's pictures, and two trunks."""

    def __init__(self, folder: Path) -> None:
        self.home = SiteHome(folder / "site")
        faces = synthetic_faces(MANY, VIEWS, 7, lambda count: None)
        self.pictures = [
            [encode(faces.crop(int(index))) for index in faces.pictures_of(n)] for n in range(MANY)
        ]
        save_pack(folder / "public.npz", synthetic_faces(25, 2, 99, lambda count: None))
        self.old = STARTER
        self.new = folder / "new" / "trunk.toml"
        self.new.parent.mkdir()
        weights = STARTER.with_name("trunk.safetensors")
        (self.new.parent / weights.name).write_bytes(weights.read_bytes())
        other = STARTER.read_text("utf-8").replace('colour = "RGB"', 'colour = "BGR"')
        self.new.write_text(other, "utf-8")
        options = ["--trunk", str(self.old), "--public", str(folder / "public.npz"), "--aligned"]
        words = ["init", "--alone", "--name", "clinic", *options, "--home", str(self.home.folder)]
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 0, done.output
        self.settings = self.home.settings.read_text("utf-8")
        self.trunks()

    def trunks(self, new: bool = False, old: bool = False, also: Sequence[str] = ()) -> None:
        """Says in site.toml that the new trunk is the site's, and the old one still there, and
        whatever lines there are ``also``."""
        text = self.settings + RULES
        if new:
            assert json.dumps(str(self.old)) in text
            text = text.replace(json.dumps(str(self.old)), json.dumps(str(self.new)))
        if old:
            text += f"old_trunk = {json.dumps(str(self.old))}\n"
        text += "".join(f"{line}\n" for line in also)
        self.home.settings.write_text(text, "utf-8")

    @contextmanager
    def door(self) -> Iterator[OpenDoor]:
        with open_door(self.home, clock=lambda: NOW) as door:
            yield door

    def show(
        self, door: OpenDoor, number: int, person: bytes = b"", shown: Sequence[int] = range(4)
    ) -> PersonId:
        given = Consent(
            purposes=frozenset({"verify", "identify"}),
            text_hash="ab" * 32,
            given=NOW - 1,
            expires=NOW + 1e6,
        )
        session = door.reception.begin(ANYTHING, None if person else given, "", person)
        for view in shown:
            door.reception.look(ANYTHING, session, self.pictures[number][view])
        return door.reception.commit(ANYTHING, session, True).person

    def bands(self, door: OpenDoor, ids: list[PersonId]) -> list[object]:
        """Every answer there is: each person claimed by each, and each searched for."""
        probes = [views[-1] for views in self.pictures]
        verify, identify = door.reception.verify, door.reception.identify
        told: list[object] = [[verify(ANYTHING, who, probe) for probe in probes] for who in ids]
        return [*told, *(identify(ANYTHING, probe, 5) for probe in probes)]


def hashes(move: Move) -> tuple[str, str]:
    return load_trunk(move.old)[0].hash, load_trunk(move.new)[0].hash


def new_tail(move: Move) -> Tail:
    """Another one than the trunk came with."""
    trunk, _ = load_trunk(move.new)
    drawn = np.random.default_rng(1).standard_normal((trunk.feature_dim, trunk.feature_dim))
    return Tail(np.linalg.qr(drawn)[0][:128].astype(np.float32), np.zeros(128, np.float32))
