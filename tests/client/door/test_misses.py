"""Nobody gets to know somebody by claiming again and again to be them."""

import threading

import pytest

from client.door.misses import DAY, Misses
from client.door.thresholds import Band
from common.errors import PictureError, QueryBudgetError
from tests.small_reception import ANYTHING, Site, picture
from tests.small_vault import NOW, person

MOST, CLAIMS = 30, 100  # as rules are
NOBODY = b"\x07" * 16


def missed(site: Site, claimed: bytes, times: int, who: int = 5) -> int:
    """How many of so many claims with another one's picture were answered."""
    answered = 0
    for _ in range(times):
        try:
            assert site.reception.verify(ANYTHING, claimed, picture(who)) is not Band.MATCH
            answered += 1
        except QueryBudgetError as error:
            assert error.reason == "QUERY_BUDGET_EXHAUSTED"
    return answered


@pytest.mark.parametrize("claimed", [person(0), NOBODY, b"", b"too short"])
def test_a_claim_fails_so_often_in_a_day_whether_there_is_such_a_person_or_not(
    site: Site, claimed: bytes
) -> None:
    assert missed(site, claimed, MOST + 3) == MOST
    site.clock.now = NOW + DAY - 1
    assert missed(site, claimed, 1) == 0
    site.clock.now = NOW + DAY + 1
    assert missed(site, claimed, 2) == 2


def test_who_is_left_alone_is_not_looked_at_and_leaves_no_row(site: Site) -> None:
    missed(site, person(0), MOST)
    looked, rows = site.eye.looked, len(site.rows())
    with pytest.raises(QueryBudgetError):
        site.reception.verify(ANYTHING, person(0), picture(0))  # not even the right face
    assert (site.eye.looked, len(site.rows())) == (looked, rows)


def test_matches_are_no_misses_and_nobody_else_is_kept_out(site: Site) -> None:
    for _ in range(CLAIMS - 1):
        assert site.reception.verify(ANYTHING, person(0), picture(0)) is Band.MATCH
    assert missed(site, person(1), MOST + 1) == MOST
    assert site.reception.verify(ANYTHING, person(0), picture(0)) is Band.MATCH
    with pytest.raises(QueryBudgetError):
        site.reception.verify(ANYTHING, person(0), picture(0))


def test_a_picture_that_shows_nobody_says_nothing_of_anybody(site: Site) -> None:
    for _ in range(MOST + 2):
        with pytest.raises(PictureError):
            site.reception.verify(ANYTHING, person(0), b"broken")
    assert site.reception.verify(ANYTHING, person(0), picture(0)) is Band.MATCH


def test_what_is_under_way_counts_as_a_miss_until_it_is_none() -> None:
    misses, inside, go = Misses(lambda: 0.0, 2, 9), threading.Barrier(3), threading.Event()

    def slow(band: Band) -> None:
        with misses.claim(b"a") as claim:
            inside.wait()
            go.wait()
            claim.band = band

    threads = [threading.Thread(target=slow, args=(band,)) for band in (Band.MATCH, Band.NEAR)]
    for thread in threads:
        thread.start()
    inside.wait()
    with pytest.raises(QueryBudgetError), misses.claim(b"a"):
        pass
    go.set()
    for thread in threads:
        thread.join()
    with misses.claim(b"a") as claim:
        claim.band = Band.NO
    with pytest.raises(QueryBudgetError), misses.claim(b"a"):
        pass


def test_nothing_older_than_a_day_is_kept_and_a_clock_set_back_forgets_nothing() -> None:
    now = [0.0]
    misses = Misses(lambda: now[0], 3, 9)
    for moment, claimed in ((10.0, b"a"), (20.0, b"b"), (5.0, b"a"), (DAY + 8, b"a")):
        now[0] = moment
        with misses.claim(claimed) as claim:
            claim.band = Band.NO
    now[0] = DAY + 9
    with misses.claim(b"a"):
        pass
    assert {len(times) for times in misses._asked.values()} <= {1, 3}
    now[0] = 3 * DAY
    with misses.claim(b"c"):
        pass
    assert not misses._asked
    assert not misses._under_way
