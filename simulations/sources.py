"""Where an experiment's faces and trunk come from: what the command line names, or our own."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from common.errors import NoFaceError, ScenarioError
from common.faces.faceset import FaceSet
from common.faces.splits import with_folds
from common.models.studio import Progress
from common.models.tail import Tail
from common.models.trunk import Trunk, load_trunk
from simulations.scenario import Invented

STARTER = Path(__file__).parent / "starter"
SYNTHETIC_SEED, PUBLIC_SEED = 2, 3  # the starter trunk was trained on people of seed 7001


@dataclass(frozen=True, kw_only=True, slots=True)
class Sources:
    """What ``mascaron-lab run`` was given; None means the project's own synthetic faces."""

    faces: Path | None = None
    public: Path | None = None
    trunk: Path | None = None
    aligned: bool = False
    detector: Path | None = None
    keep_going: bool = False
    threads: int = 2
    processes: int = 1  # that render synthetic faces

    def __post_init__(self) -> None:
        if self.threads < 1 or self.processes < 1:
            raise ScenarioError("threads and processes must be at least 1")
        if self.faces is not None and self.public is None:
            raise ScenarioError("--faces needs --public: people whose pictures are public")

    def load_faces(self, invented: Invented, progress: Progress) -> tuple[FaceSet, int]:
        """The people who train and report, with folds, and how many pictures were skipped."""
        if self.faces is None:
            done = progress.start("inventing people", invented.people * invented.pictures)
            return self._invent(invented.people, invented.pictures, SYNTHETIC_SEED, done), 0
        faces, skipped = self._read(self.faces)
        return with_folds(faces), skipped

    def load_public(self, invented: Invented, progress: Progress) -> tuple[FaceSet, int]:
        """The public people, disjoint from the others by the operator's word."""
        if self.public is None:
            done = progress.start("inventing public people", invented.public * invented.pictures)
            return self._invent(invented.public, invented.pictures, PUBLIC_SEED, done), 0
        return self._read(self.public)

    def load_trunk(self) -> tuple[Trunk, Tail]:
        """The frozen trunk and the tail it came with."""
        return load_trunk(self.trunk or STARTER, threads=self.threads)

    def _read(self, path: Path) -> tuple[FaceSet, int]:
        from common.faces.detect import make_detector
        from common.faces.folder import FolderOptions
        from common.faces.load import load_faces

        detector = None if self.aligned or path.is_file() else make_detector(self.detector)
        options = FolderOptions(aligned=self.aligned, detector=detector, keep_going=self.keep_going)
        try:
            faces, skipped = load_faces(path, options)
        except NoFaceError as error:
            remedy = "--aligned if the pictures are aligned crops already, --keep-going to skip it"
            raise NoFaceError(f"{error}; say {remedy}") from None
        return faces, skipped.total

    def _invent(
        self, people: int, pictures: int, seed: int, done: Callable[[int], None]
    ) -> FaceSet:
        from common.synthetic.generate import synthetic_faces

        return synthetic_faces(
            people, pictures, seed, lambda _: done(pictures), processes=self.processes
        )
