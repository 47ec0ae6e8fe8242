"""`mascaron-admin doctor`: what is wrong with the centre, why, and what to do."""

import shutil
import socket
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from server.commands.charter import say
from server.commands.serve import serving
from server.doctor import Machine, examine
from server.home import CentreHome


def doctor_command(home: CentreHome, machine: Machine) -> dict[str, Any]:
    """All findings; the ones to act on are told on stderr as well."""
    findings = examine(home, machine)
    for finding in findings:
        if finding.state != "well":
            say(f"{finding.state}: {finding.told}\n  {finding.remedy}")
    counts = {state: sum(f.state == state for f in findings) for state in ("wrong", "doubtful")}
    return {**counts, "findings": [asdict(finding) for finding in findings]}


def this_machine(home: CentreHome, now: float) -> Machine:
    """The world as it is at ``now``, in seconds since 1970."""
    from server.serving.superlink import is_well, spoken

    state = serving(home)
    return Machine(
        now=now,
        well=lambda port, host: is_well(home, port, host),
        spoken=lambda port, host: spoken(home, port, host),
        free=is_free,
        space=lambda folder: shutil.disk_usage(_existing(folder)).free,
        flwr=_flwr(),
        superlink=None if state is None else int(state["superlink"]),
    )


def is_free(host: str, port: int) -> bool:
    """Whether one could listen on ``port`` of ``host`` now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.create_server((host, port), family=family):
            return True
    except OSError:
        return False


def _flwr() -> str:
    try:
        return version("flwr")
    except PackageNotFoundError:
        return ""


def _existing(folder: Path) -> Path:
    """``folder``, or the nearest one around it that there is."""
    return next(place for place in (folder, *folder.absolute().parents) if place.exists())
