"""A whole federation on this machine as operators run it: processes, users, TLS, kills and all.

Nothing here reaches into a site or a centre: everything is done by typing what an operator types.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from common.errors import DeploymentError

FIRST_USER = 61_000  # two users a site from here on; nobody in the system's list has such a number
STOP_SECONDS = 60.0
POLL_SECONDS = 0.25

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Programs:
    """The folders of the executables: each part may live in an environment of its own."""

    centre: Path
    agent: Path
    courier: Path

    def readable_by(self, user: int, folder: Path) -> bool:
        """Whether the OS user number ``user`` can run all of them and enter ``folder``."""
        probe = [sys.executable, "-c", "import os, sys; os.chdir(sys.argv[1]); import client.home"]
        programs = [self.agent / "mascaron-site", self.courier / "mascaron-site"]
        commands = [[*probe, str(folder)], *([str(program), "--help"] for program in programs)]
        try:
            return all(_as_user(command, user).returncode == 0 for command in commands)
        except OSError:  # the interpreter itself is out of reach
            return False


@dataclass(frozen=True, kw_only=True)
class Users:
    """The numbers under which a site's two halves run; None: as whoever runs this."""

    agent: int | None = None
    courier: int | None = None

    @classmethod
    def of(cls, number: int, separate: bool) -> "Users":
        """Those of the site ``number`` (from 0)."""
        first = FIRST_USER + 2 * number
        return cls(agent=first, courier=first + 1) if separate else cls()


@dataclass(kw_only=True)
class Daemon:
    """A process that stays, in a group of its own, with its output in a file."""

    name: str
    command: list[str]
    user: int | None = None
    groups: tuple[int, ...] = ()  # besides the user's own, which has the user's number
    lasting: bool = True  # it ends only when it is told to
    log: Path = field(default=Path(os.devnull), init=False)
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self, log: Path, environment: dict[str, str]) -> None:
        """Starts it; raises ``DeploymentError`` if the program is not there."""
        self.log = log
        with log.open("ab") as output:
            try:
                self.process = subprocess.Popen(  # noqa: S603 - our own programs
                    self.command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                    env=environment,
                    user=self.user,
                    group=self.user,
                    extra_groups=None if self.user is None else self.groups,
                )
            except OSError as error:
                raise DeploymentError(f"cannot start {self.name}: {error.strerror}") from None

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def failed(self) -> bool:
        """Whether it ended and nobody had asked it to."""
        return self.lasting and self.process is not None and not self.alive

    def kill(self) -> None:
        """SIGKILL to its whole group, as a power cut would do it."""
        self._signal(signal.SIGKILL)
        self.process = None

    def stop(self) -> None:
        """SIGTERM, and SIGKILL to what has not ended in time."""
        if not self.alive or self.process is None:
            return
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_SECONDS)
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            self.process.wait()


class Deployment:
    """One centre and its sites under ``folder``; all of it ends when the block does.

    ``typed`` are all commands so far, as an operator would type them.
    """

    def __init__(self, folder: Path, programs: Programs, say: Say, separate: bool) -> None:
        self.folder, self.programs, self.say, self.separate = folder, programs, say, separate
        self.centre_home = folder / "centre"
        self.typed: list[str] = []
        self._daemons: dict[str, Daemon] = {}
        self._sites: list[str] = []
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)

    @property
    def sites(self) -> tuple[str, ...]:
        return tuple(self._sites)

    def home(self, site: str) -> Path:
        return self.folder / site

    def admin(self, *arguments: str, quiet: bool = False) -> dict[str, Any]:
        """What `mascaron-admin` answers; ``quiet`` for what is asked again and again."""
        program = self.programs.centre / "mascaron-admin"
        command = [str(program), *arguments, "--home", str(self.centre_home)]
        return self._ask(command, None, quiet)

    def site(self, site: str, *arguments: str, quiet: bool = False) -> dict[str, Any]:
        """What `mascaron-site` answers at ``site``, typed by the user of its agent."""
        program = self.programs.agent / "mascaron-site"
        command = [str(program), *arguments, "--home", str(self.home(site))]
        return self._ask(command, self.users(site).agent, quiet)

    def daemon(self, name: str) -> Daemon:
        """The daemon called ``name``: ``centre``, or a site's ``<site>-agent``, ``-courier``."""
        return self._daemons[name]

    def found(self) -> dict[str, Any]:
        """Makes the centre and starts it; what `init` printed."""
        address = f"localhost:{_free_port()}"
        told = self.admin("init", "--host", address)
        self.serve()
        return {**told, "address": address}

    def serve(self) -> None:
        """Starts the centre's daemons, again if they were killed."""
        command = ["serve", "--home", str(self.centre_home)]
        program = self.programs.centre / "mascaron-admin"
        self._start(Daemon(name="centre", command=[str(program), *command]))

    def join(self, site: str, faces: Path, facts: Mapping[str, str]) -> None:
        """Provisions ``site`` by its three commands and starts its agent and its courier."""
        self.enter(site, faces, facts)
        self.start_agent(site)
        self.start_courier(site)

    def enter(self, site: str, faces: Path, facts: Mapping[str, str]) -> None:
        """Makes a home for ``site`` and has it admitted, without starting anything.

        ``faces`` become readable to the agent's user alone; ``facts`` are options of `init`.
        """
        home = self.home(site)
        home.mkdir(mode=0o755)
        self._sites.append(site)
        faces.chmod(0o600)
        agent = self.users(site).agent
        if agent is not None:
            os.chown(home, agent, agent)
            os.chown(faces, agent, agent)
        words = [word for pair in facts.items() for word in pair]
        told = self.site(site, "init", "--name", site, "--faces", str(faces), *words)
        self.admin("admit", site, told["fingerprint"])

    def alone(self, site: str, facts: Mapping[str, str]) -> None:
        """Makes a home for ``site``, which is in no federation; ``facts`` are options of `init`."""
        self.home(site).mkdir(mode=0o755)
        self._sites.append(site)
        words = [word for pair in facts.items() for word in pair]
        self.site(site, "init", "--alone", "--name", site, *words)

    def users(self, site: str) -> Users:
        """Under whose numbers the halves of ``site`` run."""
        return Users.of(self._sites.index(site), self.separate)

    def start_agent(self, site: str) -> None:
        """Starts the process that owns the faces of ``site``."""
        users = self.users(site)
        groups = () if users.courier is None else (users.courier,)
        program = self.programs.agent / "mascaron-site"
        command = [str(program), "serve", "--home", str(self.home(site))]
        if users.courier is not None:
            command += ["--group", str(users.courier)]
        name = f"{site}-agent"
        self._start(Daemon(name=name, command=command, user=users.agent, groups=groups))

    def start_courier(self, site: str) -> None:
        """Starts the process that relays for ``site``."""
        users, program = self.users(site), self.programs.courier / "mascaron-site"
        command = [str(program), "join", "--home", str(self.home(site))]
        if users.courier is not None:
            command += ["--courier-user", str(users.courier)]
        self._start(Daemon(name=f"{site}-courier", command=command))

    def run(self, name: str, *, resume: bool = False) -> Daemon:
        """Starts `mascaron-admin run` in the background, with its progress in its log."""
        command = ["run", name, *(["--resume"] if resume else []), "--home", str(self.centre_home)]
        program = self.programs.centre / "mascaron-admin"
        return self._start(Daemon(name="run", command=[str(program), *command], lasting=False))

    def wait(self, what: str, reached: Callable[[], bool], seconds: float) -> None:
        """Until ``reached()``; ``DeploymentError`` with the ends of all logs after ``seconds``, or
        as soon as something ended that should not."""
        limit = time.monotonic() + seconds
        while not reached():
            self.check()
            if time.monotonic() > limit:
                raise DeploymentError(f"{what} did not happen in {seconds:.0f} s\n{self.tails()}")
            time.sleep(POLL_SECONDS)

    def check(self) -> None:
        """Raises ``DeploymentError`` with the ends of all logs if something ended by itself."""
        failed = [name for name, daemon in self._daemons.items() if daemon.failed]
        if failed:
            raise DeploymentError(f"{', '.join(failed)} ended\n{self.tails()}")

    def tails(self, lines: int = 8) -> str:
        """The last lines of every daemon's output."""
        told = []
        for name, daemon in self._daemons.items():
            text = daemon.log.read_text("utf-8", "replace").splitlines()[-lines:]
            told.append("\n".join((f"--- {name} ({'up' if daemon.alive else 'ended'})", *text)))
        return "\n".join(told)

    def close(self) -> None:
        """Stops everything, couriers first."""
        for name in sorted(self._daemons, key=lambda name: (name == "centre", name)):
            self._daemons[name].stop()

    def __enter__(self) -> "Deployment":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _start(self, daemon: Daemon) -> Daemon:
        self._type(daemon.command)
        self._daemons[daemon.name] = daemon
        daemon.start(self.folder / f"{daemon.name}.log", _environment(self.folder))
        return daemon

    def _ask(self, command: list[str], user: int | None, quiet: bool) -> dict[str, Any]:
        if not quiet:
            self._type(command)
        done = _as_user(command, user, _environment(self.folder))
        if done.returncode:
            raise DeploymentError(f"{' '.join(command)} failed:\n{done.stderr.strip()}")
        return dict(json.loads(done.stdout.strip().splitlines()[-1]))

    def _type(self, command: Sequence[str]) -> None:
        self.typed.append(" ".join((Path(command[0]).name, *command[1:])))
        self.say(f"$ {self.typed[-1]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _as_user(
    command: Sequence[str], user: int | None, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own programs
        command,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env=environment,
        user=user,
        group=user,
        extra_groups=None if user is None else [],
    )


def _environment(home: Path) -> dict[str, str]:
    """Of every process: a plain PATH, one thread a process, nothing of whoever runs this."""
    kept = {name: os.environ[name] for name in ("LANG", "LC_ALL", "TZ") if name in os.environ}
    return {**kept, "PATH": os.defpath, "HOME": str(home), "OMP_NUM_THREADS": "1"}
