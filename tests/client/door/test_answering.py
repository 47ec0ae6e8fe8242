"""A door beside the agent: open before anybody admits the site, closed once both have drained."""

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from client.door.answering import answering
from client.door.opening import Upkeep, open_door, read_rules
from client.door.operator import found_operator
from client.home import SiteHome
from client.recognition import Recognition
from client.serving.tls import Tls, make_end
from client.vault.founding import found_vault
from client.vault.identity import TemplateId
from common.errors import AuditError, CallerError, DeploymentError, MascaronError
from tests.small_door import free_port
from tests.small_home import SERVE, Home, heard, make_home
from tests.small_vault import person

ADMITTED = ("ca.crt", "centre.pub")


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Home]:
    home = make_home(tmp_path)
    found_vault(home.home, home.home.config())
    found_operator(home.home, os.urandom)
    yield home


def rules(home: SiteHome, *lines: str) -> None:
    with home.settings.open("a", encoding="utf-8") as file:
        file.write("\n".join(("[door]", *lines, "")))


def operator(home: SiteHome) -> Recognition:
    return Recognition.at(home.door_socket(), home.operator_token.read_text("ascii").strip())


def test_the_door_is_open_before_the_site_is_admitted_and_until_both_have_drained(
    made: Home,
) -> None:
    home, aside = made.home, made.home.folder / "aside"
    aside.mkdir()
    for name in ADMITTED:
        (home.trust / name).rename(aside / name)
    command = [sys.executable, "-c", SERVE, "serve", "--home", str(home.folder)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert heard(process.stderr, "the door answers at ").strip().endswith("door.sock")
        assert stat.S_IMODE(home.door_socket().stat().st_mode) == 0o600
        heard(process.stderr, "waiting for admission")
        with operator(home) as door:
            assert list(door.people()) == []
            for name in ADMITTED:
                (aside / name).rename(home.trust / name)
            heard(process.stderr, "serving at ")
            assert list(door.people()) == []
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert not home.door_socket().exists()
    assert not home.socket(home.config()).exists()
    with answering(home, lambda line: None) as vault:  # nothing is locked any more
        assert vault is not None


@pytest.mark.parametrize(
    ("broken", "reason"),
    [("ledger", "LEDGER"), pytest.param("policy", "CONFIG", marks=pytest.mark.slow)],
)
def test_what_only_training_needs_may_break_and_the_door_answers_on(
    made: Home, broken: str, reason: str
) -> None:
    home = made.home
    getattr(home, broken).write_bytes(b"neither a ledger nor a policy" * 99)
    command = [sys.executable, "-c", SERVE, "serve", "--home", str(home.folder)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert heard(process.stderr, "no training: ").startswith(f"no training: {reason}_")
        assert not home.socket(home.config()).exists()  # no courier is answered
        with operator(home) as door:
            assert list(door.people()) == []
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_a_site_without_a_vault_has_no_door_and_is_told_so(tmp_path: Path) -> None:
    home, said = make_home(tmp_path).home, list[str]()
    with answering(home, said.append) as vault:
        assert vault is None
    assert ["mascaron-site init" in line for line in said] == [True]
    assert not home.door_socket().exists()


def test_a_group_reaches_the_socket_and_nothing_else(made: Home) -> None:
    rules(made.home, f'group = "{os.getegid()}"')
    made.home.run.chmod(0o710)
    with answering(made.home, lambda line: None):
        assert stat.S_IMODE(made.home.door_socket().stat().st_mode) == 0o660
        assert stat.S_IMODE(made.home.run.stat().st_mode) == 0o711


def test_an_address_is_a_port_behind_mutual_tls_and_tokens_stay_at_the_socket(
    made: Home, tmp_path: Path
) -> None:
    home, said = made.home, list[str]()
    rules(home, f'address = "localhost:{free_port()}"')
    with answering(home, said.append):
        first = home.door_certificate.read_bytes()
        address = said[1].removeprefix("the door answers at ")
        make_end(tmp_path, "camera")
        camera = Tls(
            key=tmp_path / "camera.key",
            certificate=tmp_path / "camera.crt",
            peer=home.door_certificate,
        )
        with Recognition.over(address, camera) as door, pytest.raises(DeploymentError):
            door.status()
        own = home.door_tls / "door.key", home.door_tls / "door.crt"
        tls = Tls(key=own[0], certificate=own[1], peer=home.door_certificate)
        with Recognition.over(address, tls) as door, pytest.raises(CallerError):
            door.status()
        with operator(home) as door:
            assert not door.status().calibrated
    assert stat.S_IMODE(own[0].stat().st_mode) == 0o600
    with answering(home, said.append):
        assert home.door_certificate.read_bytes() == first  # cameras know it: it is made once


@pytest.mark.parametrize("lines", [("verfy = true",), ('detector = "/none.onnx"',), ("fmr = 2.0",)])
def test_rules_that_cannot_be_kept_open_no_door(made: Home, lines: tuple[str, ...]) -> None:
    rules(made.home, *lines)
    with pytest.raises(MascaronError), answering(made.home, lambda line: None):
        raise AssertionError("it opened")
    assert not made.home.door_socket().exists()


def test_paths_in_the_rules_start_at_the_home(made: Home) -> None:
    rules(made.home, 'detector = "yunet.onnx"', 'old_trunk = "/elsewhere/trunk.toml"')
    found = read_rules(made.home)
    assert found.detector == made.home.folder / "yunet.onnx"
    assert found.old_trunk == Path("/elsewhere/trunk.toml")


class Untidy:
    """A reception that cannot be tidied twice, and then can."""

    def __init__(self) -> None:
        self.looks, self.done = 0, threading.Event()

    def tidy(self) -> None:
        self.looks += 1
        if self.looks == 5:
            self.done.set()
        if self.looks in (1, 2):
            raise AuditError("canary 4711")
        if self.looks == 4:
            raise ValueError("canary 4711")  # a bug of ours


def test_what_cannot_be_tidied_is_told_once_by_its_reason_and_tried_again() -> None:
    reception, said = Untidy(), list[str]()
    with Upkeep(reception, said.append, 0.01):  # type: ignore[arg-type]
        assert reception.done.wait(10)
    assert said == [
        f"the door is not kept in order: {why}" for why in ("AUDIT_BROKEN", "ValueError")
    ]
    looks = reception.looks
    time.sleep(0.05)
    assert reception.looks == looks


def test_a_door_that_is_closed_holds_no_gallery_any_more(made: Home) -> None:
    with open_door(made.home) as door:
        releases = door.reception._parts.releases
        staged = releases.staged
        assert staged is not None
        gallery = staged.gallery
        rows = np.eye(1, staged.tail.embedding_dim, dtype=np.float32)
        del staged
        gallery.extend([person(1)], [TemplateId(bytes(16))], rows)
    assert len(gallery) == 0 and releases.galleries.all == ()
