"""The heads of a run: which of the public ones its sites go on training, and what came of them.

A run's heads begin where public pictures left them, and keep their scaling, their weights and their
calibration from there: nothing of that is learnt in private, so none of it costs anything.

While they learn they see features ``GAIN`` times as long, and say the same of them: beside the
constant that goes with an offset, a feature of length 1 would leave most of the clip to offsets.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import ConfigError, PlanError
from common.heads.attributes import AttributesHead
from common.heads.gender import GenderHead
from common.heads.heads import Heads
from common.heads.heads_file import ENDING, heads_bytes, read_heads
from common.heads.planned import planned_head
from common.heads.sentences import bank_digest
from common.heads.words import WordsHead
from common.privacy.heads import CENTRE, SCALE, HeadTerms
from common.trust import storing
from server.runs.pacing import GAIN

PUBLIC = "public" + ENDING  # in the folder of a charter: the heads it began with
IDENTITY = "identity"

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Chosen:
    """Public heads of which a run trains those in ``terms``, beside ``identity``'s weight."""

    public: Heads
    terms: tuple[HeadTerms, ...]
    identity: float

    @property
    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """What a charter's initial arrays have of them: the trained ones, and the scaling."""
        scaling, gain = self.public.scaling.arrays(), np.float32(GAIN)
        found: dict[str, NDArray[np.float32]] = {}
        for weight, bias in (terms.arrays for terms in self.terms):
            found |= {weight: self.public.arrays[weight] / gain, bias: self.public.arrays[bias]}
        return {**found, CENTRE: scaling[CENTRE], SCALE: scaling[SCALE] * gain}


def choose_heads(path: Path, asked: Sequence[str]) -> Chosen:
    """Those of the heads at ``path`` that ``asked`` names, each ``KIND[:WEIGHT[:RATE]]``.

    A weight that is not given is the file's, and a learning rate that is not is ``pacing``'s to
    choose; ``identity`` may be among them, with a weight alone: otherwise its weight is 0, and the
    tail is left to the moments, which do it more good. With nothing asked for it is the attributes
    and ages that the file has: the others have to be named. ``ConfigError`` for what no plan
    trains, ``ModelError`` for a file that is none.
    """
    return chosen_of(read_heads(path), asked)


def chosen_of(public: Heads, asked: Sequence[str]) -> Chosen:
    """The same of heads that were read already."""
    named = dict(map(_asked, asked))
    if len(named) < len(asked):
        raise ConfigError("--head: one kind is given twice")
    identity = named.pop(IDENTITY, None)
    wanted = named or {k: _Asked() for k in public.kinds if k in ("attributes", "age")}
    if not wanted:
        raise ConfigError("--head: name at least one head besides identity")
    terms = tuple(_terms(public, kind, one) for kind, one in wanted.items())
    return Chosen(public=public, terms=terms, identity=_weight(identity))


def keep_public(folder: Path, public: Heads) -> None:
    """Puts the heads that a charter begins with beside it."""
    storing.replace(folder / PUBLIC, heads_bytes(public))


def trained_heads(folder: Path, pools: Mapping[str, Arrays]) -> dict[str, Heads]:
    """The heads of each of ``pools`` after the rounds that are done, of a plan that has some.

    ``ModelError`` if the public heads are not beside the charter.
    """
    public = read_heads(folder / PUBLIC)
    return {pool: heads_after(public, arrays) for pool, arrays in pools.items()}


def heads_after(public: Heads, arrays: Arrays) -> Heads:
    """``public`` with the shared ``arrays`` of a pool in the place of its own.

    They are for features as the pool's scaling makes them, and become what says the same of
    features as ``public``'s does.
    """
    mine = {name: arrays.get(name, own) for name, own in public.arrays.items()}
    if SCALE in arrays:
        longer = arrays[SCALE] / public.scaling.scale
        mine |= {n: a * longer for n, a in mine.items() if n in arrays and a.ndim == 2}
    return dataclasses.replace(public, arrays=mine)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was said of one head; None of what was not."""

    weight: float | None = None
    rate: float | None = None


def _asked(text: str) -> tuple[str, _Asked]:
    kind, *given = text.split(":")
    if len(given) > (1 if kind == IDENTITY else 2):
        raise ConfigError(f"--head {kind}: expected KIND[:WEIGHT[:RATE]], identity:WEIGHT")
    numbers = [_number(kind, text) for text in given]
    return kind, _Asked(*numbers)


def _weight(identity: _Asked | None) -> float:
    """Of identity: 0 where nobody named it, 1 where nobody said how much."""
    if identity is None:
        return 0.0
    return 1.0 if identity.weight is None else identity.weight


def _number(kind: str, text: str) -> float | None:
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and (number > 0 or (kind == IDENTITY and number == 0))):
        raise ConfigError(
            f"--head {kind}: weight and rate are numbers above 0 (of identity: from 0)"
        )
    return number


def _terms(public: Heads, kind: str, asked: _Asked) -> HeadTerms:
    head = public.head(kind)
    if head is None:
        raise ConfigError(f"--head {kind}: the file has {', '.join(public.kinds)}")
    given = public.weights[kind] if asked.weight is None else asked.weight
    told: dict[str, Any] = {"weight": given, "learning_rate": asked.rate or 0.0}
    if isinstance(head, AttributesHead):
        told |= {"names": head.names, "shown": head.shown, "absent": head.absent}
    elif isinstance(head, GenderHead):
        told |= {"shown": (head.female,), "absent": (head.male,)}
    elif isinstance(head, WordsHead):
        told |= {"encoder": head.encoder, "size": head.size, "bank": bank_digest()}
    try:
        terms = HeadTerms(kind=kind, **told)  # type: ignore[arg-type]
        same = planned_head(terms).table() == head.table()
    except PlanError as error:
        raise ConfigError(f"--head: {error}") from None
    if not same:
        raise ConfigError(
            f"--head {kind}: the file's was made with other constants than plans have"
        )
    return terms
