import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from common.errors import PictureError
from common.faces import pictures
from common.faces.pictures import Picture, decode, encode, read_picture
from tests.mangled import mangled

RNG_SEED = 7


@pytest.fixture(scope="module")
def scene() -> Picture:
    """A gradient with a bright corner, so that turning or mirroring it shows."""
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[..., 0] = np.linspace(0, 200, 60)
    picture[..., 1] = np.linspace(0, 200, 40)[:, None]
    picture[:10, :10] = 255
    return picture


def saved(picture: NDArray[Any], kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "BMP"])
def test_lossless_formats_come_back_exactly(scene: Picture, kind: str) -> None:
    assert np.array_equal(decode(saved(scene, kind)), scene)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_lossy_formats_come_back_closely(scene: Picture, kind: str) -> None:
    decoded = decode(saved(scene, kind, quality=95))
    assert np.abs(decoded.astype(int) - scene).mean() < 6


def test_encoding_and_decoding_change_little(scene: Picture) -> None:
    assert np.abs(decode(encode(scene, 95)).astype(int) - scene).mean() < 3


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "PPM", "ICO"])
def test_formats_off_the_list_are_refused(scene: Picture, kind: str) -> None:
    with pytest.raises(PictureError):
        decode(saved(scene, kind))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_turned_upright(scene: Picture, orientation: int) -> None:
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}  # Pillow's names for the inverse turns
    turned = Image.fromarray(scene)
    if orientation > 1:
        inverse = {0: 0, 1: 1, 3: 3, 2: 4, 4: 2, 5: 5, 6: 6}[undo[orientation]]
        turned = turned.transpose(Image.Transpose(inverse))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(np.asarray(turned), "PNG", exif=exif.tobytes())
    assert np.array_equal(decode(data), scene)


def test_broken_exif_around_good_pixels_is_ignored(scene: Picture) -> None:
    data = saved(scene, "JPEG", quality=95, exif=b"Exif\0\0MM\0\x2a\xff\xff\xff\xffgarbage")
    assert decode(data).shape == scene.shape


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA"])
def test_other_pixel_modes_become_rgb(scene: Picture, mode: str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(scene).convert(mode).save(buffer, "PNG")
    assert decode(buffer.getvalue()).shape == scene.shape


def test_cmyk_jpegs_become_rgb(scene: Picture) -> None:
    buffer = io.BytesIO()
    Image.fromarray(scene).convert("CMYK").save(buffer, "JPEG", quality=95)
    assert np.abs(decode(buffer.getvalue()).astype(int) - scene).mean() < 10


def test_sixteen_bit_grey_is_scaled_not_clipped() -> None:
    deep = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    decoded = decode(saved(deep, "PNG"))
    assert np.array_equal(decoded[..., 1], deep >> 8)


def test_a_picture_with_too_many_pixels_is_refused_before_it_is_decoded() -> None:
    for size in ((20_000, 20_000), (10_000, 9_000), (60_000, 1)):
        data = bytearray(saved(np.zeros((1, 1, 3), np.uint8), "BMP"))
        data[18:26] = size[0].to_bytes(4, "little") + size[1].to_bytes(4, "little")
        with pytest.raises(PictureError, match="more pixels than allowed"):
            decode(bytes(data))


def test_a_file_with_too_many_bytes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MAX_BYTES", 100)
    with pytest.raises(PictureError, match="bytes"):
        decode(b"\xff" * 101)


def test_truncated_pictures_are_refused(scene: Picture) -> None:
    for kind in ("JPEG", "PNG", "WEBP", "BMP"):
        data = saved(scene, kind)
        with pytest.raises(PictureError):
            decode(data[: len(data) // 2])


@given(st.binary(max_size=300))
def test_random_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(PictureError):
        decode(data)


@pytest.mark.parametrize("prefix", [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF    WEBP", b"BM"])
@given(tail=st.binary(max_size=300))
def test_random_bytes_after_a_true_signature_never_crash(prefix: bytes, tail: bytes) -> None:
    with pytest.raises(PictureError):
        decode(prefix + tail)


def test_six_hundred_mutated_pictures_are_decoded_or_refused(scene: Picture) -> None:
    mutate_and_decode(scene, 600)


@pytest.mark.slow
def test_twenty_thousand_mutated_pictures_are_decoded_or_refused(scene: Picture) -> None:
    mutate_and_decode(scene, 20_000)


def test_an_error_does_not_say_which_file_it_was(tmp_path: Path) -> None:
    path = tmp_path / "Ada Lovelace" / "ada.jpg"
    for content in (None, b"no picture"):
        if content is not None:
            path.parent.mkdir()
            path.write_bytes(content)
        with pytest.raises(PictureError) as refused:
            read_picture(path)
        assert "ada" not in str(refused.value).lower().split()
        assert "lovelace" not in str(refused.value).lower()
        assert refused.value.__suppress_context__


def test_a_readable_file_is_decoded(scene: Picture, tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(saved(scene, "PNG"))
    assert np.array_equal(read_picture(tmp_path / "0.png"), scene)


def mutate_and_decode(scene: Picture, times: int) -> None:
    """Each mutant is a valid array or a ``PictureError``; any other exception fails the test."""
    rng = np.random.default_rng(RNG_SEED)
    exif = Image.Exif()
    exif[0x0112] = 6
    originals = [
        saved(scene, "JPEG", exif=exif.tobytes()),
        saved(scene, "JPEG", progressive=True),
        saved(scene, "PNG", exif=exif.tobytes()),
        saved(scene, "WEBP", exif=exif.tobytes()),
        saved(scene, "WEBP", lossless=True),
        saved(scene, "BMP"),
    ]
    refused = 0
    for turn in range(times):
        try:
            picture = decode(mangled(originals[turn % len(originals)], rng))
        except PictureError:
            refused += 1
        else:
            assert picture.dtype == np.uint8
            assert picture.ndim == 3
            assert picture.shape[2] == 3
    assert times // 10 < refused < times  # the mutations reach both outcomes
