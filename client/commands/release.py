"""`mascaron-site calibrate|release`: where the door decides, and by which release."""

from pathlib import Path
from typing import Any

from client.commands.asking import Asking, day
from client.commands.evidence import content_of, word_of_centre
from client.home import SiteHome
from client.recognition import Standing
from common.errors import ConfigError, MascaronError
from common.evidence.bundle import MANIFEST

MOST = 19 * 2**20  # bytes of a file
SIGNED = MANIFEST.encode() + b"\0"  # how the file of a signed release begins


def calibrate_door(asking: Asking, fmr: float | None, fpir: float | None) -> dict[str, Any]:
    """Thresholds for these rates, or for those of `site.toml`. No threshold is told."""
    with asking.door() as door:
        told = door.calibrate(fmr, fpir)
    return {"release": told.release, "fmr": told.fmr, "fpir": told.fpir, "made": day(told.made)}


def stage_release(asking: Asking, which: str | None) -> dict[str, Any]:
    """Puts a release beside the one that decides.

    ``which`` is a file with a tail, or with a signed release; or else the beginning of the digest
    of one that was fetched, None for the one that is due. The door checks it, whatever it is.
    """
    alone = asking.home.config().alone
    if which is None and alone:
        raise ConfigError("a site that is alone stages a file: name it")
    file = None if which is None else Path(which)
    fetched = not alone and (file is None or not file.exists())
    content = content_of(asking.home, which) if fetched else _read(Path(which or ""))
    if len(content) > MOST:
        raise ConfigError(f"a release has {MOST:,} bytes at most, where a door takes it")
    with asking.door() as door:
        if content.startswith(SIGNED):
            return {**_shown(door.stage_signed(content)), "signed": True}
        told = {**_shown(door.stage(content)), "signed": False}
    return {**told, "note": "a plain tail: nobody but you vouches for it"}


def change_release(asking: Asking, what: str) -> dict[str, Any]:
    """``what`` is "promote", "rollback", "unstage", "retire" or "status".

    At a member's site what the centre said of these releases is told as well.
    """
    with asking.door() as door:
        standing: Standing = getattr(door, what)()
    if asking.home.config().alone:
        return _shown(standing)
    return {**_shown(standing), "centre": word_of_centre(asking.home, standing)}


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            content = opened.read(MOST + 1)
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}") from None
    if not content:
        raise ConfigError(f"{file} is no release: it is empty")
    return content


def _shown(standing: Standing) -> dict[str, Any]:
    changes = [[old.value, new.value, count] for old, new, count in standing.changes]
    return {
        "active": standing.active or None,
        "calibrated": standing.calibrated,
        "outgrown": standing.outgrown,
        "staged": standing.staged or None,
        "staged_calibrated": standing.staged_calibrated,
        "previous": standing.previous or None,
        "probes": standing.probes,
        "alike": standing.alike,
        "changes": changes,
        "progress": standing.progress,
        "heads": heads_read(standing),
        "staged_heads": standing.staged_heads or None,
    }


def heads_at_door(home: SiteHome) -> dict[str, Any] | str | None:
    """``heads_read`` of the door of ``home``; "UNREACHABLE" where none answers its operator."""
    try:
        with Asking(home=home).door() as door:
            return heads_read(door.status())
    except MascaronError:
        return "UNREACHABLE"


def heads_read(standing: Standing) -> dict[str, Any] | None:
    """Which heads a door reads faces by, and of whom they are; None where it reads by none."""
    if not standing.heads:
        return None
    of = "release" if standing.heads == standing.active_heads else "file"
    return {"file": standing.heads, "of": of, "kinds": list(standing.kinds)}
