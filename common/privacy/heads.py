"""What a plan says of a head that private steps train beside the tail: all of it is public.

A head reads the feature of the frozen trunk and says something of a picture; its loss joins that of
the tail in one person's ONE loss, so it costs no further epsilon. Which words no plan may name is
a site's to say (``client.policy``): here is only what makes a plan whole.
"""

import math
import re
from dataclasses import dataclass
from typing import Any, Literal

from common.errors import PlanError

GENDER, WORDS = "gender", "words"
CENTRE, SCALE = "heads.scaling.centre", "heads.scaling.scale"  # (D,): how heads see a feature
MOST_ATTRIBUTES = 64
MOST_DIMENSIONS = 4096  # of a space of texts
_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")
_HASH = re.compile(r"[0-9a-f]{64}")
_MOST = 10**9
_OF_WORDS = ("encoder", "bank", "size")


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadTerms:
    """One head of a gradient mechanism: what it says of a face, and how it is trained.

    ``weight`` multiplies its part of a person's loss. Tail and heads share one clip, so weights
    decide which share of the clip norm a person's labels get. ``learning_rate`` is that of the
    head's own arrays, which the centre's momentum then leaves alone, and 0 stands for that of the
    mechanism: it multiplies what was clipped and noised before, so it moves nobody's share and
    costs nothing.

    ``names`` are the attributes, in the order of the head's rows; no other head has any. ``shown``
    and ``absent`` count PUBLIC pictures with and without each, by which rare sides are weighed up;
    those of a gender head count women and men, and other heads have none. A words head names the
    text ``encoder`` (SHA-256 of its weights) in whose space of ``size`` dimensions it maps, and by
    digest the public ``bank`` of prompts it is contrasted with. ``PlanError`` for anything else.
    """

    kind: Literal["attributes", "age", "gender", "words"]
    weight: float
    names: tuple[str, ...] = ()
    shown: tuple[int, ...] = ()
    absent: tuple[int, ...] = ()
    learning_rate: float = 0.0
    encoder: str = ""
    bank: str = ""
    size: int = 0

    def __post_init__(self) -> None:
        for key in ("weight", "learning_rate"):
            object.__setattr__(self, key, float(getattr(self, key)))
        if self.kind not in ("attributes", "age", GENDER, WORDS):
            raise PlanError(f"no plan trains a head called {str(self.kind)[:20]!r}")
        if not 0 < self.weight <= _MOST:
            raise PlanError(f"head {self.kind}: weight must be in (0, {_MOST}]")
        if not 0 <= self.learning_rate <= _MOST:
            raise PlanError(f"head {self.kind}: learning_rate must be in [0, {_MOST}]")
        self._check_names()
        self._check_space()
        counted = {"attributes": len(self.names), GENDER: 1}.get(self.kind, 0)
        if not len(self.shown) == len(self.absent) == counted:
            raise PlanError(f"head {self.kind}: {counted} public counts of either side are wanted")
        if any(type(n) is not int or not 0 <= n <= _MOST for n in (*self.shown, *self.absent)):
            raise PlanError(f"head {self.kind}: a public count is a whole number from 0")

    @property
    def arrays(self) -> tuple[str, str]:
        """The names of the head's two arrays, in the order in which they are summed."""
        return f"heads.{self.kind}.weight", f"heads.{self.kind}.bias"

    def _check_names(self) -> None:
        if (self.kind == "attributes") != bool(self.names) or len(self.names) > MOST_ATTRIBUTES:
            raise PlanError(f"an attributes head, and no other, names 1-{MOST_ATTRIBUTES} of them")
        if len(set(self.names)) < len(self.names):
            raise PlanError("an attribute is named twice")
        if not all(_NAME.fullmatch(name) for name in self.names):
            raise PlanError("an attribute is called by 1-48 of a-z, 0-9 and '_', a letter first")

    def _check_space(self) -> None:
        if self.kind != WORDS:
            if (self.encoder, self.bank, self.size) != ("", "", 0):
                raise PlanError("a words head, and no other, names an encoder, a bank and a size")
            return
        if type(self.size) is not int or not 1 <= self.size <= MOST_DIMENSIONS:
            raise PlanError(f"head words: size must be in [1, {MOST_DIMENSIONS}]")
        if not (_HASH.fullmatch(self.encoder) and _HASH.fullmatch(self.bank)):
            raise PlanError("head words: encoder and bank are SHA-256: 64 of 0-9 and a-f")


def check_heads(name: str, heads: tuple[HeadTerms, ...], identity: float) -> None:
    """Raises ``PlanError`` unless one mechanism called ``name`` can train ``heads`` as one loss."""
    kinds = [head.kind for head in heads]
    if len(set(kinds)) < len(kinds):
        raise PlanError(f"{name}: two heads of one kind")
    if not (math.isfinite(identity) and 0 <= identity <= _MOST):
        raise PlanError(f"{name}: identity is the weight of the objective, in [0, {_MOST}]")
    if not heads and identity != 1:  # one plan has one text
        raise PlanError(f"{name}: without heads there is nothing to weigh identity against")


def shorten(head: dict[str, Any]) -> None:
    """Leaves out of the table of a head what it does not say: as in plans from before there was."""
    if head["learning_rate"] == 0:
        del head["learning_rate"]
    if head["kind"] != WORDS:
        for key in _OF_WORDS:
            del head[key]
