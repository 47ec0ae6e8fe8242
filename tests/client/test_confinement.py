"""A confined process has no way back to what it gave up, and ends with its parent."""

import os
import pwd
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from client.confinement import CourierUser, become, end_with_parent, hand_over
from common.errors import DeploymentError

ROOT = Path(__file__).parents[2]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def nobody() -> CourierUser:
    return CourierUser.named("nobody")


@as_root
def test_a_process_that_became_another_user_is_that_one_in_every_way_and_for_good() -> None:
    """In a child: uids and gids of all four kinds, no group of root's, and no way back."""
    user = nobody()

    def inside() -> None:
        become(user)
        assert os.getresuid() == (user.uid,) * 3
        assert os.getresgid() == (user.gid,) * 3
        assert os.getgroups() == [user.gid]
        for back in (lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.setgroups([0])):
            with pytest.raises(PermissionError):
                back()
        with pytest.raises(DeploymentError, match="only root"):
            become(user)

    assert exit_code_of(inside) == 0


def exit_code_of(inside: object) -> int:
    number = os.fork()
    if number == 0:
        try:
            inside()  # type: ignore[operator]
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])


def test_a_confined_process_gains_no_privilege_and_dumps_no_core() -> None:
    code = (
        "from client.confinement import confine; confine(); import resource; "
        "print(resource.getrlimit(resource.RLIMIT_CORE)); "
        "print(open('/proc/self/status').read())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("(0, 0)")
    assert "NoNewPrivs:\t1" in done.stdout


def test_a_process_whose_parent_is_gone_already_does_not_start() -> None:
    def inside() -> None:
        end_with_parent(os.getppid() + 1)  # not its parent
        time.sleep(60)

    assert exit_code_of(inside) == 1


def test_a_process_ends_with_its_parent() -> None:
    code = (
        "import os, time; from client.confinement import end_with_parent\n"
        "me = os.getpid()\n"
        "if os.fork() == 0:\n"
        "    end_with_parent(me); print(os.getpid(), flush=True); time.sleep(60)\n"
        "time.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert parent.stdout.read() == ""  # its end comes when nobody holds the pipe any more
    parent.stdout.close()
    status = Path(f"/proc/{child}/status")
    assert not status.exists() or "State:\tZ" in status.read_text()


@as_root
def test_a_folder_is_handed_over_without_following_a_link_out_of_it(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("x", "utf-8")
    folder = tmp_path / "courier"
    (folder / "logs").mkdir(parents=True)
    (folder / "node.key").write_text("k", "utf-8")
    (folder / "link").symlink_to(outside)
    (folder / "file-link").symlink_to(outside / "secret")
    (folder / "hard-link").hardlink_to(outside / "secret")
    hand_over(folder, nobody())
    given = {p.name for p in (folder, *folder.iterdir()) if p.lstat().st_uid == nobody().uid}
    assert given == {"courier", "logs", "node.key"}
    assert (outside / "secret").stat().st_uid == 0
    assert outside.stat().st_uid == 0


def test_users_are_named_or_refused_with_a_remedy() -> None:
    with pytest.raises(DeploymentError, match="useradd"):
        CourierUser.named("nobody-at-all")
    with pytest.raises(DeploymentError, match="must not be root"):
        CourierUser.named("root")
    assert nobody().uid == pwd.getpwnam("nobody").pw_uid
    with pytest.raises(DeploymentError, match="must not be root"):
        CourierUser.named("0")


def test_a_number_that_is_in_no_list_is_user_and_group() -> None:
    stranger = CourierUser.named("61001")
    assert (stranger.uid, stranger.gid) == (61001, 61001)
    known = nobody()
    assert CourierUser.named(str(known.uid)).gid == known.gid
