"""An operator's day at the door, typed: against a real `serve`, with invented people."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from client.cli import main
from client.home import SiteHome
from common.faces.pictures import encode
from common.faces.store import save_pack
from common.models.tail import Tail
from common.models.tail_file import tail_bytes
from common.models.trunk import load_trunk
from common.synthetic.generate import synthetic_faces
from tests.small_home import SERVE, STARTER, heard

CANARY = "canary 4711"
ENOUGH, VIEWS = 10, 6  # people, and pictures of each: the last is for recognising
RULES = """
[door]
aligned = true
identify = true
least_quality = 0.0
enrol_quality = 0.0
"""


@dataclass
class Desk:
    """A site that is alone, and what lies on its operator's desk."""

    folder: Path

    @property
    def home(self) -> SiteHome:
        return SiteHome(self.folder / "site")

    def pictures(self, person: int) -> list[str]:
        return [str(self.folder / "people" / f"{person:02}" / f"{n}.jpg") for n in range(VIEWS)]

    def typed(self, *words: str) -> Result:
        done = CliRunner().invoke(main, [*words, "--home", str(self.home.folder)])
        assert CANARY not in done.output + done.stderr
        return done

    def told(self, *words: str) -> Any:
        done = self.typed(*words)
        assert done.exit_code == 0, done.stderr
        return json.loads(done.stdout)

    def refused(self, *words: str) -> str:
        done = self.typed(*words)
        assert (done.exit_code, done.stdout) == (1, ""), done.output
        return done.stderr.removeprefix("Error: ").partition(":")[0]

    def agreed(self, purposes: str = "verify,identify") -> list[str]:
        text = str(self.folder / "consent.txt")
        return ["--purposes", purposes, "--consent-text", text, "--expires", "2028-11-21"]

    def token(self, name: str, may: str) -> list[str]:
        path = self.folder / f"{name}.token"
        if not path.exists():
            path.write_text(self.told("caller", "add", name, "--may", may)["token"], "utf-8")
        return ["--token", str(path)]


def write_people(folder: Path) -> None:
    faces = synthetic_faces(ENOUGH + 2, VIEWS, 7, lambda count: None)
    for person in range(ENOUGH + 2):
        place = folder / f"{person:02}"
        place.mkdir(parents=True)
        for number, index in enumerate(faces.pictures_of(person)):
            (place / f"{number}.jpg").write_bytes(encode(faces.crop(int(index))))


def write_release(path: Path, seed: int) -> None:
    trunk, _ = load_trunk(STARTER)
    drawn = np.random.default_rng(seed).standard_normal((trunk.feature_dim, trunk.feature_dim))
    weight = np.linalg.qr(drawn)[0][:128].astype(np.float32)
    path.write_bytes(tail_bytes(Tail(weight, np.zeros(128, np.float32)), trunk.hash))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    made = Desk(tmp_path_factory.mktemp("desk"))
    write_people(made.folder / "people")
    save_pack(made.folder / "public.npz", synthetic_faces(25, 2, 99, lambda count: None))
    (made.folder / "consent.txt").write_text("I agree.\n", "utf-8")
    write_release(made.folder / "next.tail.safetensors", 1)
    options = ["--trunk", str(STARTER), "--public", str(made.folder / "public.npz"), "--aligned"]
    made.told("init", "--alone", "--name", "clinic", *options)
    with made.home.settings.open("a", encoding="utf-8") as file:
        file.write(RULES)
    with serving(made) as process:
        yield made
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert not made.home.door_socket().exists()


def serving(desk: Desk) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SERVE, "serve", "--home", str(desk.home.folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stderr is not None
    heard(process.stderr, "the door answers at ")
    return process


@pytest.fixture(scope="module")
def people(desk: Desk) -> list[str]:
    """Everybody enrolled by hand, calibrated."""
    found = []
    for number in range(ENOUGH):
        words = ["--label", f"{CANARY} {number}", *desk.agreed(), "--despite-duplicate"]
        told = desk.told("enrol", *desk.pictures(number)[:-1], *words)
        assert told["pictures"] >= 3
        found.append(told["person"])
    told = desk.told("calibrate", "--fmr", "0.1", "--fpir", "0.2")
    assert (told["fmr"], told["fpir"]) == (0.1, 0.2)
    assert set(told) == {"release", "fmr", "fpir", "made"}
    return found


def test_who_enrolled_is_told_from_others(desk: Desk, people: list[str]) -> None:
    own = [desk.told("verify", who, desk.pictures(n)[-1]) for n, who in enumerate(people)]
    others = [desk.told("verify", who, desk.pictures(n + 1)[-1]) for n, who in enumerate(people)]
    match = {"band": "match"}
    assert own.count(match) > others.count(match)
    assert {tuple(told) for told in (*own, *others)} == {("band",)}


def test_somebody_comes_again_and_keeps_their_consent(desk: Desk, people: list[str]) -> None:
    words = ["--again", people[0]]
    before = desk.told("export", people[0])
    told = desk.told("enrol", *desk.pictures(0)[:3], *words)
    assert (told["person"], told["pictures"]) == (people[0], 3)
    after = desk.told("export", people[0])
    assert after == {**before, "templates": min(8, before["templates"] + 3)}
    assert desk.refused("enrol", *desk.pictures(0)[:3], "--again", "0" * 32) == "QUALITY_TOO_LOW"
    for wrong in ([*words, "--label", "x"], [*words, *desk.agreed()], []):
        assert desk.typed("enrol", desk.pictures(0)[0], *wrong).exit_code == 2


def test_a_search_is_confirmed_by_two_who_may(desk: Desk, people: list[str]) -> None:
    guards = [desk.token(name, "confirm") for name in ("guard-1", "guard-2")]
    for number in range(ENOUGH):
        asked = desk.told("identify", desk.pictures(number)[0])
        if asked["state"] == "pending":
            break
    assert (asked["state"], asked["persons"]) == ("pending", [])
    for guard in guards:
        shown = desk.told("confirm", asked["ticket"], *guard)
        assert people[number] in {one["person"] for one in shown["persons"]}
        desk.told("confirm", asked["ticket"], people[number], *guard)
    told = desk.told("outcome", asked["ticket"])
    assert (told["state"], told["persons"][0]["person"]) == ("confirmed", people[number])
    assert desk.refused("confirm", asked["ticket"], "--nobody") == "ROLE_REFUSED"


def test_a_release_comes_and_goes(desk: Desk, people: list[str]) -> None:
    first = desk.told("release", "status")["active"]
    staged = desk.told("release", "stage", str(desk.folder / "next.tail.safetensors"))
    assert (staged["active"], staged["staged_calibrated"]) == (first, True)
    assert desk.told("release", "promote")["active"] == staged["staged"]
    assert desk.told("release", "rollback")["active"] == first
    desk.told("release", "stage", str(desk.folder / "next.tail.safetensors"))
    assert desk.told("release", "unstage")["staged"] is None
    assert desk.refused("release", "stage", desk.pictures(0)[0]) == "MODEL_INVALID"


def test_a_person_asks_what_is_held_and_to_be_erased(desk: Desk, people: list[str]) -> None:
    last, record = people[-1], desk.folder / "record.json"
    told = desk.told("export", last, "--to", str(record))
    assert "label" not in told
    assert json.loads(record.read_bytes())["label"] == f"{CANARY} {ENOUGH - 1}"
    assert record.stat().st_mode & 0o077 == 0
    renewed = desk.told("renew", last, *desk.agreed("verify"))
    assert (renewed["purposes"], renewed["expires"]) == (["verify"], "2028-11-21")
    assert desk.told("relabel", last, "room 9") == {"person": last, "labelled": True}
    receipt = desk.folder / "receipt.json"
    assert desk.told("erase", last, "--receipt", str(receipt))["erased"] == 1
    desk.told("receipt", "check", str(receipt))
    assert desk.refused("erase", last) == "UNKNOWN_PERSON"
    assert desk.told("verify", last, desk.pictures(ENOUGH - 1)[0]) == {"band": "no"}
    listed = [one["person"] for one in desk.told("people")["people"]]
    assert last not in listed
    assert set(people[:-1]) <= set(listed)


def test_a_folder_of_people_is_enrolled_and_who_is_refused_is_a_number(
    desk: Desk, people: list[str], tmp_path: Path
) -> None:
    for name, person in ((f"a {CANARY}", ENOUGH), (f"b {CANARY}", ENOUGH + 1)):
        (tmp_path / name).mkdir()
        for number, path in enumerate(desk.pictures(person)):
            (tmp_path / name / f"{number}.jpg").write_bytes(Path(path).read_bytes())
    (tmp_path / f"c {CANARY}").mkdir()
    words = ["--folder", str(tmp_path), *desk.agreed(), "--despite-duplicate"]
    told = desk.told("enrol", *words)
    assert [one["folder"] for one in told["enrolled"]] == [1, 2]
    assert [one["folder"] for one in told["refused"]] == [3]


def test_new_pictures_of_a_folder_are_decided_one_by_one(
    desk: Desk, people: list[str], tmp_path: Path
) -> None:
    (tmp_path / f"1 {CANARY}.jpg").write_bytes(Path(desk.pictures(0)[0]).read_bytes())
    (tmp_path / "2.jpg").write_bytes(b"no picture")
    (tmp_path / "3.jpg").write_bytes(b"")
    done = desk.typed("watch", str(tmp_path), "--once", "--person", people[0])
    assert done.exit_code == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["picture"] for line in lines] == [1, 2, 3]
    assert "band" in lines[0]
    assert [line["refused"] for line in lines[1:]] == ["PICTURE_REFUSED"] * 2
    done = desk.typed("watch", str(tmp_path), "--once")
    assert {json.loads(line).get("state") for line in done.stdout.splitlines()} <= {
        "pending",
        "unknown",
        None,
    }


def test_callers_come_and_go_while_the_door_answers(desk: Desk) -> None:
    token = desk.token("gate", "verify")
    assert desk.refused("people", *token) == "ROLE_REFUSED"
    assert "gate" in {one["caller"] for one in desk.told("caller", "list")["callers"]}
    desk.told("caller", "remove", "gate")
    assert desk.refused("people", *token) == "CALLER_UNKNOWN"
    assert desk.refused("caller", "remove", "gate") == "CALLER_UNKNOWN"


def test_a_second_process_does_not_get_the_vault(desk: Desk) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SERVE, "serve", "--home", str(desk.home.folder)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert "BUSY" in done.stderr
    assert desk.told("release", "status")


@pytest.mark.parametrize(
    "words",
    [
        ("verify", "no hex", "PICTURE"),
        ("verify", "0a", "PICTURE"),
        ("verify", "0" * 32, "/none.jpg"),
        ("confirm", "", "--nobody"),
        ("confirm", "0a", "0" * 32, "--nobody"),
        ("export", "zz"),
        ("watch", "/none"),
        ("people", "--token", "/none"),
        ("release", "stage", "/none"),
        ("caller", "add", "x", "--may", "all"),
    ],
)
def test_what_cannot_be_meant_is_told_before_anybody_is_asked(desk: Desk, words: Any) -> None:
    typed = [desk.pictures(0)[0] if word == "PICTURE" else word for word in words]
    done = desk.typed(*typed)
    assert (done.exit_code, done.stdout) == (2, ""), done.output
    assert "CONFIG_INVALID" in done.stderr


def test_without_a_door_the_operator_is_told_what_to_start(tmp_path: Path) -> None:
    lonely = Desk(tmp_path)
    options = ["--trunk", str(STARTER), "--public", str(tmp_path)]
    lonely.told("init", "--alone", "--name", "clinic", *options)
    done = lonely.typed("people")
    assert done.exit_code == 1
    assert "mascaron-site serve" in done.stderr


def test_a_site_that_is_alone_has_no_socket_for_a_group(desk: Desk) -> None:
    done = desk.typed("serve", "--group", "0")
    assert (done.exit_code, "CONFIG_INVALID" in done.stderr) == (2, True)
