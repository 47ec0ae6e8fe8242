"""Regulation (EU) 2024/1689, article by article: what a use leaves behind, and who has to look.

A test shows that the means are there and work. Whether a site keeps the law is for its operator.
"""

import dataclasses

import pytest

from client.audit.log import SIX_MONTHS
from client.door.callers import Role
from client.door.thresholds import Band
from client.policy import SitePolicy
from common.errors import AuditError, ConfigError, MascaronError, PlanError, RoleError
from common.privacy.plan import MomentMechanism, PrivacyPlan
from tests.small_reception import ANYTHING, Site, caller, picture
from tests.small_vault import NOW, TRUNK, person

DAY = 86_400.0
CAMERA = caller("camera", Role.IDENTIFY)
FIRST, SECOND = caller("first", Role.CONFIRM), caller("second", Role.CONFIRM)


def four_eyed(site: Site) -> Site:
    site.reception = site.with_parts(rules=dataclasses.replace(site.parts.rules, four_eyes=True))
    return site


# Article 12(3): what the log of each use has in it.


def test_article_12_3_each_use_has_begin_end_data_base_input_and_who_verified(
    site: Site,
) -> None:
    four_eyed(site)
    site.clock.now = NOW + 7
    ticket = site.reception.identify(CAMERA, picture(0)).ticket
    for human in (FIRST, SECOND):
        site.reception.review(human, ticket)
        site.reception.confirm(human, ticket, person(0))
    rows = site.rows()
    [used] = [row.event for row in rows if row.event.kind == "identify"]
    assert NOW + 7 == used.began <= used.ended  # (a) start and end of the use
    generation, release = used.reference.split(":")  # (b) the reference data base
    assert int(generation) == site.vault.generation
    assert site.releases.active.release.startswith(release)
    assert len(used.input) == 16 and len(used.subject) == 16  # (c) what led to a match
    confirmed = rows[-1].event
    assert (confirmed.kind, confirmed.outcome) == ("confirm", "confirmed")
    assert len(set(confirmed.actors)) == 3  # (d) who asked, and the two who verified
    assert confirmed.subject == used.subject
    assert site.log.verify().broken is None


@pytest.mark.parametrize("spoilt", [b"broken", b"empty", b"blurred", b"paper"])
def test_article_12_3_a_use_that_led_to_nothing_is_there_as_well(site: Site, spoilt: bytes) -> None:
    with pytest.raises(MascaronError) as refused:
        site.reception.identify(CAMERA, spoilt)
    assert site.told()[-1] == ("identify", refused.value.reason)
    assert site.reception.identify(CAMERA, picture(900)).state == "unknown"
    assert site.told()[-1] == ("identify", "unknown")


def test_article_12_3_there_is_no_answer_where_no_row_can_be_written(site: Site) -> None:
    site.log.close()
    for ask in (
        lambda: site.reception.identify(CAMERA, picture(0)),
        lambda: site.reception.verify(ANYTHING, person(0), picture(0)),
        lambda: site.reception.export(ANYTHING, person(0)),
    ):
        with pytest.raises(AuditError):
            ask()


# Article 14(5): two natural persons.


def test_article_14_5_nobody_is_named_before_two_others_said_so(site: Site) -> None:
    four_eyed(site)
    pending = site.reception.identify(CAMERA, picture(0), 5)
    assert (pending.state, pending.persons, pending.labels) == ("pending", (), ())
    for number, human in enumerate((FIRST, SECOND)):
        waiting = site.reception.outcome(CAMERA, pending.ticket)
        assert (waiting.state, waiting.persons) == ("pending", ()), number
        shown = site.reception.review(human, pending.ticket)
        assert person(0) in {one for one, _ in shown.persons}
        site.reception.confirm(human, pending.ticket, person(0))
    told = site.reception.outcome(CAMERA, pending.ticket)
    assert (told.state, told.persons[0]) == ("confirmed", (person(0), Band.MATCH))


def test_article_14_5_one_person_twice_is_one_and_who_asked_is_none(site: Site) -> None:
    four_eyed(site)
    both = caller("camera", Role.IDENTIFY, Role.CONFIRM)
    ticket = site.reception.identify(both, picture(0)).ticket
    with pytest.raises(RoleError):
        site.reception.review(both, ticket)
    site.reception.review(FIRST, ticket)
    site.reception.confirm(FIRST, ticket, person(0))
    with pytest.raises(RoleError):
        site.reception.confirm(FIRST, ticket, person(0))
    assert site.reception.outcome(both, ticket).state == "pending"


@pytest.mark.parametrize("second", [None, 1])
def test_article_14_5_two_who_do_not_agree_name_nobody(site: Site, second: int | None) -> None:
    four_eyed(site)
    ticket = site.reception.identify(CAMERA, picture(0), 5).ticket
    found = [one for one, _ in site.reception.review(FIRST, ticket).persons]
    other = None if second is None else next((p for p in found if p != person(0)), None)
    site.reception.confirm(FIRST, ticket, person(0))
    site.reception.review(SECOND, ticket)
    site.reception.confirm(SECOND, ticket, other)
    told = site.reception.outcome(CAMERA, ticket)
    assert (told.state, told.persons) == ("unknown", ())


# Article 26(6): logs are kept for six months at least.


def test_article_26_6_no_row_of_the_last_six_months_can_be_taken_away(site: Site) -> None:
    begun = 1_700_000_000.0
    site.clock.now = begun
    site.reception.verify(ANYTHING, person(0), picture(0))
    kept = len(site.rows())
    now = begun + SIX_MONTHS - 1
    with pytest.raises(ConfigError, match="last six months"):
        site.log.prune(before=begun + 1, now=now)
    assert site.log.prune(before=now - SIX_MONTHS, now=now) < kept
    assert site.rows()[-1].event.began == begun
    assert SIX_MONTHS >= 184 * DAY
    assert site.log.verify().broken is None


def test_article_26_6_what_is_older_goes_and_leaves_a_chain_that_verifies(site: Site) -> None:
    site.reception.verify(ANYTHING, person(0), picture(0))
    site.clock.now = NOW + 2 * SIX_MONTHS
    assert site.log.prune(before=NOW + 1, now=site.clock.now) > 0
    assert site.rows() == [] and site.log.verify().broken is None


# Annex III, point 1(a): searching for somebody is high risk, verifying a claim is not.


def test_annex_iii_1_a_who_may_verify_may_not_search_and_each_has_its_switch(site: Site) -> None:
    gate = caller("gate", Role.VERIFY)
    assert site.reception.verify(gate, person(0), picture(0)) == Band.MATCH
    with pytest.raises(RoleError, match="identify"):
        site.reception.identify(gate, picture(0))
    with pytest.raises(RoleError, match="verify"):
        site.reception.verify(CAMERA, person(0), picture(0))
    for name, ask in (
        ("verify", lambda door: door.verify(ANYTHING, person(0), picture(0))),
        ("identify", lambda door: door.identify(ANYTHING, picture(0))),
    ):
        closed = site.with_parts(rules=dataclasses.replace(site.parts.rules, **{name: False}))
        with pytest.raises(RoleError, match=f"{name} is switched off"):
            ask(closed)


# Article 5(1)(g) and Annex III, points 1(b) and (c): what nobody may be sorted by.


@pytest.mark.parametrize("attribute", ["race", "religion", "emotion"])
def test_annex_iii_1_b_c_a_site_takes_no_part_in_what_its_policy_denies(attribute: str) -> None:
    policy = SitePolicy(epsilon=8.0, delta=1e-4, denied_attributes=("race", "religion", "emotion"))
    mechanism = MomentMechanism(kind="mean", sigma=2.0, clip=1.0, name=f"mean.{attribute}")
    plan = PrivacyPlan(mechanisms=(mechanism,), people=9, delta=1e-4, trunk=TRUNK)
    with pytest.raises(PlanError, match="denied by policy"):
        policy.check(plan, TRUNK)
