"""Both ends as they are typed, and a gateway in a process of its own."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from server.home import CentreHome
from tests.small_door import free_port

ROOT = Path(__file__).parents[1]


def typed(main: Any, *arguments: object) -> dict[str, Any]:
    """The JSON of one command."""
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return dict(json.loads(done.stdout))


@contextmanager
def gateway(home: CentreHome) -> Iterator[int]:
    """The gateway as `serve` starts it, without a SuperLink behind it; yields its port."""
    door = socket.create_server(("127.0.0.1", 0))
    command = [sys.executable, "-P", "-m", "server.commands.gateway", home.folder]
    process = subprocess.Popen(
        [*command, str(free_port()), str(door.fileno())],
        pass_fds=(door.fileno(),),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=home.folder,
    )
    try:
        yield int(door.getsockname()[1])
    finally:
        process.terminate()
        process.wait(timeout=30)
        door.close()
