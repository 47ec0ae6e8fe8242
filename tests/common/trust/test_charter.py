"""A charter is the whole run in words the centre signed: none is older, foreign or half read."""

import dataclasses
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import CharterError, MascaronError, PlanError, SignatureError
from common.privacy.plan import MomentMechanism, PrivacyPlan
from common.secagg.terms import LIFE, LONGEST_PHASE
from common.trust.charter import (
    PURPOSE,
    CharterTerms,
    arrays_digest,
    charter_digest,
    read_charter,
)
from common.trust.keys import SigningKey
from common.trust.signed import Signed, seal

KEY = SigningKey.generate()
NOW = 1_790_000_000
FEDERATION = "f" * 64


def plan(sigma: float = 2.0) -> PrivacyPlan:
    mean = MomentMechanism(kind="mean", sigma=sigma, clip=1.0, name="mean")
    return PrivacyPlan(mechanisms=(mean,), people=10, delta=1e-4)


def terms(**changes: Any) -> CharterTerms:
    facts: dict[str, Any] = {
        "federation": FEDERATION,
        "run": "autumn",
        "plan": plan(),
        "initial": "0" * 64,
        "expires": NOW + 100,
        "centre": {"strategy": {"name": "fedavg"}},
    }
    return CharterTerms(**{**facts, **changes})


def table(**changes: Any) -> dict[str, Any]:
    return {**json.loads(terms().sign(KEY).content), **changes}


def read(signed: Signed, now: float = NOW) -> CharterTerms:
    return read_charter(signed, KEY.public, FEDERATION, now)


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20),
    st.floats(0.5, 50),
    st.integers(NOW + 1, NOW + 10**8),
    st.floats(1, 7 * 86400),
)
def test_a_charter_is_read_as_it_was_signed(
    run: str, sigma: float, expires: int, timeout: float
) -> None:
    made = terms(run=run, plan=plan(sigma), expires=expires, timeout=timeout)
    assert read(Signed.from_json(made.sign(KEY).to_json())) == made


@given(st.floats(0, 0.9999), st.text(max_size=1))
def test_not_a_letter_of_it_can_be_altered(place: float, put: str) -> None:
    signed = terms().sign(KEY)
    at = int(place * len(signed.content))
    changed = signed.content[:at] + put + signed.content[at + 1 :]
    if changed != signed.content:
        with pytest.raises(SignatureError):
            read(Signed(changed, signed.signature))


def test_a_charter_by_anybody_else_or_for_another_purpose_is_none() -> None:
    with pytest.raises(SignatureError):
        read(terms().sign(SigningKey.generate()))
    with pytest.raises(SignatureError):
        read(seal(KEY, "roster", table()))


def test_a_charter_of_another_federation_is_refused() -> None:
    with pytest.raises(CharterError, match="another federation"):
        read(terms(federation="0" * 64).sign(KEY))


@pytest.mark.parametrize(
    ("now", "good"), [(NOW + 99, True), (NOW + 100, False), (NOW + 1e6, False)]
)
def test_a_charter_ends(now: float, good: bool) -> None:
    signed = terms().sign(KEY)
    if good:
        assert read(signed, now) == terms()
    else:
        with pytest.raises(CharterError, match="has expired: ask the centre for a new one"):
            read(signed, now)


@pytest.mark.parametrize(
    "changes",
    [
        {"plan": None},
        {"plan": {}},
        {"plan": {"mechanisms": []}},
        {"centre": []},
        {"more": 1},
        {"expires": "tomorrow"},
        {"expires": True},
        {"timeout": 0},
        {"timeout": -1.0},
        {"run": ""},
        {"run": "a\nb"},
        {"run": "a" * 129},
        {"initial": ""},
    ],
)
def test_signed_words_that_are_no_charter_are_refused_by_name(changes: dict[str, Any]) -> None:
    with pytest.raises(MascaronError) as caught:
        read(seal(KEY, PURPOSE, table(**changes)))
    assert isinstance(caught.value, CharterError | PlanError)


@pytest.mark.parametrize("key", sorted(set(table()) - {"centre"}))
def test_a_charter_lacks_nothing(key: str) -> None:
    short = {name: value for name, value in table().items() if name != key}
    with pytest.raises((CharterError, PlanError)):
        read(seal(KEY, PURPOSE, short))


@pytest.mark.parametrize("timeout", [0.0, -1.0, math.inf, math.nan, 7 * 86400 + 1.0])
def test_a_round_ends(timeout: float) -> None:
    with pytest.raises(CharterError, match="timeout"):
        terms(timeout=timeout)


def test_a_phase_of_a_secure_sum_ends_before_sites_forget_it() -> None:
    shared = dataclasses.replace(plan(), noise="distributed", cohort=4, honest_sites=3)
    assert terms(plan=shared, timeout=LONGEST_PHASE).timeout == LIFE / 2
    with pytest.raises(CharterError, match="at most 3 h"):
        terms(plan=shared, timeout=LONGEST_PHASE + 1)
    assert terms(timeout=LONGEST_PHASE + 1).timeout > LONGEST_PHASE


def test_two_charters_never_share_a_digest() -> None:
    one, other = terms().sign(KEY), terms(run="winter").sign(KEY)
    again = terms().sign(SigningKey.generate())
    assert len({charter_digest(signed) for signed in (one, other, again)}) == 3
    assert charter_digest(one) == charter_digest(Signed.from_json(one.to_json()))


def test_initial_arrays_are_named_by_every_byte() -> None:
    arrays = {"w": np.arange(4, dtype=np.float32)}
    same = arrays_digest({"w": arrays["w"].copy()})
    assert same == arrays_digest(arrays)
    others = (
        {"w": arrays["w"] + np.float32(1e-6)},
        {"v": arrays["w"]},
        {"w": arrays["w"].astype(np.float64)},
        {"w": arrays["w"].reshape(2, 2)},
        {},
    )
    assert same not in {arrays_digest(other) for other in others}
