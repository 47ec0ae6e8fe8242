"""`mascaron-lab door`: one site's door on this machine, from its first day to somebody's last."""

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from common.console import result
from common.errors import ConfigError
from common.faces.faceset import FaceSet
from common.faces.load import load_faces
from common.faces.store import save_pack
from common.outputs import check_folder
from common.synthetic.generate import synthetic_faces
from simulations.deployment import Deployment, Programs
from simulations.door import Scene, Story
from simulations.next_release import public_release
from simulations.progress import Bars
from simulations.sources import PUBLIC_SEED, STARTER
from simulations.visitors import Crowd, Visitors, invented, of_faces

PUBLIC_PEOPLE, PUBLIC_PICTURES = 120, 3


@dataclass(frozen=True, kw_only=True)
class DoorOptions:
    """Whose faces, and the error rates asked for. Without ``faces`` everybody is invented.

    ``scenes``: invented people are seen in whole pictures, so that faces have to be found.
    """

    out: Path
    crowd: Crowd = field(default_factory=Crowd)
    faces: Path | None = None
    public: Path | None = None
    trunk: Path | None = None
    scenes: bool = False
    detector: Path | None = None
    fmr: float = 1e-2
    fpir: float = 0.05

    def __post_init__(self) -> None:
        if (self.faces is None) != (self.public is None):
            raise ConfigError("--faces and --public go together: packs of aligned crops")
        if self.scenes and self.faces is not None:
            raise ConfigError("--scenes is of invented people: drop it, or --faces")


def door_command(options: DoorOptions) -> None:
    """Runs the whole story; prints one JSON object. Raises ``DeploymentError`` where it breaks."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    out = options.out.absolute()
    check_folder(out, new=True)
    out.mkdir(parents=True, exist_ok=True)
    trunk = (options.trunk or STARTER).absolute()
    with Bars(console) as bars:
        visitors = _visitors(options, bars)
        public = _public(options, bars)
        release = public_release(trunk, public, bars)
    save_pack(out / "public.npz", public)
    scene = Scene(
        visitors=visitors,
        public=out / "public.npz",
        trunk=trunk,
        release=release,
        detector=options.detector,
        aligned=not options.scenes,
        fmr=options.fmr,
        fpir=options.fpir,
    )
    here = Path(sys.executable).parent
    programs = Programs(centre=here, agent=here, courier=here)
    say = lambda line: console.print(line, style="dim")  # noqa: E731
    with Deployment(out, programs, say, separate=False) as deployment:
        told = Story(deployment, scene, console).tell()
    result({**told, "folder": str(out)})


def _visitors(options: DoorOptions, bars: Bars) -> Visitors:
    crowd = options.crowd
    if options.faces is not None:
        return of_faces(load_faces(options.faces)[0], crowd)
    done = bars.start("inventing people", crowd.people + crowd.strangers)
    processes = min(os.cpu_count() or 1, 4)
    return invented(crowd, lambda _: done(1), processes, scenes=options.scenes)


def _public(options: DoorOptions, bars: Bars) -> FaceSet:
    if options.public is not None:
        return load_faces(options.public)[0]
    done = bars.start("inventing public people", PUBLIC_PEOPLE * PUBLIC_PICTURES)
    return synthetic_faces(
        PUBLIC_PEOPLE, PUBLIC_PICTURES, PUBLIC_SEED, lambda _: done(PUBLIC_PICTURES)
    )
