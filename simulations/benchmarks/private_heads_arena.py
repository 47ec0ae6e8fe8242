"""Who judges what heads learnt in private: the same people and figures at every epsilon."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from client.agent.labels import SiteLabels
from common.attacks.attributes import cross_fit, inferred
from common.heads.attributes import AttributesHead
from common.heads.heads import Heads, Readings
from common.heads.judging import even_scores, nearer
from common.metrics.intervals import person_weights
from common.metrics.verification import FARS
from server.heads import LEAST
from server.runs.reading import Chosen
from simulations.arms import Arm, Experiment
from simulations.evaluation import Jury

FAR = FARS.index(1e-2)
DRAWS = 400  # of people, for the intervals of what is no rate

Doubles = NDArray[np.float64]
ByCamera = dict[int, Heads]


@dataclass(frozen=True, kw_only=True, eq=False)
class Arena:
    """What stays the same at every epsilon: dealings of people, who judges, public heads.

    A figure is its value and then that of each draw of the judges, people redrawn: (1 + B,).
    """

    experiments: list[Experiment]
    jury: Jury
    labels: SiteLabels  # of all pictures of the experiments
    chosen: Chosen  # of the public heads

    @property
    def judged_attributes(self) -> list[str]:
        """Those of which there are enough pictures to judge."""
        head = self._head
        return [] if head is None else [head.names[column] for column in self._told_of]

    def identity(self, arm: Arm, experiment: Experiment) -> Doubles:
        """TAR at ``FAR`` over the judged sites."""
        piece = self.jury.judge(experiment.judged, arm.tails)
        drawn = np.asarray(piece.draws[:, FAR], np.float64).mean(axis=0)
        return np.concatenate([[piece.tar[:, FAR].mean()], drawn])

    def heads(self, kind: str, by_camera: ByCamera) -> Doubles:
        """How right one head is: balanced accuracy, the mean over attributes; mean absolute error
        of an age in years; of words the share of other sentences that lie further."""
        if kind == "attributes":
            return self._attributes(by_camera)
        return self._by_person(by_camera, self._off if kind == "age" else self._close)

    def leak(self, arm: Arm, experiment: Experiment) -> float:
        """Balanced accuracy of probes on embeddings at the first judged site: what they tell."""
        site, pictures = experiment.judged[0], self.jury.pictures
        vectors = arm.tails[0].embed(self.jury.material.features[site.camera][pictures])
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        person, rng = self._person, np.random.default_rng(6)
        said = cross_fit(vectors, vectors, self._truth, person, rng)
        return float(inferred(said, self._truth, person, rng).value.mean())

    def _attributes(self, by_camera: ByCamera) -> Doubles:
        head = self._head
        assert head is not None
        scores = [
            even_scores(head, heads.arrays, heads.scaling(self._seen(camera)))
            for camera, heads in by_camera.items()
        ]
        said = np.concatenate(scores)[:, self._told_of] > 0
        truth, person = np.tile(self._truth, (len(scores), 1)), np.tile(self._person, len(scores))
        found = inferred(said, truth, person, np.random.default_rng(5))
        return np.concatenate([[found.value.mean()], found.draws.mean(axis=1)])

    def _by_person(
        self, by_camera: ByCamera, figure: Callable[[Readings], NDArray[np.floating[Any]]]
    ) -> Doubles:
        """The mean over people of the mean over their pictures, whatever camera saw them."""
        each = [figure(heads.read(self._seen(camera))) for camera, heads in by_camera.items()]
        told, (_, number) = np.nanmean(each, axis=0), np.unique(self._person, return_inverse=True)
        known = np.isfinite(told)
        sums = np.bincount(number[known], told[known], minlength=number.max() + 1)
        counts = np.bincount(number[known], minlength=number.max() + 1)
        mine = (sums / np.maximum(counts, 1))[counts > 0]
        weights = person_weights(len(mine), DRAWS, (7,))
        return np.concatenate([[mine.mean()], weights @ mine / weights.sum(axis=1)])

    def _off(self, read: Readings) -> NDArray[np.floating[Any]]:
        assert read.age is not None
        assert self._judges.age is not None
        return np.abs(read.age - self._judges.age)

    def _close(self, read: Readings) -> NDArray[np.floating[Any]]:
        assert read.words is not None
        assert self._judges.words is not None
        known = np.flatnonzero(np.isfinite(self._judges.words).all(axis=1))
        found = np.full(len(read.words), np.nan)
        found[known] = nearer(read.words[known], self._judges.words[known])
        return found

    def _seen(self, camera: int) -> NDArray[np.float32]:
        return self.jury.material.features[camera][self.jury.pictures]

    @property
    def _person(self) -> NDArray[np.int64]:
        return self.jury.material.person[self.jury.pictures]

    @property
    def _head(self) -> AttributesHead | None:
        head = self.chosen.public.head("attributes")
        return head if isinstance(head, AttributesHead) else None

    @cached_property
    def _wanted(self) -> NDArray[np.int8]:
        """What the judges' pictures show of what the head reads, or of all without one."""
        names = self._judges.names if self._head is None else self._head.names
        wanted = self._judges.named(names)
        assert wanted is not None
        return wanted

    @cached_property
    def _told_of(self) -> NDArray[np.intp]:
        """The attributes that at least ``LEAST`` pictures of the judges show, and as many lack."""
        shown, absent = (self._wanted == 1).sum(axis=0), (self._wanted == 0).sum(axis=0)
        return np.flatnonzero(np.minimum(shown, absent) >= LEAST)

    @cached_property
    def _truth(self) -> NDArray[np.bool_]:
        return np.asarray(self._wanted[:, self._told_of] == 1)

    @cached_property
    def _judges(self) -> SiteLabels:
        return self.labels.at(self.jury.pictures)
