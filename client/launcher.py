"""The site's own `flwr-clientapp`: whatever bundle the centre sends, the installed courier answers.

The only module here that knows private names of Flower; tests hold them to the pinned version.

Guarantee: no byte of a bundle is written, imported or run; a bundle whose SHA-256 is not on the
site's allow-list gets one fixed word; where the list cannot be read, every bundle is refused; all
kinds of task that Flower can start come here, so none is a way around.
Leaks: that a bundle was refused. A task's token stands on its command line, so that users of the
same machine see it while the task runs: it opens the centre's message, nothing of the site.
"""

import hashlib
import os
import shlex
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from client.home import SiteHome
from common import wire
from common.bundle import VERSION, write_app
from common.daemons.leash import confine, die_with
from common.daemons.surroundings import QUIET
from common.errors import DeploymentError
from common.trust.storing import PUBLIC, read, replace

COMMANDS = (  # all that Flower may start because the centre asked
    "flwr-agentapp",
    "flwr-clientapp",
    "flwr-connector",
    "flwr-model",
    "flwr-serverapp",
    "flwr-simulation",
)
FLOWER = "1.41."  # the versions whose inside this module knows
REFUSED = "BUNDLE_REFUSED"
OURS = "# mascaron "  # stands behind our own line of the allow-list; the others are the operator's
HEX = frozenset("0123456789abcdef")
HEADER = "# Written by `mascaron-site join`; stands before Flower's command of the same name."
PROGRAM = """\
import sys
root = sys.argv.pop(1)
root in sys.path or sys.path.insert(0, root)
from pathlib import Path
from client.launcher import main
main(Path(sys.argv.pop(1)))"""


def bundle_hash() -> str:
    """SHA-256 of the bundle that this version of ours is run by, built here from its source."""
    from flwr.cli.build import build_fab_from_disk

    with tempfile.TemporaryDirectory(prefix="bundle") as folder:
        app = Path(folder) / "mascaron"
        write_app(app)
        return hashlib.sha256(build_fab_from_disk(app)).hexdigest()


def allow_own_bundle(home: SiteHome) -> None:
    """Puts this version's bundle on the site's allow-list in place of an older version's.

    Lines that an operator added stay. Raises ``DeploymentError`` if the list is malformed.
    """
    before = (read(home.fabs) or b"").decode("utf-8", "replace")
    if before:
        read_allowed(home.fabs)
    kept = [line for line in before.splitlines() if OURS not in line]
    after = "\n".join([*kept, f"{bundle_hash()}  {OURS}{VERSION}"]) + "\n"
    if after != before:  # the courier's user need not be able to write there
        replace(home.fabs, after.encode(), PUBLIC)


def read_allowed(path: Path) -> frozenset[str]:
    """The hashes in an allow-list: one a line, in small letters; ``#`` begins a comment.

    Raises ``DeploymentError`` naming the line if anything else is in it, or it cannot be read.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DeploymentError(f"cannot read the allow-list {path}: {error}") from None
    allowed = set()
    for number, line in enumerate(lines, 1):
        told = line.partition("#")[0].strip()
        if told and (len(told) != 64 or not HEX.issuperset(told)):
            raise DeploymentError(f"{path} line {number} is not a SHA-256: remove or correct it")
        allowed.add(told)
    return frozenset(allowed - {""})


def write_launchers(home: SiteHome, interpreter: str = sys.executable) -> None:
    """Writes the executables that stand under Flower's names on the courier's PATH.

    They name ``interpreter`` and this installation, and run it isolated: no PYTHON* variable, no
    user site and no working folder is looked at.
    """
    root = str(Path(__file__).resolve().parents[1])
    command = [interpreter, "-I", "-c", PROGRAM, root, str(home.fabs.absolute())]
    script = f'#!/bin/sh\n{HEADER}\nexec {shlex.join(command)} "$@"\n'
    for name in COMMANDS:
        replace(home.bin / name, script.encode(), 0o755)


class Pin:
    """Stands where Flower installs and loads the app of a bundle, and does neither."""

    def __init__(self, fabs: Path) -> None:
        self._fabs = fabs
        self._allowed = False

    def install(self, content: bytes, **_: Any) -> None:
        """Compares the bundle with the allow-list, in memory."""
        self._allowed = False
        try:
            self._allowed = hashlib.sha256(content).hexdigest() in read_allowed(self._fabs)
        except DeploymentError as error:
            sys.stderr.write(f"every bundle is refused: {error}\n")

    def loader(self, **_: Any) -> Callable[..., Callable[..., Any]]:
        """What Flower asks for an app of a given name and hash: it gets this pin's answer."""
        return lambda *_: self.answer

    def answer(self, message: Any, context: Any) -> Any:
        """The installed courier's reply to ``message``, or a fixed reason; never an exception."""
        from flwr.app import Error, Message

        reason = REFUSED
        if self._allowed:
            try:
                from client.app import app

                return app(message, context)
            except Exception:  # Flower would send its text to the centre
                reason = "INTERNAL"
        return Message(Error(wire.ERROR_CODE, reason), reply_to=message)


def main(fabs: Path) -> None:
    """Answers one task of the SuperNode; ``fabs`` is the allow-list. Ends the process."""
    arguments = dict(zip(sys.argv[1:], sys.argv[2:], strict=False))
    die_with(int(arguments.get("--parent-pid", os.getppid())))
    confine()
    os.environ.update(QUIET)
    spare()
    from flwr.supernode.cli import flwr_clientapp

    pin(Pin(fabs))
    flwr_clientapp()


def spare() -> None:
    """Keeps Flower's SuperNode, and its database, out of this process: a third of its start.

    A process is started for every message, and the package of Flower's command imports both.
    """
    name = "flwr.supernode.cli.flower_supernode"
    unused = ModuleType(name)
    unused.flower_supernode = None  # type: ignore[attr-defined]
    sys.modules.setdefault(name, unused)


def pin(stand_in: Pin) -> None:
    """Puts ``stand_in`` where Flower installs and loads bundles, in this process.

    Raises ``DeploymentError`` for a Flower that these places are not known of.
    """
    from flwr.supercore.version import package_version
    from flwr.supernode.runtime import run_clientapp

    places = {"install_from_fab": stand_in.install, "get_load_client_app_fn": stand_in.loader}
    known = vars(run_clientapp)
    if not package_version.startswith(FLOWER) or not places.keys() <= known.keys():
        raise DeploymentError(f"this launcher pins Flower {FLOWER}x, not {package_version}")
    known.update(places)
