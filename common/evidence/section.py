"""One section of a release's evidence: what was measured, of what, how, and what did not hold.

Guarantee: a section holds figures, words and digests; pictures only where everybody in them is
invented, and by their digest.
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from common.config import build
from common.errors import ConfigError

SCHEMA = 1
KINDS = (
    "verification",  # TAR at FAR, DET curve
    "robustness",  # adversarial pictures
    "mechanism",  # audit of sampler, clip, noise and release
    "membership",  # who trained
    "inversion",  # pictures from updates and templates
    "attributes",  # traits from embeddings
    "heads",  # what heads read, beside those that a run began with
    "fairness",  # error rates of groups
    "training",  # the run's log
    "statement",  # what epsilon is claimed, and of which plan
)
ALWAYS = tuple(kind for kind in KINDS if kind != "heads")  # the other one: where there are heads
_DIGEST = re.compile(r"[0-9a-f]{64}")
_FILE = re.compile(r"[a-z0-9][a-z0-9_-]{0,60}\.png")


@dataclass(frozen=True, kw_only=True, slots=True)
class About:
    """Of which model and whose faces: nothing else may be concluded."""

    trunk: str  # hash of the trunk
    tail: str  # hash of the tail
    faces: str = ""  # digest of the face set; empty where no face was needed
    people: int = 0
    invented: bool = True  # whether nobody in the pictures exists

    def __post_init__(self) -> None:
        for digest in (self.trunk, self.tail, *([self.faces] if self.faces else [])):
            if not _DIGEST.fullmatch(digest):
                raise ConfigError("a section is about a trunk, a tail and faces named by SHA-256")


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A picture of invented people that belongs to a section."""

    file: str
    sha256: str
    caption: str

    def __post_init__(self) -> None:
        if not _FILE.fullmatch(self.file) or not _DIGEST.fullmatch(self.sha256):
            raise ConfigError("a picture is a plain NAME.png and a SHA-256")

    @classmethod
    def of(cls, file: str, content: bytes, caption: str) -> "Picture":
        return cls(file=file, sha256=hashlib.sha256(content).hexdigest(), caption=caption)


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """``figures`` is a table of JSON values; ``failed`` says in words what did not hold.

    A section with anything in ``failed`` (gradient masking, an audit above its claim) stops a
    release, whatever the figures are.
    """

    kind: str
    about: About
    seed: int
    command: str  # that anybody can type, without paths
    version: str  # of mascaron
    figures: dict[str, Any]
    failed: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()
    schema: int = SCHEMA
    minutes: float | None = field(default=None)

    def __post_init__(self) -> None:
        if self.schema != SCHEMA or self.kind not in KINDS:
            raise ConfigError(f"no section {self.kind!r} of schema {self.schema}")
        if self.pictures and not self.about.invented:
            raise ConfigError("pictures of people who exist do not go into evidence")
        _check_plain(self.figures, self.kind)

    def to_json(self) -> str:
        """The same section, the same text."""
        return json.dumps(asdict(self), sort_keys=True, indent=1, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Section":
        """What ``to_json`` made; ``ConfigError`` for anything else."""
        try:
            table = json.loads(text)
        except (ValueError, RecursionError):
            raise ConfigError("a section is JSON") from None
        if not isinstance(table, dict):
            raise ConfigError("a section is a table")
        return build(cls, table, "section")


def figure(sections: Mapping[str, Section], path: str) -> Any:
    """The figure at ``path``, "kind.key.key"; ``ConfigError`` if it was not measured."""
    kind, *keys = path.split(".")
    value: Any = sections[kind].figures if kind in sections else None
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    if value is None:
        raise ConfigError(f"the evidence does not say {path}")
    return value


def _check_plain(value: Any, where: str) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise ConfigError(f"{where}: keys are texts")
            _check_plain(item, f"{where}.{key}")
    elif isinstance(value, list | tuple):
        for item in value:
            _check_plain(item, where)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{where}: a figure that cannot be told is null")
    elif not isinstance(value, str | int | float | bool | type(None)):
        raise ConfigError(f"{where}: not a figure")
