"""What pieces say beside their rates, gathered over repetitions."""

from typing import Any

import numpy as np
import pytest

from simulations.notes import bytes_of, people_of, rounds_of, spent_of
from simulations.pieces import Piece


def piece(ledgers: tuple[float, ...] | None = None, **notes: Any) -> Piece:
    return Piece(
        sites=("a",),
        camera_types=("dark",),
        tar=np.zeros((1, 3)),
        draws=np.zeros((1, 3, 2)),
        people=(4,),
        pairs=(9,),
        epsilon_spent=ledgers,
        notes=notes,
    )


def test_bytes_are_the_most_of_any_repetition() -> None:
    pieces = [piece(bytes={"a": [5, 9], "b": [1, 1]}), piece(bytes={"a": [7, 2], "b": [1, 1]})]
    assert bytes_of(pieces) == {"a": [7, 9], "b": [1, 1]}
    assert bytes_of([piece()]) is None


def test_people_are_the_median_of_the_repetitions() -> None:
    assert people_of([piece(people={"a": n}) for n in (4, 9, 5)]) == {"a": 5}
    assert people_of([piece()]) is None


def test_spend_of_all_sites_comes_before_that_of_the_judged() -> None:
    assert spent_of(piece((1.0,), spent={"a": 1.0, "b": 2.0})) == {"a": 1.0, "b": 2.0}
    assert spent_of(piece((1.0,))) == {"a": 1.0}
    assert spent_of(piece()) == {}


def test_rounds_are_means_and_a_score_nobody_kept_is_left_out() -> None:
    first = {"round": 1, "mechanism": "mean", "sites": 4}
    second = {"round": 2, "mechanism": "steps", "sites": 3, "public": 0.5}
    better = second | {"sites": 4, "public": 0.7}
    assert rounds_of([piece(rounds=[first, second]), piece(rounds=[first, better])]) == [
        {"round": 1, "mechanism": "mean", "sites": 4.0},
        {"round": 2, "mechanism": "steps", "sites": 3.5, "public": pytest.approx(0.6)},
    ]
    assert rounds_of([piece()]) is None
