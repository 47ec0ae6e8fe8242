"""``[door]`` of `site.toml`: what this site does at its door, and what it asks for first.

What is not written down is the careful choice: searching and describing are off until somebody
switches them on (GDPR Article 25), a search for who somebody is needs two people's word (AI Act
Article 14(5)), and no consent is longer than three years (BIPA 15(a)).
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path

from client.door.calibrating import NARROWEST, WIDEST
from common.errors import ConfigError
from common.matching.distances import DEFAULT, Name
from common.matching.pooling import BEST, LEARNT, Pooling

DAY = 86_400.0  # seconds
MOST_DAYS = 3 * 365
MOST_PICTURES = 8
_ADDRESS = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9.-]{0,252}|\[[0-9A-Fa-f:.]+\]):(\d{1,5})")


@dataclass(frozen=True, kw_only=True, slots=True)
class DoorRules:
    """The operator's rules. Raises ``ConfigError`` for one that cannot be kept."""

    verify: bool = True  # answer "is this who they claim to be?"
    identify: bool = False  # answer "who is this?": nobody is searched for unless it is on
    describe: bool = False  # say what is to be seen of a face; needs heads
    search: bool = False  # find people by how they look, of those who agreed to `text`; needs heads
    heads: Path | None = None  # a file of them, for as long as no release brings some
    four_eyes: bool = True  # two people confirm whom a search found before anybody is named
    fmr: float = 1e-4  # of verifications, where `calibrate` is not told another
    fpir: float = 1e-2  # of searches
    distance: Name = DEFAULT  # how alike two pictures are: cosine, euclid, hamming or whitened
    pooling: Pooling = BEST  # the nearest of a person's templates answers, or all of them as one
    pooling_weights: Path | None = None  # what "learnt" weighs by, of [site] trunk
    old_pooling_weights: Path | None = None  # of old_trunk; without them that pools by quality
    claims: int = 100  # to be one and the same person that are answered in a day, whoever asks
    misses: int = 30  # of them that are no match
    detector: Path | None = None  # weights of YuNet; without them OpenCV's cascades
    old_trunk: Path | None = None  # weights that people were enrolled by before [site] trunk
    aligned: bool = False  # pictures are square crops, aligned already: nothing is searched in them
    least_quality: float = 0.3  # of a probe, in [0, 1)
    enrol_quality: float = 0.4  # of a picture of enrolment
    least_pictures: int = 3  # of one enrolment
    most_pictures: int = MOST_PICTURES
    liveness: str = ""  # "package.module:name" makes a detector of fakes; see common.faces.liveness
    liveness_fail_closed: bool = False  # refuse where nobody can tell life
    shadow: bool = True  # let a staged release decide each probe too, and count how often it agrees
    retention_days: int = MOST_DAYS  # how long a consent may be for
    address: str = ""  # "host:port" of a port behind mutual TLS, besides the socket run/door.sock
    group: str = ""  # whose members may open the socket

    def __post_init__(self) -> None:
        for name in ("fmr", "fpir"):
            if not NARROWEST <= getattr(self, name) <= WIDEST:
                raise ConfigError(
                    f"{name} must be in [{NARROWEST}, {WIDEST}], got {getattr(self, name)}"
                )
        for name in ("least_quality", "enrol_quality"):
            value = getattr(self, name)
            if not 0 <= value < 1 or not math.isfinite(value):
                raise ConfigError(f"{name} must be in [0, 1), got {value}")
        if self.enrol_quality < self.least_quality:
            raise ConfigError("enrol_quality must not be below least_quality: those stay for years")
        if not 1 <= self.least_pictures <= self.most_pictures <= MOST_PICTURES:
            raise ConfigError(
                f"least_pictures and most_pictures must be in order, and in 1..{MOST_PICTURES}"
            )
        if not 1 <= self.misses <= self.claims:
            raise ConfigError("misses and claims must be in order, and at least 1")
        if not 1 <= self.retention_days <= MOST_DAYS:
            raise ConfigError(f"retention_days must be in 1..{MOST_DAYS}: no consent is longer")
        if (self.pooling == LEARNT) != (self.pooling_weights is not None):
            raise ConfigError('pooling_weights and pooling = "learnt" need one another')
        if self.old_pooling_weights is not None and None in (self.pooling_weights, self.old_trunk):
            raise ConfigError("old_pooling_weights need pooling_weights and old_trunk beside them")
        if self.address and not _is_address(self.address):
            raise ConfigError(f"address must be host:port, got {self.address!r}")

    @property
    def describes(self) -> bool:
        """Whether anything is said of how somebody looks."""
        return self.describe or self.search

    @property
    def retention(self) -> float:
        """The longest term of a consent, in seconds."""
        return self.retention_days * DAY


def _is_address(text: str) -> bool:
    found = _ADDRESS.fullmatch(text)
    return found is not None and 0 < int(found[1]) < 65536
