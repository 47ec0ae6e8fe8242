"""Labels as an operator types them: in words, in a labels.csv, later, and away again."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.commands.labels import labels_for, words_of
from common.errors import ConfigError, DataSetError, ForbiddenError
from common.faces.store import save_pack
from common.synthetic.generate import synthetic_faces
from common.text.vocabulary import FEMALE, names
from tests.client.commands.test_door_commands import RULES, Desk, serving, write_people
from tests.small_home import STARTER

POLICY = """\
epsilon = 8.0
delta = 1e-4
heads = ["attributes", "age"]
denied_attributes = ["beard"]
"""
AGREED = "verify,identify,training,labels"
HEAD = "picture,hat,glasses,age\n"


# Words.


@given(
    st.dictionaries(st.sampled_from([*names(), FEMALE]), st.booleans(), min_size=1, max_size=5),
    st.integers(0, 120),
    st.sampled_from([("yes", "no"), ("1", "0"), (" yes ", "no ")]),
)
def test_words_mean_what_was_typed(
    shown: dict[str, bool], age: int, spelt: tuple[str, str]
) -> None:
    typed = [f"{name}={spelt[0] if so else spelt[1]}" for name, so in shown.items()]
    assert words_of(",".join([*typed, f" age = {age} "])) == {**shown, "age": age}


@pytest.mark.parametrize(
    "typed",
    [
        *("", "hat", "hat=", "hat=maybe", "hat=True", "age=forty", "age=4.5", "age=-1", "age=yes"),
        *("age=" + "9" * 5000, "age=0041"),
        *("age=\u0664\u0660", "hat=yes,hat=no", "hat=yes,", "nonsense=yes", "=yes", "h at=yes"),
    ],
)
def test_what_is_no_label_is_refused_and_not_repeated(typed: str) -> None:
    with pytest.raises(ConfigError) as refused:
        words_of(typed)
    assert not any(word in str(refused.value) for word in ("nonsense", "maybe", "forty"))


@pytest.mark.parametrize("typed", ["headscarf=yes", "hat=yes,sk\u200bin_tone=no"])
def test_what_is_forbidden_is_refused_before_anybody_is_asked(typed: str) -> None:
    with pytest.raises(ForbiddenError):
        words_of(typed)


def test_a_file_says_something_else_of_each_picture(tmp_path: Path) -> None:
    pictures = [tmp_path / "anna" / f"{n}.jpg" for n in range(3)]
    lines = ["anna/2.jpg,,1,", "anna/0.jpg,1,0,40.4", "anna/1.jpg,,,", "ben/0.jpg,1,1,20"]
    table = tmp_path / "labels.csv"
    table.write_text(HEAD + "\n".join(lines) + "\n", "utf-8")
    assert labels_for(str(table), pictures) == {
        pictures[0]: {"hat": True, "glasses": False, "age": 40},
        pictures[1]: {},
        pictures[2]: {"glasses": True},
    }
    assert labels_for(None, pictures) == {}
    with pytest.raises(DataSetError, match="no line for 1 of 1"):
        labels_for(str(table), [tmp_path / "carl" / "0.jpg"])
    with pytest.raises(DataSetError):
        labels_for(str(tmp_path / "none.csv"), pictures)


@pytest.mark.parametrize("age", ["1e39", "-5", "500", "1e6"])
def test_an_age_that_nobody_has_is_refused_by_its_line(tmp_path: Path, age: str) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(HEAD + f"anna/0.jpg,1,0,{age}\n", "utf-8")
    with pytest.raises(DataSetError, match="line 2, column 'age'") as refused:
        labels_for(str(table), [tmp_path / "anna" / "0.jpg"])
    assert age not in str(refused.value).removeprefix(str(table)) and "anna" not in str(refused)


@pytest.mark.parametrize("column", ["headscarf", "Pale_Skin", "nonsense", "Attractive"])
def test_a_file_with_a_column_that_is_not_said_is_refused_whole(
    tmp_path: Path, column: str
) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(f"picture,hat,{column}\nanna/0.jpg,1,\n", "utf-8")
    with pytest.raises((ConfigError, ForbiddenError)) as refused:
        labels_for(str(table), [tmp_path / "anna" / "0.jpg"])
    assert column not in str(refused.value)


# At the desk.


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    made = Desk(tmp_path_factory.mktemp("desk"))
    write_people(made.folder / "people")
    save_pack(made.folder / "public.npz", synthetic_faces(25, 2, 99, lambda count: None))
    (made.folder / "consent.txt").write_text("I agree.\n", "utf-8")
    options = ["--trunk", str(STARTER), "--public", str(made.folder / "public.npz"), "--aligned"]
    made.told("init", "--alone", "--name", "clinic", *options)
    made.home.policy.write_text(POLICY, "utf-8")
    with made.home.settings.open("a", encoding="utf-8") as file:
        file.write(RULES)
    with serving(made) as process:
        yield made
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def enrolled(desk: Desk, number: int, *words: str, purposes: str = AGREED) -> str:
    told = desk.told("enrol", *desk.pictures(number)[:4], *words, *desk.agreed(purposes))
    person: str = told["person"]
    return person


def record(desk: Desk, person: str) -> list[dict[str, object]]:
    file = desk.folder / "record.json"
    told = desk.told("export", person, "--to", str(file))
    assert "labels" not in told
    found: list[dict[str, object]] = json.loads(file.read_bytes())["labels"]
    assert told["labelled"] == len(found)
    assert file.stat().st_mode & 0o077 == 0
    return found


def test_labels_are_typed_changed_shown_to_the_person_and_taken_away(desk: Desk) -> None:
    who = enrolled(desk, 0, "--labels", "glasses=yes,hat=no,age=41")
    said = {"age": 41, "glasses": True, "hat": False}
    kept = record(desk, who)
    assert kept == [said] * len(kept) and len(kept) >= 3
    assert desk.told("labels", who, "Eyeglasses=0") == {"person": who, "labelled": True}
    assert record(desk, who) == [{"glasses": False}] * len(kept)
    assert desk.told("labels", who, "--none") == {"person": who, "labelled": False}
    assert record(desk, who) == []
    for wrong in ([], ["hat=yes", "--none"]):
        assert desk.typed("labels", who, *wrong).exit_code == 2


def test_a_file_of_labels_is_of_the_pictures_it_names(desk: Desk) -> None:
    table = desk.folder / "labels.csv"
    lines = [f"01/{n}.jpg,{n % 2},,{20 + n}" for n in range(6)]
    table.write_text(HEAD + "\n".join(lines) + "\n", "utf-8")
    who = enrolled(desk, 1, "--labels", str(table))
    kept = record(desk, who)
    assert all(one == {"hat": bool(int(str(one["age"])) % 2), "age": one["age"]} for one in kept)
    assert len({one["age"] for one in kept}) == len(kept) >= 3
    typed = ["--folder", str(desk.folder / "people"), "--labels", "hat=yes", *desk.agreed(AGREED)]
    assert desk.typed("enrol", *typed).exit_code == 2, "many people, and one sentence"
    typed[3] = str(table)
    assert desk.refused("enrol", *typed) == "DATASET_INVALID"


def test_what_nobody_agreed_to_or_nobody_allows_is_refused(desk: Desk) -> None:
    shown = desk.pictures(2)[:4]
    verifying = desk.agreed("verify")
    assert desk.refused("enrol", *shown, "--labels", "hat=yes", *verifying) == "CONSENT_MISSING"
    for words, reason in (
        ("beard=no", "TOPIC_FORBIDDEN"),
        ("female=yes", "LABEL_REFUSED"),
        ("hat=yes,age=130", "LABEL_REFUSED"),
        ("headscarf=yes", "TOPIC_FORBIDDEN"),
    ):
        assert desk.refused("enrol", *shown, "--labels", words, *desk.agreed(AGREED)) == reason
    wrong = desk.typed("enrol", *shown, "--labels", "nonsense=yes", *desk.agreed(AGREED))
    assert (wrong.exit_code, "glasses, sunglasses" in wrong.stderr) == (2, True)
    who = enrolled(desk, 2, purposes="verify")
    words = []
    for one in (who, "0" * 32):
        done = desk.typed("labels", one, "hat=yes")
        words.append((done.exit_code, done.stderr))
    assert words[0] == words[1] and "CONSENT_MISSING" in words[0][1]
    assert desk.refused("labels", who, "hat=yes", *desk.token("gate", "operate")) == "ROLE_REFUSED"


def test_a_withdrawal_takes_labels_away_and_they_do_not_come_back(desk: Desk) -> None:
    who = enrolled(desk, 3, "--labels", "hat=yes")
    assert record(desk, who)
    desk.told("renew", who, *desk.agreed("verify,training"))
    assert record(desk, who) == []
    desk.told("renew", who, *desk.agreed(AGREED))
    assert record(desk, who) == []
    kinds = [row["kind"] for row in desk.told("audit", "show")["entries"]]
    assert "labels" in kinds
