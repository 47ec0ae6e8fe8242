"""`mascaron-admin trunk prune` and `distill`: a smaller trunk, taught by the one there is."""

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
    from common.faces.faceset import FaceSet
    from common.models.cache import FeatureCache
    from server.distilling.judging import Smaller
    from server.distilling.options import DistilOptions, Progress, Report

PICTURES, SEED = 8, 7301  # of each invented person, and of all of them
_PRUNING = ("keep", "branches", "measure", "rounds", "block", "pictures", "seed")


def prune_command(source: Path, faces: Path | None, out: Path, **options: Any) -> dict[str, Any]:
    """Prunes the trunk at ``source`` into ``out``; returns what it is now, and what it lost.

    Raises ``RunError`` when ``out`` has a trunk already or cannot be written, ``ModelError`` where
    so much cannot go, ``DataSetError`` for unusable faces.
    """
    _check_room(out, faces, **options)
    from common.models.pruning import PruneOptions
    from server.distilling.pruned import PruneWork, prune_trunk

    pruning = PruneOptions(
        frame=parse_frame(options["frame"]), **{key: options[key] for key in _PRUNING}
    )
    teaching = _teaching(options) if options["steps"] else None
    with bars_of(Console(stderr=True)) as bars:
        people = _people(faces, options, bars)
        work = PruneWork(
            pruning=pruning,
            teaching=teaching,
            cache=_cache(options),
            checkpoint=options["checkpoint"],
            more=people.more,
        )
        made = prune_trunk(source, people.faces, out, work, _report(bars))
    told = {"keep": pruning.keep, "frame": list(pruning.frame), "branches": pruning.branches}
    return {**told, **_told(out, made), **people.told}


def distill_command(source: Path, faces: Path | None, out: Path, **options: Any) -> dict[str, Any]:
    """Teaches a network of the registry by the trunk at ``source``; returns what it is worth.

    Raises ``RunError`` when ``out`` has a trunk already or cannot be written, ``ModelError`` for an
    unknown architecture, ``DataSetError`` for unusable faces.
    """
    _check_room(out, faces, **options)
    from server.distilling.pupils import PupilWork, distil_trunk

    teaching = _teaching(options)
    with bars_of(Console(stderr=True)) as bars:
        people = _people(faces, options, bars)
        work = PupilWork(
            architecture=options["architecture"],
            width=options["width"],
            teaching=teaching,
            cache=_cache(options),
            checkpoint=options["checkpoint"],
            more=people.more,
        )
        made = distil_trunk(source, people.faces, out, work, _report(bars))
    told = {"architecture": work.architecture, "width": work.width}
    return {**told, **_told(out, made), **people.told}


def parse_frame(text: str) -> tuple[int, int, int, int]:
    """``0,16,0,16`` as pixels at the top, right, bottom and left; else ``ConfigError``."""
    try:
        top, right, bottom, left = (int(part) for part in text.split(","))
    except ValueError:
        raise ConfigError("--frame: expected four numbers: top,right,bottom,left") from None
    return top, right, bottom, left


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
    out: Path,
    faces: Path | None,
    *,
    invented: int | None,
    checkpoint: Path | None,
    cache: Path | None,
    resume: bool,
    **_: Any,
) -> None:
    """Whether somebody is there and all can be kept is told before anything is computed."""
    if faces is None and invented is None:
        raise ConfigError("--faces, --invented or both: whose pictures may be shown?")
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


@dataclass(frozen=True, kw_only=True, slots=True)
class _People:
    """Of ``faces`` some judge; ``more`` are shown besides."""

    faces: "FaceSet"
    more: "FaceSet | None"
    told: dict[str, int]


def _people(path: Path | None, options: dict[str, Any], bars: Bars) -> _People:
    """The people at ``path``, invented ones, or both; then only the first judge."""
    number = options["invented"] or 0
    sets, skipped = [], 0
    if path is not None:
        from common.faces.load import load_usable

        faces, left_out = load_usable(path, aligned=options["aligned"])
        sets, skipped = [faces], left_out.total
    if number:
        sets.append(_invented(number, options["cache"] or options["checkpoint"], bars))
    told = {"invented": number, "skipped": skipped}
    return _People(faces=sets[0], more=sets[1] if len(sets) > 1 else None, told=told)


def _invented(people: int, kept: Path | None, bars: Bars) -> "FaceSet":
    from common.synthetic.generate import synthetic_faces
    from common.synthetic.kept import kept_faces

    task = bars.add_task("inventing people", total=people * PICTURES)

    def drawn(done: int) -> None:
        bars.update(task, completed=done)

    if kept is None:
        return synthetic_faces(people, PICTURES, SEED, drawn)
    return kept_faces(kept, people, PICTURES, SEED, drawn)


def _report(bars: Bars) -> "Report":
    tasks: dict[str, Any] = {}

    def report(progress: "Progress") -> None:
        if progress.what not in tasks:
            tasks[progress.what] = bars.add_task(progress.what, total=progress.total)
        bars.update(tasks[progress.what], completed=progress.done)

    return report
