"""`mascaron-admin serve`: the daemons of the centre, in the foreground until told to stop."""

import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from common.daemons.logs import Logs
from common.daemons.supervisor import Care, Chore, States, Supervisor
from common.errors import BusyError, DeploymentError
from common.locks import is_locked, locked
from common.trust.storing import read, replace
from server.admission.opening import make_ready
from server.home import CentreHome
from server.serving.listener import listen
from server.serving.superlink import daemons, prepare
from server.serving.upkeep import DAY, Upkeep


def serve_command(
    home: CentreHome, given: Mapping[str, str], started: Callable[[dict[str, Any]], None]
) -> None:
    """Starts SuperLink, SuperExec and gateway of ``home`` and keeps them until SIGTERM or SIGINT.

    ``given`` is the environment; ``started`` is called once, with where they are, when all are up.
    Raises ``DeploymentError`` if `init` did not run, another `serve` does, the port is taken, or a
    daemon does not start.
    """
    config = home.config()
    with only_one(home), listen(home) as door:
        make_ready(home, time.time())
        port = _free_port()
        prepare(home, port)
        about = {
            "since": int(time.time()),
            "gateway": {"host": config.host, "port": config.port},
            "superlink": port,
        }
        door.listen()

        def noted(states: States) -> None:
            table = {**about, "pid": os.getpid(), "daemons": states}
            replace(home.state, json.dumps(table).encode())

        logs = Logs(home.logs)
        upkeep = Upkeep(
            home=home, port=port, now=time.time, say=lambda line: logs.heard("upkeep", line)
        )
        care = Care(heard=logs.heard, noted=noted, chores=(Chore(every=DAY, do=upkeep),))
        supervisor = Supervisor(lambda: daemons(home, port, door.fileno(), given), care)
        supervisor.run(lambda: started(about))


@contextmanager
def only_one(home: CentreHome) -> Iterator[None]:
    """Holds the lock of ``home``; ``DeploymentError`` if another process has it."""
    home.prepare()
    with ExitStack() as held:
        try:
            held.enter_context(locked(home.lock, "a serve of this home"))
        except BusyError:
            raise DeploymentError(
                f"{home.folder} is being served already; stop that one first, or name another home"
            ) from None
        home.state.unlink(missing_ok=True)  # of a `serve` that was killed
        yield


def serving(home: CentreHome) -> dict[str, Any] | None:
    """What the running `serve` of ``home`` says of itself, or None if none runs.

    ``{"pid", "since", "gateway": {"host", "port"}, "superlink": port, "daemons": {name: {"state":
    "up" | "starting" | "down", "pid", "starts", "pause"}}}``; asks nobody, reads a file and a lock.
    """
    if not is_locked(home.lock):
        return None
    return dict(json.loads(read(home.state) or b"{}")) or None


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
