"""Decoding pictures that may be broken or hostile: bytes in, RGB pixels or ``PictureError`` out.

Only four formats are tried, the size is read from the header before a pixel is decoded, and
whatever the decoder raises becomes a ``PictureError``: a picture can be refused, but it can never
stop a site.
"""

import io
import threading
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from common.errors import PictureError

Picture = NDArray[np.uint8]  # (H, W, 3) RGB

FORMATS = ("JPEG", "PNG", "WEBP", "BMP")
MAX_PIXELS = 50_000_000  # 150 MB once decoded
MAX_BYTES = 64 * 2**20
MAX_SIDE = 32_768  # pixels; beyond it OpenCV cannot warp

_ORIENTATION = 0x0112  # the EXIF tag
_WARNINGS = threading.Lock()  # Python's warning filters are shared by all threads


def decode(data: bytes) -> Picture:
    """The picture in ``data`` as uint8 (H, W, 3) RGB, turned upright as its EXIF says.

    Transparency is dropped, grey becomes three equal channels, 16 bits become 8, and of several
    frames the first is taken. ``PictureError`` for anything else than a whole, sane picture.
    """
    if len(data) > MAX_BYTES:
        raise PictureError(f"the file has {len(data)} bytes, more than {MAX_BYTES}")
    try:
        image, orientation = _open(data)
        pixels = _pixels(image)
    except PictureError:
        raise
    except Image.DecompressionBombError:
        raise PictureError("far more pixels than allowed") from None
    except Exception as error:  # a decoder fed by strangers: every failure means "refused"
        raise PictureError(f"not a readable picture ({type(error).__name__})") from None
    return _upright(pixels, orientation)


def pixels_in(data: bytes) -> int:
    """How many pixels ``data`` says it has, by its header alone; raises as ``decode``."""
    try:
        image, _ = _open(data)
    except PictureError:
        raise
    except Exception as error:  # as in decode
        raise PictureError(f"not a readable picture ({type(error).__name__})") from None
    return image.width * image.height


def read_picture(path: Path) -> Picture:
    """Decodes the file at ``path``.

    Leaks: nothing of the path, which may carry a person's name, enters the error.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise PictureError(f"cannot read the file ({error.strerror})") from None
    return decode(data)


def encode(picture: Picture, quality: int = 92) -> bytes:
    """``picture`` (H, W, 3) as JPEG without chroma subsampling."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()


def _open(data: bytes) -> tuple[Image.Image, int]:
    """The picture with its header checked, and its EXIF orientation (1 where there is none)."""
    with _WARNINGS, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the size is checked here; odd metadata is harmless
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        width, height = image.size
        if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
            raise PictureError(f"{width}x{height} is more pixels than allowed")
        if min(width, height) < 1:
            raise PictureError("the picture has no pixels")
        return image, _orientation(image)


def _orientation(image: Image.Image) -> int:
    if "exif" not in image.info:
        return 1
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # broken metadata around good pixels, as many phones write it
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _pixels(image: Image.Image) -> Picture:
    if image.mode.startswith(("I", "F")):  # 16-bit grey; Pillow would clip instead of scaling
        wide = np.asarray(image).astype(np.int64)
        grey = np.clip(wide >> 8, 0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    return np.array(image.convert("RGB"), np.uint8)


def _upright(pixels: Picture, orientation: int) -> Picture:
    """Undoes the EXIF orientation (2-4 mirror or half turn, 5-8 also swap rows and columns)."""
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
