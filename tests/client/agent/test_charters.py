"""A hostile centre: what it did not sign, signed otherwise, or changes later is refused by name."""

import dataclasses
import datetime
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from client.agent.charters import Offer
from client.agent.training import Clock, Training
from client.policy import AutoAccept, SitePolicy
from client.privacy.chain import Head
from client.privacy.ledger import Budget, Ledger
from common.errors import (
    AggregationError,
    BudgetError,
    CharterError,
    PendingError,
    PlanError,
    ReplayError,
    RollbackError,
    SignatureError,
    TrunkError,
    WireError,
)
from common.models.tail import BIAS, WEIGHT
from common.moments.names import FRAME_BIAS, FRAME_WEIGHT
from common.privacy import accountant
from common.trust.charter import PURPOSE, array_digests, charter_digest
from common.trust.heads import SignedHead, read_head
from common.trust.keys import SigningKey
from common.trust.presence import Presence
from common.trust.signed import Signed, seal
from tests.fakes import TRUNK
from tests.small_site import (
    CENTRE,
    FEDERATION,
    KEY,
    RUN,
    SUM,
    Arrays,
    Site,
    accepted,
    charter,
    frame,
    initial,
    long_plan,
    mean_plan,
    noiseless,
    offer,
    request,
    tail,
)


def altered(**changes: Any) -> Offer:
    """The words changed after they were signed."""
    signed = Signed.from_json(offer(mean_plan()).charter)
    table = {**json.loads(signed.content), **changes}
    text = Signed(json.dumps(table, sort_keys=True), signed.signature).to_json()
    return Offer(charter=text, initial=array_digests(initial()))


def as_another_document() -> Offer:
    """The very words, signed by the centre, but as something else than a charter."""
    table = json.loads(Signed.from_json(offer(mean_plan()).charter).content)
    text = seal(CENTRE, "roster", table).to_json()
    return Offer(charter=text, initial=array_digests(initial()))


def swapped() -> Offer:
    """Other initial arrays than those of the charter."""
    arrays = {**initial(), WEIGHT: initial()[WEIGHT] + 1}
    return dataclasses.replace(offer(mean_plan()), initial=array_digests(arrays))


def fewer() -> Offer:
    digests = array_digests({FRAME_WEIGHT: initial()[FRAME_WEIGHT]})
    return dataclasses.replace(offer(mean_plan()), initial=digests)


HOSTILE: dict[str, tuple[Callable[[], Offer], type[Exception]]] = {
    "nothing": (lambda: Offer(charter=""), SignatureError),
    "not JSON": (lambda: Offer(charter="{" * 5000), SignatureError),
    "unsigned": (
        lambda: Offer(charter=json.dumps({"content": "{}", "signature": ""})),
        SignatureError,
    ),
    "signed by another key": (
        lambda: offer(mean_plan(), key=SigningKey.generate()),
        SignatureError,
    ),
    "altered": (lambda: altered(run="r2"), SignatureError),
    "signed as another document": (as_another_document, SignatureError),
    "of another federation": (lambda: offer(mean_plan(), federation="e" * 64), CharterError),
    "expired": (lambda: offer(mean_plan(), expires=1), CharterError),
    "other initial arrays": (swapped, CharterError),
    "fewer initial arrays": (fewer, CharterError),
    "noise shared with others": (
        lambda: offer(mean_plan(noise="distributed", honest_sites=2, cohort=2)),
        AggregationError,
    ),
    "no noise": (lambda: offer(noiseless(mean_plan())), PlanError),
    "another trunk": (lambda: offer(mean_plan(trunk="u" * 64)), TrunkError),
}


@pytest.mark.parametrize("how", sorted(HOSTILE))
def test_what_a_hostile_centre_offers_is_refused_by_name_and_charges_nobody(
    site: Site, how: str
) -> None:
    make, error = HOSTILE[how]
    room = site.training()
    for ask in (room.accept, room.review):
        with pytest.raises(error) as caught:
            ask(make())
        assert type(caught.value) is error
    assert site.kinds() == []
    room.accept(offer(mean_plan()))  # and an honest one is still welcome


def test_a_run_keeps_the_very_charter_it_was_accepted_with_across_restarts(site: Site) -> None:
    accepted(site, mean_plan())
    later = offer(mean_plan(), expires=2**41)  # the same plan, signed once more
    for _ in range(2):
        with pytest.raises(ReplayError):
            site.training().accept(later)
        site.restart()
    assert site.kinds() == ["accept"]
    assert set(accepted(site, mean_plan()).train(RUN, 1, frame())) == {SUM}


def test_a_run_goes_on_after_its_charter_expired_but_none_begins(site: Site) -> None:
    def training(now: float) -> Training:
        clock = Clock(date=lambda: now)
        return site.training(lambda *a: Training(*a, clock=clock))

    asked = offer(mean_plan(), expires=1000)
    training(999.0).accept(asked)
    site.restart()
    late = training(1001.0)
    late.accept(asked)
    assert set(late.train(RUN, 1, frame())) == {SUM}
    with pytest.raises(CharterError, match="expired"):
        late.accept(offer(mean_plan(), "r2", expires=1000))


MOVED: dict[str, tuple[int, Arrays]] = {
    "a frame": (1, frame(seed=3)),
    "the frame of a later moment": (2, {**frame(), FRAME_BIAS: frame()[FRAME_BIAS] + 1}),
    "the first tail": (3, tail(seed=3)),
    "the bias of the first tail": (3, {**tail(), BIAS: tail()[BIAS] + 1}),
}


@pytest.mark.parametrize("what", sorted(MOVED))
def test_coordinates_are_not_chosen_after_the_acceptance(site: Site, what: str) -> None:
    number, arrays = MOVED[what]
    room = accepted(site, long_plan())
    for earlier in range(1, number):
        room.train(RUN, earlier, request(earlier))
    before = site.kinds()
    with pytest.raises(CharterError, match="not the one of the charter"):
        room.train(RUN, number, arrays)
    assert site.kinds() == before
    assert room.train(RUN, number, request(number))


def test_later_tails_are_the_centres_and_stay_so_after_a_restart(site: Site) -> None:
    room = accepted(site, long_plan())
    for number in (1, 2, 3):
        room.train(RUN, number, request(number))
    site.restart()
    assert site.training().train(RUN, 4, tail(seed=3))


# The head: a ledger that is older than what the site once signed.


def test_every_answer_carries_the_ledgers_head_signed_by_the_site(site: Site) -> None:
    room = accepted(site, mean_plan())
    first = read_head(Signed.from_json(room.head()), site.identity.public)
    room.train(RUN, 1, frame())
    last = read_head(Signed.from_json(room.head()), site.identity.public)
    assert (first.sequence, last.sequence) == (1, 3)
    assert (last.federation, last.site) == (FEDERATION, "north")
    site.ledger.confirm(Head(last.sequence, bytes.fromhex(last.mac)))


def test_a_restored_older_ledger_is_refused_and_releases_nothing_more(site: Site) -> None:
    accepted(site, long_plan())
    site.restart()
    kept = {path.name: path.read_bytes() for path in site.folder.glob("ledger.db*")}
    room = accepted(site, long_plan())
    room.train(RUN, 1, frame())
    head = room.head()
    site.restart()
    for path in site.folder.glob("ledger.db*"):
        path.unlink()
    for name, content in kept.items():
        (site.folder / name).write_bytes(content)
    room = site.training()
    assert room.usable
    with pytest.raises(RollbackError):
        room.accept(dataclasses.replace(offer(long_plan()), head=head))
    assert not room.usable
    for ask in (lambda: room.accept(offer(long_plan())), lambda: room.train(RUN, 1, frame())):
        with pytest.raises(RollbackError):
            ask()
    assert site.kinds() == ["accept"]


def test_a_head_that_the_ledger_went_through_is_welcome(site: Site) -> None:
    room = accepted(site, long_plan())
    heads = [room.head()]
    room.train(RUN, 1, frame())
    heads.append(room.head())
    for head in ("", *heads):
        assert room.accept(dataclasses.replace(offer(long_plan()), head=head))


def test_heads_that_the_site_did_not_sign_stop_nobody(site: Site) -> None:
    told = {"federation": FEDERATION, "site": "north", "sequence": 9, "mac": "0" * 64}
    forged = SignedHead(**told).sign(SigningKey.generate()).to_json()  # type: ignore[arg-type]
    other = SignedHead(**{**told, "site": "south"}).sign(site.identity).to_json()  # type: ignore[arg-type]
    room = site.training()
    for head, error in ((forged, SignatureError), ("x", SignatureError), (other, CharterError)):
        with pytest.raises(error):
            room.accept(dataclasses.replace(offer(mean_plan()), head=head))
    assert room.usable
    assert room.accept(offer(mean_plan()))


# The operator: what is beyond the policy's own limits.


class Desk:
    """Approvals as an operator gives them."""

    def __init__(self) -> None:
        self.said: set[str] = set()
        self.waiting: dict[str, Signed] = {}

    def approved(self, digest: str) -> bool:
        return digest in self.said

    def wait(self, digest: str, signed: Signed, initial: Mapping[str, str]) -> None:
        self.waiting[digest] = signed


@pytest.mark.parametrize("limits", [{}, {"epsilon": 0.5, "rounds": 9}, {"epsilon": 50.0}])
def test_a_charter_beyond_the_automatic_limits_waits_for_the_operator(
    site: Site, limits: dict[str, Any]
) -> None:
    site.policy = SitePolicy(epsilon=8.0, delta=1e-4, auto_accept=AutoAccept(**limits))
    desk = site.approvals = Desk()
    room, asked = site.training(), offer(mean_plan())
    assert not room.review(asked).automatic
    with pytest.raises(PendingError):
        room.accept(asked)
    [digest] = desk.waiting
    assert digest == charter_digest(Signed.from_json(asked.charter))
    assert site.kinds() == []
    desk.said.add(digest)
    assert room.accept(asked) == digest
    desk.said.clear()
    site.restart()
    assert site.training().accept(asked) == digest  # its run has begun


def test_nobody_is_asked_about_a_charter_that_cannot_be_paid(site: Site) -> None:
    site.policy = SitePolicy(epsilon=0.5, delta=1e-4)
    desk = site.approvals = Desk()
    with pytest.raises(BudgetError):
        site.training().accept(offer(mean_plan()))
    assert desk.waiting == {}


def test_without_an_operator_what_is_not_automatic_is_refused(site: Site) -> None:
    site.policy = SitePolicy(epsilon=8.0, delta=1e-4)
    with pytest.raises(CharterError):
        site.training().accept(offer(mean_plan()))


def test_a_review_tells_the_price_of_the_charter_alone_and_changes_nothing(site: Site) -> None:
    room = accepted(site, mean_plan())
    asked = offer(long_plan(), "r2")
    review = room.review(asked)
    assert review.epsilon == accountant.epsilon(long_plan().events(), 1e-4)
    assert (review.charter, review.automatic) == (
        charter_digest(Signed.from_json(asked.charter)),
        True,
    )
    assert site.kinds() == ["accept"]


@pytest.mark.parametrize("refresh", [False, True])
def test_a_site_refreshes_only_if_its_policy_says_so(site: Site, refresh: bool) -> None:
    cost = accountant.epsilon(mean_plan().events(), 1e-4)
    site.policy = dataclasses.replace(site.policy, epsilon=1.1 * cost, yearly_refresh=refresh)

    def accept(year: int, run: str) -> None:
        date = datetime.datetime(year, 6, 1, tzinfo=datetime.UTC).timestamp()
        clock = Clock(date=lambda: date)
        room = site.training(lambda *a: Training(*a, clock=clock))
        room.accept(offer(mean_plan(), run))
        site.ledger.reserve(run, 1, "d", mean_plan().rounds[0].event)

    accept(2026, "one")
    with pytest.raises(BudgetError):
        accept(2026, "two")
    if refresh:
        accept(2027, "two")
    else:
        with pytest.raises(BudgetError):
            accept(2027, "two")
    lost = accountant.epsilon(mean_plan().events() * (2 if refresh else 1), 1e-4)
    assert site.ledger.epsilon() == pytest.approx(lost)  # over the ledger's life, refreshed or not


# The challenge.


def test_a_site_signs_what_it_declares_over_a_challenge_and_nothing_without_one(
    site: Site,
) -> None:
    room, challenge = site.training(), bytes(range(32))
    declared = Presence(
        federation=FEDERATION, site="north", camera_type="door", trunk=TRUNK, people=100
    )
    signature = room.presence(challenge)
    declared.verify(site.identity.public, challenge, signature)
    changed = [
        dataclasses.replace(declared, people=99),
        dataclasses.replace(declared, site="south"),
        dataclasses.replace(declared, federation="e" * 64),
    ]
    for other in changed:
        with pytest.raises(SignatureError):
            other.verify(site.identity.public, challenge, signature)
    with pytest.raises(SignatureError):
        declared.verify(site.identity.public, bytes(32), signature)
    with pytest.raises(SignatureError):
        declared.verify(SigningKey.generate().public, challenge, signature)
    assert room.presence(b"") == b""
    for length in (1, 15, 65):
        with pytest.raises(WireError):
            room.presence(bytes(length))


def test_a_charter_signed_by_the_site_itself_is_none(site: Site) -> None:
    with pytest.raises(SignatureError):
        site.training().accept(offer(mean_plan(), key=site.identity))


def test_a_charter_names_its_run_and_nothing_can_be_added(site: Site) -> None:
    table = json.loads(charter(mean_plan()).sign(CENTRE).content)
    for changes in ({"run": "r\n1"}, {"extra": 1}, {"timeout": 0.0}):
        text = seal(CENTRE, PURPOSE, {**table, **changes}).to_json()
        with pytest.raises(CharterError):
            site.training().accept(Offer(charter=text, initial=array_digests(initial())))


def test_a_ledger_from_before_charters_binds_its_runs_to_none(site: Site) -> None:
    with Ledger(site.folder / "ledger.db", KEY, Budget(8.0, 1e-4)) as ledger:
        ledger.accept(RUN, mean_plan())
    with pytest.raises(ReplayError):
        site.training().accept(offer(mean_plan()))
    with pytest.raises(CharterError):
        site.training().train(RUN, 1, frame())
    assert np.isfinite(site.ledger.epsilon())
