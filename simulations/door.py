"""A door's life as a story: what an operator would type is typed, what a camera would ask is asked.

Nothing here reaches into the site: commands are those of `mascaron-site`, questions go through the
client library with a caller's own token.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from client.door.answers import Identification
from client.door.thresholds import Band
from client.recognition import Recognition
from common.errors import DeploymentError, PictureError
from common.models.tail_file import ENDING
from simulations.deployment import Deployment
from simulations.visitors import Visitors

SITE = "clinic"
CONSENT = "I agree that this clinic compares my face with pictures taken at its door.\n"
TERM = timedelta(days=2 * 365)
SEARCHED = 12  # people, and as many strangers, whom two guards are asked about
CAMERA, GUARDS = "camera", ("guard-1", "guard-2")
UP_SECONDS = 120.0

Answers = list[Band | None]  # None: no face that was good enough was seen
Asked = dict[str, Answers]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Scene:
    """What a story is given: who comes, public people, a trunk, the release after the first."""

    visitors: Visitors
    public: Path
    trunk: Path
    release: bytes
    detector: Path | None
    aligned: bool
    fmr: float
    fpir: float


class Story:
    """What happens at one door, in order."""

    def __init__(self, deployment: Deployment, scene: Scene, console: Console) -> None:
        self._it, self._scene, self._console = deployment, scene, console
        self._people: dict[int, bytes] = {}  # ids by number of the visitor; who was refused is not
        self._tokens: dict[str, str] = {}

    def tell(self) -> dict[str, Any]:
        """All of it; what it came to, in numbers. ``DeploymentError`` where it breaks."""
        self._open()
        told: dict[str, Any] = {"enrolled": self._enrol()}
        self._calibrate()
        first = self._ask("The same people come back, and others claim to be them")
        told["verified"] = {what: _counted(answers) for what, answers in first.items()}
        told["searched"] = self._search()
        told["migrated"] = self._migrate(first)
        told["erased"] = self._erase()
        told["audit"] = self._audit()
        return told

    def _open(self) -> None:
        self._head("A site is made: keys, a vault, an operator. It needs no federation")
        self._it.alone(
            SITE, {"--trunk": str(self._scene.trunk), "--public": str(self._scene.public)}
        )
        self._switch_on()
        self._it.start_agent(SITE)
        self._it.wait("the door", self._up, UP_SECONDS)
        self._caller(CAMERA, "verify,identify")
        for guard in GUARDS:
            self._caller(guard, "confirm")

    def _switch_on(self) -> None:
        """What the operator writes into site.toml: searching is off until somebody wants it."""
        limits = ["claims = 10000", "misses = 10000"]  # a year of questions in a minute
        lines = [
            "",
            "[door]",
            "identify = true",
            *limits,
            f"aligned = {str(self._scene.aligned).lower()}",
        ]
        if self._scene.detector is not None:
            lines.append(f'detector = "{self._scene.detector.absolute()}"')
        with (self._it.home(SITE) / "site.toml").open("a", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")

    def _caller(self, name: str, roles: str) -> None:
        typed = ("caller", "add", name, "--may", roles, "--hourly", "5000", "--daily", "20000")
        self._tokens[name] = self._it.site(SITE, *typed)["token"]

    def _up(self) -> bool:
        try:
            self._it.site(SITE, "release", "status", quiet=True)
        except DeploymentError:
            return False
        return True

    def _enrol(self) -> dict[str, Any]:
        everybody = self._scene.visitors.enrolling
        self._head(f"{len(everybody)} people enrol, by their consent")
        words, folder = self._it.folder / "consent.txt", self._it.folder / "enrolling"
        words.write_text(CONSENT, "utf-8")
        for number, pictures in enumerate(everybody):
            _keep(folder / f"{number:03d}", pictures)
        typed = ["--purposes", "verify,identify,training", "--consent-text", str(words)]
        typed += ["--expires", (datetime.now(UTC) + TERM).date().isoformat()]
        told = self._it.site(SITE, "enrol", "--folder", str(folder), *typed)
        for one in told["enrolled"]:
            self._people[one["folder"] - 1] = bytes.fromhex(one["person"])
        why = Counter(
            reason
            for one in told["enrolled"]
            for picture in one["refused"]
            for reason in picture["reasons"]
        )
        away = Counter(one["reason"] for one in told["refused"])
        self._say(
            f"{len(self._people)} are enrolled; pictures refused: {dict(why)}; people turned away: "
            f"{dict(away)}"
        )
        return {"people": len(self._people), "pictures_refused": why, "turned_away": away}

    def _calibrate(self) -> None:
        self._head("Thresholds are found for the error rates that are allowed")
        scene = self._scene
        self._it.site(SITE, "calibrate", "--fmr", str(scene.fmr), "--fpir", str(scene.fpir))

    def _ask(self, head: str) -> Asked:
        """Later pictures of everybody: as themselves, as another; strangers as somebody."""
        self._head(head)
        visitors, numbers = self._scene.visitors, sorted(self._people)
        asked: Asked = {"own": [], "of_another": [], "of_a_stranger": []}
        with self._door(CAMERA) as door:
            for place, number in enumerate(numbers):
                person, other = self._people[number], self._people[numbers[place - 1]]
                for picture in visitors.later[number]:
                    asked["own"].append(_verified(door, person, picture))
                    asked["of_another"].append(_verified(door, other, picture))
            for place, picture in enumerate(visitors.strangers):
                claimed = self._people[numbers[place % len(numbers)]]
                asked["of_a_stranger"].append(_verified(door, claimed, picture))
        self._console.print(_table(asked))
        return asked

    def _search(self) -> dict[str, Any]:
        """A camera asks who is there; nobody is named before two guards have looked."""
        self._head("Who is this? Two guards have to agree before anybody is named")
        visitors, numbers = self._scene.visitors, sorted(self._people)[:SEARCHED]
        found: Counter[str] = Counter()
        with (
            self._door(CAMERA) as camera,
            self._door(GUARDS[0]) as one,
            self._door(GUARDS[1]) as two,
        ):
            for number in numbers:
                person = self._people[number]
                found[_named(camera, (one, two), visitors.later[number][0], person)] += 1
            strangers: Counter[str] = Counter(
                _named(camera, (one, two), picture, None)
                for picture in visitors.strangers[:SEARCHED]
            )
        self._say(f"of {len(numbers)} people: {dict(found)}; of strangers: {dict(strangers)}")
        return {"people": dict(found), "strangers": dict(strangers)}

    def _migrate(self, before: Asked) -> dict[str, Any]:
        self._head("A new release is staged: nobody enrols again, both decide, one answers")
        file = self._it.folder / f"second{ENDING}"
        file.write_bytes(self._scene.release)
        old = self._it.site(SITE, "release", "status")["active"]
        self._it.site(SITE, "release", "stage", str(file))
        self._ask("The staged release decides each probe too; the active one answers")
        shadow = self._it.site(SITE, "release", "status")
        self._say(f"alike in {shadow['alike']} of {shadow['probes']} probes")
        new = self._it.site(SITE, "release", "promote")["active"]
        after = self._ask("Promoted: the new release answers")
        back = self._it.site(SITE, "release", "rollback")["active"]
        again = self._ask("Rolled back: the old one answers as it did")
        if (back, again) != (old, before) or new == old:
            raise DeploymentError("after the rollback the door did not answer as before")
        self._say("every answer is what it was")
        return {
            "alike": shadow["alike"],
            "probes": shadow["probes"],
            "promoted": {what: _counted(answers) for what, answers in after.items()},
            "rollback_identical": True,
        }

    def _erase(self) -> dict[str, Any]:
        number = min(self._people)
        person, receipt = self._people.pop(number), self._it.folder / "receipt.json"
        self._head("Somebody leaves: the key is destroyed, with a receipt")
        self._it.site(SITE, "erase", person.hex(), "--yes", "--receipt", str(receipt))
        checked = self._it.site(SITE, "receipt", "check", str(receipt))
        with self._door(CAMERA) as door:
            answer = _verified(door, person, self._scene.visitors.later[number][0])
        if answer is not Band.NO:
            raise DeploymentError("somebody erased is still known")
        self._say("the receipt is valid, and the door has never heard of them")
        return {"receipt": checked, "answer": answer.value}

    def _audit(self) -> dict[str, Any]:
        self._head("All of it is in the log, which nobody can change unseen")
        told = self._it.site(SITE, "audit", "verify")
        kinds = Counter(row["kind"] for row in self._rows(told["verified"]))
        self._say(f"{told['verified']:,} rows, whole and signed: {dict(kinds)}")
        return {"rows": told["verified"], "kinds": dict(kinds)}

    def _rows(self, count: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while len(found) < count:
            after = str(found[-1]["index"]) if found else "0"
            page = self._it.site(
                SITE, "audit", "show", "--after", after, "--most", "10000", quiet=True
            )["entries"]
            if not page:
                raise DeploymentError("the log shows fewer rows than it has")
            found += page
        return found

    def _door(self, caller: str) -> Recognition:
        return Recognition.at(self._it.home(SITE) / "run" / "door.sock", self._tokens[caller])

    def _head(self, line: str) -> None:
        self._console.print(f"\n{line}", style="bold")

    def _say(self, line: str) -> None:
        self._console.print(f"  {line}")


def _keep(folder: Path, pictures: Sequence[bytes]) -> None:
    folder.mkdir(parents=True)
    for number, picture in enumerate(pictures):
        (folder / f"{number}.jpg").write_bytes(picture)


def _verified(door: Recognition, person: bytes, picture: bytes) -> Band | None:
    try:
        return door.verify(person, picture)
    except PictureError:
        return None


def _named(
    camera: Recognition,
    guards: tuple[Recognition, Recognition],
    picture: bytes,
    person: bytes | None,
) -> str:
    """How a search ended, where both guards know who it is: ``person``, or None for a stranger."""
    try:
        found = camera.identify(picture)
    except PictureError:
        return "unseen"
    if found.state != "pending":
        return found.state
    for guard in guards:
        candidates = [one for one, _ in guard.review(found.ticket).persons]
        guard.confirm(found.ticket, person if person in candidates else None)
    return _ended(camera.outcome(found.ticket), person)


def _ended(found: Identification, person: bytes | None) -> str:
    if found.state == "confirmed":
        return "named" if [one for one, _ in found.persons] == [person] else "wrong"
    return "refused by guards"


def _counted(answers: Answers) -> dict[str, int]:
    counts = {band.value: answers.count(band) for band in Band}
    return {"asked": len(answers), **counts, "unseen": answers.count(None)}


def _table(asked: Asked) -> Table:
    table = Table(box=box.SIMPLE)
    table.add_column("pictures")
    for column in ("asked", *(band.value for band in Band), "not seen well enough"):
        table.add_column(column, justify="right")
    for what, answers in asked.items():
        table.add_row(what.replace("_", " "), *(str(n) for n in _counted(answers).values()))
    return table
