"""Every idea of a hostile courier about secure sums, tried on a real agent that is killed between.

Courier, centre and one member are hostile together; see ``tests.hostile.party`` for the others.
"""

from collections.abc import Iterator

import pytest

from client.privacy.reading import Spending
from tests.hostile.couriers import ATTACKS, Catch
from tests.hostile.deployed import Deployed, deployed, told
from tests.hostile.trials import ideas, searched, tried
from tests.small_home import POLICY

ROOMS = ("courier_relays", "courier_attempts", "courier_heads")
RESTARTS = {
    "comes_as_far_as_an_opening",
    "goes_on_as_if_the_agent_had_not_died",
    "shows_older_heads_of_the_same_ledger",
    "asks_a_restored_ledger",
    "asks_a_ledger_that_was_put_back",
}
SUMS = [name for name in ideas(*ROOMS) if name not in RESTARTS and not ATTACKS[name].last]


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


def test_an_agent_that_was_killed_opens_nothing_and_a_restored_ledger_pays_for_nothing(
    site: Deployed,
) -> None:
    """Killed twice: an older copy of the ledger is put in its place, and then the newest."""
    refused(site, "comes_as_far_as_an_opening")
    older = site.copy_of_ledger()
    refused(site, "shows_older_heads_of_the_same_ledger")
    newest, rows = site.copy_of_ledger(), site.spending().entries
    site.restart(older)
    forgetful = site.spending().entries
    assert len(forgetful) < len(rows)
    for _ in range(2):
        catch = searched(site, "asks_a_restored_ledger")
        assert set(catch.reasons) == {"ROLLBACK_DETECTED"}
        assert catch.note["refusing"]
        assert site.spending().entries == forgetful  # nothing was begun, so nothing sampled
    site.restart(newest)
    refused(site, "asks_a_ledger_that_was_put_back")
    assert site.spending().entries == rows
    refused(site, "goes_on_as_if_the_agent_had_not_died")
    assert kinds(site.spending(), "killed-sum") == ["accept", *["reserve", "masked"] * 2]


def test_noise_cannot_be_averaged_away_nor_a_budget_be_raced(site: Deployed) -> None:
    """The last one of this site: nothing is left to spend afterwards."""
    catch = tried(site, "averages_the_noise_away")
    assert set(catch.reasons) == {"PRIVACY_BUDGET_EXHAUSTED"}
    assert 2 <= catch.note["vectors"] == len(set(catch.released))
    assert kinds(site.spending(), "average").count("reserve") == catch.note["vectors"]
    before = site.spending().epsilon(site.delta)
    refused(site, "accepts_from_eight_threads_at_once")
    assert site.spending().epsilon(site.delta) == before <= 8.0
