"""Daemons are asked after, started again, renewed, and taken along when the supervisor ends."""

import functools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.daemons.logs import Logs
from common.daemons.supervisor import Care, Chore, Daemon, Patience, States, Supervisor
from common.errors import DeploymentError
from common.trust.storing import replace

ROOT = Path(__file__).parents[3]
PATIENCE = Patience(
    tick=0.02,
    start=20,
    stop=0.5,
    check=0.1,
    failures=2,
    first_pause=0.05,
    longest_pause=0.2,
)
SLEEPER = "import time; time.sleep(600)"
DEAF = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); " + (
    "time.sleep(600)"
)
PARENT = (
    "import subprocess, sys, time; "
    f"child = subprocess.Popen([sys.executable, '-c', {DEAF!r}]); "
    "open('child', 'w').write(str(child.pid)); time.sleep(600)"
)


def daemon(folder: Path, name: str, command: tuple[str, ...], **more: Any) -> Daemon:
    environment = {"PATH": os.environ["PATH"], "VISIBLE": "yes", "PYTHONUNBUFFERED": "1"}
    return Daemon(name=name, command=command, environment=environment, folder=folder, **more)


def python(folder: Path, name: str, code: str, **more: Any) -> Daemon:
    return daemon(folder, name, (sys.executable, "-c", code), **more)


def care(folder: Path, patience: Patience = PATIENCE, *chores: Chore) -> Care:
    def noted(states: States) -> None:
        replace(folder / "state.json", json.dumps({"daemons": states}).encode())

    return Care(heard=Logs(folder).heard, noted=noted, patience=patience, chores=chores)


def supervise(
    daemons: tuple[Daemon, ...],
    act: Callable[[Supervisor], None],
    patience: Patience = PATIENCE,
    *chores: Chore,
) -> Supervisor:
    """Runs ``daemons`` here while ``act`` does something in another thread, then stops them."""
    supervisor = Supervisor(lambda: daemons, care(daemons[0].folder, patience, *chores))
    failures: list[BaseException] = []

    def acting() -> None:
        try:
            act(supervisor)
        except BaseException as error:
            failures.append(error)
        finally:
            supervisor.stop()

    thread = threading.Thread(target=acting)
    supervisor.run(thread.start)
    thread.join(timeout=30)
    if failures:
        raise failures[0]
    return supervisor


def told(folder: Path) -> dict[str, dict[str, object]]:
    table = json.loads((folder / "state.json").read_text("utf-8"))
    daemons: dict[str, dict[str, object]] = table["daemons"]
    return daemons


def pid(folder: Path, name: str) -> int:
    return int(str(told(folder)[name]["pid"]))


def heard(folder: Path, name: str) -> list[str]:
    """Its log without the times."""
    log = folder / f"{name}.log"
    return [line[20:] for line in log.read_text("utf-8").splitlines()] if log.exists() else []


def alive(number: int) -> bool:
    try:
        state = Path(f"/proc/{number}/stat").read_text("ascii").rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(1500):
        if condition():
            return
        time.sleep(0.02)
    pytest.fail("thirty seconds went by")


def test_daemons_start_in_order_and_stop_in_reverse(tmp_path: Path) -> None:
    code = textwrap.dedent(
        """
        import os, signal, sys, time
        def say(word): os.write(os.open('said', os.O_WRONLY | os.O_APPEND | os.O_CREAT),
                                f'{word} {sys.argv[1]};'.encode())
        def end(*_): say('end'); sys.exit(0)
        signal.signal(signal.SIGTERM, end)
        say('start')
        while True: time.sleep(1)
        """
    )
    said = tmp_path / "said"

    def here(name: str) -> Callable[[], bool]:
        return lambda: said.exists() and f"start {name}" in said.read_text("ascii")

    daemons = tuple(
        daemon(tmp_path, n, (sys.executable, "-c", code, n), healthy=here(n)) for n in "abc"
    )
    supervise(daemons, lambda _: None)
    assert said.read_text("ascii") == "start a;start b;start c;end c;end b;end a;"
    assert {one["state"] for one in told(tmp_path).values()} == {"down"}


def test_what_dies_is_started_again_and_the_others_are_left_alone(tmp_path: Path) -> None:
    ready: list[str] = []

    def again(starts: int) -> bool:
        one = told(tmp_path)["b"]
        return one["starts"] == starts and one["state"] == "up"

    def act(_: Supervisor) -> None:
        steady = pid(tmp_path, "a")
        for starts in (1, 2, 3):
            wait_for(functools.partial(again, starts))
            os.kill(pid(tmp_path, "b"), signal.SIGKILL)
        wait_for(functools.partial(again, 4))
        assert pid(tmp_path, "a") == steady

    daemons = (
        python(tmp_path, "a", SLEEPER),
        python(tmp_path, "b", SLEEPER, ready=lambda: ready.append("b")),
    )
    supervise(daemons, act)
    assert ready == ["b"] * 4


def test_pauses_grow_up_to_the_longest_and_shrink_once_it_is_steady(tmp_path: Path) -> None:
    code = "import os, time; time.sleep(600 if os.path.exists('well') else 0)"
    (tmp_path / "well").touch()

    def act(_: Supervisor) -> None:
        assert told(tmp_path)["a"]["pause"] == 0.05
        (tmp_path / "well").unlink()
        os.kill(pid(tmp_path, "a"), signal.SIGKILL)
        wait_for(lambda: told(tmp_path)["a"]["pause"] == 0.2)
        (tmp_path / "well").touch()
        starts = told(tmp_path)["a"]["starts"]
        wait_for(lambda: told(tmp_path)["a"]["state"] == "up")
        assert int(str(starts)) >= 2
        wait_for(lambda: told(tmp_path)["a"]["pause"] == 0.05)

    patience = Patience(tick=0.02, first_pause=0.05, longest_pause=0.2, check=0.1, steady=0.5)
    supervise((python(tmp_path, "a", code),), act, patience)


def test_one_that_is_ill_is_started_again(tmp_path: Path) -> None:
    well = tmp_path / "well"
    well.touch()

    def act(_: Supervisor) -> None:
        before = pid(tmp_path, "a")
        well.unlink()
        wait_for(lambda: told(tmp_path)["a"]["pid"] not in (None, before))
        well.touch()
        wait_for(lambda: told(tmp_path)["a"]["state"] == "up")

    supervise((python(tmp_path, "a", SLEEPER, healthy=well.exists),), act)
    assert told(tmp_path)["a"]["starts"] == 2


def test_what_does_not_start_the_first_time_ends_all_with_the_log_named(tmp_path: Path) -> None:
    started: list[int] = []

    def never(name: str) -> None:
        raise DeploymentError(f"{name} is not as it must be")

    wrong = {
        "dies": python(tmp_path, "dies", "raise SystemExit(3)", healthy=lambda: False),
        "ill": python(tmp_path, "ill", SLEEPER, healthy=lambda: False),
        "unready": python(tmp_path, "unready", SLEEPER, ready=lambda: never("unready")),
    }
    for name, daemon in wrong.items():
        pair = (python(tmp_path, "a", SLEEPER), daemon)
        patience = Patience(tick=0.02, start=0.5, first_pause=0.01)
        supervisor = Supervisor(lambda pair=pair: pair, care(tmp_path, patience))  # type: ignore[misc]
        with pytest.raises(DeploymentError, match=rf"{name} does not start: .*{name}\.log"):
            supervisor.run(lambda: started.append(1))
        assert {one["state"] for one in told(tmp_path).values()} == {"down"}
    assert not started


def test_a_deaf_daemon_and_its_children_are_killed_when_told_to_stop(tmp_path: Path) -> None:
    numbers: list[int] = []

    def act(_: Supervisor) -> None:
        child = tmp_path / "child"
        wait_for(lambda: child.exists() and bool(child.read_text("ascii")))
        numbers.extend((int(child.read_text("ascii")), pid(tmp_path, "deaf")))
        numbers.append(pid(tmp_path, "parent"))
        wait_for(lambda: heard(tmp_path, "parent") == ["deaf"])
        wait_for(lambda: heard(tmp_path, "deaf") == ["deaf"])

    supervise((python(tmp_path, "deaf", DEAF), python(tmp_path, "parent", PARENT)), act)
    assert len(numbers) == 3
    assert not any(alive(number) for number in numbers)


def test_children_of_a_daemon_that_died_do_not_outlive_it(tmp_path: Path) -> None:
    def act(_: Supervisor) -> None:
        child = tmp_path / "child"
        wait_for(lambda: child.exists() and bool(child.read_text("ascii")))
        orphan = int(child.read_text("ascii"))
        os.kill(pid(tmp_path, "parent"), signal.SIGKILL)
        wait_for(lambda: not alive(orphan))

    supervise((python(tmp_path, "parent", PARENT),), act)


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel of Linux")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_daemon_outlives_a_supervisor_however_it_ends(
    tmp_path: Path, number: signal.Signals
) -> None:
    code = textwrap.dedent(
        f"""
        import sys
        from pathlib import Path
        from common.daemons.supervisor import Care, Daemon, Patience, Supervisor
        daemons = tuple(Daemon(name=n, command=(sys.executable, "-c", {DEAF!r}), environment={{}},
                               folder=Path({str(tmp_path)!r})) for n in "ab")
        def noted(states):
            pids = [str(one["pid"]) for one in states.values()]
            new = Path({str(tmp_path / "new")!r})
            new.write_text(" ".join(pids))
            new.rename({str(tmp_path / "pids")!r})
        def heard(name, line):
            print(name, line, flush=True)
        care = Care(heard=heard, noted=noted, patience=Patience(tick=0.02, stop=0.5))
        Supervisor(lambda: daemons, care).run(lambda: None)
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True
    ) as supervisor:
        try:
            assert supervisor.stdout
            heard = {supervisor.stdout.readline(), supervisor.stdout.readline()}
            assert heard == {b"a deaf\n", b"b deaf\n"}
            wait_for(lambda: "None" not in (tmp_path / "pids").read_text("ascii"))
            numbers = [int(n) for n in (tmp_path / "pids").read_text("ascii").split()]
            assert len(numbers) == 2
            assert all(alive(n) for n in numbers)
            supervisor.send_signal(number)
            supervisor.wait(timeout=30)
        finally:
            supervisor.kill()  # or a failure above would be waited for without end
    wait_for(lambda: not any(alive(n) for n in numbers))


def test_daemons_get_only_the_environment_they_are_given(tmp_path: Path) -> None:
    code = "import os, time; print(sorted(os.environ)); time.sleep(600)"
    ready = python(tmp_path, "a", code, healthy=lambda: bool(heard(tmp_path, "a")))
    supervise((ready,), lambda _: None)
    [names] = heard(tmp_path, "a")[:1]
    assert set(re.findall(r"\w+", names)) - {"LC_CTYPE"} == {"PATH", "VISIBLE", "PYTHONUNBUFFERED"}


def test_a_daemon_gets_the_socket_it_listens_on_and_it_outlives_the_daemon(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        code = (
            "import os, socket\n"
            f"door = socket.socket(fileno={door.fileno()})\n"
            "while True: door.accept()[0].sendall(str(os.getpid()).encode())"
        )

        def asked() -> int:
            with socket.create_connection(door.getsockname()) as connection:
                return int(connection.recv(100))

        def act(_: Supervisor) -> None:
            first = asked()
            os.kill(first, signal.SIGKILL)
            wait_for(lambda: not alive(first))
            assert asked() != first  # nobody was turned away in between

        supervise((python(tmp_path, "a", code, keep=(door.fileno(),)),), act)


# What is done now and then.


def test_chores_are_done_every_so_often_and_may_renew_a_daemon(tmp_path: Path) -> None:
    done: list[object] = []  # what ran as b whenever it was done; nothing while b starts again

    def chore(supervisor: Supervisor) -> None:
        done.append(told(tmp_path)["b"]["pid"])
        if len(done) == 2:
            supervisor.renew("b")

    def act(_: Supervisor) -> None:
        steady = pid(tmp_path, "a")
        wait_for(lambda: len(done) >= 3 and done[-1] not in (None, done[0]))
        assert done[0] == done[1]
        assert pid(tmp_path, "a") == steady

    daemons = (python(tmp_path, "a", SLEEPER), python(tmp_path, "b", SLEEPER))
    supervisor = supervise(daemons, act, PATIENCE, Chore(every=0.1, do=chore))
    assert supervisor.restarts == 0  # nothing had failed


def test_what_a_chore_raises_ends_all(tmp_path: Path) -> None:
    def chore(_: Supervisor) -> None:
        raise DeploymentError("revoked")

    daemons = (python(tmp_path, "a", SLEEPER),)
    supervisor = Supervisor(lambda: daemons, care(tmp_path, PATIENCE, Chore(every=0.01, do=chore)))
    with pytest.raises(DeploymentError, match="revoked"):
        supervisor.run()
    assert told(tmp_path)["a"]["state"] == "down"
