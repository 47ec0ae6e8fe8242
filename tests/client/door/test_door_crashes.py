"""Killed at any moment, a door has lost nobody it told of, brings nobody back, and wrote it down.

A whole reception works in a process of its own, and says what it begins and what was answered.
"""

import os
import random
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copytree, rmtree

import pytest

from client.audit.chain import Entry
from client.door.budgets import HOUR, QUERIES
from client.door.calibrating import Target
from client.door.callers import Caller, Role
from client.door.thresholds import Band
from common.errors import MascaronError, QueryBudgetError
from tests.small_reception import ANYTHING, RULES, Site, caller, picture
from tests.small_releases import TARGET, feature, tail_of
from tests.small_vault import NOW, TRUNK, consent, person

LIFE = 6  # operations of one life, at most
LIVES = 25  # of one site: its log is read whole at each of them
FEW, MANY = 11, 20  # people
TARGETS = (TARGET, Target(fmr=0.1, fpir=0.25))
FIRST = (3, 4, 5)  # views of an enrolment
KINDS = ("enrol", "enrol", "again", "again", "erase", "verify", "rotate", "stage", "promote")
CHANGES = ("rollback", "calibrate")
GATE = caller("gate", Role.VERIFY)

Model = tuple[int, int | None, int | None]  # the release that decides, the one before, the staged


@dataclass(frozen=True)
class Said:
    """One line of the child: what it began, or how that ended."""

    state: str
    kind: str
    about: str
    answer: str = ""

    def __str__(self) -> str:
        return f"{self.state} {self.kind} {self.about} {self.answer}"


@dataclass
class Known:
    """What has to be true of the site: by what was answered, and what was found after a kill."""

    people: dict[bytes, tuple[int, tuple[int, ...]]]  # by id: the face, and its views, oldest first
    model: Model = (1, None, None)
    target: Target = TARGET
    asked: int = 0
    rows: int = 0
    erased: set[bytes] = field(default_factory=set)

    def after(self, said: Said, who: bytes = b"") -> "Known":
        """The same once ``said`` was done; ``who`` was enrolled by it."""
        people, erased, model = dict(self.people), set(self.erased), self.model
        target, asked = self.target, self.asked
        if said.kind == "enrol":
            people[who] = int(said.about), FIRST
        elif said.kind == "again":
            name, view = said.about.split(":")
            face, views = people[bytes.fromhex(name)]
            came = (*views, *range(int(view), int(view) + 3))[-RULES.most_pictures :]
            people[bytes.fromhex(name)] = face, came
        elif said.kind == "erase":
            del people[bytes.fromhex(said.about)]
            erased.add(bytes.fromhex(said.about))
        elif said.kind == "verify":
            asked += 1
        elif said.kind == "calibrate":
            target = TARGETS[int(said.about)]
        else:
            model = changed(model, said.kind, said.about)
        return Known(people, model, target, asked, self.rows, erased)


def changed(model: Model, kind: str, seed: str) -> Model:
    active, before, staged = model
    if kind == "stage" and int(seed) != active:
        return active, before, int(seed)
    if kind == "promote" and staged is not None:
        return staged, active, None
    if kind == "rollback" and before is not None:
        return before, None, staged
    return model


def again(site: Site, about: str) -> str:
    name, view = about.split(":")
    who = bytes.fromhex(name)
    session = site.reception.begin(ANYTHING, None, "", who)
    return committed(site, session, FACES[who], range(int(view), int(view) + 3)).hex()


def enrol(site: Site, about: str) -> str:
    session = site.reception.begin(ANYTHING, consent())
    who = committed(site, session, int(about), FIRST)
    FACES[who] = int(about)
    return who.hex()


def committed(site: Site, session: bytes, face: int, views: Iterable[int]) -> bytes:
    """Three are enough, and no fewer: a picture that is not taken makes it be refused."""
    for view in views:
        site.reception.look(ANYTHING, session, picture(face, view))
    try:
        return site.reception.commit(ANYTHING, session, True).person
    except MascaronError:
        site.reception.abort(ANYTHING, session)
        raise


FACES: dict[bytes, int] = {}  # of this life
DO: dict[str, Callable[[Site, str], object]] = {
    "enrol": enrol,
    "again": again,
    "erase": lambda site, about: site.reception.erase(ANYTHING, [bytes.fromhex(about)]) and "",
    "verify": lambda site, about: (
        site.reception.verify(
            GATE, bytes.fromhex(about), picture(FACES[bytes.fromhex(about)], 8)
        ).value
    ),
    "rotate": lambda site, about: site.reception.rotate(ANYTHING),
    "stage": lambda site, about: site.reception.stage(ANYTHING, tail_of(int(about)), TRUNK),
    "promote": lambda site, about: site.reception.promote(ANYTHING),
    "rollback": lambda site, about: site.reception.rollback(ANYTHING),
    "calibrate": lambda site, about: site.reception.calibrate(ANYTHING, TARGETS[int(about)]),
}


def live(folder: Path, tell: Callable[[Said], object], free: int, known: Known) -> None:
    """Does this and that at random, and says what it begins and what it was answered."""
    rng = random.Random(free)  # noqa: S311
    FACES.update({who: face for who, (face, _) in known.people.items()})
    with Site(folder) as site:
        for number in range(free, free + LIFE):
            here = sorted(FACES)
            kind = rng.choice((*KINDS, *CHANGES))
            if len(here) < FEW and kind == "erase":
                kind = "enrol"
            if len(here) > MANY and kind == "enrol":
                kind = "erase"
            about = {
                "enrol": str(number),
                "again": f"{rng.choice(here).hex()}:{rng.randrange(20, 1000)}",
                "stage": str(rng.randrange(1, 5)),
                "calibrate": str(rng.randrange(2)),
            }.get(kind, rng.choice(here).hex())
            tell(Said("begun", kind, about))
            try:
                answer = DO[kind](site, about)
            except MascaronError as error:
                tell(Said("refused", kind, about, error.reason))
                continue
            tell(Said("done", kind, about, answer if isinstance(answer, str) else ""))
            if kind == "erase":
                del FACES[bytes.fromhex(about)]


def killed(folder: Path, rng: random.Random, free: int, known: Known) -> Iterator[Said]:
    """Runs ``live`` in a child that is killed at a random moment; what it had said."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            os.close(reader)
            live(folder, lambda said: os.write(writer, f"{said}\n".encode()), free, known)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        lines = [pipe.readline() for _ in range(rng.randrange(2 * LIFE))]
        time.sleep(rng.uniform(0, 0.04) * rng.random())
        os.kill(child, signal.SIGKILL)
        lines += pipe.readlines()
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the child failed by itself"
    return (Said(*line.decode().rstrip("\n").split(" ")) for line in lines if line)


def look_after(site: Site, sure: Known, said: list[Said]) -> Known:
    """Holds the site against all that was said before it was killed; what is true from now on."""
    going = said[-1] if said and said[-1].state == "begun" else None
    for one in said:
        if one.state == "done":
            sure = sure.after(one, bytes.fromhex(one.answer) if one.kind == "enrol" else b"")
        elif one.state == "refused" and one.kind == "verify":
            raise AssertionError(f"verify was refused: {one.answer}")
    now = found(site, sure, going)
    rows = list(site.log.entries(sure.rows, 1000))
    assert site.log.verify().broken is None
    check_rows(rows, said)
    if going is not None and now != sure:
        assert going.kind == "verify" or (going.kind, "pending") in outcomes(rows, again=True)
    check_budget(site, now)
    for who in list(now.erased)[-2:]:
        assert site.reception.verify(ANYTHING, who, picture(0)) == Band.NO
    now.rows = site.log.head().index
    return now


def found(site: Site, sure: Known, going: Said | None) -> Known:
    """What the site holds, which is ``sure``, or that with what was ``going`` on wholly done."""
    seeds = {tail_of(n).hash: n for n in range(1, 5)}
    people = site.vault.people(now=NOW)
    maybe = None
    if going is not None and going.kind == "enrol":
        extra = people - sure.people.keys()
        maybe = sure.after(going, next(iter(extra))) if len(extra) == 1 else None
    elif going is not None:
        maybe = sure.after(going)
    held: dict[bytes, set[bytes]] = {who: set() for who in people}
    for one in site.vault.templates(TRUNK):
        held[one.person].add(one.feature.tobytes())
    status = site.releases.status()
    previous, staged = (name and seeds[name] for name in (status.previous, status.staged))
    model = seeds[str(status.active)], previous, staged
    asked = site.log.count(site.reception._recorder.actor(GATE.name), QUERIES, NOW - HOUR)
    fits = [
        one
        for one in (sure, maybe)
        if one is not None
        and held == {who: drawn(*known) for who, known in one.people.items()}
        and model == one.model
        and site.releases._state.target == one.target
        and asked == one.asked
    ]
    assert fits, f"neither before nor after {going and going.kind}"
    assert site.releases.active.gallery.people == people
    return fits[0]


def drawn(face: int, views: tuple[int, ...]) -> set[bytes]:
    return {feature(face, view).astype("float16").tobytes() for view in views}


def outcomes(rows: list[Entry], again: bool = False) -> Counter[tuple[str, str]]:
    """What the rows say; with ``again`` a second enrolment is told as such."""
    told = Counter[tuple[str, str]]()
    for row in rows:
        kind, outcome = row.event.kind.value, row.event.outcome
        told[kind, "done" if outcome.startswith("done") else outcome] += 1
        if again and kind == "enrol":
            told["again", outcome] += 1
    return told


def check_rows(rows: list[Entry], said: list[Said]) -> None:
    """Whatever was answered has its row."""
    told = outcomes(rows)
    answered = Counter[tuple[str, str]]()
    for one in said:
        if one.state == "done":
            kind = "enrol" if one.kind == "again" else one.kind
            answered[kind, one.answer if kind == "verify" else "done"] += 1
    assert answered <= told, "something was answered of which there is no row"


def check_budget(site: Site, known: Known) -> None:
    """What was asked before counts."""
    if known.asked:
        poor = Caller(name=GATE.name, roles=GATE.roles, hourly=known.asked, daily=known.asked)
        with pytest.raises(QueryBudgetError):
            site.reception.verify(poor, person(0), picture(0))


def survive(twelve: Path, folder: Path, kills: int, seed: int) -> Counter[str]:
    """Kills so many times; how often in the middle of what."""
    rng = random.Random(seed)  # noqa: S311
    middle = Counter[str]()
    sure = Known({})
    for life in range(kills):
        if life % LIVES == 0:
            rmtree(folder, ignore_errors=True)
            copytree(twelve, folder)
            sure = Known({person(n): (n, (0, 1)) for n in range(12)})
        free = 5000 + life * LIFE
        FACES.clear()
        said = list(killed(folder, rng, free, sure))
        middle.update([said[-1].kind if said and said[-1].state == "begun" else "nothing"])
        with Site(folder) as site:
            sure = look_after(site, sure, said)
    return middle


def test_killed_at_random_moments_a_door_has_lost_and_brought_back_nobody(
    twelve: Path, quick_path: Path
) -> None:
    survive(twelve, quick_path / "site", 20, seed=1)


@pytest.mark.slow
def test_killed_a_thousand_times_a_door_has_lost_and_brought_back_nobody(
    twelve: Path, quick_path: Path
) -> None:
    middle = survive(twelve, quick_path / "site", 1000, seed=2)
    assert middle.keys() >= {*KINDS, "calibrate"}, "it was killed in the middle of each of them"
