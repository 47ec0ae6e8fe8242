"""`mascaron-admin pretrain`: a trunk from public or invented people, with progress on stderr."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from common.errors import ConfigError
from common.models.manifest import NAME
from common.outputs import check_folder

if TYPE_CHECKING:
    from common.faces.cameras import Camera
    from common.faces.faceset import FaceSet
    from server.pretraining.options import Progress, Report

INVENTED = "Apache-2.0; trained on this project's synthetic people only, nobody's face"


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainRequest:
    """What ``mascaron-admin pretrain`` may be told.

    ``camera`` is a file of cameras, whose first one half of the pictures pass. ``faces`` is a pack
    or a folder of aligned pictures of public people, whose ``licence`` only the operator knows.
    With ``adversarial_steps`` a share of the pictures is attacked within ``adversarial_eps`` of
    255 levels before the network learns them.
    """

    faces: Path | None = None
    licence: str | None = None
    people: int = 600
    pictures: int = 8
    seed: int = 7001
    training_seed: int = 0
    steps: int = 1200
    camera: Path | None = None
    adversarial_steps: int = 0
    adversarial_eps: float = 4.0
    adversarial_share: float = 0.5

    def __post_init__(self) -> None:
        if self.faces is not None and not (self.licence or "").strip():
            raise ConfigError("--faces needs --licence: under which terms may they be used?")


def pretrain_command(out: Path, **options: Any) -> dict[str, Any]:
    """Trains a trunk into ``out`` and returns where it is, its hash, and how well it does.

    Raises ``RunError`` when ``out`` has a trunk already or cannot be written, ``DataSetError`` for
    unusable faces.
    """
    asked = PretrainRequest(**options)
    check_folder(out, foreign={NAME: "a trunk already"})
    camera = _camera(asked.camera)
    from server.pretraining.hardening import Adversary
    from server.pretraining.options import PretrainOptions
    from server.pretraining.trunk import CHECK_FAR, pretrain

    console = Console(stderr=True)
    adversary = None
    if asked.adversarial_steps:
        adversary = Adversary(
            steps=asked.adversarial_steps,
            eps=asked.adversarial_eps / 255,
            share=asked.adversarial_share,
        )
    training = PretrainOptions(
        licence=asked.licence or INVENTED,
        steps=asked.steps,
        check_every=min(200, asked.steps),
        camera=camera,
        adversary=adversary,
        seed=asked.training_seed,
    )
    with _bars(console) as bars:
        faces = _faces(asked, bars)
        made = pretrain(faces, out, training, _report(bars, asked.steps))
    return {
        "trunk": str(out / made.manifest.file),
        "sha256": made.manifest.sha256,
        "licence": made.manifest.licence,
        "people": len(faces.people),
        "pictures": len(faces),
        "held_out_tar": made.tar,
        "far": CHECK_FAR,
    }


def _camera(path: Path | None) -> "Camera | None":
    from common.faces.cameras import load_cameras

    return None if path is None else load_cameras(path)[0]


def _faces(asked: PretrainRequest, bars: Bars) -> "FaceSet":
    if asked.faces is not None:
        from common.faces.folder import FolderOptions
        from common.faces.load import load_faces

        return load_faces(asked.faces, FolderOptions(aligned=True))[0]
    from common.synthetic.generate import synthetic_faces

    task = bars.add_task("inventing people", total=asked.people * asked.pictures)
    return synthetic_faces(
        asked.people, asked.pictures, asked.seed, lambda done: bars.update(task, completed=done)
    )


def _report(bars: Bars, steps: int) -> "Report":
    task = bars.add_task("training", total=steps)

    def report(progress: "Progress") -> None:
        bars.update(task, completed=progress.step)
        if progress.tar is not None:
            bars.console.print(
                f"step {progress.step}: loss {progress.loss:.2f}, "
                f"TAR {100 * progress.tar:.1f} % on held-out people",
                highlight=False,
            )

    return report


def _bars(console: Console) -> Bars:
    return Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
