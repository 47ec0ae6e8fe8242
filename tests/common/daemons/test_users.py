"""A process that became another user has no way back, and its folder is that user's alone."""

import os
import pwd
from pathlib import Path

import pytest

from common.daemons.users import OsUser, acting_as, become, hand_over
from common.errors import DeploymentError

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def nobody() -> OsUser:
    return OsUser.named("nobody")


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


@as_root
def test_root_that_acts_as_a_user_may_what_that_user_may_and_is_root_again(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    before = os.geteuid(), os.getegid(), os.getgroups()
    user = nobody()
    with acting_as(user.uid, user.gid):
        assert (os.geteuid(), os.getegid(), os.getgroups()) == (user.uid, user.gid, [user.gid])
        with pytest.raises(PermissionError):
            (tmp_path / "x").write_text("x", "utf-8")
    assert (os.geteuid(), os.getegid(), os.getgroups()) == before
    with pytest.raises(ZeroDivisionError), acting_as(user.uid, user.gid):
        _ = 1 / 0
    assert os.geteuid() == 0


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
        OsUser.named("nobody-at-all")
    with pytest.raises(DeploymentError, match="must not be root"):
        OsUser.named("root")
    assert nobody().uid == pwd.getpwnam("nobody").pw_uid
    with pytest.raises(DeploymentError, match="must not be root"):
        OsUser.named("0")


def test_a_number_that_is_in_no_list_is_user_and_group() -> None:
    stranger = OsUser.named("61001")
    assert (stranger.uid, stranger.gid) == (61001, 61001)
    known = nobody()
    assert OsUser.named(str(known.uid)).gid == known.gid
