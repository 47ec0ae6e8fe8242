"""A run that trained heads releases them with their evidence, as they are, or its tail alone."""

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from common.errors import ReleaseError
from common.evidence.bundle import HEADS, Release
from common.evidence.section import About
from common.heads.heads import Heads
from common.heads.heads_file import heads_bytes
from common.privacy.heads import HeadTerms
from common.trust.charter import arrays_digest
from server.charter import write_charter
from server.checkpoint import RunState, write_checkpoint
from server.cli import main
from server.commands.release import build_command, promote_command, show_command, sign_command
from server.commands.tail import tail_command
from server.home import CentreHome
from server.release.registry import Registry
from server.runs.reading import PUBLIC as FILE
from server.runs.reading import heads_after, keep_public
from server.standing import signing_key
from tests.fakes import TRUNK
from tests.small_centre import NOW, admit, centre, initial, proposed
from tests.small_headed import TERMS, headed_plan, heads_of, heads_section, lost, named
from tests.small_registry import RUN, evidence, tail_of

GENDER = HeadTerms(kind="gender", weight=1.0, shown=(40,), absent=(60,))
PUBLIC, OTHER = (heads_of(seed, (*TERMS, GENDER), TRUNK, 3) for seed in (1, 2))
TRAINED = [name for terms in TERMS for name in terms.arrays]
MOVED = {name: OTHER.arrays[name] for name in TRAINED}
KINDS = ("attributes", "age", "words")  # of the charter, and the words that public people taught


def released() -> Heads:
    """What the run made of them: gender is not in its charter."""
    kept = heads_after(PUBLIC, MOVED).only(KINDS)
    assert kept is not None
    return kept


@pytest.fixture
def home(tmp_path: Path) -> CentreHome:
    """A centre whose run trained attributes and ages for two rounds."""
    made = centre(tmp_path / "centre")
    admit(made, 3)
    plan = headed_plan(trunk=TRUNK)
    begun = {**initial(), **{n: PUBLIC.arrays[n] for n in TRAINED}, **PUBLIC.scaling.arrays()}
    terms = dataclasses.replace(proposed(made), plan=plan, initial=arrays_digest(begun))
    write_charter(made.charter(RUN), terms.sign(signing_key(made)), begun)
    keep_public(made.charter(RUN), PUBLIC)
    rounds = [{"round": n, "mechanism": "gradient", "public": 0.5} for n in (1, 2)]
    pools = {"a": {**begun, **MOVED}}
    state = RunState(round=2, pools=pools, history=rounds, plan=plan.digest)
    write_checkpoint(made.run(RUN), state)
    return made


def measured(home: CentreHome, folder: Path, **figures: Any) -> Path:
    """The evidence of what the run made, its heads with it."""
    there = evidence(folder, tail_of(home))
    about = About(trunk=TRUNK, tail=tail_of(home).hash, people=160)
    told = {"public": named(PUBLIC), **figures}
    section = heads_section(about, released(), **told)
    (there / "heads.json").write_text(section.to_json(), "utf-8")
    return there


def built(home: CentreHome, folder: Path) -> tuple[dict[str, Any], Release]:
    told = build_command(home, RUN, folder, None, NOW)
    return told, Registry(home).get(told["release"])


def test_a_release_holds_the_very_file_that_was_written_for_its_evidence(
    home: CentreHome, tmp_path: Path
) -> None:
    (written,) = tail_command(home, RUN, tmp_path / "made")["tails"]
    content = Path(written["heads"]).read_bytes()
    assert content == heads_bytes(released())
    assert Path(written["began_as"]).read_bytes() == heads_bytes(PUBLIC)
    told, release = built(home, measured(home, tmp_path / "evidence"))
    assert release.files[HEADS] == content
    assert told["refused_by"] == [] and "left_out" not in told
    assert told["heads"] == {"file": hashlib.sha256(content).hexdigest(), "kinds": list(KINDS)}
    statement = release.sections["statement"].figures
    assert statement["heads"] == told["heads"]["file"]
    assert show_command(home, told["release"], NOW)["heads"] == told["heads"]
    sign_command(home, told["release"])
    gates = promote_command(home, told["release"], None, NOW)["gates"]
    assert {gate["gate"]: gate["held"] for gate in gates}["heads"]


def test_without_evidence_of_heads_the_tail_ships_alone_and_it_is_said(
    home: CentreHome, tmp_path: Path
) -> None:
    told, release = built(home, evidence(tmp_path / "evidence", tail_of(home)))
    assert release.heads is None and told["heads"] is None
    assert "no section" in told["left_out"] and told["refused_by"] == []
    assert release.sections["statement"].figures["heads"] == ""


PLANTED = {
    "that read worse": {"attributes": lost("attributes", 0.2)},
    "that were compared with others": {"public": named(OTHER)},
    "that nobody measured": {"age": None, "unmeasured": ["age"]},
    "that are others": {"file": named(OTHER)},
}


@pytest.mark.parametrize("bad", PLANTED)
def test_planted_heads_are_stopped_by_their_gate_and_no_option_helps(
    home: CentreHome, tmp_path: Path, bad: str
) -> None:
    told, _ = built(home, measured(home, tmp_path / "evidence", **PLANTED[bad]))
    assert told["refused_by"] == ["heads-judged"]
    sign_command(home, told["release"])
    with pytest.raises(ReleaseError, match=r"heads-judged \("):
        promote_command(home, told["release"], None, NOW)
    words = ["release", "promote", told["release"], "--home", str(home.folder)]
    assert CliRunner().invoke(main, [*words, "--force"]).exit_code == 2
    assert not home.history.exists()


def test_a_centre_that_lost_what_its_heads_began_as_promotes_none(
    home: CentreHome, tmp_path: Path
) -> None:
    told, _ = built(home, measured(home, tmp_path / "evidence"))
    sign_command(home, told["release"])
    (home.charter(RUN) / FILE).unlink()
    with pytest.raises(ReleaseError, match="began with"):
        promote_command(home, told["release"], None, NOW)
    assert not home.history.exists()
