"""Where the time of one question at the door goes, from a picture's bytes to the answer.

    mascaron-lab bench door [--people 10000] [--templates 1] [--repeats 15] [--folder DIR]
                            [--detector YUNET] [--trunk FILE]

A whole reception (vault, releases, audit log) with so many invented people, one of whom comes in
person; without other weights with OpenCV's cascades and the trunk of the starter. Steps take turns
in one process on one thread, and between them ``verify`` and ``identify`` answer whole questions,
with their row in the log. ``ms`` are medians of processor time of each step, ``wall_ms`` of the
clock: ``row`` waits for the disk under ``--folder``. ``consent`` is who may be compared at this
moment, ``match`` the exact search, ``decide`` two thresholds. ``share_match`` is match over
identify, ``rest_ms`` what identify takes beyond its steps. The last line on stdout is one JSON
object.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import cv2
import numpy as np

from client.audit.events import Kind
from client.audit.log import AuditLog, AuditPlace
from client.door.building import PublicPeople
from client.door.calibrating import Target
from client.door.callers import MOST, Caller, Role
from client.door.eye import open_eye
from client.door.parts import Parts
from client.door.reception import Reception
from client.door.recording import Recorder
from client.door.releases import ReleasePlace, Releases
from client.door.rules import DoorRules
from client.door.thresholds import Band
from client.door.vouching import Alone
from client.vault.consent import Consent
from client.vault.core import VaultPlace
from client.vault.identity import PersonId, new_person
from client.vault.providers import FileKeyProvider
from client.vault.records import NewTemplate
from client.vault.store import Enrolment, Vault
from common.models.trunk import load_trunk
from common.trust.keys import SigningKey
from simulations.benchmarks.arguments import at_least
from simulations.benchmarks.embed import Run, eye_steps, in_turns, invented_picture
from simulations.benchmarks.quality import STARTER

STRANGERS = 400  # public people
CALLER = Caller(name="bench", roles=frozenset(Role), hourly=MOST, daily=MOST)
RULES = DoorRules(identify=True, four_eyes=False, least_quality=0, enrol_quality=0)
TARGET = Target(fmr=1e-3, fpir=5e-2)
YEAR = 365 * 86400.0
OF_IDENTIFY = (  # one after the other
    "decode", "detect", "align", "quality", "life", "trunk", "consent", "tail", "match", "decide",
    "row",
)  # fmt: skip


def main(arguments: Sequence[str]) -> None:
    """Measures, and prints the JSON line."""
    parser = argparse.ArgumentParser(prog="door", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--people", type=at_least(20), default=10_000)
    parser.add_argument("--templates", type=at_least(1), default=1)
    parser.add_argument("--repeats", type=at_least(1), default=15)
    parser.add_argument("--folder", type=Path, help="On the disk to measure; default: a temporary.")
    parser.add_argument("--detector", type=Path, help="Weights of YuNet.")
    parser.add_argument("--trunk", type=Path, default=STARTER)
    options = parser.parse_args(arguments)
    size = Size(people=options.people, templates=options.templates)
    with tempfile.TemporaryDirectory(dir=options.folder) as made:
        door = Door(Path(made), size, Weights(options.trunk, options.detector))
        report = measure(door, options.repeats)
        door.close()
    load = [round(value, 1) for value in os.getloadavg()]
    click.echo(json.dumps({"bench": "door", **asdict(size), **report, "load": load}))


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """How many are enrolled, with how many templates each; the visitor has one."""

    people: int
    templates: int


@dataclass(frozen=True, slots=True)
class Weights:
    """What the eye sees by; without a ``detector`` OpenCV's cascades."""

    trunk: Path
    detector: Path | None


def measure(door: "Door", repeats: int) -> dict[str, object]:
    """Medians of every step, after a check that the door knows who came."""
    door.check()
    times = in_turns(door.steps(), repeats)
    wall, processor = (
        {name: statistics.median(turn[clock] for turn in turns) for name, turns in times.items()}
        for clock in (0, 1)
    )
    rest = processor["identify"] - sum(processor[name] for name in OF_IDENTIFY)
    return {
        "repeats": repeats,
        "ms": {name: round(1e3 * seconds, 3) for name, seconds in processor.items()},
        "wall_ms": {name: round(1e3 * seconds, 3) for name, seconds in wall.items()},
        "share_match": round(processor["match"] / processor["identify"], 4),
        "rest_ms": round(1e3 * rest, 3),
    }


class Door:
    """A reception over a vault in ``folder``; ``visitor`` is enrolled by their own picture."""

    def __init__(self, folder: Path, size: Size, weights: Weights) -> None:
        self._picture, self._weights = invented_picture(), weights
        eye = open_eye(weights.trunk, weights.detector)
        _, tail = load_trunk(weights.trunk)
        rng = np.random.default_rng(0)
        dim = eye.trunk.feature_dim
        feature = eye.see(self._picture, 0).feature.astype(np.float16)
        self._vault = _vault(folder)
        self.visitor = new_person(os.urandom)
        batch = [_enrolment(self.visitor, eye.trunk.hash, feature[None])]
        for _ in range(size.people - 1):
            drawn = rng.standard_normal((size.templates, dim), np.float32).astype(np.float16)
            batch.append(_enrolment(new_person(os.urandom), eye.trunk.hash, drawn))
        self._vault.enrol_all(batch, time.time())
        key = SigningKey.generate()
        self._log = AuditLog(AuditPlace(path=folder / "audit.db", key=key, site="bench"))
        strangers = rng.standard_normal((STRANGERS, dim), np.float32)
        public = PublicPeople(features={eye.trunk.hash: strangers}, person=np.arange(STRANGERS))
        place = ReleasePlace(folder=folder / "releases")
        self._releases = Releases(place, self._vault, public)
        self._releases.stage(tail, eye.trunk.hash)
        self._releases.calibrate(TARGET, time.time())
        self._parts = Parts(
            vault=self._vault,
            eye=eye,
            releases=self._releases,
            log=self._log,
            rules=RULES,
            clock=time.time,
            random=os.urandom,
            identity=key,
            vouching=Alone(),
        )
        self._feature = feature.astype(np.float32)
        self._reception = Reception(self._parts)

    def check(self) -> None:
        """Fails unless the visitor is verified and found."""
        assert self._verify() == Band.MATCH, "the visitor is not taken for themselves"
        found = self._reception.identify(CALLER, self._picture)
        assert [person for person, _ in found.persons] == [self.visitor], "another one was found"

    def steps(self) -> dict[str, Run]:
        """Each step by itself, and whole questions."""
        serving, recorder = self._releases.active, Recorder(self._vault, self._log, time.time)
        row, calibration = serving.embed(self._feature[None]), serving.calibration
        everybody = serving.filter(self._covered())

        def write() -> None:
            with recorder.row(CALLER, Kind.IDENTIFY, self._picture) as note:
                note.outcome, note.subject = "match", recorder.subject(self.visitor)

        eye = eye_steps(self._picture, self._weights.detector, self._weights.trunk)
        return eye | {
            "consent": lambda: serving.filter(self._covered()),
            "tail": lambda: serving.embed(self._feature[None]),
            "match": lambda: serving.gallery.search(row, 1, everybody),
            "decide": lambda: calibration and calibration.decide_search(0.5),
            "row": write,
            "verify": self._verify,
            "identify": lambda: self._reception.identify(CALLER, self._picture),
        }

    def close(self) -> None:
        """Gives the files back."""
        self._log.close()
        self._vault.close()
        cv2.setNumThreads(-1)

    def _verify(self) -> Band:
        return self._reception.verify(CALLER, self.visitor, self._picture)

    def _covered(self) -> frozenset[PersonId]:
        return self._vault.people(purpose="identify", now=time.time())


def _vault(folder: Path) -> Vault:
    provider = FileKeyProvider.create(folder / "kek")
    return Vault.create(VaultPlace(folder=folder / "vault", provider=provider, site="bench"))


def _enrolment(person: PersonId, trunk: str, features: np.ndarray) -> Enrolment:
    given = time.time() - 1
    return Enrolment(
        person=person,
        templates=[NewTemplate(trunk=trunk, feature=feature) for feature in features],
        consent=Consent(
            purposes=frozenset({"verify", "identify"}),
            text_hash="0" * 64,
            given=given,
            expires=given + YEAR,
        ),
    )


if __name__ == "__main__":
    main(sys.argv[1:])
