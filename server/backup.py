"""Everything a centre needs to go on elsewhere, and how old it is beside what it would replace."""

import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from common.errors import DeploymentError, MascaronError, RunError, SignatureError
from common.trust import storing
from common.trust.certificates import fingerprint, read_certificate
from common.trust.roster import Roster
from common.trust.signed import Signed
from server.checkpoint import CHECKPOINT, read_round
from server.home import CentreHome
from server.release.registry import Registry
from server.standing import roster_of, signing_key

# What is kept; all else (logs, locks, Flower's own files) is made anew.
KEPT = (
    r"centre\.toml|gates\.toml|token|roster\.json|crl\.pem",
    r"(heads|commitments|waiting|certificates|keys|witnesses)/[A-Za-z0-9._-]+",
    r"releases/([0-9a-f]{64}\.release|history\.json)",
    r"charters/[A-Za-z0-9._-]+/[A-Za-z0-9._-]+",
    r"runs/[A-Za-z0-9._-]+/(checkpoint\.safetensors|progress\.json|rounds\.jsonl)",
    r"superlink/nodes/[A-Za-z0-9._-]+\.pub",
)
_KEPT = re.compile("|".join(f"(?:{pattern})" for pattern in KEPT))


@dataclass(frozen=True, kw_only=True, slots=True)
class Generation:
    """How far a centre had got: roster, ledger heads and runs only ever move on."""

    federation: str
    roster: int
    heads: Mapping[str, int]  # site: rows of its ledger
    runs: Mapping[str, int]  # run: rounds done
    history: int = 0  # entries of the history of releases

    def behind(self, other: "Generation") -> list[str]:
        """What of ``other`` would be lost by putting this in its place; empty if nothing."""
        lost = []
        if self.federation != other.federation:
            lost.append("it is another federation")
        if self.roster < other.roster:
            lost.append(f"its roster is number {self.roster}, the other's {other.roster}")
        if self.history < other.history:
            lost.append(
                f"its history of releases has {self.history} entries, the other's {other.history}"
            )
        lost += [
            f"the ledger head of {site} is older"
            for site, rows in sorted(other.heads.items())
            if self.heads.get(site, -1) < rows
        ]
        lost += [
            f"run {run} has {self.runs.get(run, 0)} rounds, the other's {done}"
            for run, done in sorted(other.runs.items())
            if self.runs.get(run, -1) < done
        ]
        return lost


def collect(home: CentreHome) -> dict[str, bytes]:
    """Every file of ``home`` that is kept, by its path. Each is whole: all are replaced at once.

    Leaks: the centre's keys and token. What is returned is sealed before it is written anywhere.
    """
    files = {}
    for path in sorted(home.folder.rglob("*")):
        name = path.relative_to(home.folder).as_posix()
        if _KEPT.fullmatch(name) and path.is_file() and not path.is_symlink():
            content = storing.read(path)
            if content is not None:
                files[name] = content
    return files


def generation_of(home: CentreHome) -> Generation:
    """How far ``home`` has got; ``SignatureError`` if its roster was altered."""
    roster, heads, runs = roster_of(home), {}, {}
    for path in sorted(home.heads.glob("*.json")) if home.heads.is_dir() else ():
        heads[path.stem] = _sequence(storing.read(path) or b"")
    for folder in sorted(home.runs.iterdir()) if home.runs.is_dir() else ():
        if (folder / CHECKPOINT).exists():
            runs[folder.name] = read_round(folder)
    return Generation(
        federation=roster.federation,
        roster=roster.number,
        heads=heads,
        runs=runs,
        history=len(Registry(home).history().entries),
    )


def lay_out(files: Mapping[str, bytes], folder: Path, check: Callable[[CentreHome], None]) -> None:
    """Writes ``files`` as a new home at ``folder``, whole or not at all.

    ``check`` sees the new home before it is put in its place, and may raise. Raises ``RunError``
    if something is there, ``SignatureError`` for a path that is not of a home, or a home that
    does not hold together: CA, keys and roster of one federation.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RunError(
            f"{folder} holds something already, and nothing is overwritten: name a new --home, and "
            "say --replaces for the one it takes the place of"
        )
    strange = [name for name in files if not _safe(name)]
    if strange:
        raise SignatureError("the backup holds a file that is not of a centre")
    draft = folder.with_name(folder.name + ".partial")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        for name, content in files.items():
            path = draft / name
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            storing.replace(path, content)
        CentreHome(draft).prepare()
        _check(CentreHome(draft))
        check(CentreHome(draft))
        folder.parent.mkdir(parents=True, exist_ok=True)
        os.replace(draft, folder)  # noqa: PTH105 - takes the place of an empty folder too
    except OSError as error:
        raise DeploymentError(f"cannot write {folder}: {error.strerror}") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def renumber(home: CentreHome, known: int) -> Roster:
    """Signs the roster of ``home`` anew with a number above ``known``, which sites have seen.

    Guarantee: a number is never used for two rosters, so no two sites believe different ones.
    """
    roster = roster_of(home)
    number = max(known, roster.number) + 1
    following = Roster(federation=roster.federation, number=number, sites=roster.sites)
    storing.replace(home.roster, following.sign(signing_key(home)).to_json().encode())
    return following


def _check(home: CentreHome) -> None:
    try:
        certificate = read_certificate(storing.read(home.ca) or b"")
        whole = roster_of(home).federation == fingerprint(certificate)
        home.config()
    except MascaronError as error:
        raise SignatureError(f"what was backed up is not a whole centre: {error}") from None
    if not whole:
        raise SignatureError("what was backed up is of two federations")


def _safe(name: str) -> bool:
    return _KEPT.fullmatch(name) is not None and ".." not in PurePosixPath(name).parts


def _sequence(content: bytes) -> int:
    """The row number of a ledger head as the centre keeps it; -1 where it cannot be read."""
    try:
        return int(json.loads(Signed.from_json(content.decode()).content)["sequence"])
    except (ValueError, KeyError, TypeError, MascaronError):
        return -1
