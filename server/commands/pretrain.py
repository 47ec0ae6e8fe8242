"""`mascaron-admin pretrain`: a trunk from public or invented people, with progress on stderr."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress as Bars

from common.errors import ConfigError
from common.models.manifest import NAME
from common.outputs import check_folder
from server.commands.progress import bars_of

if TYPE_CHECKING:
    from common.faces.cameras import Camera
    from common.faces.faceset import FaceSet
    from server.pretraining.options import PretrainOptions, Progress, Report
    from server.pretraining.standing import Keeper

INVENTED = "Apache-2.0; trained on this project's synthetic people only, nobody's face"
RANDOMISED = "randomised"  # the camera that comes with the project, by its name


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainRequest:
    """What ``mascaron-admin pretrain`` may be told beside the options of the training itself.

    ``camera`` is a file of cameras, whose first one half of the pictures pass. ``faces`` is a pack
    or a folder of aligned pictures of public people, whose ``licence`` only the operator knows.
    With ``adversarial_steps`` a share of the pictures is attacked within ``adversarial_eps`` of
    255 levels before the network learns them. ``checkpoint`` is a folder for the standing.
    """

    faces: Path | None = None
    licence: str | None = None
    people: int = 600
    pictures: int = 8
    seed: int = 7001
    training_seed: int = 0
    steps: int = 1200
    check_every: int = 200
    augment: str = "shift,flip"
    camera: Path | None = None
    adversarial_steps: int = 0
    adversarial_eps: float = 4.0
    adversarial_share: float = 0.5
    folds: int = 0
    checkpoint: Path | None = None
    resume: bool = False

    def __post_init__(self) -> None:
        if self.faces is not None and not (self.licence or "").strip():
            raise ConfigError("--faces needs --licence: under which terms may they be used?")
        if self.resume and self.checkpoint is None:
            raise ConfigError("--resume needs --checkpoint: where is the training kept?")
        if self.folds == 1:
            raise ConfigError("--folds: one fold has nobody left to train on; ask for 2 or more")


def pretrain_command(out: Path, **options: Any) -> dict[str, Any]:
    """Trains a trunk into ``out`` and returns where it is, its hash, and how well it does.

    What is no field of ``PretrainRequest`` goes to ``PretrainOptions``. Raises ``RunError`` when
    ``out`` has a trunk already or cannot be written, ``DataSetError`` for unusable faces.
    """
    request = {k: v for k, v in options.items() if k in PretrainRequest.__dataclass_fields__}
    asked = PretrainRequest(**request)
    _check_room(out, asked)
    training = _training(asked, {k: v for k, v in options.items() if k not in request})
    with bars_of(Console(stderr=True)) as bars:
        faces = _faces(asked, bars)
        train = _one_trunk if not asked.folds else _folds
        told = train(out, faces, training, asked, bars)
    return {
        **told,
        "licence": training.licence,
        "loss": training.loss,
        "people": len(faces.people),
        "pictures": len(faces),
    }


def _one_trunk(
    out: Path, faces: "FaceSet", training: "PretrainOptions", asked: PretrainRequest, bars: Bars
) -> dict[str, Any]:
    from server.pretraining.checking import CHECK_FAR
    from server.pretraining.trunk import pretrain

    keeper = _keeper(asked.checkpoint, training, faces.digest)
    made = pretrain(faces, out, training, _report(bars, asked.steps), keeper)
    return {
        "trunk": str(out / made.manifest.file),
        "sha256": made.manifest.sha256,
        "held_out_tar": made.tar,
        "far": CHECK_FAR,
    }


def _folds(
    out: Path, faces: "FaceSet", training: "PretrainOptions", asked: PretrainRequest, bars: Bars
) -> dict[str, Any]:
    from server.pretraining.checking import CHECK_FAR
    from server.pretraining.folds import cross_validate

    def begin(number: int) -> "tuple[Report, Keeper | None]":
        at = None if asked.checkpoint is None else asked.checkpoint / f"fold-{number}"
        without = f"{faces.digest} without fold {number} of {asked.folds}"
        return _report(bars, asked.steps, f"fold {number}"), _keeper(at, training, without)

    found = cross_validate(faces, out, training, asked.folds, begin)
    return {
        "folds": str(out),
        "tar_by_fold": [round(tar, 4) for tar in found.by_fold],
        "tar": round(found.tar, 4),
        "ci95": [round(end, 4) for end in found.ci95],
        "far": CHECK_FAR,
    }


def _check_room(out: Path, asked: PretrainRequest) -> None:
    """Whether all can be kept is told before anybody is invented or trained on."""
    check_folder(out, foreign={NAME: "a trunk already"})
    if asked.folds and not asked.resume:
        check_folder(out, new=True)
    if asked.checkpoint is not None:
        from server.pretraining.standing import FILE

        foreign = {} if asked.resume else {FILE: "a training already (say --resume to go on)"}
        new = bool(asked.folds) and not asked.resume
        check_folder(asked.checkpoint, "--checkpoint", foreign, new)


def _training(asked: PretrainRequest, told: dict[str, Any]) -> "PretrainOptions":
    from common.faces.augment import parse_augmentations
    from server.pretraining.hardening import Adversary
    from server.pretraining.options import PretrainOptions

    adversary = None
    if asked.adversarial_steps:
        adversary = Adversary(
            steps=asked.adversarial_steps,
            eps=asked.adversarial_eps / 255,
            share=asked.adversarial_share,
        )
    return PretrainOptions(
        licence=asked.licence or INVENTED,
        steps=asked.steps,
        check_every=min(asked.check_every, asked.steps),
        augment=parse_augmentations(asked.augment),
        camera=_camera(asked.camera),
        adversary=adversary,
        seed=asked.training_seed,
        **told,
    )


def _keeper(folder: Path | None, training: "PretrainOptions", digest: str) -> "Keeper | None":
    from server.pretraining.standing import Keeper

    return None if folder is None else Keeper.of(folder, training, digest)


def _camera(path: Path | None) -> "Camera | None":
    from common.faces.cameras import RANDOMISED as BUILT_IN
    from common.faces.cameras import load_cameras

    if path is None:
        return None
    return load_cameras(BUILT_IN if str(path) == RANDOMISED else path)[0]


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


def _report(bars: Bars, steps: int, what: str = "training") -> "Report":
    task = bars.add_task(what, total=steps)

    def report(progress: "Progress") -> None:
        bars.update(task, completed=progress.step)
        if progress.tar is not None:
            bars.console.print(
                f"{what}, step {progress.step}: loss {progress.loss:.2f}, "
                f"TAR {100 * progress.tar:.1f} % on held-out people",
                highlight=False,
            )

    return report
