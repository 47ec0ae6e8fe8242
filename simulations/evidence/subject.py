"""What evidence is taken of: a trunk, a tail, and faces none of which trained either."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.attacks.target import Face
from common.bundle import VERSION
from common.errors import ModelError, ScenarioError
from common.evidence.section import About, Picture, Section
from common.faces.faceset import FaceSet
from common.faces.splits import parse_folds, with_folds
from common.models.cache import FeatureCache
from common.models.studio import Lens, Progress, Studio
from common.models.tail import Tail
from common.models.tail_file import read_tail
from common.models.trunk import Trunk
from simulations.scenario import Invented
from simulations.sources import Sources


@dataclass(frozen=True, kw_only=True)
class SubjectOptions:
    """What `attack`, `audit` and `fairness` may be told of model and faces.

    ``folds`` are the people attacked and measured, ``threshold_folds`` those who fix thresholds and
    teach attackers: the two share nobody.
    """

    faces: Path | None = None
    trunk: Path | None = None
    tail: Path | None = None  # a file of `mascaron-admin tail`; None: the one the trunk came with
    people: int = Invented().people
    folds: str = "1-6,8"
    threshold_folds: str = "7"
    cache: Path | None = None
    aligned: bool = False
    detector: Path | None = None
    keep_going: bool = False
    seed: int = 0
    threads: int = 2


@dataclass(frozen=True, eq=False, repr=False)
class Subject:
    """A model and two groups of people who share nobody: ``tested`` and ``others``."""

    trunk: Trunk
    tail: Tail
    tested: FaceSet
    others: FaceSet
    invented: bool
    features: NDArray[np.float32]  # (N, D) of tested
    other_features: NDArray[np.float32]  # (M, D) of others

    @cached_property
    def embeddings(self) -> NDArray[np.float32]:
        """(N, E), not normalised."""
        return self.tail.embed(self.features)

    @cached_property
    def other_embeddings(self) -> NDArray[np.float32]:
        """(M, E), not normalised."""
        return self.tail.embed(self.other_features)

    @cached_property
    def face(self) -> Face:
        """The whole network for gradients."""
        return Face(self.trunk, self.tail)

    @property
    def about(self) -> About:
        return About(
            trunk=self.trunk.hash,
            tail=self.tail.hash,
            faces=self.tested.digest,
            people=len(self.tested.people),
            invented=self.invented,
        )

    def section(
        self,
        kind: str,
        figures: dict[str, Any],
        *,
        seed: int,
        command: str,
        failed: tuple[str, ...] = (),
        pictures: tuple[Picture, ...] = (),
        minutes: float | None = None,
    ) -> Section:
        """``figures`` as a section about this subject."""
        return Section(
            kind=kind,
            about=self.about,
            seed=seed,
            command=command,
            version=VERSION,
            figures=figures,
            failed=failed,
            pictures=pictures,
            minutes=minutes,
        )


def load_subject(
    given: SubjectOptions, progress: Progress, invented: FaceSet | None = None
) -> Subject:
    """Reads or invents the faces, loads the model, and takes every picture's feature.

    People who were ``invented`` before take the place of others, where no faces are given.
    ``ScenarioError`` if the two groups share a fold or one is empty, ``ModelError`` if the tail is
    of another trunk.
    """

    def read(sources: Sources) -> FaceSet:
        if given.faces is None and invented is not None:
            return with_folds(invented)
        return sources.load_faces(Invented(people=given.people), progress)[0]

    return subject_of(given, read, progress)


def subject_of(
    given: SubjectOptions, read: Callable[[Sources], FaceSet], progress: Progress
) -> Subject:
    """As ``load_subject``, of the faces with folds that ``read`` reads."""
    chosen, fixing = parse_folds(given.folds), parse_folds(given.threshold_folds)
    if set(chosen) & set(fixing):
        raise ScenarioError("--folds and --threshold-folds share people: thresholds would be known")
    sources = Sources(
        faces=given.faces,
        public=given.faces,  # nobody public is needed, and none is loaded
        trunk=given.trunk,
        aligned=given.aligned,
        detector=given.detector,
        keep_going=given.keep_going,
        threads=given.threads,
    )
    trunk, tail = sources.load_trunk()
    if given.tail is not None:
        tail, of = read_tail(given.tail)
        if of != trunk.hash:
            raise ModelError(f"{given.tail}: a tail of another trunk; name it with --trunk")
    faces = read(sources)
    assert faces.fold is not None
    tested, others = (
        faces.subset(np.flatnonzero(np.isin(faces.fold, list(part)))) for part in (chosen, fixing)
    )
    if not len(tested) or not len(others):
        raise ScenarioError("no pictures in --folds or in --threshold-folds")
    with TemporaryDirectory() as scratch:
        studio = Studio(trunk, FeatureCache(given.cache or Path(scratch)), progress)
        made = [studio.shoot(part, Lens(), "features") for part in (tested, others)]
    return Subject(trunk, tail, tested, others, given.faces is None, made[0], made[1])
