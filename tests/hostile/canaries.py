"""What must not come out of a site, and the search for it: raw, in hex, in base64, as numbers."""

import base64
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

SLICE = 16  # bytes: four numbers of a float32 feature
MOST = 400  # slices of one canary: those of a picture lie further apart
ROW, CLOSE, ALONG = 3, 1e-4, 0.95


class Canaries:
    """Planted names, pictures, features and keys; ``found_in`` tells which kinds came out."""

    def __init__(self) -> None:
        self._slices: dict[str, set[bytes]] = defaultdict(set)
        self._rows: list[np.ndarray] = []

    def name(self, text: str) -> None:
        """A text that nobody else writes, in any of its spellings."""
        coded = (text.encode("utf-16-le"), text.encode("utf-32-le"))  # the second is numpy's
        for word in (text.encode(), text.upper().encode(), *coded):
            self._slices["name"] |= {word, word.hex().encode(), *_base64(word, len(word))}

    def blob(self, kind: str, content: bytes) -> None:
        """Any 32 bytes in a row of a short ``content``; of a long one every so many."""
        step = max(SLICE, len(content) // MOST)
        for start in range(0, len(content) - SLICE + 1, step):
            piece = content[start : start + SLICE]
            if len(set(piece)) > SLICE // 2:  # zeros and headers are nobody's
                hexed = piece.hex()
                spelt = {piece, piece[::-1], hexed.encode(), hexed.upper().encode()}
                self._slices[kind] |= spelt | set(_base64(piece, SLICE))

    def feature(self, rows: np.ndarray) -> None:
        """Features or embeddings (N, D): as float32 and float64, in text, and nearly."""
        for kind in ("<f4", "<f8", ">f4"):
            self.blob("feature", rows.astype(kind).tobytes())
        numbers = (repr(float(value))[:10] for value in rows.ravel())
        self._slices["feature"] |= {n.encode() for n in numbers if len(n) == 10 and n[-1].isdigit()}
        self._rows += list(rows.astype(np.float64))

    def found_in(self, content: bytes) -> set[str]:
        """The kinds of canary in ``content``."""
        return {kind for kind, slices in self._slices.items() if any(s in content for s in slices)}

    def found_in_file(self, path: Path, piece: int = 2**24) -> set[str]:
        """``found_in`` of a large file, piece by piece, until every kind is found."""
        found: set[str] = set()
        with path.open("rb") as file:
            rest = b""
            while (more := file.read(piece)) and found != set(self._slices):
                found |= self.found_in(rest + more)
                rest = more[-4 * SLICE :]
        return found

    def near(self, array: np.ndarray) -> bool:
        """Whether three numbers in a row are those of a feature, whatever type they came in."""
        values = np.asarray(array, np.float64).ravel()
        if values.size < ROW:
            return False
        windows = np.lib.stride_tricks.sliding_window_view(values, ROW)
        scale = CLOSE * max(1.0, float(np.abs(np.concatenate(self._rows)).max()))
        for row in self._rows:
            points = np.lib.stride_tricks.sliding_window_view(row, ROW)
            points = points[np.abs(points).max(axis=1) > 10 * scale]  # zeros are nobody's
            if any((np.abs(windows - point).max(axis=1) < scale).any() for point in points):
                return True
        return False

    def along(self, array: np.ndarray) -> bool:
        """Whether a row of ``array`` points where a feature does, however long it is."""
        rows = [
            row for row in self._rows if row.size > ROW and np.asarray(array).size % row.size == 0
        ]
        for row in rows:
            told = np.asarray(array, np.float64).reshape(-1, row.size)
            lengths = np.linalg.norm(told, axis=1) * np.linalg.norm(row)
            if (np.abs(told @ row) > ALONG * lengths)[lengths > 0].any():
                return True
        return False


def _base64(piece: bytes, length: int) -> Iterator[bytes]:
    """What ``piece`` looks like inside the base64 of something longer, wherever it stands."""
    for before in range(3):
        coded = base64.b64encode(bytes(before) + piece)
        inner = coded[-(-8 * before // 6) : (8 * (before + length)) // 6]
        if len(inner) >= 12:
            yield inner
            yield inner.replace(b"+", b"-").replace(b"/", b"_")
