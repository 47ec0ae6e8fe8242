import io
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from PIL import Image

from client.door.eye import Eye, EyeRules, Room, Seen, fused, open_eye
from common.errors import (
    ConfigError,
    MascaronError,
    NoFaceError,
    PadError,
    PictureError,
    QualityError,
)
from common.faces.align import TEMPLATE, align
from common.faces.detect import Face, WholePicture
from common.faces.liveness import LivenessCheck
from common.faces.pictures import Picture, decode, encode
from common.faces.quality import REASONS
from common.models.trunk import Trunk
from simulations.benchmarks.quality import STARTER
from tests.mangled import mangled


class Pointing:
    """Finds the faces it was told of, in every picture."""

    def __init__(self, *faces: Face) -> None:
        self.faces = faces

    def find(self, picture: Picture) -> tuple[Face, ...]:
        return self.faces


class Life:
    """A liveness detector that always says the same."""

    def __init__(self, told: bool | Exception | None) -> None:
        self.told = told

    def live(self, picture: Picture, face: Face) -> bool | None:
        if isinstance(self.told, Exception):
            raise self.told
        return self.told


def face(size: float = 1, **told: bool) -> Face:
    points = (TEMPLATE + 40).astype(np.float32)
    return Face((60, 60, 70 * size, 100 * size), 0.9, points, **told)


def saved(picture: Picture, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture
def pointing(trunk: Trunk) -> Callable[..., Eye]:
    def make(*faces: Face, life: LivenessCheck | None = None, **rules: object) -> Eye:
        return Eye(trunk, Pointing(*faces), EyeRules(**rules), life)  # type: ignore[arg-type]

    return make


def test_a_portrait_gives_the_mean_of_the_features_of_its_crop_and_of_its_mirror_image(
    pointing: Callable[..., Eye], trunk: Trunk, portraits: list[bytes]
) -> None:
    seen = pointing(face()).see(portraits[0])
    crop = align(decode(portraits[0]), TEMPLATE + 40)[None]
    mirrored = np.ascontiguousarray(crop[:, :, ::-1])
    expected = (trunk.features(crop) + trunk.features(mirrored)) / 2
    assert seen.feature.dtype == np.float32
    assert np.allclose(seen.feature, expected[0], atol=1e-5)
    assert 0 < seen.quality.score <= 1


def test_a_mirrored_crop_has_the_same_fused_feature(trunk: Trunk) -> None:
    crops = np.random.default_rng(1).integers(0, 256, (3, 112, 112, 3), dtype=np.uint8)
    mirrored = np.ascontiguousarray(crops[:, :, ::-1])
    assert np.allclose(fused(trunk, crops), fused(trunk, mirrored), atol=1e-5)
    assert not np.allclose(trunk.features(crops), trunk.features(mirrored), atol=1e-2)


def test_without_flip_fusion_the_feature_is_the_crops_own(
    pointing: Callable[..., Eye], trunk: Trunk, portraits: list[bytes]
) -> None:
    seen = pointing(face(), flip=False).see(portraits[0])
    crop = align(decode(portraits[0]), TEMPLATE + 40)[None]
    assert np.allclose(seen.feature, trunk.features(crop)[0], atol=1e-5)


def test_one_eye_looks_from_several_threads(eye: Eye, portraits: list[bytes]) -> None:
    alone = [eye.see(data).feature for data in portraits]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda data: eye.see(data).feature, portraits * 3))
    for number, feature in enumerate(together):
        assert np.allclose(feature, alone[number % 4], atol=1e-5)


def test_two_faces_of_about_one_size_are_refused_unless_the_largest_is_asked_for(
    pointing: Callable[..., Eye], portraits: list[bytes]
) -> None:
    with pytest.raises(NoFaceError, match="2 faces"):
        pointing(face(), face(0.8)).see(portraits[0])
    assert (
        "several_faces"
        in pointing(face(), face(0.8), largest=True).see(portraits[0]).quality.reasons
    )
    assert pointing(face(), face(0.3)).see(portraits[0]).quality.reasons == (
        pointing(face()).see(portraits[0]).quality.reasons
    )


def test_a_picture_without_a_face_or_landmarks_is_refused(
    pointing: Callable[..., Eye], portraits: list[bytes]
) -> None:
    for eye in (pointing(), pointing(Face((1, 1, 9, 9), 1.0, None))):
        with pytest.raises(NoFaceError):
            eye.see(portraits[0])


def test_a_face_that_is_not_seen_well_is_refused_with_its_reasons(
    pointing: Callable[..., Eye], portraits: list[bytes]
) -> None:
    soft = np.asarray(cv2.GaussianBlur(decode(portraits[0]), (0, 0), 4), np.uint8)
    with pytest.raises(QualityError) as refused:
        pointing(face(), least_quality=0.6).see(encode(soft))
    assert refused.value.reason == "QUALITY_TOO_LOW"
    assert "blurred" in refused.value.reasons
    assert set(refused.value.reasons) <= set(REASONS)


def test_a_picture_with_too_many_bytes_is_not_even_decoded(
    pointing: Callable[..., Eye], portraits: list[bytes]
) -> None:
    with pytest.raises(PictureError, match="more than are looked at"):
        pointing(face(), most_bytes=len(portraits[0]) - 1).see(portraits[0])


def test_silence_about_life_passes_unless_it_must_not(
    pointing: Callable[..., Eye], portraits: list[bytes]
) -> None:
    pointing(face(), life=LivenessCheck(Life(None))).see(portraits[0])
    with pytest.raises(PadError):
        pointing(face(), life=LivenessCheck(Life(None), fail_closed=True)).see(portraits[0])


@pytest.mark.parametrize("fail_closed", [True, False])
def test_a_picture_that_breaks_the_detector_opens_nothing(
    pointing: Callable[..., Eye],
    portraits: list[bytes],
    caplog: pytest.LogCaptureFixture,
    fail_closed: bool,
) -> None:
    broken = LivenessCheck(Life(RuntimeError("broken: a name")), fail_closed=fail_closed)
    with pytest.raises(PadError) as refused, caplog.at_level(logging.DEBUG):
        pointing(face(), life=broken).see(portraits[0])
    assert "a name" not in caplog.text + str(refused.value)


@pytest.mark.parametrize("fail_closed", [True, False])
def test_who_is_not_alive_is_refused_before_there_is_a_feature(
    pointing: Callable[..., Eye],
    portraits: list[bytes],
    monkeypatch: pytest.MonkeyPatch,
    fail_closed: bool,
) -> None:
    eye = pointing(face(), life=LivenessCheck(Life(False), fail_closed=fail_closed))

    def never(crops: object) -> None:
        raise AssertionError("the trunk was run")

    monkeypatch.setattr(eye.trunk, "features", never)
    with pytest.raises(PadError) as refused:
        eye.see(portraits[0])
    assert refused.value.reason == "PAD_REJECTED"


def test_whom_a_strict_detector_takes_for_alive_passes(
    pointing: Callable[..., Eye], portraits: list[bytes]
) -> None:
    life = LivenessCheck(Life(True), fail_closed=True)
    assert isinstance(pointing(face(), life=life).see(portraits[0]), Seen)


def test_failing_closed_without_a_detector_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="refuses everyone"):
        LivenessCheck(fail_closed=True)


@pytest.mark.parametrize("wrong", [{"least_quality": 1.0}, {"least_quality": float("nan")}])
def test_rules_that_let_nobody_pass_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        EyeRules(**wrong)  # type: ignore[arg-type]
    with pytest.raises(ConfigError):
        EyeRules(most_bytes=0)


def test_one_number_of_threads_is_for_the_network_and_for_opencv(portraits: list[bytes]) -> None:
    before = cv2.getNumThreads()
    try:
        eye = open_eye(STARTER, None, EyeRules(least_quality=0.05), threads=1)
        assert cv2.getNumThreads() == 1
        assert isinstance(eye.see(portraits[0]), Seen)
    finally:
        cv2.setNumThreads(before)


def test_one_look_feeds_two_trunks_and_each_sees_what_it_would_alone(
    trunk: Trunk, other_trunk: Trunk, portraits: list[bytes]
) -> None:
    eye = Eye(trunk, Pointing(face()), beside=[other_trunk, trunk])
    seen = eye.see(portraits[0])
    assert list(seen.features) == [trunk.hash, other_trunk.hash]
    assert np.array_equal(seen.feature, seen.features[trunk.hash])
    for one in (trunk, other_trunk):
        alone = Eye(one, Pointing(face())).see(portraits[0])
        assert np.allclose(alone.feature, seen.features[one.hash], atol=1e-5)


def test_what_was_seen_is_zeroed_when_it_is_wiped(
    trunk: Trunk, other_trunk: Trunk, portraits: list[bytes]
) -> None:
    seen = Eye(trunk, Pointing(face()), beside=[other_trunk]).see(portraits[0])
    seen.wipe()
    assert not any(feature.any() for feature in seen.features.values())


def test_a_picture_of_enrolment_has_to_be_better_than_a_probe(
    pointing: Callable[..., Eye], portraits: list[bytes]
) -> None:
    eye = pointing(face(), least_quality=0.0)
    score = eye.see(portraits[0]).quality.score
    assert eye.see(portraits[0], score).quality.score == score
    with pytest.raises(QualityError):
        eye.see(portraits[0], score + 0.01)


@pytest.mark.parametrize("side", [112, 224])
def test_an_aligned_crop_is_seen_as_it_is(trunk: Trunk, portraits: list[bytes], side: int) -> None:
    crop = align(decode(portraits[0]), TEMPLATE + 40)
    large = crop.repeat(side // 112, axis=0).repeat(side // 112, axis=1)
    seen = Eye(trunk, WholePicture(), EyeRules(least_quality=0.0)).see(saved(large, "PNG"))
    expected = fused(trunk, crop[None])[0]
    assert float(seen.feature @ expected) > 0.99 * float(
        np.linalg.norm(seen.feature) * np.linalg.norm(expected)
    )


def test_what_is_not_square_is_no_aligned_crop(trunk: Trunk, portraits: list[bytes]) -> None:
    with pytest.raises(NoFaceError):
        Eye(trunk, WholePicture()).see(saved(decode(portraits[0])[:, 1:], "PNG"))


def test_an_eye_is_opened_with_several_trunks_and_any_detector() -> None:
    before = cv2.getNumThreads()
    try:
        eye = open_eye([STARTER, STARTER], WholePicture())
        assert len(eye.trunks) == 1 and eye.trunk.hash in eye.trunks
    finally:
        cv2.setNumThreads(before)


def test_what_was_seen_does_not_show_itself(eye: Eye, portraits: list[bytes]) -> None:
    seen = eye.see(portraits[0])
    assert str(seen.feature[0])[:5] not in repr(seen)
    assert "array" not in repr(seen)


def test_two_thousand_mutated_pictures_are_seen_or_refused(
    eye: Eye, portraits: list[bytes]
) -> None:
    look_at_mutants(eye, portraits, 2_000)


@pytest.mark.slow
def test_a_hundred_thousand_mutated_pictures_are_seen_or_refused(
    eye: Eye, portraits: list[bytes]
) -> None:
    look_at_mutants(eye, portraits, 100_000)


def look_at_mutants(eye: Eye, portraits: list[bytes], times: int) -> None:
    """Each is ``Seen`` with a finite feature or a ``PictureError`` that names nobody."""
    rng = np.random.default_rng(11)
    small = [cv2.resize(decode(data), (96, 96)) for data in portraits[:2]]
    originals = [
        saved(small[0], "JPEG"),
        saved(small[1], "JPEG", progressive=True),
        saved(small[0], "PNG", compress_level=1),
        saved(small[1], "WEBP"),
        saved(small[0], "BMP"),
        saved(small[0], "JPEG", quality=30, comment=b"Ada Lovelace"),
    ]
    seen = refused = 0
    for turn in range(times):
        try:
            found = eye.see(mangled(originals[turn % len(originals)], rng))
        except MascaronError as error:
            assert isinstance(error, PictureError)
            assert "Ada" not in str(error)
            refused += 1
        else:
            assert np.isfinite(found.feature).all()
            seen += 1
    assert min(seen, refused) > times // 50  # the mutations reach both outcomes


def test_large_pictures_wait_for_one_another() -> None:
    room, order = Room(10), []
    entered, leave = threading.Event(), threading.Event()

    def large() -> None:
        with room.of(10):
            entered.set()
            leave.wait(10)
            order.append("large")

    def small() -> None:
        with room.of(1):
            order.append("small")

    threads = [threading.Thread(target=one) for one in (large, small, small)]
    threads[0].start()
    assert entered.wait(10)
    for thread in threads[1:]:
        thread.start()
    leave.set()
    for thread in threads:
        thread.join(10)
    assert order == ["large", "small", "small"]
