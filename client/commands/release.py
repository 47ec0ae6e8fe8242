"""`mascaron-site calibrate|release`: where the door decides, and by which release."""

from pathlib import Path
from typing import Any

from client.commands.asking import Asking, day
from client.recognition import Standing
from common.errors import ConfigError

MOST = 19 * 2**20  # bytes of a tail's file


def calibrate_door(asking: Asking, fmr: float | None, fpir: float | None) -> dict[str, Any]:
    """Thresholds for these rates, or for those of `site.toml`. No threshold is told."""
    with asking.door() as door:
        told = door.calibrate(fmr, fpir)
    return {"release": told.release, "fmr": told.fmr, "fpir": told.fpir, "made": day(told.made)}


def stage_release(asking: Asking, file: Path) -> dict[str, Any]:
    """Puts the tail in ``file`` beside the one that decides."""
    try:
        with file.open("rb") as opened:
            content = opened.read(MOST + 1)
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}") from None
    if not 1 <= len(content) <= MOST:
        raise ConfigError(f"{file} is no release: it has 1 to {MOST:,} bytes")
    with asking.door() as door:
        return _shown(door.stage(content))


def change_release(asking: Asking, what: str) -> dict[str, Any]:
    """``what`` is "promote", "rollback", "unstage", "retire" or "status"."""
    with asking.door() as door:
        return _shown(getattr(door, what)())


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
    }
