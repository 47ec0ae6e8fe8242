"""The certificate of a site whose two sides have users of their own: the agent's has it renewed.

The courier may not read the identity, so `join` cannot ask. `mascaron-site admission` does, by a
timer (deploy/systemd); where nobody set one up, the agent notices and starts it.

Guarantee: the process that holds faces opens no connection for this: another one does, which sees
no face and ends after one question. Where the agent has no network, it fails and is told.
Leaks: to the centre, that the certificate was about to end.
"""

import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from client.home import SiteHome
from common.errors import SignatureError
from common.trust import storing
from common.trust.certificates import expiry, life_left, read_certificate

LATE = 0.3  # of a certificate's life left: a timer, or `join`, has renewed it before
DAY = 86400.0  # seconds
PATIENCE = 120.0
PROGRAM = "import sys; sys.path.insert(0, sys.argv.pop(1)); from client.cli import main; main()"


def overdue(home: SiteHome, now: float) -> str:
    """When the site's certificate ends, if nobody renewed it in time; else "".

    A file that is none is the business of who keeps trust/.
    """
    try:
        certificate = read_certificate(storing.read(home.certificate) or b"")
    except SignatureError:
        return ""
    return expiry(certificate) if life_left(certificate, now) < LATE else ""


def ask_apart(home: SiteHome) -> str:
    """`mascaron-site admission` in a process of its own; what it told if it failed, else ""."""
    root = str(Path(__file__).resolve().parents[2])
    command = [sys.executable, "-I", "-c", PROGRAM, root, "admission", "--home", str(home.folder)]
    try:
        done = subprocess.run(  # noqa: S603 - this very program
            command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=PATIENCE
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"it could not be asked ({type(error).__name__})"
    lines = done.stderr.strip().splitlines() or ["no word of why"]
    return lines[-1].removeprefix("Error: ") if done.returncode else ""


@dataclass(frozen=True, kw_only=True)
class Means:
    """What a ``Renewal`` is given of the world."""

    clock: Callable[[], float]  # seconds since 1970
    say: Callable[[str], None]  # a line for the operator
    ask: Callable[[SiteHome], str] = ask_apart
    every: float = DAY  # seconds between two looks


class Renewal:
    """While the block runs, looks once a day whether the certificate is overdue, and has it
    renewed; what comes of it is told."""

    def __init__(self, home: SiteHome, means: Means) -> None:
        self._home, self._means = home, means
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="renewal", daemon=True)

    def __enter__(self) -> "Renewal":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def _look(self) -> None:
        while True:
            ends = overdue(self._home, self._means.clock())
            if ends:
                failed = self._means.ask(self._home)
                self._means.say(
                    f"the certificate of this site ends at {ends} and is not renewed: {failed}"
                    if failed
                    else "the certificate of this site was renewed"
                )
            if self._over.wait(self._means.every):
                return
