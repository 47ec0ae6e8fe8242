"""The centre's own `flwr-serverapp`: it runs the bundle of this version of ours and no other.

The Control API of the SuperLink asks for no password, so whoever reaches its loopback port can
start a run of any code. Here the hash of what comes is compared before a byte of it is written.

Guarantee: a run started by somebody else can do no more than ours can, with a charter that the
centre signed; other kinds of task that Flower can start are refused.
Leaks: nothing.
"""

import hashlib
import importlib
import logging
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common.daemons.leash import die_with
from common.daemons.logs import rotate
from common.errors import DeploymentError
from common.trust.storing import replace
from server.home import CentreHome

FLOWER = "1.41."  # the versions whose inside this module knows
OURS = "flwr-serverapp"
OTHERS = ("flwr-agentapp", "flwr-clientapp", "flwr-connector", "flwr-model", "flwr-simulation")
REFUSED = "BUNDLE_REFUSED"
LOG = "serverapp.log"


def write_launchers(home: CentreHome) -> None:
    """Writes the executables that stand under Flower's names before all others on the PATH."""
    code = "import sys; from server.serving.launcher import main; main(sys.argv.pop(1))"
    command = shlex.join([sys.executable, "-P", "-c", code, str(home.folder.absolute())])
    ours = f'#!/bin/sh\nexec {command} "$@"\n'
    refusal = f"#!/bin/sh\necho {REFUSED} >&2\nexit 1\n"
    for name in (OURS, *OTHERS):
        text = ours if name == OURS else refusal
        replace(home.launchers / name, text.encode(), 0o700)


def main(folder: str) -> None:
    """Runs one task of the SuperLink for the centre whose home is ``folder``. Ends the process."""
    home = CentreHome(Path(folder))
    arguments = dict(zip(sys.argv[1:], sys.argv[2:], strict=False))
    die_with(int(arguments.get("--parent-pid", os.getppid())))
    from flwr.cli.build import build_fab_from_disk
    from flwr.superlink.cli import flwr_serverapp

    keep_log(home.logs / LOG)
    pin(hashlib.sha256(build_fab_from_disk(home.app)).hexdigest())
    flwr_serverapp()


def keep_log(path: Path) -> None:
    """Writes what ServerApps log to ``path`` as well: Flower itself throws it away."""
    rotate(path)
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    for name in ("flwr", "server", "common"):
        logging.getLogger(name).addHandler(handler)
        logging.getLogger(name).setLevel(logging.INFO)


def pin(allowed: str) -> None:
    """Lets only the bundle with the SHA-256 ``allowed`` be installed in this process.

    Raises ``DeploymentError`` for a Flower in which the place to do it is not known.
    """
    from flwr.supercore.version import package_version

    known = vars(importlib.import_module("flwr.superlink.runtime.run_serverapp"))
    if not package_version.startswith(FLOWER) or "install_from_fab" not in known:
        raise DeploymentError(f"this launcher pins Flower {FLOWER}x, not {package_version}")
    known["install_from_fab"] = guarded(known["install_from_fab"], allowed)


def guarded(install: Callable[..., Any], allowed: str) -> Callable[..., Any]:
    """``install`` for the bundle of the hash ``allowed``; a refusal without words for others."""

    def compare(content: bytes, *arguments: Any, **options: Any) -> Any:
        if hashlib.sha256(content).hexdigest() != allowed:
            raise PermissionError(REFUSED)
        return install(content, *arguments, **options)

    return compare
