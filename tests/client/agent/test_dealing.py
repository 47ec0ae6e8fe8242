"""What is dealt says nothing below the threshold, whoever needs no box; above it, everything."""

import dataclasses
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from client.agent.secrets import RoundSecrets
from common.errors import AggregationError
from common.secagg import shamir
from common.secagg.messages import Boxes, Cohort, Dealing, boxed
from common.secagg.phases import VECTOR
from common.secagg.terms import Context
from tests.small_secagg import SmallFederation, names, small_context, small_terms

SITES = 5  # threshold 3 of 5: two are dealt to without a box
EVERYBODY = names(SITES)
CONTEXT = small_context(small_terms(SITES, colluders=0))


class Dealt:
    """All of ``cohort`` have dealt, and received what the others did."""

    def __init__(self, cohort: tuple[str, ...], context: Context = CONTEXT) -> None:
        self.names, self.context = cohort, context
        self.secrets = {name: RoundSecrets(name, context, os.urandom) for name in cohort}
        self.cohort = Cohort(cohort, tuple(secret.keys() for secret in self.secrets.values()))
        self.dealings = {name: s.deal(self.cohort) for name, s in self.secrets.items()}
        for name, secret in self.secrets.items():
            secret.receive(self.boxes(name))

    def boxes(self, keeper: str) -> Boxes:
        """What an honest centre shows to ``keeper``."""
        at = self.names.index(keeper)
        dealings = self.dealings.values()
        parts = tuple(self.box(dealer, keeper) for dealer in self.names)
        return Boxes(self.names, parts, tuple(dealing.checks_at(at) for dealing in dealings))

    def box(self, dealer: str, keeper: str) -> bytes:
        some = boxed(self.names, dealer, self.context.terms.threshold)
        return self.dealings[dealer].box_at(some.index(keeper)) if keeper in some else b""

    def shares(self, dealer: str, which: int, keepers: tuple[str, ...]) -> dict[int, bytes]:
        """By number, what ``keepers`` hold of the ``which``-th secret of ``dealer``."""
        number = self.context.terms.number
        return {number(name): self.secrets[name]._kept[dealer][which] for name in keepers}

    def pads(self, dealer: str, which: int) -> dict[int, bytes]:
        number, secrets = self.context.terms.number, self.secrets[dealer]
        others = (name for name in self.names if name != dealer)
        return {number(name): secrets._pads(dealer, name)[which] for name in others}


def cohorts() -> Iterator[tuple[str, ...]]:
    """All that a centre may show: the sites of it are in order, and at least the threshold."""
    for count in range(CONTEXT.terms.threshold, SITES + 1):
        yield from itertools.combinations(EVERYBODY, count)


@pytest.mark.parametrize("cohort", list(cohorts()), ids="-".join)
def test_two_keepers_and_all_that_was_sent_fit_any_secret(cohort: tuple[str, ...]) -> None:
    """For each two keepers, and a secret one likes, there are pads of the others under which the
    dealer sends the very same boxes and these two hold the very same shares. Whoever is without a
    box, and whichever cohort the centre shows: the other pads are all that hides the secret.
    """
    dealt, terms = Dealt(cohort), CONTEXT.terms
    for dealer, which in itertools.product(cohort, (0, 1)):
        others = tuple(name for name in cohort if name != dealer)
        some = boxed(cohort, dealer, terms.threshold)
        sent = {
            terms.number(name): dealt.box(dealer, name)[16 * which :][:16] if name in some else None
            for name in others
        }
        real = dealt.pads(dealer, which)
        for spies in itertools.combinations(others, terms.threshold - 1):
            wished, known = shamir.draw(os.urandom), dealt.shares(dealer, which, spies)
            fitting = known | shamir.share(wished, known, [n for n in sent if n not in known])
            pads = {
                number: share if sent[number] is None else shamir.minus(share, sent[number] or b"")
                for number, share in fitting.items()
            }
            assert {number: pads[number] for number in known} == {n: real[n] for n in known}
            assert all(pads[number] != real[number] for number in sent if number not in known)
            unsent = {number: pads[number] for number, box in sent.items() if box is None}
            again = shamir.share(wished, unsent, [n for n, box in sent.items() if box is not None])
            boxes = {number: shamir.minus(share, pads[number]) for number, share in again.items()}
            assert boxes == {number: box for number, box in sent.items() if box is not None}


def test_three_keepers_have_the_secret_with_or_without_boxes() -> None:
    dealt = Dealt(EVERYBODY)
    for dealer in EVERYBODY:
        real = dealt.secrets[dealer]
        for keepers in itertools.combinations(EVERYBODY, 3):
            for which, secret in enumerate((real._seed, real._mask)):
                shares = dealt.shares(dealer, which, keepers)
                assert shamir.combine(shares, shamir.weights(tuple(shares))) == secret


def test_the_two_secrets_and_two_attempts_share_no_pad() -> None:
    """Else a share of the one that is opened would be a share of the other."""
    found: list[bytes] = []
    for attempt in (1, 2):
        dealt = Dealt(EVERYBODY, dataclasses.replace(CONTEXT, attempt=attempt))
        for dealer, which in itertools.product(EVERYBODY, (0, 1)):
            found += dealt.pads(dealer, which).values()
    assert len(set(found)) == len(found) == 2 * SITES * 2 * (SITES - 1)


def test_shares_for_another_cohort_are_refused_by_who_gets_a_box_and_who_does_not() -> None:
    """A centre that shows two cohorts: the pads are bound to what each site was shown."""
    whole, context = Dealt(EVERYBODY), CONTEXT
    fewer = Cohort(EVERYBODY[:4], whole.cohort.keys[:4])
    for keeper in EVERYBODY[1:4]:
        told, secret = whole.boxes(keeper), whole.secrets[keeper]
        secret.deal(fewer)
        for at, dealer in enumerate(EVERYBODY[:4]):
            if dealer != keeper:
                sent = keeper in boxed(fewer.names, dealer, context.terms.threshold)
                box = (told.boxes[at] or bytes(32)) if sent else b""
                with pytest.raises(AggregationError, match="do not open"):
                    secret.receive(Boxes((dealer,), (box,), (told.checks[at],)))


def test_a_box_that_is_altered_shows_as_much_as_who_altered_it_knew() -> None:
    """Without its check, the share would be off by exactly what was added."""
    dealt, added = Dealt(EVERYBODY), shamir.draw(os.urandom)
    dealer, keeper = EVERYBODY[0], EVERYBODY[-1]
    share = dealt.secrets[keeper]._kept[dealer][0]
    box = dealt.box(dealer, keeper)[:16]
    pad = dealt.secrets[keeper]._pads(dealer, keeper)[0]
    assert shamir.plus(pad, shamir.plus(box, added)) == shamir.plus(share, added)


def test_a_dealing_has_a_box_for_those_alone_who_need_one() -> None:
    dealing = Dealt(EVERYBODY).dealings[EVERYBODY[0]]
    assert (len(dealing.boxes), len(dealing.checks)) == (2 * 32, 5 * 12)
    assert Dealing.from_bytes(dealing.to_bytes()) == dealing


def test_shares_that_were_swapped_or_altered_are_refused_before_anything_is_charged(
    tmp_path: Path,
) -> None:
    """Of the last site, which gets a box from every other, and of the first, which gets none."""
    federation, context = SmallFederation(6, tmp_path), small_context(small_terms(6))
    first, *_, fifth_name, last = federation.names
    centre = federation.until(VECTOR, context)
    boxes = Boxes.from_bytes(centre.requests(VECTOR)[last])
    sent, checks = boxes.boxes, boxes.checks
    assert [len(box) for box in sent] == [32] * 5 + [0]
    none = Boxes.from_bytes(centre.requests(VECTOR)[first])
    assert set(none.boxes) == {b""}
    fifth = Boxes.from_bytes(centre.requests(VECTOR)[fifth_name])
    lies = [
        (last, boxes, {"boxes": (sent[1], sent[0], *sent[2:])}),
        (last, boxes, {"boxes": (sent[1], sent[0], *sent[2:]), "checks": swapped(checks)}),
        (last, boxes, {"boxes": (*sent[:4], changed(sent[4]), b"")}),
        (last, boxes, {"boxes": (b"\xff" * 32, *sent[1:])}),
        (last, boxes, {"checks": (changed(checks[0]), *checks[1:])}),
        (last, boxes, {"checks": (checks[0][:6], *checks[1:])}),
        (last, boxes, {"boxes": fifth.boxes}),
        (last, boxes, {"boxes": (b"",) * 6}),
        (last, boxes, {"boxes": (bytes(32),) * 5 + (b"",)}),
        (first, none, {"boxes": (b"", bytes(32), *none.boxes[2:])}),
        (first, none, {"checks": swapped(none.checks)}),
    ]
    for name, told, lie in lies:
        request = dataclasses.replace(told, **lie).to_bytes()  # type: ignore[arg-type]
        with pytest.raises(AggregationError, match=r"do not open|not of the field"):
            federation.answer(name, context, VECTOR, request)
    assert not federation.charged
    for name, told in ((last, boxes), (first, none)):
        assert federation.answer(name, context, VECTOR, told.to_bytes())


def swapped(parts: tuple[bytes, ...]) -> tuple[bytes, ...]:
    return (*parts[:1], parts[2], parts[1], *parts[3:])


def changed(raw: bytes) -> bytes:
    return raw[:-1] + bytes([raw[-1] ^ 1])
