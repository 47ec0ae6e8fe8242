"""The supervisor keeps its daemons running and takes every one of them with it when it ends."""

import functools
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from common.errors import DeploymentError
from server.commands.serve import only_one, serving
from server.home import CentreHome
from server.serving.daemons import Daemon, Patience, Supervisor, Surroundings
from server.serving.logs import KEPT, rotate

ROOT = Path(__file__).parents[3]
PATIENCE = Patience(
    tick=0.02,
    start=20,
    stop=0.5,
    check=0.1,
    failures=2,
    first_pause=0.05,
    longest_pause=0.2,
    rotate=0.2,
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


def python(name: str, code: str, **more: object) -> Daemon:
    return Daemon(name=name, command=(sys.executable, "-c", code), **more)  # type: ignore[arg-type]


def surroundings(folder: Path) -> Surroundings:
    return Surroundings(
        environment={"PATH": os.environ["PATH"], "VISIBLE": "yes"},
        folder=folder,
        logs=folder,
        state=folder / "state.json",
        about={"superlink": 1},
    )


def supervise(
    folder: Path,
    daemons: tuple[Daemon, ...],
    act: Callable[[Supervisor], None],
    patience: Patience = PATIENCE,
) -> None:
    """Runs ``daemons`` here while ``act`` does something in another thread, then stops them."""
    supervisor = Supervisor(daemons, surroundings(folder), patience)
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


def told(folder: Path) -> dict[str, dict[str, object]]:
    table = json.loads((folder / "state.json").read_text("utf-8"))
    daemons: dict[str, dict[str, object]] = table["daemons"]
    return daemons


def pid(folder: Path, name: str) -> int:
    return int(str(told(folder)[name]["pid"]))


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
        Daemon(name=n, command=(sys.executable, "-c", code, n), healthy=here(n)) for n in "abc"
    )
    supervise(tmp_path, daemons, lambda _: None)
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

    daemons = (python("a", SLEEPER), python("b", SLEEPER, ready=lambda: ready.append("b")))
    supervise(tmp_path, daemons, act)
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
    supervise(tmp_path, (python("a", code),), act, patience)


def test_one_that_is_ill_is_started_again(tmp_path: Path) -> None:
    well = tmp_path / "well"
    well.touch()

    def act(_: Supervisor) -> None:
        before = pid(tmp_path, "a")
        well.unlink()
        wait_for(lambda: told(tmp_path)["a"]["pid"] not in (None, before))
        well.touch()
        wait_for(lambda: told(tmp_path)["a"]["state"] == "up")

    supervise(tmp_path, (python("a", SLEEPER, healthy=well.exists),), act)
    assert told(tmp_path)["a"]["starts"] == 2


def test_what_does_not_start_the_first_time_ends_all_with_the_log_named(tmp_path: Path) -> None:
    started: list[int] = []

    def never(name: str) -> None:
        raise DeploymentError(f"{name} is not as it must be")

    wrong = {
        "dies": python("dies", "raise SystemExit(3)", healthy=lambda: False),
        "ill": python("ill", SLEEPER, healthy=lambda: False),
        "unready": python("unready", SLEEPER, ready=lambda: never("unready")),
    }
    for name, daemon in wrong.items():
        supervisor = Supervisor(
            (python("a", SLEEPER), daemon),
            surroundings(tmp_path),
            Patience(tick=0.02, start=0.5, first_pause=0.01),
        )
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
        wait_for(lambda: (tmp_path / "parent.log").read_text("ascii") == "deaf\n")
        wait_for(lambda: (tmp_path / "deaf.log").read_text("ascii") == "deaf\n")

    supervise(tmp_path, (python("deaf", DEAF), python("parent", PARENT)), act)
    assert len(numbers) == 3
    assert not any(alive(number) for number in numbers)


def test_children_of_a_daemon_that_died_do_not_outlive_it(tmp_path: Path) -> None:
    def act(_: Supervisor) -> None:
        child = tmp_path / "child"
        wait_for(lambda: child.exists() and bool(child.read_text("ascii")))
        orphan = int(child.read_text("ascii"))
        os.kill(pid(tmp_path, "parent"), signal.SIGKILL)
        wait_for(lambda: not alive(orphan))

    supervise(tmp_path, (python("parent", PARENT),), act)


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel of Linux")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_daemon_outlives_a_supervisor_however_it_ends(
    tmp_path: Path, number: signal.Signals
) -> None:
    code = textwrap.dedent(
        f"""
        import sys
        from pathlib import Path
        from server.serving.daemons import Daemon, Patience, Supervisor, Surroundings
        folder = Path({str(tmp_path)!r})
        around = Surroundings(environment={{}}, folder=folder, logs=folder,
                              state=folder / "state.json")
        daemons = tuple(Daemon(name=n, command=(sys.executable, "-c", {DEAF!r})) for n in "ab")
        patience = Patience(tick=0.02, stop=0.5)
        Supervisor(daemons, around, patience).run(lambda: print("up", flush=True))
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True
    ) as supervisor:
        assert supervisor.stdout
        assert supervisor.stdout.readline() == b"up\n"
        numbers = [pid(tmp_path, name) for name in "ab"]
        for name in "ab":
            wait_for(lambda name=name: (tmp_path / f"{name}.log").read_text() == "deaf\n")  # type: ignore[misc]
        assert all(alive(n) for n in numbers)
        supervisor.send_signal(number)
        supervisor.wait(timeout=30)
    wait_for(lambda: not any(alive(n) for n in numbers))


def test_daemons_get_only_the_environment_they_are_given(tmp_path: Path) -> None:
    code = "import json, os, time; print(json.dumps(dict(os.environ)), flush=True); time.sleep(600)"
    log = tmp_path / "a.log"
    ready = python("a", code, healthy=lambda: log.exists() and log.read_text().endswith("}\n"))
    supervise(tmp_path, (ready,), lambda _: None)
    seen = json.loads(log.read_text("utf-8"))
    assert set(seen) - {"LC_CTYPE"} == {"PATH", "VISIBLE"}


def test_a_home_is_served_by_one(tmp_path: Path) -> None:
    home = CentreHome(tmp_path / "centre")
    assert serving(home) is None
    with only_one(home):
        home.state.write_text('{"pid": 5}', "utf-8")
        assert serving(home) == {"pid": 5}
        with pytest.raises(DeploymentError, match="being served already"), only_one(home):
            pass
    assert serving(home) is None  # whatever the file says
    with only_one(home):
        pass


def test_a_log_is_kept_to_a_size_while_it_is_written_to(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with path.open("ab", buffering=0) as log:
        for number in range(2 * KEPT):
            log.write(b"%d" % number * 100)
            rotate(path, largest=1000)
            assert path.stat().st_size == 100
            log.write(b"x" * 1000)
            rotate(path, largest=1000)
    assert path.stat().st_size == 0
    older = sorted(p.name for p in tmp_path.iterdir() if p != path)
    assert older == [f"a.log.{n}" for n in range(1, KEPT + 1)]
    assert (tmp_path / "a.log.1").read_bytes().startswith(b"5")
    assert (tmp_path / "a.log.1").stat().st_mode & 0o777 == 0o600
    rotate(tmp_path / "none")
