"""Pieces: what one run of one arm measured, kept on disk so that a run can stop and go on.

A piece is one (fold, seed, row, epsilon). Each is one ``.npz`` that appears whole or not at all;
the folder remembers which run its pieces belong to, and refuses another one.
"""

import io
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from common.errors import RunError
from common.metrics.verification import FARS

PIECES, SUMMARY = "pieces", "summary.json"  # in the folder of a run

# Where DET curves are kept: eight rates a decade, FARS among them.
FMR_GRID = tuple(round(10 ** (k / 8 - 4), 12) for k in range(31))

_ROW = re.compile(r"[a-z][a-z0-9_]*")
_MARK = "run.json"


@dataclass(frozen=True, slots=True)
class PieceKey:
    """Names a piece. Folds are disjoint sets of report people; seeds repeat on the same people."""

    fold: int
    seed: int
    row: str
    epsilon: float | None  # 0: nothing released; None: released without a guarantee

    def __post_init__(self) -> None:
        if not _ROW.fullmatch(self.row):
            raise ValueError(f"row must be lower-case letters, digits and _, got {self.row!r}")

    @property
    def stem(self) -> str:
        """The file name without its ending."""
        return f"fold{self.fold}-seed{self.seed}-{self.row}-{epsilon_key(self.epsilon)}"


@dataclass(frozen=True, kw_only=True, eq=False)
class Piece:
    """TAR at S sites at the F rates of ``FARS``, with B resamples of each (NaN: no estimate).

    ``draws`` of every piece of a fold must come from the same person weights, so that differences
    between pieces are paired. They are stored as float16: the rounding, below 0.0003, is far under
    the spread. ``fnmr`` is at the rates of ``FMR_GRID``; pieces of earlier versions have none.
    ``notes`` is for the runner and must be JSON.
    """

    sites: tuple[str, ...]
    camera_types: tuple[str, ...]  # (S,)
    tar: NDArray[np.floating]  # (S, F)
    draws: NDArray[np.floating]  # (S, F, B)
    people: tuple[int, ...]  # (S,) report people
    pairs: tuple[int, ...]  # (S,) genuine and impostor pairs
    epsilon_spent: tuple[float, ...] | None = None  # (S,) by each site's ledger
    fnmr: NDArray[np.floating] | None = None  # (S, G)
    notes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        sites = len(self.sites)
        beside = [self.camera_types, self.people, self.pairs, self.epsilon_spent]
        if any(values is not None and len(values) != sites for values in beside):
            raise ValueError(f"a piece of {sites} sites has a list of another length")
        if len(set(self.sites)) != sites or not sites:
            raise ValueError("a piece needs sites of different names")
        if self.tar.shape != (sites, len(FARS)) or self.draws.shape[:2] != self.tar.shape:
            raise ValueError(f"expected ({sites}, {len(FARS)}[, B]), got {self.draws.shape}")
        if self.fnmr is not None and self.fnmr.shape != (sites, len(FMR_GRID)):
            raise ValueError(f"expected ({sites}, {len(FMR_GRID)}), got {self.fnmr.shape}")


class Pieces:
    """The pieces of one run in one folder.

    ``run`` is a digest of what decides what a piece holds, scenario and data (not the code): a
    folder made under another digest is refused with ``RunError`` rather than mixed.
    """

    def __init__(self, folder: Path, run: str = "") -> None:
        self.folder = folder
        mark = folder / _MARK
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not mark.exists():
                write_json({"run": run}, mark)
        except OSError as error:
            raise RunError(f"cannot write to {folder}: {error.strerror}") from error
        if _read_mark(mark) != run:
            raise RunError(f"{folder} holds pieces of another run; choose another folder")

    @classmethod
    def found(cls, folder: Path) -> "Pieces":
        """The pieces in ``folder``, of whatever run they are; ``RunError`` where none ever were."""
        if not (folder / _MARK).is_file():
            raise RunError(f"{folder} holds no pieces of a run")
        return cls(folder, _read_mark(folder / _MARK))

    def __contains__(self, key: PieceKey) -> bool:
        return self._path(key).is_file()

    def __len__(self) -> int:
        return len(list(self.folder.glob("fold*.npz")))

    def __iter__(self) -> Iterator[PieceKey]:
        """The keys of all pieces, in the order of their file names."""
        for path in sorted(self.folder.glob("fold*.npz")):
            yield PieceKey(**_read(path)[0]["key"])

    def write(self, key: PieceKey, piece: Piece) -> None:
        """Stores ``piece`` in place of an earlier one; a crash leaves the earlier one or none."""
        header = {
            "key": {"fold": key.fold, "seed": key.seed, "row": key.row, "epsilon": key.epsilon},
            "sites": piece.sites,
            "camera_types": piece.camera_types,
            "people": [int(n) for n in piece.people],
            "pairs": [int(n) for n in piece.pairs],
            "epsilon_spent": piece.epsilon_spent and [float(e) for e in piece.epsilon_spent],
            "notes": dict(piece.notes),
        }
        buffer = io.BytesIO()
        arrays: dict[str, Any] = {
            "header": np.array(json.dumps(header)),
            "tar": piece.tar.astype(np.float64),
            "draws": piece.draws.astype(np.float16),
        }
        if piece.fnmr is not None:
            arrays["fnmr"] = piece.fnmr.astype(np.float32)
        np.savez(buffer, **arrays)
        write_whole(self._path(key), buffer.getvalue())

    def read(self, key: PieceKey) -> Piece:
        """The piece stored under ``key``; ``RunError`` where there is none or it is broken."""
        header, arrays = _read(self._path(key))
        spent, fnmr = header["epsilon_spent"], arrays.get("fnmr")
        return Piece(
            sites=tuple(header["sites"]),
            camera_types=tuple(header["camera_types"]),
            tar=arrays["tar"],
            draws=arrays["draws"].astype(np.float32),
            people=tuple(header["people"]),
            pairs=tuple(header["pairs"]),
            epsilon_spent=None if spent is None else tuple(spent),
            fnmr=fnmr,
            notes=header["notes"],
        )

    def _path(self, key: PieceKey) -> Path:
        return self.folder / f"{key.stem}.npz"


def epsilon_key(epsilon: float | None) -> str:
    """How an epsilon is written in names and JSON keys: "8", "0.5", "none"."""
    return "none" if epsilon is None else f"{epsilon:.12g}"


def write_json(content: Mapping[str, Any], path: Path) -> None:
    """Writes ``content`` as JSON; ``path`` holds all of it or what it held before.

    Raises ``ValueError`` for NaN and infinities, which JSON does not have.
    """
    text = json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False)
    write_whole(path, f"{text}\n".encode())


def write_whole(path: Path, content: bytes) -> None:
    """Replaces the file at ``path`` in one step, after ``content`` is on the disk."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _read(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            arrays = dict(stored)
            header = json.loads(str(arrays.pop("header")))
            if not {"tar", "draws"} <= set(arrays):
                raise KeyError("tar and draws")
            return header, arrays
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise RunError(f"cannot read {path}: {error}; remove it to measure it again") from error


def _read_mark(path: Path) -> str:
    try:
        return str(json.loads(path.read_text("utf-8"))["run"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"cannot read {path}: {error}") from error
