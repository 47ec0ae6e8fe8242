"""Logs of daemons that write to an open file: kept to a size by copying and cutting them."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

LARGEST = 8 * 2**20  # bytes of one file
KEPT = 3  # older ones, `name.log.1` the youngest


def rotate(path: Path, largest: int = LARGEST) -> None:
    """Moves what is in ``path`` to ``path.1`` and so on if it is large.

    The file itself stays, since a daemon has it open for appending; a line written in between may
    be lost. A full disk makes room by losing the old ones.
    """
    try:
        if path.stat().st_size <= largest:
            return
    except FileNotFoundError:
        return
    for number in range(KEPT, 1, -1):
        with suppress(FileNotFoundError):
            _older(path, number - 1).replace(_older(path, number))
    try:
        shutil.copyfile(path, _older(path, 1))
        _older(path, 1).chmod(0o600)
    except OSError:
        _older(path, 1).unlink(missing_ok=True)
    os.truncate(path, 0)


def _older(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")
