"""`mascaron-site release fetch|show`: what the centre put in force, and what its evidence says.

Nothing is staged by it. What is shown was verified, and judged by this site's own gates.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from client.centre.releases import Trusted, fetch_releases, kept_history, kept_release, trusted
from client.home import SiteHome
from client.policy import SitePolicy
from client.recognition import Standing
from common.config import load
from common.errors import ConfigError, MascaronError, NotDueError
from common.evidence.bundle import ENDING, Release
from common.evidence.gates import judge
from common.evidence.history import Entry, History
from common.evidence.limits import Known
from common.evidence.section import figure
from common.models.manifest import NAME, read_manifest

FIGURES = {
    "tar_at_far": "verification.tar_at_far",
    "robust_tar": "robustness.robust_tar",
    "trigger": "robustness.trigger",
    "fmr_worst_to_best": "fairness.fmr_worst_to_best",
    "epsilon": "statement.epsilon",
    "delta": "statement.delta",
    "audited": "mechanism.lower_bound",
    "membership": "membership.with",
    "attributes_lost": "heads.attributes.lost",
    "years_lost": "heads.age.lost",
}
Made = tuple[str, str]  # hashes of a tail and of a file of heads, "" for none
STAGE = "`mascaron-site release stage`"
BACK = "`mascaron-site release rollback`"


def fetch_command(home: SiteHome, clock: Callable[[], float]) -> dict[str, Any]:
    """Asks the centre, keeps what it proves, and shows what is new; raises as ``fetch_releases``.

    Run it as the agent's user: the question is signed by the site's key.
    """
    home.check_agent()
    fetched = fetch_releases(home, clock)
    crossing, release = fetched.crossing, fetched.release
    judged = None if release is None else _judged(home, release)
    steps = {True: STAGE, False: "nothing: gates of this site refuse it", None: "nothing"}
    return {
        "entries": len(fetched.history.entries),
        "new": [_entry(entry) for entry in fetched.new],
        "witnesses": {
            "agreeing": len(crossing.agreeing),
            "old": list(crossing.old),
            "silent": list(crossing.silent),
        },
        "due": judged,
        "next": steps[None if judged is None else judged["passes"]],
    }


def show_command(home: SiteHome, which: str | None) -> dict[str, Any]:
    """One release that was fetched, by the beginning of its digest, or the one that is due, and all
    that was ever done about it; without any, the history."""
    us = trusted(home)
    history = kept_history(home, us)
    digest = us.due(history) if which is None else _named(home, which)
    entries = [one for one in history.entries if digest in ("", one.release)]
    told: dict[str, Any] = {"history": [_entry(entry) for entry in entries]}
    release = kept_release(home, us, digest) if digest else None
    return told if release is None else {**told, **_judged(home, release)}


def content_of(home: SiteHome, which: str | None) -> bytes:
    """The signed release that was fetched, named as ``show_command`` says; the door reads it anew.

    ``NotDueError`` where nothing is due, or it was not fetched.
    """
    us = trusted(home)
    digest = us.due(kept_history(home, us)) if which is None else _named(home, which)
    if not digest:
        raise NotDueError(
            "the centre put no release in force here: `mascaron-site release fetch` asks"
        )
    release = kept_release(home, us, digest)
    if release is None:
        raise NotDueError(f"release {digest[:12]} is not here: `mascaron-site release fetch` first")
    return release.to_bytes()


def word_of_centre(home: SiteHome, door: Standing) -> dict[str, Any]:
    """What the centre said about the releases at the ``door``, as it was fetched last."""
    try:
        us = trusted(home)
        history = kept_history(home, us)
        known = _made(home, us)
    except MascaronError as error:
        return {"refused": error.reason, "advice": str(error)}
    last = next((one for one in reversed(history.entries) if one.pool in us.pools), None)
    due = us.due(history)
    told = {"due": due or None, "last": None if last is None else _entry(last)}
    return {**told, "advice": _advice(us, history, known, door)}


def _advice(us: Trusted, history: History, known: dict[Made, str], door: Standing) -> str:
    """What an operator may want to do; nothing is ever done by itself."""
    due, active = us.due(history), known.get((door.active, door.active_heads), "")
    for pool in us.pools:
        if active and active in history.standing(pool).withdrawn:
            reason = history.reason(active, pool)
            return f"the release that decides was withdrawn: {reason}; {BACK}, or {STAGE}"
    if not due or due == active:
        return "nothing"
    if due == known.get((door.staged, door.staged_heads)):
        return "the staged release is due: `mascaron-site release promote`"
    last = next(one for one in reversed(history.entries) if one.release == due)
    if last.action == "rollback":
        back = due == known.get((door.previous, door.previous_heads))
        step = BACK if back else STAGE
        return f"the centre went back to {due[:12]}: {last.reason}; {step} follows it"
    return f"release {due[:12]} is due: {STAGE}"


def _judged(home: SiteHome, release: Release) -> dict[str, Any]:
    limits = load(SitePolicy, home.policy).release.limits()
    verdicts = judge(release, limits, Known(trunk=_trunk(home.config().trunk)))
    manifest = release.manifest
    return {
        "release": release.digest,
        "tail": manifest.tail,
        "heads": _heads(release),
        "run": manifest.run,
        "pool": manifest.pool,
        "made": _moment(manifest.made),
        "figures": {name: _figure(release, path) for name, path in FIGURES.items()},
        "gates": [{"gate": v.gate, "held": v.held, "detail": v.detail} for v in verdicts],
        "passes": all(verdict.held for verdict in verdicts),
    }


def _heads(release: Release) -> dict[str, Any] | None:
    """The heads that a release brings; which of them are read, the door says."""
    if release.heads is None:
        return None
    return {"file": release.heads_file, "kinds": list(release.heads.kinds)}


def _figure(release: Release, path: str) -> Any:
    try:
        return figure(release.sections, path)
    except ConfigError:
        return None


def _trunk(path: Path) -> str:
    """The hash of the site's trunk, where its manifest says all of it; the door knows for sure."""
    manifest = path / NAME if path.is_dir() else path
    if manifest.name != NAME or not manifest.is_file():
        return ""
    told = read_manifest(manifest)
    return told.trunk_hash() if told.cut else ""


def _entry(entry: Entry) -> dict[str, Any]:
    told = {"number": entry.number, "action": entry.action, "release": entry.release}
    return {**told, "pool": entry.pool, "time": _moment(entry.time), "reason": entry.reason}


def _named(home: SiteHome, which: str) -> str:
    found = [path.stem for path in home.fetched.glob(f"*{ENDING}") if path.stem.startswith(which)]
    if len(found) != 1 or not which.isalnum():
        raise ConfigError(
            f"{len(found)} fetched releases begin with {which!r}: `mascaron-site release show` "
            "tells what there is"
        )
    return found[0]


def _made(home: SiteHome, us: Trusted) -> dict[Made, str]:
    """Digests of the releases that were fetched, by their tails and the files of their heads."""
    kept = (kept_release(home, us, path.stem) for path in home.fetched.glob(f"*{ENDING}"))
    return {(one.manifest.tail, one.heads_file): one.digest for one in kept if one is not None}


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
