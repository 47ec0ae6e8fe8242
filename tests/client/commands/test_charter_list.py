"""A list of charters tells what each costs without reckoning it again."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from client.agent.opening import open_desk, open_policy
from client.commands.charters import list_charters, show_charter
from common.privacy.plan import GradientMechanism, PrivacyPlan
from common.trust.charter import charter_digest
from common.trust.signed import Signed
from tests.small_home import Home, make_home, plan

ASK = """
import sys
from pathlib import Path
from client.cli import main
try:
    main(["charter", "list", "--home", sys.argv[1]])
finally:
    heavy = {"torch", "opacus", "scipy"} & set(sys.modules)
    assert not heavy, heavy
"""


def sampled() -> PrivacyPlan:
    """Whose price needs the accountant of Opacus, and torch behind it."""
    steps = GradientMechanism(name="tail", sigma=1.0, clip=1.0, rate=0.25, rounds=3)
    return dataclasses.replace(plan(), mechanisms=(*plan().mechanisms, steps))


def waiting(made: Home, run: str, *, priced: bool) -> str:
    """Puts a charter on the desk as the agent does (``priced``), or an older release's did."""
    offer = made.offer(run, plan=sampled())
    signed = Signed.from_json(offer.charter)
    policy = open_policy(made.home, made.home.config()) if priced else None
    open_desk(made.home, policy).wait(charter_digest(signed), signed, offer.initial)
    return charter_digest(signed)


def test_a_list_loads_no_accountant_and_says_what_showing_says(tmp_path: Path) -> None:
    made = make_home(tmp_path)
    digest = waiting(made, "r1", priced=True)
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(made.home.folder)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )
    assert done.returncode == 0, done.stderr
    [told] = json.loads(done.stdout)["charters"]
    shown = show_charter(made.home, digest)
    assert told["epsilon"] == shown["epsilon"]
    assert told["delta"] == shown["delta"]
    assert told["number_of_rounds"] == 4


def test_a_price_at_another_delta_is_reckoned_anew(tmp_path: Path) -> None:
    made = make_home(tmp_path)
    first = waiting(made, "r1", priced=True)
    policy = made.home.policy.read_text("utf-8").replace("delta = 1e-4", "delta = 1e-6")
    made.home.policy.write_text(policy, "utf-8")
    second = waiting(made, "r2", priced=False)
    found = {one["digest"]: one["epsilon"] for one in list_charters(made.home)["charters"]}
    assert found[first] == found[second]
    assert found[first] == pytest.approx(show_charter(made.home, first)["epsilon"])
