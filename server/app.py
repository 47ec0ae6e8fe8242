"""The ServerApp: reads the charter, runs it round by round, leaves a state that can go on."""

import logging
from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from common.errors import RunError
from server.charter import load_charter
from server.checkpoint import RunState, read_checkpoint
from server.monitor import find_monitor
from server.strategies.rounds import RoundLoop

log = logging.getLogger(__name__)
app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Runs the charter named in the run config; with ``resume`` goes on from its checkpoint."""
    charter_folder = Path(str(context.run_config["charter"]))
    folder = Path(str(context.run_config["folder"]) or charter_folder)
    charter, initial = load_charter(charter_folder)
    digest = charter.plan.digest
    state = read_checkpoint(folder, digest) if context.run_config["resume"] else None
    if state is None:
        state = RunState(plan=digest)
    loop = RoundLoop(grid, charter, folder, monitor=find_monitor(charter_folder))
    state = loop.run(state, initial)
    if state.round != len(charter.plan.rounds):
        raise RunError(f"stopped after round {state.round}")
    log.info("run %s done: %d rounds, refused %s", charter.run, state.round, loop.refused)
