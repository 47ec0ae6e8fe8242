"""What the vault says of pictures, as heads may learn it: nothing beyond the policy of today."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from client.agent.labels import SiteLabels
from client.agent.sentences import Said, Speech
from client.vault.labels import AGE, Labels
from common.faces.labels import MISSING
from common.text.vocabulary import FEMALE, names


def site_labels(rows: Sequence[Labels | None], allows: Callable[[str], bool]) -> SiteLabels | None:
    """The labels of N pictures, in their order; None where nothing is said that may be learnt.

    ``allows`` tells of a name: what was taken in under another policy is left out.
    """
    said = {name for one in rows if one is not None for name in one.shown}
    columns = tuple(name for name in names() if name in said and allows(name))
    female = FEMALE in said and allows(FEMALE)
    aged = allows(AGE) and any(one is not None and one.age is not None for one in rows)
    if not (columns or female or aged):
        return None
    age = [None if one is None else one.age for one in rows]
    return SiteLabels(
        names=columns,
        attributes=np.stack([_shown(rows, name) for name in columns], 1) if columns else None,
        age=np.array([np.nan if n is None else n for n in age], np.float32) if aged else None,
        gender=_shown(rows, FEMALE) if female else None,
    )


def put_in_words(said: SiteLabels, spoken: NDArray[np.bool_], speech: Speech) -> SiteLabels:
    """``said`` of N pictures, and sentences of it for those of ``spoken`` (N,) alone."""
    told = Said(count=len(spoken), names=said.names, shown=said.attributes, years=said.age)
    return replace(said, words=speech.rows(told.of(spoken)))


def _shown(rows: Sequence[Labels | None], name: str) -> "np.ndarray[tuple[int], np.dtype[np.int8]]":
    """(N,) in {1, 0, MISSING}."""
    told = (None if one is None else one.shown.get(name) for one in rows)
    return np.array([MISSING if so is None else int(so) for so in told], np.int8)
