"""The ServerApp: reads the charter, runs it round by round, leaves a state that can go on."""

import json
import logging
import time
from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from common.errors import RunError
from server.charter import load_charter
from server.checkpoint import RunState, read_checkpoint
from server.clock import Clock
from server.home import CentreHome
from server.monitor import find_monitor
from server.runs.manner import Manner
from server.runs.passing import PromptGrid
from server.runs.progress import note_failure
from server.runs.register import laboratory_key, laboratory_register, open_register
from server.runs.running import Running
from server.strategies.rounds import RoundLoop

log = logging.getLogger(__name__)
app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Runs the charter named in the run config; with ``resume`` goes on from its checkpoint.

    ``centre`` names the home of the centre whose roster and ledger heads count: such a run waits
    for its sites (``wait`` seconds), tells of itself in its folder, and pauses; it goes on though a
    pool of ``without`` is lost. The laboratory has no centre: there a run ends or fails at once.
    """
    charter = Path(str(context.run_config["charter"]))
    folder = Path(str(context.run_config["folder"]) or charter)
    resume = bool(context.run_config["resume"])
    centre = str(context.run_config.get("centre", ""))
    if centre:
        manner = Manner(
            resume=resume,
            wait=float(context.run_config["wait"]),
            without=frozenset(json.loads(str(context.run_config["without"]) or "[]")),
        )
        run_of_centre(grid, CentreHome(Path(centre)), charter, folder, manner)
    else:
        _run_of_laboratory(grid, charter, folder, resume=resume)


def run_of_centre(
    grid: Grid, home: CentreHome, charter_folder: Path, folder: Path, manner: Manner
) -> None:
    """Runs a signed charter of ``home`` with the sites of its roster."""
    try:
        key, register = open_register(home)
        charter, initial, signed = load_charter(charter_folder, key)
        monitor = find_monitor(charter_folder)
    except RunError as error:
        note_failure(folder, charter_folder.name, error, time.time())
        raise
    running = Running(
        grid=PromptGrid(grid, Clock()),
        charter=charter,
        signed=signed,
        folder=folder,
        register=register,
        monitor=monitor,
        manner=manner,
    )
    progress = running.go(initial)
    log.info("run %s: %s after round %d", charter.run, progress.state, progress.round)


def _run_of_laboratory(grid: Grid, charter_folder: Path, folder: Path, *, resume: bool) -> None:
    key = laboratory_key(charter_folder)
    charter, initial, signed = load_charter(charter_folder, key)
    digest = charter.plan.digest
    state = read_checkpoint(folder, digest) if resume else None
    if state is None:
        state = RunState(plan=digest)
    monitor, register = find_monitor(charter_folder), laboratory_register(charter_folder, key)
    loop = RoundLoop(grid, charter, signed, folder, monitor=monitor, register=register)
    state = loop.run(state, initial)
    if state.round != len(charter.plan.rounds):
        raise RunError(f"stopped after round {state.round}")
    log.info("run %s done: %d rounds, refused %s", charter.run, state.round, loop.refused)
