"""Axes hold what is drawn on them, ticks are round, and whatever is written is escaped."""

import math
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations.report.bars import Ruler
from simulations.report.drawing import (
    Axis,
    Panel,
    apart,
    category_axis,
    log_axis,
    minus,
    number_axis,
    probit,
    steps,
)
from simulations.report.lists import bytes_figure, evenly, spent_figure

REACH = st.floats(-1e6, 1e6)


@given(low=REACH, span=st.floats(1e-3, 1e6))
def test_ticks_are_round_few_and_inside(low: float, span: float) -> None:
    ticks = steps(low, low + span)
    assert 1 <= len(ticks) <= 9
    assert ticks == sorted(set(ticks))
    room = 1e-6 * (span + abs(low))
    assert all(low - room <= tick <= low + span + room for tick in ticks)


@given(st.lists(REACH, min_size=1, max_size=20))
def test_every_value_lies_on_its_axis(values: list[float]) -> None:
    axis, ruler = number_axis("x", values), Ruler.over(values)
    order = sorted(values)
    assert all(0 <= axis.at(v) <= 1 for v in values)
    assert [axis.at(v) for v in order] == sorted(axis.at(v) for v in order)
    assert all(0 <= ruler.at(v) <= 100 for v in values)


def test_probit_makes_normal_scores_straight() -> None:
    axis = Axis(title="", low=0.0228, high=0.9772, ticks=(), scale=probit)
    assert axis.at(0.5) == pytest.approx(0.5)
    assert axis.at(0.1587) == pytest.approx(0.25, abs=1e-3)  # one deviation of two
    assert math.isfinite(probit(0.0))
    assert math.isfinite(probit(1.0))


def test_log_axis_has_a_tick_at_every_value_until_there_are_many() -> None:
    assert [label for _, label in log_axis("ε", [8, 0.5, 2]).ticks] == ["0.5", "2", "8"]
    assert len(log_axis("n", [2.0**k for k in range(20)]).ticks) == 8
    one = log_axis("n", [4])
    assert one.at(4) == pytest.approx(0.5)


def test_ticks_that_would_touch_are_left_out() -> None:
    axis = Axis(title="", low=0, high=100, ticks=())
    assert apart([0, 5, 20, 25, 100], axis, 0.12) == [0, 20, 100]


def test_panel_is_well_formed_and_escapes_what_it_is_told() -> None:
    panel = Panel(category_axis("a<b", ["<i>", "&"]), number_axis("y", [0, 1], "{:+g}"), '"><b>')
    panel.line([(0, 0), (1, 1)], "arm-local", "<script>")
    panel.dot((1, 0.5), 'x" onload="y', "1 < 2", (0.2, 0.9))
    panel.level(0.3, "arm-local", "level")
    drawn = ElementTree.fromstring(str(panel.svg()))  # noqa: S314 (we wrote it)
    told = [element.text for element in drawn.iter("title")]
    assert told == ["<script>", "1 < 2", "level"]
    assert all(name != "onload" for element in drawn.iter() for name in element.attrib)


def test_nought_has_no_sign() -> None:
    assert minus("+0") == "0"
    assert minus("-2") == "\N{MINUS SIGN}2"


@given(st.integers(1, 500), st.integers(2, 30))
def test_an_even_choice_keeps_the_ends_and_repeats_nobody(count: int, most: int) -> None:
    names = [str(n) for n in range(count)]
    kept = evenly(names, most)
    assert len(kept) == min(count, most)
    assert len(set(kept)) == len(kept)
    assert (kept[0], kept[-1]) == (names[0], names[-1])


def test_many_sites_that_spent_alike_are_told_once() -> None:
    spent = {f"site-{n}": 7.9 for n in range(64)}
    figure = spent_figure({"epsilon_spent": {"8": spent, "2": {"a": 1.9, "b": 2.0}}})
    assert figure is not None
    told = [[(row.label, row.value) for row in group.rows] for group in figure.groups]
    assert told == [[("all 64 sites", "7.900")], [("b", "2.000"), ("a", "1.900")]]
    assert spent_figure({"epsilon_spent": {}}) is None


def test_bytes_are_the_median_site_at_the_epsilon_that_moved_most() -> None:
    sites = {"8": {"a": [10, 100], "b": [30, 100], "c": [20, 900]}, "2": {"a": [11, 1]}}
    figure = bytes_figure({"bytes": {"private": sites}})
    assert figure is not None
    sent, received = figure.groups
    assert (sent.rows[0].value, received.rows[0].value) == ("20 B", "100 B")
    assert "11 B to 30 B over 3 sites" in sent.rows[0].marks[0].told
    assert bytes_figure({}) is None
