"""Every idea of a hostile courier, tried on a real agent: nothing comes out, nothing is overspent.

Courier and centre are hostile together: the courier has the key that signs charters.
"""

from collections.abc import Iterator

import pytest

from common.trust.charter import PURPOSE
from common.trust.keys import SigningKey
from tests.hostile.couriers import ATTACKS
from tests.hostile.deployed import Deployed, deployed, told
from tests.hostile.trials import ideas, tried

LEAST = 25  # ideas
ROOMS = ("courier_askers", "courier_evaluations", "courier_floods", "courier_thieves")
QUICK = [name for name in ideas(*ROOMS) if not (ATTACKS[name].slow or ATTACKS[name].dies)]


@pytest.fixture(scope="module")
def site() -> Iterator[Deployed]:
    with deployed() as made:
        yield made


@pytest.mark.parametrize("name", QUICK)
def test_a_hostile_courier_gets_nothing(site: Deployed, name: str) -> None:
    catch, attack = tried(site, name), ATTACKS[name]
    met = set(catch.reasons)
    assert met <= attack.reasons if attack.some else met == attack.reasons
    assert len(set(catch.released)) == attack.releases
    assert not attack.separate or catch.denied > 0
    assert catch.note.get("same", True)


def test_there_are_enough_ideas() -> None:
    assert len(ATTACKS) >= LEAST


def test_a_courier_that_dies_for_it_makes_no_ledger_forget(site: Deployed) -> None:
    assert site.worker.do(site.scene, "dies_between_the_charge_and_the_answer") is None
    catch = tried(site, "comes_back_for_the_answer")
    assert len(catch.released) == 1
    kinds = [entry.kind for entry in site.spending().entries if entry.run == "killed"]
    assert kinds == ["accept", "reserve", "release"]


def test_what_an_agent_signs_for_a_challenge_is_good_for_nothing_else(site: Deployed) -> None:
    catch = tried(site, "uses_the_challenge_to_get_other_words_signed")
    public = SigningKey.load(site.made.home.identity_key).public
    assert len(catch.note["signed"]) == 3
    for words, signature in catch.note["signed"]:
        for purpose in (PURPOSE, "head", "roster", "presence", "admission"):
            with pytest.raises(Exception, match="signature"):
                public.verify(purpose, bytes.fromhex(words), bytes.fromhex(signature))


def test_what_answers_every_question_answers_it_alike(site: Deployed) -> None:
    assert told(tried(site, "probes_with_whatever_answers"))["answers"] == 3


@pytest.mark.slow
def test_a_budget_is_spent_to_its_end_and_not_beyond(site: Deployed) -> None:
    catch = tried(site, "trains_until_there_is_no_budget_left")
    assert set(catch.reasons) == {"PRIVACY_BUDGET_EXHAUSTED"}
    assert catch.note["runs"] > 10
