"""The one sentence never says more than the interval does."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations.report.words import answer, best, byte_count, gains_of, many, percent, signed, size


def gain(value: float, low: float, high: float) -> dict[str, object]:
    return {"value": value, "ci95": [low, high]}


@pytest.mark.parametrize(
    ("told", "head"),
    [
        (gain(3.1, 2.2, 4.0), "Joining pays: +3.1 points at ε = 8"),
        (gain(0.3, 0.1, 0.5), "Joining pays a little: +0.30 points at ε = 8"),
        (gain(2.0, -0.1, 4.0), "Joining is not shown to pay: +2.0 points at ε = 8"),
        (gain(0.001, -0.1, 0.1), "Joining is not shown to pay: 0.00 points at ε = 8"),
        (gain(-1.5, -2.0, -1.0), "Joining costs: \N{MINUS SIGN}1.5 points at ε = 8"),
    ],
)
def test_headline_follows_the_interval(told: dict[str, object], head: str) -> None:
    said, beside = answer(gains_of({"private": {"8": told}}))
    assert said.replace("\N{NO-BREAK SPACE}", " ") == f"{head}, with noise at each site."
    assert beside.startswith("The 95 % interval is")


def test_best_of_several_is_said_to_be_one_and_losses_are_told() -> None:
    gains = gains_of(
        {
            "private_secagg": {"8": gain(4, 3, 5)},
            "private": {"2": gain(-3, -4, -2), "8": gain(9, -1, 19)},
        }
    )
    assert [(g.arm.name, g.arm.epsilon) for g in gains] == [
        ("private", "8"),
        ("private", "2"),
        ("private_secagg", "8"),
    ]
    head, beside = answer(gains)
    assert "with one noise shared by all sites" in head
    assert "best of 3 private arms, 1 of which surely gain and 1 surely lose" in beside


def test_without_a_sure_gain_the_least_trusting_arm_speaks() -> None:
    gains = gains_of({"private_secagg": {"8": gain(5, -1, 9)}, "private": {"8": gain(0, -1, 1)}})
    chosen = best(gains)
    assert chosen is not None
    assert chosen.arm.name == "private"
    assert "None of the 2 private arms surely gains." in answer(gains)[1]


def test_no_private_arm_no_answer() -> None:
    assert best([]) is None
    assert answer([])[0] == "No private arm was measured."
    assert "Too few pairs" in answer(gains_of({"private": {"8": None}}), measured=True)[0]
    assert gains_of({"private": {"8": None}}) == []


@given(st.floats(-100, 100))
def test_signed_reads_back_as_the_number(value: float) -> None:
    text = signed(value).replace("\N{MINUS SIGN}", "-")
    assert math.isclose(float(text), value, abs_tol=0.051)
    assert ("-" in text) == (float(text) < 0)


def test_counts_in_words() -> None:
    assert (many(1, "site"), many(1024, "site")) == ("1 site", "1,024 sites")
    assert (byte_count(999), byte_count(37_400), byte_count(2e9)) == ("999 B", "37.4 kB", "2 GB")
    assert (size(None), size(7381.2), size(19.84)) == ("no bound", "7,381", "19.8")
    assert (percent(0.7288), percent(None)) == ("72.9 %", "\N{EN DASH}")
