"""The people of a site as training sees them: bags of features, one bag a person.

Leaks: features are faces, and labels say what they look like. Nothing here prints, pickles or
counts them for anybody else.
"""

from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from client.agent.labels import SiteLabels


class SitePeople:
    """Bags of features of people who may be trained on, as of one moment.

    ``features`` (N, D) float32 and ``person`` (N,) any integer labels. The order of the people is
    the ascending order of their labels. Taken for itself, it is the same people in every run.
    ``labels`` is what is said of the pictures, row by row; None where nothing is.
    """

    _labels: SiteLabels | None = None

    def __init__(
        self,
        features: NDArray[np.float32],
        person: NDArray[np.int64],
        labels: SiteLabels | None = None,
    ) -> None:
        if features.ndim != 2 or len(features) != len(person):
            raise ValueError("features must be (N, D), one row for each entry of person")
        order = np.argsort(person, kind="stable")
        self._features = np.ascontiguousarray(features[order], np.float32)
        self._labels = None if labels is None else labels.at(order)
        _, starts = np.unique(person[order], return_index=True)
        self._bounds = np.append(starts, len(person))

    def __len__(self) -> int:
        return len(self._bounds) - 1

    def bag(self, index: int) -> NDArray[np.float32]:
        """The features (k, D) of one person."""
        return self._features[self._place(index)]

    def labels(self, index: int) -> SiteLabels | None:
        """What is said of that person's pictures, in the order of the bag."""
        return None if self._labels is None else self._labels.at(self._place(index))

    def bags(self) -> list[NDArray[np.float32]]:
        """All bags, in the order of the people."""
        return [self.bag(i) for i in range(len(self))]

    def _place(self, index: int) -> slice:
        return slice(int(self._bounds[index]), int(self._bounds[index + 1]))

    def begin(self, run: str) -> None:
        """Nothing has to be remembered of people who stay the same."""

    def of(self, run: str) -> "SitePeople":
        """All of them, whatever the run."""
        return self

    def __repr__(self) -> str:
        return "SitePeople(...)"  # not even how many

    def __reduce__(self) -> NoReturn:
        raise TypeError("features of people are not pickled")
