"""Every idea of a hostile courier about secure sums, tried on a real agent that is killed between.

Courier, centre and one member are hostile together; see ``tests.hostile.party`` for the others.
"""

from collections.abc import Iterator

import pytest

from client.privacy.reading import Spending
from tests.hostile.couriers import ATTACKS, Catch
from tests.hostile.deployed import Deployed, deployed, told
from tests.hostile.trials import ideas, tried
from tests.small_home import POLICY

APART = ("comes_as_far_as_an_opening", "goes_on_as_if_the_agent_had_not_died")
ROOMS = ("courier_relays", "courier_attempts")
SUMS = [name for name in ideas(*ROOMS) if name not in APART and not ATTACKS[name].last]


@pytest.fixture(scope="module")
def site() -> Iterator[Deployed]:
    with deployed(POLICY) as made:  # which accepts dear charters without asking anybody
        yield made


def refused(site: Deployed, name: str) -> Catch:
    """What ``name`` brought in, its reasons and releases as they have to be."""
    catch, attack = tried(site, name), ATTACKS[name]
    met = set(catch.reasons)
    assert met <= attack.reasons if attack.some else met == attack.reasons, met
    assert len(set(catch.released)) == attack.releases
    assert not any(value is False for value in told(catch).values()), told(catch)
    return catch


def kinds(spending: Spending, run: str) -> list[str]:
    return [entry.kind for entry in spending.entries if entry.run == run]


@pytest.mark.parametrize("name", SUMS)
def test_a_hostile_courier_gets_nothing_out_of_a_secure_sum(site: Deployed, name: str) -> None:
    refused(site, name)


def test_an_agent_that_was_killed_opens_nothing_of_an_attempt_it_began(site: Deployed) -> None:
    refused(site, "comes_as_far_as_an_opening")
    site.restart()
    refused(site, "goes_on_as_if_the_agent_had_not_died")
    rows = kinds(site.spending(), "killed-sum")
    assert rows == ["accept", "reserve", "masked", "reserve", "masked"]


def test_noise_cannot_be_averaged_away_nor_a_budget_be_raced(site: Deployed) -> None:
    """The last one of this site: nothing is left to spend afterwards."""
    catch = tried(site, "averages_the_noise_away")
    assert set(catch.reasons) == {"PRIVACY_BUDGET_EXHAUSTED"}
    assert 2 <= catch.note["vectors"] == len(set(catch.released))
    assert kinds(site.spending(), "average").count("reserve") == catch.note["vectors"]
    before = site.spending().epsilon(site.delta)
    refused(site, "accepts_from_eight_threads_at_once")
    assert site.spending().epsilon(site.delta) == before <= 8.0
