"""A federation on one machine: what is started is watched, told of when it dies, and ended."""

import sys
import time
from pathlib import Path

import pytest

from common.errors import DeploymentError
from simulations.deployment import Daemon, Deployment, Programs, Users

SCRIPT = """#!{python}
import json, sys, time
if sys.argv[1] == "serve":
    print("serving", flush=True)
    time.sleep(60)
if sys.argv[1] == "join":
    sys.exit("no centre")
if sys.argv[1] == "admit" and sys.argv[3] == "wrong":
    sys.exit("Error: ADMISSION_REFUSED: nobody waits")
print("a line that is not the answer")
print(json.dumps({{"typed": sys.argv[1:], "fingerprint": "1234"}}))
"""


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    """Executables that answer like ours: one JSON line, or an error, or for a long time."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("mascaron-admin", "mascaron-site"):
        (folder / name).write_text(SCRIPT.format(python=sys.executable), "utf-8")
        (folder / name).chmod(0o755)
    return Programs(centre=folder, agent=folder, courier=folder)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def deployment(tmp_path: Path, programs: Programs, said: list[str]) -> Deployment:
    return Deployment(tmp_path / "out", programs, said.append, separate=False)


def test_what_is_typed_is_shown_and_answered_by_its_last_line(
    deployment: Deployment, said: list[str]
) -> None:
    told = deployment.admin("sites")
    assert told["typed"] == ["sites", "--home", str(deployment.centre_home)]
    assert said == [f"$ mascaron-admin sites --home {deployment.centre_home}"]
    deployment.admin("status", quiet=True)
    assert deployment.typed == [said[0].removeprefix("$ ")]


def test_a_command_that_fails_is_told_with_its_own_words(deployment: Deployment) -> None:
    with pytest.raises(DeploymentError, match="ADMISSION_REFUSED: nobody waits"):
        deployment.admin("admit", "site-1", "wrong")


def test_a_daemon_that_ends_by_itself_is_told_at_once_with_its_log(
    deployment: Deployment, tmp_path: Path
) -> None:
    faces = tmp_path / "faces.npz"
    faces.touch(mode=0o644)
    with deployment:
        deployment.serve()
        assert deployment.daemon("centre").alive
        deployment.join("site-1", faces, {"--camera-type": "door"})
        assert faces.stat().st_mode & 0o077 == 0
        assert any(line.startswith("mascaron-admin admit site-1 1234") for line in deployment.typed)
        with pytest.raises(DeploymentError, match=r"site-1-courier ended(?s:.*)no centre"):
            deployment.wait("nothing", lambda: False, 30)
    assert not deployment.daemon("centre").alive


def test_what_does_not_happen_in_time_is_told(deployment: Deployment) -> None:
    with deployment, pytest.raises(DeploymentError, match="the moon did not happen in 0 s"):
        deployment.serve()
        deployment.wait("the moon", lambda: False, 0)


def test_a_killed_daemon_has_not_failed_and_its_group_dies_with_it(tmp_path: Path) -> None:
    child = "import time; time.sleep(60)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    daemon = Daemon(name="d", command=[sys.executable, "-c", code])
    daemon.start(tmp_path / "d.log", {})
    assert daemon.process is not None
    group = daemon.process.pid
    daemon.kill()
    assert not daemon.failed
    limit = time.monotonic() + 30
    while _members(group):
        assert time.monotonic() < limit
        time.sleep(0.05)


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    daemon = Daemon(name="nobody", command=[str(tmp_path / "none")])
    with pytest.raises(DeploymentError, match="cannot start nobody: No such file"):
        daemon.start(tmp_path / "log", {})


def test_the_halves_of_a_site_have_users_of_their_own_or_none() -> None:
    assert Users.of(3, separate=False) == Users()
    users = [Users.of(number, separate=True) for number in range(3)]
    numbers = [number for pair in users for number in (pair.agent, pair.courier)]
    assert len(set(numbers)) == 6


def test_programs_that_another_user_cannot_run_are_known(tmp_path: Path) -> None:
    assert not Programs(centre=tmp_path, agent=tmp_path, courier=tmp_path).readable_by(1, tmp_path)


def _members(group: int) -> list[str]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = stat.read_text("ascii", "replace").rpartition(")")[2].split()
        except OSError:
            continue
        if words[2] == str(group) and words[0] != "Z":
            found.append(stat.parent.name)
    return found
