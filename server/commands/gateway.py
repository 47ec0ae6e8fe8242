"""`python -m server.commands.gateway HOME PORT DOOR`: the gateway as a process of its own.

Started by `mascaron-admin serve`: PORT is where the SuperLink is, DOOR the file descriptor of the
socket on which sites knock, so that none is turned away while the gateway starts again.
"""

import asyncio
import logging
import socket
import sys
import time
from pathlib import Path

from server.admission.answers import Admission
from server.home import CentreHome
from server.serving.listener import run_gateway


def main(folder: str, port: str, door: str) -> None:
    """Serves sites until SIGTERM."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    home = CentreHome(Path(folder))
    with socket.socket(fileno=int(door)) as sock:
        asyncio.run(run_gateway(home, sock, int(port), Admission(home, time.time)))


if __name__ == "__main__":
    main(*sys.argv[1:])
