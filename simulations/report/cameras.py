"""What the cameras of a scenario see: invented people, shot now; never a picture of the data."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from common.config import build
from common.errors import ConfigError
from common.faces.cameras import Camera, Crop
from common.faces.pictures import encode
from common.synthetic.generate import synthetic_faces

SITTERS, SITTER_SEED = 6, 41


@dataclass(frozen=True, slots=True)
class Strip:
    """One camera: its name, what it does in words, and a picture of every sitter as data URI."""

    name: str
    words: str
    pictures: Sequence[str]


def camera_strips(cameras: Sequence[Mapping[str, Any]]) -> list[Strip]:
    """The sitters as they are, and through each of ``cameras`` (``dataclasses.asdict``)."""
    known = [camera for camera in map(_camera, cameras) if camera is not None]
    if not known:
        return []
    crops = _sitters()
    strips = [Strip("as rendered", "no camera", [_data_uri(encode(crop)) for crop in crops])]
    for camera in known:
        seen = [_data_uri(encode(camera.shoot(crop))) for crop in crops]
        strips.append(Strip(camera.name, _words(camera), seen))
    return strips


@cache
def _sitters() -> tuple[Crop, ...]:
    """The same in every report, so they are rendered once."""
    faces = synthetic_faces(SITTERS, 1, SITTER_SEED)
    return tuple(faces.crop(index) for index in range(len(faces)))


def _camera(told: Mapping[str, Any]) -> Camera | None:
    """The camera, or None where a later version described one that this version cannot shoot."""
    try:
        return build(Camera, dict(told), "camera")
    except ConfigError:
        return None


def _words(camera: Camera) -> str:
    kinds = dict.fromkeys(operation.kind for operation in camera.operations)
    return ", ".join(kinds)


def _data_uri(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode('ascii')}"
