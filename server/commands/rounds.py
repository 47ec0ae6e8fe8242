"""`mascaron-admin rounds`: what every round of a run was."""

from typing import Any

from common.errors import RunError
from server.commands.status import state_of
from server.home import CentreHome
from server.runs.progress import read_progress, read_rounds
from server.runs.proposal import check_run
from server.runs.verdict import verdict


def rounds_command(home: CentreHome, name: str) -> dict[str, Any]:
    """Every round of ``name`` that is done: mechanism, sites, refusals, seconds and bytes; and
    what evaluations said, also in words.

    ``RunError`` if there is no such run, or its files cannot be read.
    """
    check_run(name)
    progress = read_progress(home.run(name))
    if progress is None:
        raise RunError(f"no run {name}: `mascaron-admin status` lists those there are")
    done = read_rounds(home.run(name))
    return {
        "run": name,
        "state": state_of(home, progress),
        "round": progress.round,
        "rounds": progress.rounds,
        "message": progress.message,
        "wait": progress.wait,
        "done": done,
        "evaluations": verdict(done),
    }
