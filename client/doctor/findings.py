"""What a doctor's check finds: the cause of an illness and what to do about it.

Checks look and change nothing. Nothing they say names a person or counts anybody.
"""

import os
import platform
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from client.home import SiteHome
from client.site_config import SiteConfig
from common.errors import MascaronError

INIT, JOIN = "run `mascaron-site init`", "run `mascaron-site join`"
SET_CLOCK = "let this machine keep time by NTP: timedatectl set-ntp true"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What a check found. ``remedy`` is empty where nothing is wrong, and ``cause`` as a rule."""

    name: str
    ok: bool
    cause: str = ""
    remedy: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class DoorTold:
    """What a door says to its operator; ``reason`` is why it said nothing, else "".

    ``heads`` says which heads it reads faces by, "" for none. ``first_end`` is when the first
    consent ends, in seconds since 1970; None if there is none.
    """

    reason: str = ""
    active: bool = False
    calibrated: bool = False
    outgrown: bool = False
    heads: str = ""
    first_end: float | None = None

    @property
    def enrolled(self) -> bool:
        """Whether anybody is."""
        return self.first_end is not None


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What the checks may ask of this machine, so that a test can answer."""

    now: Callable[[], float]  # seconds since 1970
    space: Callable[[Path], int]  # bytes free there
    processor: Path = Path("/proc/cpuinfo")
    architecture: str = platform.machine()
    swaps: Path = Path("/proc/swaps")
    ask_agent: Callable[[SiteHome, SiteConfig], str]  # "" if the agent answers, else the reason
    ask_door: Callable[[SiteHome, SiteConfig], DoorTold] = lambda home, config: DoorTold()


Check = Callable[[SiteHome, SiteConfig, Machine], Iterable[Finding]]


def well(name: str, told: str = "") -> Finding:
    """Nothing is wrong with ``name``; ``told`` is what an operator may want to see all the same."""
    return Finding(name=name, ok=True, cause=told)


def wrong(name: str, cause: str, remedy: str) -> Finding:
    """Something is."""
    return Finding(name=name, ok=False, cause=cause, remedy=remedy)


def examine(home: SiteHome, machine: Machine, checks: Iterable[Check]) -> list[Finding]:
    """All findings, whatever fails: a check that cannot be made is a finding too."""
    try:
        config = home.config()
    except MascaronError as error:
        return [wrong("settings", str(error), f"correct {home.settings}, or {INIT}")]
    findings = [well("settings")]
    for check in checks:
        try:
            findings += check(home, config, machine)
        except MascaronError as error:
            findings.append(wrong(_name(check), str(error), "the cause says what to do"))
        except OSError as error:
            cause = f"cannot be checked: {error.strerror or type(error).__name__}"
            findings.append(wrong(_name(check), cause, "run as the owner of the site's home"))
    return findings


def visible(folder: Path) -> bool:
    """Unless it is the other side's: a folder that is not there is everybody's business."""
    return not folder.exists() or os.access(folder, os.R_OK | os.X_OK)


def _name(check: Check) -> str:
    return getattr(check, "__name__", "check").removeprefix("check_")
