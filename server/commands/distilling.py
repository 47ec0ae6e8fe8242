"""`mascaron-admin trunk prune` and `distill`: a smaller trunk, taught by the one there is."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress as Bars

from common.errors import ConfigError
from common.models.manifest import NAME
from common.outputs import check_folder
from server.commands.progress import bars_of

if TYPE_CHECKING:
    from common.faces.faceset import FaceSet
    from common.models.cache import FeatureCache
    from server.distilling.judging import Smaller
    from server.distilling.options import DistilOptions, Progress, Report

_PRUNING = ("keep", "branches", "measure", "rounds", "block", "pictures", "seed")


def prune_command(source: Path, faces: Path, out: Path, **options: Any) -> dict[str, Any]:
    """Prunes the trunk at ``source`` into ``out``; returns what it is now, and what it lost.

    Raises ``RunError`` when ``out`` has a trunk already or cannot be written, ``ModelError`` where
    so much cannot go, ``DataSetError`` for unusable faces.
    """
    _check_room(out, **options)
    from common.models.pruning import PruneOptions
    from server.distilling.pruned import PruneWork, prune_trunk

    work = PruneWork(
        pruning=PruneOptions(**{key: options[key] for key in _PRUNING}),
        teaching=_teaching(options) if options["steps"] else None,
        cache=_cache(options),
        checkpoint=options["checkpoint"],
    )
    people, skipped = _faces(faces, options)
    with bars_of(Console(stderr=True)) as bars:
        made = prune_trunk(source, people, out, work, _report(bars))
    return {"keep": work.pruning.keep, **_told(out, made), "skipped": skipped}


def distill_command(source: Path, faces: Path, out: Path, **options: Any) -> dict[str, Any]:
    """Teaches a network of the registry by the trunk at ``source``; returns what it is worth.

    Raises ``RunError`` when ``out`` has a trunk already or cannot be written, ``ModelError`` for an
    unknown architecture, ``DataSetError`` for unusable faces.
    """
    _check_room(out, **options)
    from server.distilling.pupils import PupilWork, distil_trunk

    work = PupilWork(
        architecture=options["architecture"],
        width=options["width"],
        teaching=_teaching(options),
        cache=_cache(options),
        checkpoint=options["checkpoint"],
    )
    people, skipped = _faces(faces, options)
    with bars_of(Console(stderr=True)) as bars:
        made = distil_trunk(source, people, out, work, _report(bars))
    told = {"architecture": work.architecture, "width": work.width}
    return {**told, **_told(out, made), "skipped": skipped}


def _told(out: Path, made: "Smaller") -> dict[str, Any]:
    from server.distilling.judging import JUDGED_FMR

    return {
        "trunk": str(out / made.manifest.file),
        "hash": made.trunk,
        "sha256": made.manifest.sha256,
        "licence": made.manifest.licence,
        "multiplications": made.multiplications,
        "multiplications_before": made.multiplications_before,
        "fmr": JUDGED_FMR,
        "tar_before": None if made.tar_before is None else round(made.tar_before, 4),
        "tar_after": None if made.tar_after is None else round(made.tar_after, 4),
        "judged_by_people": made.judges,
    }


def _check_room(
    out: Path, *, checkpoint: Path | None, cache: Path | None, resume: bool, **_: Any
) -> None:
    """Whether all can be kept is told before anything is computed."""
    check_folder(out, foreign={NAME: "a trunk already"})
    if resume and checkpoint is None:
        raise ConfigError("--resume needs --checkpoint: where is the training kept?")
    if checkpoint is not None:
        from server.distilling.standing import FILE

        foreign = {} if resume else {FILE: "a training; say --resume to go on with it, or"}
        check_folder(checkpoint, "--checkpoint", foreign)
    if cache is not None:
        check_folder(cache, "--cache")


def _teaching(options: dict[str, Any]) -> "DistilOptions":
    from common.faces.augment import parse_augmentations
    from server.distilling.options import DistilOptions

    return DistilOptions(
        augment=parse_augmentations(options["augment"]),
        learning_rate=options["rate"],
        **{key: options[key] for key in ("steps", "batch", "views", "seed")},
    )


def _cache(options: dict[str, Any]) -> "FeatureCache | None":
    from common.models.cache import FeatureCache

    return None if options["cache"] is None else FeatureCache(options["cache"])


def _faces(path: Path, options: dict[str, Any]) -> "tuple[FaceSet, int]":
    from common.faces.load import load_usable

    people, skipped = load_usable(path, aligned=options["aligned"])
    return people, skipped.total


def _report(bars: Bars) -> "Report":
    tasks: dict[str, Any] = {}

    def report(progress: "Progress") -> None:
        if progress.what not in tasks:
            tasks[progress.what] = bars.add_task(progress.what, total=progress.total)
        bars.update(tasks[progress.what], completed=progress.done)

    return report
