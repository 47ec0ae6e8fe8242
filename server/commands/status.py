"""`mascaron-admin status`: what runs, who was seen, where every run stands, and what to do next."""

import time
from collections.abc import Iterator
from typing import Any

from common.locks import is_locked
from common.trust.roster import Roster
from server.commands.charter import list_command
from server.home import CentreHome
from server.runs.progress import LOCK, Progress, read_progress
from server.standing import daemon_states, roster_of

STOPPED = "stopped"  # without a word: its ServerApp died


def status_command(home: CentreHome, now: float) -> dict[str, Any]:
    """The centre at a glance; reads files only, so it answers at once whatever is broken."""
    roster, serving = roster_of(home), is_locked(home.lock)
    runs, charters = list(_runs(home)), list_command(home, now)["charters"]
    waiting = len(list(home.waiting.glob("*.json")))
    told = {
        "centre": home.config().name,
        "serving": serving,
        "daemons": daemon_states(home) if serving else {},
        "roster": roster.number,
        "sites": _sites(home, roster),
        "waiting": waiting,
        "charters": charters,
        "runs": runs,
    }
    return {**told, "next": list(_next(told, roster))}


def state_of(home: CentreHome, progress: Progress) -> str:
    """The state of a run, "stopped" where its process is gone without having said why."""
    if progress.over or is_locked(home.run(progress.run) / LOCK):
        return progress.state
    return STOPPED


def seen(home: CentreHome, site: str) -> float | None:
    """When ``site`` last answered in a run, in seconds since 1970; None if it never did."""
    path = home.heads / f"{site}.json"
    return path.stat().st_mtime if path.exists() else None


def _sites(home: CentreHome, roster: Roster) -> list[dict[str, Any]]:
    found = []
    for site in roster.sites:
        last = seen(home, site.name)
        found.append(
            {
                "name": site.name,
                "state": site.state,
                "camera_type": site.camera_type,
                "people": site.people,
                "answered": None if last is None else _told(last),
            }
        )
    return found


def _runs(home: CentreHome) -> Iterator[dict[str, Any]]:
    for folder in sorted(home.runs.iterdir()) if home.runs.is_dir() else ():
        progress = read_progress(folder)
        if progress is not None:
            yield {
                "run": progress.run,
                "state": state_of(home, progress),
                "round": progress.round,
                "rounds": progress.rounds,
                "sites": list(progress.sites),
                "updated": _told(progress.updated),
                "message": progress.message,
                "wait": progress.wait,
            }


def _next(told: dict[str, Any], roster: Roster) -> Iterator[str]:
    """What an administrator would type now."""
    if not told["serving"]:
        yield "mascaron-admin serve"
    if told["waiting"]:
        yield f"mascaron-admin sites  # {told['waiting']} wait to be admitted"
    elif not roster.admitted:
        yield "mascaron-admin token  # sites need it to ask for admission"
    begun = {run["run"]: run["state"] for run in told["runs"]}
    for charter in told["charters"]:
        name, state = charter["run"], charter["state"]
        if state == "proposed":
            yield f"mascaron-admin charter sign {name}"
        elif state == "signed" and name not in begun:
            yield f"mascaron-admin run {name}"
    for name, state in begun.items():
        if state in ("paused", "failed", STOPPED):
            yield f"mascaron-admin run {name} --resume"


def _told(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
