"""`mascaron-admin backup` and `restore`: the whole centre in one sealed file, and back."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common.errors import ConfigError, DeploymentError, RunError, SignatureError
from common.locks import is_locked
from common.outputs import check_file
from common.trust import storing
from server.backup import Generation, collect, generation_of, lay_out, renumber
from server.home import CentreHome
from server.sealed import LARGEST, seal, unseal
from server.standing import federation_of, roster_of

Ask = Callable[[str], str]  # what to ask for -> the passphrase


def backup_command(home: CentreHome, to: Path, passphrase: str, now: float) -> dict[str, Any]:
    """Writes a sealed backup of ``home`` to ``to``, and opens it again to be sure.

    Raises ``RunError`` if something is at ``to``, ``ConfigError`` for a short passphrase.
    """
    federation_of(home)
    check_file(to, "--to", new=True)
    generation, files = generation_of(home), collect(home)
    about = {"created": _told(now), "federation": generation.federation}
    storing.replace(to, seal(files, about, passphrase))
    if unseal(storing.read(to) or b"", passphrase)[1] != files:
        raise DeploymentError(f"{to} does not hold what was written: try another disk")
    return {
        "backup": str(to),
        "created": about["created"],
        "files": len(files),
        "bytes": to.stat().st_size,
        "roster": generation.roster,
        "runs": dict(generation.runs),
        "next": "keep file and passphrase in two places; make another after every change of the "
        "roster and every run",
    }


def restore_command(
    source: Path, home: CentreHome, passphrase: str, replaces: Path | None, known: int | None
) -> dict[str, Any]:
    """Makes ``home`` of the backup at ``source``; nothing is ever overwritten.

    ``replaces`` is the home whose place it takes, where there still is one: a backup that is
    behind it is refused. ``known`` is the highest roster number a site has seen: the roster is
    then signed anew above it. Raises ``SignatureError`` for a file that was altered.
    """
    about, files = unseal(_content(source), passphrase)

    def check(restored: CentreHome) -> None:
        if replaces is not None:
            _check_replaced(generation_of(restored), CentreHome(replaces))

    lay_out(files, home.folder, check)
    roster = roster_of(home)
    if known is not None and known > roster.number:
        roster = renumber(home, known)
    return {
        "home": str(home.folder),
        "federation": federation_of(home),
        "created": about.get("created"),
        "roster": roster.number,
        "admitted": [site.name for site in roster.admitted],
        "runs": dict(generation_of(home).runs),
        "what_happens": _consequences(roster.number, about),
        "next": f"mascaron-admin doctor --home {home.folder}",
    }


def read_passphrase(path: Path | None, ask: Ask) -> str:
    """The first line of the file ``path``, or what ``ask`` is told; never from the command line.

    Raises ``ConfigError`` for a file that others may read.
    """
    if path is None:
        return ask("Passphrase")
    try:
        if path.stat().st_mode & 0o077:
            raise ConfigError(f"others may read {path}: chmod 600 {path}")
        return path.read_text("utf-8").split("\n", 1)[0]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {type(error).__name__}") from None


def _content(source: Path) -> bytes:
    content = storing.read(source)
    if content is None:
        raise RunError(f"no backup at {source}")
    if len(content) > LARGEST:
        raise SignatureError(f"{source} is too large to be a backup")
    return content


def _check_replaced(generation: Generation, old: CentreHome) -> None:
    """Raises ``RunError`` if ``old`` serves, or has got further than the backup."""
    if is_locked(old.lock):
        raise RunError(f"the centre in {old.folder} runs: stop it, there must never be two")
    lost = generation.behind(generation_of(old))
    if lost:
        raise RunError(
            f"the backup is older than the home it would replace: {'; '.join(lost)}. Make a new "
            "backup of that home, or restore a younger one"
        )


def _consequences(number: int, about: dict[str, Any]) -> list[str]:
    return [
        f"Sites that know roster number {number} or an older one go on as if nothing happened, "
        "once the centre answers at the address in their settings.",
        "Sites that know a younger roster refuse this centre: it forgot admissions or revocations. "
        "Ask one for the number it knows, look at who is admitted, restore again with "
        "--roster-after NUMBER, then admit and revoke again what happened after "
        f"{about.get('created')}.",
        "A site whose ledger is ahead of the head kept here is right: its own head counts, and "
        "the centre takes it with the next answer.",
        "Never run the old home again beside this one.",
    ]


def _told(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
