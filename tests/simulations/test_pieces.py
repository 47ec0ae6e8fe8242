"""A stopped run goes on from its pieces, and never from another run's or a broken one."""

import json
from pathlib import Path

import numpy as np
import pytest

from common.errors import RunError
from simulations.pieces import Piece, PieceKey, Pieces, epsilon_key, write_json, write_whole

KEY = PieceKey(3, 1, "private", 0.5)


def test_piece_comes_back_as_it_was_written(tmp_path: Path) -> None:
    pieces = Pieces(tmp_path / "pieces", "abc")
    assert KEY not in pieces
    pieces.write(KEY, piece())
    assert KEY in pieces
    found = Pieces(tmp_path / "pieces", "abc").read(KEY)
    assert np.array_equal(found.tar, piece().tar, equal_nan=True)
    assert np.allclose(found.draws, piece().draws, atol=3e-4, equal_nan=True)
    assert (found.sites, found.camera_types) == (("a", "b"), ("dark", "grey"))
    assert (found.people, found.pairs) == ((40, 41), (900, 901))
    assert found.epsilon_spent == (0.4, 0.45)
    assert found.notes == {"statement": {"unit": "person"}}


def test_keys_are_told_apart_and_listed(tmp_path: Path) -> None:
    pieces = Pieces(tmp_path)
    keys = [
        PieceKey(fold, seed, row, epsilon)
        for fold in (1, 12)
        for seed in (0, 1)
        for row, epsilon in [("local", 0.0), ("private", 8.0), ("private", 0.5), ("bound", None)]
    ]
    for key in keys:
        pieces.write(key, piece())
    assert set(pieces) == set(keys)
    assert len(pieces) == len(keys)


def test_pieces_of_another_run_are_refused(tmp_path: Path) -> None:
    Pieces(tmp_path, "one")
    Pieces(tmp_path, "one")
    with pytest.raises(RunError, match="another run"):
        Pieces(tmp_path, "two")


def test_broken_piece_is_named(tmp_path: Path) -> None:
    pieces = Pieces(tmp_path)
    pieces.write(KEY, piece())
    path = tmp_path / f"{KEY.stem}.npz"
    whole = path.read_bytes()
    for content in (b"", b"not a zip", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(RunError, match=KEY.stem):
            pieces.read(KEY)
    path.unlink()
    with pytest.raises(RunError, match=KEY.stem):
        pieces.read(KEY)


def test_broken_mark_is_named(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(RunError, match=r"run\.json"):
        Pieces(tmp_path)


def test_failed_write_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "summary.json"
    write_json({"schema": 1}, path)
    monkeypatch.setattr("os.fsync", lambda descriptor: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_whole(path, b"half")
    assert json.loads(path.read_text("utf-8")) == {"schema": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_json_has_no_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json({"value": float("nan")}, tmp_path / "summary.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("row", ["", "../x", "a-b", "Local", "a b"])
def test_row_that_could_not_be_a_file_name_is_refused(row: str) -> None:
    with pytest.raises(ValueError, match="row"):
        PieceKey(0, 0, row, None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"people": (1,)},
        {"sites": ("a", "a")},
        {"tar": np.zeros((2, 2))},
        {"epsilon_spent": (0.1,)},
    ],
)
def test_piece_whose_parts_do_not_fit_is_refused(wrong: dict[str, object]) -> None:
    parts = piece().__dict__ | wrong
    with pytest.raises(ValueError, match=r"piece|expected"):
        Piece(**parts)


@pytest.mark.parametrize(
    ("epsilon", "expected"), [(8.0, "8"), (2, "2"), (0.5, "0.5"), (0.0, "0"), (None, "none")]
)
def test_epsilon_keys_are_short(epsilon: float | None, expected: str) -> None:
    assert epsilon_key(epsilon) == expected


def piece() -> Piece:
    rng = np.random.default_rng(0)
    tar, draws = rng.uniform(size=(2, 3)), rng.uniform(size=(2, 3, 10))
    tar[:, 2], draws[:, 2] = np.nan, np.nan
    return Piece(
        sites=("a", "b"),
        camera_types=("dark", "grey"),
        tar=tar,
        draws=draws,
        people=(40, 41),
        pairs=(900, 901),
        epsilon_spent=(0.4, 0.45),
        notes={"statement": {"unit": "person"}},
    )
