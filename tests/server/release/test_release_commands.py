"""An administrator builds, judges, signs, promotes and takes back; no gate has a way around it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from common.evidence.bundle import read_release
from common.evidence.history import read_history
from common.trust.keys import SigningKey
from server.cli import main
from server.home import CentreHome
from server.release.registry import Registry
from server.standing import federation_of, public_key
from tests.small_evidence import group, rate
from tests.small_registry import RUN, evidence, finished, released, tail_of


@pytest.fixture(scope="module")
def over(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished(tmp_path_factory.mktemp("over") / "centre").folder


@pytest.fixture
def home(over: Path, tmp_path: Path) -> CentreHome:
    return CentreHome(Path(shutil.copytree(over, tmp_path / "centre")))


def typed(home: CentreHome, *words: object) -> Result:
    told = ["release", str(words[0]), "--home", str(home.folder), *map(str, words[1:])]
    return CliRunner().invoke(main, told)


def done(home: CentreHome, *words: object) -> dict[str, Any]:
    result = typed(home, *words)
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def test_a_release_goes_from_evidence_to_a_few_sites_to_all_and_back(
    home: CentreHome, tmp_path: Path
) -> None:
    folder = evidence(tmp_path / "evidence", tail_of(home))
    built = done(home, "build", RUN, "--evidence", folder)
    first = str(built["release"])
    assert (built["refused_by"], built["tail"]) == ([], tail_of(home).hash)
    assert built["next"] == f"mascaron-admin release sign {first[:12]}"
    assert "SIGNATURE_INVALID" in typed(home, "promote", first).stderr  # not signed yet
    done(home, "sign", first[:12])
    canary = done(home, "promote", first[:12], "--canary", 0.3)
    assert (canary["action"], len(canary["sites"])) == ("canary", 1)
    assert done(home, "show", first[:12])["standing"] == "canary"
    everybody = done(home, "promote", first[:12])
    assert (everybody["action"], everybody["number"]) == ("promote", 2)
    assert everybody["sites"] == ["site-0", "site-1", "site-2"]

    second = released(home, tmp_path / "evidence", made=1_800_000_500.0)
    assert second != first
    assert done(home, "promote", second, "--sites", "site-2, site-0")["sites"] == [
        "site-0",
        "site-2",
    ]
    done(home, "promote", second)
    assert "HISTORY_REFUSED" in typed(home, "promote", first).stderr
    assert typed(home, "rollback", "--to", first).exit_code == 2  # a reason is not an option
    assert typed(home, "rollback", "--to", first, "--reason", " ").exit_code != 0
    back = done(home, "rollback", "--to", first[:12], "--reason", "worse at dusk")
    assert (back["action"], back["reason"]) == ("rollback", "worse at dusk")
    done(home, "withdraw", second[:12], "--reason", "worse at dusk")
    shown = done(home, "show")
    assert [entry["action"] for entry in shown["history"]] == [
        *("canary", "promote", "canary", "promote", "rollback", "withdraw")
    ]
    standing = {one["release"]: one["standing"] for one in shown["releases"]}
    assert standing == {first: "in force", second: "withdrawn"}
    assert typed(home, "promote", second).exit_code == 1


def test_what_sites_get_is_what_was_built(home: CentreHome, tmp_path: Path) -> None:
    digest = released(home, tmp_path / "evidence")
    done(home, "promote", digest)
    content = (home.releases / f"{digest}.release").read_bytes()
    release = read_release(content, public_key(home), federation_of(home), digest)
    assert set(release.sections) >= {"statement", "training", "robustness", "fairness"}
    assert "resume.npz" not in release.files
    assert all(verdict.held for verdict in release.manifest.verdict)
    history = read_history(Registry(home).history().texts, public_key(home), federation_of(home))
    assert history.due("site-1", "a") == digest
    log = release.sections["training"].figures["rounds"]
    assert [entry["round"] for entry in log] == [1, 2]
    assert "site" not in release.sections["training"].to_json()


PLANTED: dict[str, tuple[str, dict[str, Any]]] = {
    "biased against a group": (
        "groups",
        {
            "fairness": {
                "groups": {"a": group(0.3), "b": group(0.01)},
                "fmr_worst_to_best": {"value": 30.0, "ci95": [20.0, 50.0]},
            }
        },
    ),
    "with a backdoor": ("trigger", {"robustness": {"trigger": {"value": 0.99, "baseline": 0.02}}}),
    "with masked gradients": (
        "masking",
        {"robustness": {"masking": {"checks": [{"name": "noise", "held": False}]}}},
    ),
    "whose mechanism leaks": ("audit", {"mechanism": {"lower_bound": 9.5}}),
    "that knows its members": (
        "membership",
        {"membership": {"with": {"epsilon": 5.0, "empirical_epsilon": 6.0}}},
    ),
    "that recognises nobody": ("tar", {"verification": {"tar_at_far": {"1e-2": rate(0.1)}}}),
}


@pytest.mark.parametrize("bad", PLANTED)
def test_a_planted_bad_release_is_stopped_by_its_gate_and_no_option_helps(
    home: CentreHome, tmp_path: Path, bad: str
) -> None:
    gate, spoilt = PLANTED[bad]
    folder = evidence(tmp_path / "evidence", tail_of(home), spoilt)
    built = done(home, "build", RUN, "--evidence", folder)
    assert built["refused_by"] == [gate]
    digest = built["release"]
    done(home, "sign", digest)
    for options in ((), ("--canary", 0.5), ("--sites", "site-0")):
        refused = typed(home, "promote", digest, *options)
        assert refused.exit_code == 1
        assert f"RELEASE_REFUSED: gates refuse release {digest[:12]}: {gate} (" in refused.stderr
    for flag in ("--force", "--yes", "--skip-gates", "--no-gates"):
        assert typed(home, "promote", digest, flag).exit_code == 2
    assert done(home, "show")["history"] == []


def test_evidence_of_another_tail_is_stopped(home: CentreHome, tmp_path: Path) -> None:
    from tests.small_evidence import tail

    folder = evidence(tmp_path / "evidence", tail(3, (2, 3)))
    assert done(home, "build", RUN, "--evidence", folder)["refused_by"] == ["about"]


def test_a_release_that_was_tampered_with_is_not_promoted(home: CentreHome, tmp_path: Path) -> None:
    digest = released(home, tmp_path / "evidence")
    path = home.releases / f"{digest}.release"
    content = path.read_bytes()
    for at in range(0, len(content), len(content) // 40):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        assert typed(home, "promote", digest).exit_code == 1
    path.write_bytes(content[:-512])
    assert typed(home, "promote", digest).exit_code == 1
    other = Registry(home).get
    path.write_bytes(content)
    forged = other(digest).sign(SigningKey.generate()).to_bytes()
    path.write_bytes(forged)
    assert "SIGNATURE_INVALID" in typed(home, "promote", digest).stderr
    assert not home.history.exists()
    path.write_bytes(content)
    done(home, "promote", digest)


def test_the_administrators_own_gates_count_also_for_what_was_signed_before(
    home: CentreHome, tmp_path: Path
) -> None:
    digest = released(home, tmp_path / "evidence")
    home.gates.write_text("least_robust_tar = 0.9\n", "utf-8")
    assert "robust-tar" in typed(home, "promote", digest).stderr
    assert "robust-tar" in done(home, "show", digest)["refused_by"]
    home.gates.write_text("least_robust = 0.9\n", "utf-8")
    wrong = typed(home, "promote", digest)
    assert wrong.exit_code == 2
    assert "did you mean 'least_robust_tar'" in wrong.stderr


def test_statement_and_log_come_from_the_charter_not_from_the_folder(
    home: CentreHome, tmp_path: Path
) -> None:
    folder = evidence(tmp_path / "evidence", tail_of(home))
    (folder / "statement.json").write_text("{}", "utf-8")
    (folder / "training.json").write_text("{}", "utf-8")
    assert done(home, "build", RUN, "--evidence", folder)["refused_by"] == []


@pytest.mark.parametrize("missing", ["report.html", "inversion-update.png"])
def test_evidence_that_is_not_whole_is_told(home: CentreHome, tmp_path: Path, missing: str) -> None:
    folder = evidence(tmp_path / "evidence", tail_of(home))
    (folder / missing).unlink()
    refused = typed(home, "build", RUN, "--evidence", folder)
    assert (refused.exit_code, missing in refused.stderr) == (1, True)
    assert not home.releases.exists()


def test_wrong_names_are_told(home: CentreHome, tmp_path: Path) -> None:
    digest = released(home, tmp_path / "evidence")
    folder = tmp_path / "evidence"
    for words in (
        ("build", "r2", "--evidence", folder),
        ("build", RUN, "--evidence", tmp_path / "nowhere"),
        ("build", RUN, "--evidence", folder, "--pool", "kiosk"),
        ("show", "abc"),
        ("show", "0" * 12),
        ("show", "../../etc"),
        ("sign", "0" * 64),
        ("promote", digest, "--canary", 0.5, "--sites", "site-0"),
        ("promote", digest, "--canary", 0),
        ("promote", digest, "--canary", 2),
        ("promote", digest, "--sites", "site-9"),
        ("rollback", "--to", digest, "--reason", "never was"),
    ):
        assert typed(home, *words).exit_code == 1, words
    assert not home.history.exists()


def test_a_run_of_several_pools_has_a_release_a_pool(tmp_path: Path) -> None:
    home = finished(tmp_path / "centre", types="ab")
    folder = evidence(tmp_path / "evidence", tail_of(home, "b"))
    assert "--pool: a, b" in typed(home, "build", RUN, "--evidence", folder).stderr
    built = done(home, "build", RUN, "--evidence", folder, "--pool", "b")
    assert built["refused_by"] == []
    done(home, "sign", built["release"])
    assert done(home, "promote", built["release"])["sites"] == ["site-1"]
