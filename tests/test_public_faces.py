"""Centre and sites read public faces in one way, so that both name them by one digest."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from client.agent.charters import Charters, Offer
from client.agent.opening import OpenSite, open_site
from common.errors import PlanError
from common.faces.store import save_pack
from common.privacy.plan import GradientMechanism, PrivacyPlan
from common.synthetic.generate import synthetic_faces
from common.trust.charter import CharterTerms
from server.cli import main
from server.runs.proposal import read_proposal
from tests.small_centre import centre
from tests.small_home import STARTER, Home, crops_folder, make_home, plan

OPTIONS = ("--run", "r1", "--epsilon", 8, "--people", 240, "--cohort", 3, "--steps", 2)


def propose(folder: Path, public: Path, *more: str) -> tuple[CharterTerms, str]:
    """The terms that the centre solves with the faces at ``public``, and what it told."""
    home = centre(folder / "centre")
    sources = ("--public", public, "--trunk", STARTER, "--home", home.folder)
    typed = [str(word) for word in ("charter", "propose", *OPTIONS, *sources, *more)]
    done = CliRunner().invoke(main, typed)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["state"] == "proposed"
    return read_proposal(home.charter("r1"))[0], done.stderr


def opened(made: Home) -> OpenSite:
    site = open_site(made.home)
    site.ledger.close()
    return site


def test_a_folder_with_a_broken_picture_has_one_digest_at_both_ends(tmp_path: Path) -> None:
    made = make_home(tmp_path)
    crops_folder(tmp_path / "public", broken=True)
    crops_folder(tmp_path / "faces")
    settings = made.home.settings.read_text("utf-8").replace(".npz", "")
    made.home.settings.write_text(f"{settings}aligned = true\n", "utf-8")
    terms, told = propose(tmp_path, tmp_path / "public", "--aligned")
    assert terms.plan.public == opened(made).facts.public
    assert "public: 1 pictures skipped: 1 broken" in told


def test_a_pack_has_one_digest_at_both_ends(tmp_path: Path) -> None:
    made = make_home(tmp_path)
    save_pack(tmp_path / "public.npz", synthetic_faces(6, 3, 5))
    terms, _ = propose(tmp_path, tmp_path / "public.npz")
    assert terms.plan.public == opened(made).facts.public


def charter(made: Home, terms: PrivacyPlan) -> Offer:
    return made.offer(plan=terms)


def other_public(**changes: Any) -> PrivacyPlan:
    told = json.loads(plan().to_json()) | {"public": "0" * 64, **changes}
    return PrivacyPlan.from_json(json.dumps(told))


def test_only_rounds_of_gradients_need_the_same_public_faces(tmp_path: Path) -> None:
    """Steps contrast with public people; moments are told in the charter's frame alone."""
    made = make_home(tmp_path)
    site = open_site(made.home)
    try:
        room = Charters(site.facts, site.policy, site.ledger)
        assert room.review(charter(made, other_public()), 0.0).automatic
        steps = GradientMechanism(sigma=9.0, clip=1.0, rate=0.5, rounds=1, negatives=4)
        gradients = PrivacyPlan(
            mechanisms=(steps,), people=10, delta=1e-4, trunk=plan().trunk, public="0" * 64
        )
        with pytest.raises(PlanError, match="other public people"):
            room.review(charter(made, gradients), 0.0)
    finally:
        site.ledger.close()
