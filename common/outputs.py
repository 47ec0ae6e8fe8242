"""Whether results can be kept where they are asked to be: told before any work, not after it.

Nothing is made here, so that what is refused later for another reason leaves no folder behind.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from common.errors import RunError

NOTHING: Mapping[str, str] = MappingProxyType({})


def check_folder(
    folder: Path, option: str = "--out", foreign: Mapping[str, str] = NOTHING, new: bool = False
) -> None:
    """Raises ``RunError`` if results cannot be kept in ``folder``, which need not exist yet.

    ``option`` is what names another one. ``foreign`` says what an entry of the folder shows it to
    be, such as ``{"sweep.jsonl": "a sweep"}``; ``new`` refuses a folder that holds anything.
    """
    remedy = f"choose another folder with {option}"
    _check_place(folder, _nearest(folder, remedy), remedy)
    for entry, what in foreign.items():
        if (folder / entry).exists():
            raise RunError(f"{folder} holds {what}; {remedy}")
    if new and folder.exists() and any(folder.iterdir()):
        raise RunError(f"{folder} holds something already; {remedy}")


def check_file(file: Path, option: str = "--out", new: bool = False) -> None:
    """Raises ``RunError`` if ``file`` cannot be written; ``new`` refuses one that is there."""
    remedy = f"choose another file with {option}"
    place = _nearest(file, remedy)
    if place == file:
        if file.is_dir():
            raise RunError(f"cannot write to {file}: it is a folder; {remedy}")
        if new:
            raise RunError(f"{file} is there already; {remedy}")
        place = file.absolute().parent
    _check_place(file, place, remedy)


def _nearest(asked: Path, remedy: str) -> Path:
    """What is ``asked``, or the nearest folder around it that there is."""
    try:
        for place in (asked, *asked.absolute().parents):
            try:
                place.lstat()
                return place
            except (FileNotFoundError, NotADirectoryError):
                continue
    except OSError as error:
        raise RunError(f"cannot write to {asked}: {error.strerror}; {remedy}") from error
    return Path("/")


def _check_place(asked: Path, place: Path, remedy: str) -> None:
    """Tries what will be done in ``place``; only that tells whether it will succeed."""
    where = "it" if place == asked else str(place)
    if not place.is_dir():
        raise RunError(f"cannot write to {asked}: {where} is not a folder; {remedy}")
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        told = f"nothing can be written in {where} ({error.strerror})"
        raise RunError(f"cannot write to {asked}: {told}; {remedy}") from error
