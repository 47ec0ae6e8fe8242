"""A door's whole life in its own processes: what is typed and asked there ends as it should."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from common.errors import ConfigError
from common.faces.store import save_pack
from common.synthetic.generate import synthetic_faces
from simulations.commands.door import DoorOptions

LAB = Path(sys.executable).parent / "mascaron-lab"
PEOPLE, STRANGERS = 6, 4


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What `mascaron-lab door` printed about six people of a pack and four strangers."""
    if not LAB.exists():
        pytest.skip("mascaron is not installed beside this interpreter")
    folder = tmp_path_factory.mktemp("door")
    save_pack(folder / "faces.npz", synthetic_faces(PEOPLE + STRANGERS, 7, seed=41))
    save_pack(folder / "public.npz", synthetic_faces(60, 3, seed=42))
    words = {"--out": "out", "--faces": "faces.npz", "--public": "public.npz", "--fmr": "0.05"}
    words |= {"--fpir": "0.1", "--people": str(PEOPLE), "--strangers": str(STRANGERS)}
    done = subprocess.run(
        [LAB, "door", *(word for pair in words.items() for word in pair)],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_everybody_enrols_and_is_told_apart(told: dict[str, dict]) -> None:
    assert told["enrolled"]["people"] == PEOPLE
    own, another = told["verified"]["own"], told["verified"]["of_another"]
    assert own["asked"] == another["asked"] == 2 * PEOPLE
    assert own["match"] > another["match"]
    assert told["verified"]["of_a_stranger"]["match"] <= 1


def test_nobody_is_named_wrongly_and_no_stranger_at_all(told: dict[str, dict]) -> None:
    assert set(told["searched"]["people"]) <= {"named", "unknown", "refused by guards"}
    assert sum(told["searched"]["people"].values()) == PEOPLE
    assert set(told["searched"]["strangers"]) <= {"unknown", "refused by guards"}


def test_a_release_comes_and_goes_and_leaves_every_answer_as_it_was(told: dict[str, dict]) -> None:
    assert told["migrated"]["rollback_identical"] is True
    assert told["migrated"]["probes"] == 4 * PEOPLE + STRANGERS
    assert 0 <= told["migrated"]["alike"] <= 1


def test_who_left_is_a_stranger_with_a_receipt(told: dict[str, dict]) -> None:
    assert told["erased"]["answer"] == "no"
    assert told["erased"]["receipt"]["epoch_after"] == told["erased"]["receipt"]["epoch_before"] + 1


def test_the_log_has_all_of_it(told: dict[str, dict]) -> None:
    kinds = told["audit"]["kinds"]
    assert kinds["verify"] == 4 * (4 * PEOPLE + STRANGERS) + 1
    assert kinds["identify"] >= PEOPLE + STRANGERS
    assert {"enrol", "calibrate", "stage", "promote", "rollback", "erase"} <= set(kinds)
    assert told["audit"]["rows"] == sum(kinds.values())


@pytest.mark.parametrize(
    ("words", "said"),
    [({"faces": Path("a.npz")}, "go together"), ({"scenes": True}, "drop it")],
)
def test_options_that_do_not_go_together_are_refused(words: dict[str, object], said: str) -> None:
    given = {"public": Path("b.npz"), "faces": Path("a.npz")} if "scenes" in words else {}
    with pytest.raises(ConfigError, match=said):
        DoorOptions(out=Path("out"), **{**given, **words})
