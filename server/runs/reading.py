"""The heads of a run: which of the public ones its sites go on training, and what came of them.

A run's heads begin where public pictures left them, and keep their scaling, their weights and their
calibration from there: nothing of that is learnt in private, so none of it costs anything.
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
from common.heads.age import AgeHead
from common.heads.attributes import AttributesHead
from common.heads.gender import GenderHead
from common.heads.heads import Heads
from common.heads.heads_file import ENDING, heads_bytes, read_heads
from common.heads.planned import planned_head
from common.privacy.heads import HeadTerms
from common.trust import storing

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
        names = [name for terms in self.terms for name in terms.arrays]
        return {**{n: self.public.arrays[n] for n in names}, **self.public.scaling.arrays()}


def choose_heads(path: Path, asked: Sequence[str]) -> Chosen:
    """Those of the heads at ``path`` that ``asked`` names, each ``KIND`` or ``KIND:WEIGHT``.

    A weight that is not given is the file's; ``identity`` may be among them, at 1 otherwise. With
    nothing asked for it is all that the file has but gender, which has to be named. ``ConfigError``
    for what no plan trains, ``ModelError`` for a file that is none.
    """
    return chosen_of(read_heads(path), asked)


def chosen_of(public: Heads, asked: Sequence[str]) -> Chosen:
    """The same of heads that were read already."""
    weights = dict(map(_asked, asked))
    if len(weights) < len(asked):
        raise ConfigError("--head: one kind is given twice")
    given = weights.pop(IDENTITY, None)
    wanted = weights or {k: None for k in public.kinds if k in ("attributes", "age")}
    if not wanted:
        raise ConfigError("--head: name at least one head besides identity")
    terms = tuple(_terms(public, kind, weight) for kind, weight in wanted.items())
    return Chosen(public=public, terms=terms, identity=1.0 if given is None else given)


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
    """``public`` with the shared ``arrays`` of a pool in the place of its own."""
    mine = {name: arrays.get(name, own) for name, own in public.arrays.items()}
    return dataclasses.replace(public, arrays=mine)


def _asked(text: str) -> tuple[str, float | None]:
    kind, _, weight = text.partition(":")
    if not weight:
        return kind, None
    try:
        number = float(weight)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and (number > 0 or (kind == IDENTITY and number == 0))):
        raise ConfigError(f"--head {kind}: its weight is a number above 0 (identity: from 0)")
    return kind, number


def _terms(public: Heads, kind: str, weight: float | None) -> HeadTerms:
    head = public.head(kind)
    if head is None:
        raise ConfigError(f"--head {kind}: the file has {', '.join(public.kinds)}")
    given = public.weights[kind] if weight is None else weight
    told: dict[str, Any] = {"weight": given}
    if isinstance(head, AttributesHead):
        told |= {"names": head.names, "shown": head.shown, "absent": head.absent}
    elif isinstance(head, GenderHead):
        told |= {"shown": (head.female,), "absent": (head.male,)}
    elif not isinstance(head, AgeHead):
        raise ConfigError(f"--head {kind}: no plan trains it; it stays as public pictures made it")
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
