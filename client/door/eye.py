"""The eye: bytes of a picture in, the feature of the one face it shows out, or a reason why not.

Bounds, decoding, detection, alignment, quality, life, and only then the network: nothing is
computed of a face that may not pass. Crop and mirrored crop are averaged, so that a feature does
not depend on which cheek the lamp was at. While people are enrolled again under a new trunk, one
look feeds both trunks.

Guarantee: whatever the bytes are, what comes back is a ``Seen`` or a ``PictureError`` (also
``NoFaceError``, ``QualityError``, ``PadError``). The messages tell of sizes and reasons, nothing of
whom the picture shows; no picture, crop or landmark is kept.
Leaks: a feature is a face, and is to be sealed like one.
"""

import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from common.errors import ConfigError, ModelError, NoFaceError, PictureError, QualityError
from common.faces.align import align
from common.faces.crops import SIDE, Crop
from common.faces.detect import Detector, Face, largest, make_detector
from common.faces.liveness import LivenessCheck
from common.faces.pictures import MAX_PIXELS, Picture, decode, pixels_in
from common.faces.quality import BESIDE, Quality, assess
from common.models.trunk import Trunk, load_split


@dataclass(frozen=True, kw_only=True, slots=True)
class EyeRules:
    """What may pass. For pictures of enrolment set ``least_quality`` higher than for a probe."""

    least_quality: float = 0.3  # of common.faces.quality, in [0, 1]
    largest: bool = False  # of several faces of about one size take the largest, instead of none
    most_bytes: int = 16 * 2**20  # of one picture
    flip: bool = True  # average the features of the crop and of its mirror image

    def __post_init__(self) -> None:
        if not 0 <= self.least_quality < 1 or not math.isfinite(self.least_quality):
            raise ConfigError(f"least_quality must be in [0, 1), got {self.least_quality}")
        if self.most_bytes < 1:
            raise ConfigError(f"most_bytes must be positive, got {self.most_bytes}")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Seen:
    """What each trunk makes of a face, (D,) float32 by the trunk's hash, and how well it was seen.

    Leaks: a feature is a face; ``repr`` shows no number.
    """

    features: Mapping[str, NDArray[np.float32]]
    quality: Quality

    @property
    def feature(self) -> NDArray[np.float32]:
        """That of the eye's own trunk, the first."""
        return next(iter(self.features.values()))

    def wipe(self) -> None:
        """Zeroes all features."""
        for feature in self.features.values():
            feature.fill(0)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Admitted:
    """A face that may be looked at by the network."""

    crop: Crop
    quality: Quality


class Room:
    """For so many ``pixels`` at once: what is too much waits, so that many large pictures take no
    more memory than one. Safe among threads."""

    def __init__(self, pixels: int) -> None:
        self._free, self._changed = pixels, threading.Condition()

    @contextmanager
    def of(self, pixels: int) -> Iterator[None]:
        """Takes the room for the block; ``pixels`` may be all there is, and no more."""
        with self._changed:
            self._changed.wait_for(lambda: pixels <= self._free)
            self._free -= pixels
        try:
            yield
        finally:
            with self._changed:
                self._free += pixels
                self._changed.notify_all()


class Eye:
    """Pictures to features, by one detector and one set of rules; safe in threads.

    ``trunk`` is the one that people are enrolled by; those ``beside`` it see the same crops.
    """

    def __init__(
        self,
        trunk: Trunk,
        detector: Detector,
        rules: EyeRules | None = None,
        liveness: LivenessCheck | None = None,
        *,
        beside: Sequence[Trunk] = (),
    ) -> None:
        self.trunk, self.rules = trunk, rules or EyeRules()
        self.trunks = {one.hash: one for one in (trunk, *beside)}
        for one in self.trunks.values():
            if one.manifest.input_size != SIDE:
                raise ConfigError(f"the trunk takes {one.manifest.input_size} pixels, not {SIDE}")
        self._detector, self._liveness = detector, liveness or LivenessCheck()
        self._looking = threading.Lock()  # detectors keep state between calls
        self._room = Room(MAX_PIXELS)

    def see(self, picture: bytes, least_quality: float | None = None) -> Seen:
        """The features of the face in ``picture``; raises ``PictureError``, of any kind.

        ``least_quality`` is asked for in place of what the rules say.
        """
        least = self.rules.least_quality if least_quality is None else least_quality
        return self._seen(self._admit(picture, least))

    def _admit(self, data: bytes, least_quality: float) -> _Admitted:
        if len(data) > self.rules.most_bytes:
            raise PictureError(f"the picture has {len(data)} bytes, more than are looked at")
        with self._room.of(pixels_in(data)):
            return self._looked(decode(data), least_quality)

    def _looked(self, picture: Picture, least_quality: float) -> _Admitted:
        try:
            with self._looking:
                faces = self._detector.find(picture)
            face, others = self._one(faces)
            crop = _aligned(picture, face)
            quality = assess(picture, face, crop, others)
        except cv2.error as error:  # of sizes and places that OpenCV cannot work with
            raise PictureError(f"the picture cannot be searched ({error.code})") from None
        _judge(quality, least_quality)
        self._liveness.check(picture, face)
        return _Admitted(crop, quality)

    def _one(self, faces: tuple[Face, ...]) -> tuple[Face, tuple[Face, ...]]:
        """The face that the picture is of, and those beside it."""
        face = largest(faces)
        others = tuple(other for other in faces if other is not face)
        rivals = sum(other.area >= BESIDE * face.area for other in others)
        if rivals and not self.rules.largest:
            raise NoFaceError(f"{rivals + 1} faces of about one size; one was asked for")
        return face, others

    def _seen(self, admitted: _Admitted) -> Seen:
        crops = admitted.crop[None]
        made = {name: self._features(trunk, crops)[0] for name, trunk in self.trunks.items()}
        return Seen(made, admitted.quality)

    def _features(self, trunk: Trunk, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        features = fused(trunk, crops) if self.rules.flip else trunk.features(crops)
        if not np.isfinite(features).all():
            raise ModelError("the trunk gives features that are not finite")
        return features


def fused(trunk: Trunk, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The mean (B, D) of the features of ``crops`` (B, S, S, 3) and of their mirror images."""
    both = trunk.features(np.concatenate([crops, crops[:, :, ::-1]]))
    mean: NDArray[np.float32] = (both[: len(crops)] + both[len(crops) :]) / np.float32(2)
    return mean


def open_eye(
    trunk: Path | Sequence[Path],
    detector: Path | Detector | None,
    rules: EyeRules | None = None,
    liveness: LivenessCheck | None = None,
    *,
    threads: int = 1,
) -> Eye:
    """The eye with the weights at ``trunk`` (file or folder) and a ``detector``.

    Of several trunks people are enrolled by the first. A detector is YuNet's weights, None for the
    cascades, or one that is made already, such as ``WholePicture`` for aligned crops. ``threads``
    is the one thread policy: of onnxruntime for the network and of OpenCV for all else (which knows
    but one number for the whole process). Raises what ``load_split`` does.
    """
    paths = [trunk] if isinstance(trunk, Path) else trunk
    made = [load_split(path, threads=threads)[0] for path in paths]
    cv2.setNumThreads(threads)
    found = make_detector(detector) if detector is None or isinstance(detector, Path) else detector
    return Eye(made[0], found, rules, liveness, beside=made[1:])


def _judge(quality: Quality, least: float) -> None:
    if quality.score < least:
        told = ", ".join(quality.reasons) or "several small defects"
        raise QualityError(f"the face is not seen well enough: {told}", quality.reasons)


def _aligned(picture: Picture, face: Face) -> Crop:
    if face.landmarks is None:
        raise NoFaceError("the detector gives no landmarks to align by")
    return align(picture, face.landmarks)
