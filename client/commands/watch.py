"""`mascaron-site watch`: each new picture of a folder or a camera is decided, a line of JSON each.

Pictures are read and forgotten: none is kept, moved or removed here. They are told by number, since
the name of a file may be a person's.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from client.commands.asking import Asking, person_of, picture_of, pictures_in
from client.recognition import Recognition
from client.serving.stopping import Stopping
from common.errors import ConfigError, MascaronError, PictureError

# Reasons to go on a little later.
ENOUGH = frozenset({"QUERY_BUDGET_EXHAUSTED", "BUSY", "TOO_MANY_OPEN"})

Tell = Callable[[dict[str, Any]], None]
Pictures = Callable[[], Iterable[bytes]]  # those that are new since the last call, one by one


@dataclass(frozen=True, kw_only=True)
class Watch:
    """What is looked at, every ``every`` seconds. With ``person`` it is verified that it is them,
    without it is said who it is. ``once``: what there is now, and no more."""

    source: str
    person: str | None
    every: float
    once: bool


def watch_source(asking: Asking, watch: Watch, tell: Tell) -> None:
    """Decides until asked to stop; each decision is told as soon as it is there.

    ``ConfigError`` for a source that is neither a folder nor a camera, and any error of the door
    that the next picture would meet, too.
    """
    person = None if watch.person is None else person_of(watch.person)
    pictures = _camera(int(watch.source)) if watch.source.isdecimal() else _folder(watch)
    number = 0
    with Stopping() as stopping, asking.door() as door:
        while True:
            for picture in pictures():
                number += 1
                tell({"picture": number, "at": time.time(), **_decided(door, picture, person)})
                if stopping.asked:
                    return
            if watch.once or stopping.pause(watch.every):
                return


def _decided(door: Recognition, picture: bytes, person: bytes | None) -> dict[str, Any]:
    try:
        if person is not None:
            return {"band": door.verify(person, picture).value}
        found = door.identify(picture)
    except PictureError as error:
        return {"refused": error.reason, "reasons": list(getattr(error, "reasons", ()))}
    except MascaronError as error:
        if error.reason not in ENOUGH:
            raise
        return {"refused": error.reason}
    persons = [{"person": one.hex(), "band": band.value} for one, band in found.persons]
    return {"state": found.state, "ticket": found.ticket.hex(), "persons": persons}


def _folder(watch: Watch) -> Pictures:
    """Files that come into the folder, once they do not grow any more."""
    folder = Path(watch.source)
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder, nor the number of a camera")
    done = set() if watch.once else set(_sizes(folder))
    growing: dict[Path, int] = {}

    def new() -> Iterator[bytes]:
        sizes = {path: size for path, size in _sizes(folder).items() if path not in done}
        whole = [path for path, size in sizes.items() if watch.once or growing.get(path) == size]
        growing.clear()
        growing.update(sizes)
        done.update(whole)
        return _read(whole)

    return new


def _sizes(folder: Path) -> dict[Path, int]:
    found = {}
    for path in pictures_in(folder):
        try:
            found[path] = path.stat().st_size
        except FileNotFoundError:  # moved away meanwhile
            continue
    return found


def _read(paths: list[Path]) -> Iterator[bytes]:
    for path in paths:
        try:
            yield picture_of(path)
        except ConfigError:  # empty, too large, or moved away meanwhile
            yield b"\0"


def _camera(index: int) -> Pictures:
    """A frame whenever it is asked for, as JPEG."""
    import cv2

    camera = cv2.VideoCapture(index)
    if not camera.isOpened():
        raise ConfigError(f"there is no camera {index} that this user may use")

    def new() -> list[bytes]:
        seen, frame = camera.read()
        if not seen:
            return []
        encoded, content = cv2.imencode(".jpg", frame)
        return [content.tobytes()] if encoded else []

    return new
