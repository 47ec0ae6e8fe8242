"""What the centre's SuperLink is started with, asked for, and allowed to run."""

import hashlib
import importlib
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from common.errors import DeploymentError, SignatureError
from common.trust.nodes import node_text
from server.commands import fleet
from server.home import CentreHome
from server.serving import control, launcher, superlink
from tests.small_door import free_port, home_with_keys


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> CentreHome:
    return home_with_keys(tmp_path_factory.mktemp("centre"), time.time())


@pytest.fixture
def prepared(home: CentreHome) -> CentreHome:
    superlink.prepare(home, 4321)
    return home


def a_key() -> ec.EllipticCurvePublicKey:
    return ec.generate_private_key(ec.SECP384R1()).public_key()


def test_daemons_get_no_word_of_the_administrators_environment(home: CentreHome) -> None:
    given = {"HOME": "/root", "AWS_SECRET": "x", "HTTPS_PROXY": "x", "LD_PRELOAD": "x"}
    given |= {"FLWR_TELEMETRY_ENABLED": "1", "FLWR_HOME": "/elsewhere", "PYTHONPATH": "/elsewhere"}
    got = superlink.environment(home, given)
    assert not {"AWS_SECRET", "HTTPS_PROXY", "LD_PRELOAD"} & set(got)
    assert got["HOME"] == "/root"
    assert got["FLWR_HOME"] == str(home.flwr_home)
    assert got["PATH"].split(os.pathsep)[:2] == [
        str(home.launchers),
        str(Path(sys.executable).parent),
    ]
    assert got["PYTHONPATH"] == str(Path(__file__).parents[3])
    assert got["FLWR_TELEMETRY_ENABLED"] == "0"
    assert got["FLWR_DISABLE_UPDATE_CHECK"] == "1"
    assert got["FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION"] == "1"


def test_the_superlink_stands_on_loopback_with_keys_and_isolation(prepared: CentreHome) -> None:
    link, superexec, gateway = superlink.daemons(prepared, 4321, 9, {})
    said = " ".join(link.command)
    assert "--host 127.0.0.1 --port 4321" in said
    assert "--enable-supernode-auth" in said
    assert "--isolation process" in said
    assert "--superexec-auth-secret-file" in said
    assert "--disable-runtime-dependency-installation" in said
    assert "--insecure" not in said + " ".join(superexec.command)
    assert "--database" not in said  # in memory: no update of a site on the disk
    assert gateway.keep == (9,)
    secret = prepared.secret.read_bytes()
    assert len(secret) == 32
    everything = " ".join(" ".join(d.command) for d in (link, superexec, gateway)).encode()
    assert secret not in everything
    assert secret.hex().encode() not in everything


def test_flowers_options_are_still_there(
    prepared: CentreHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flower's own parsers take the command lines."""
    from flwr.supercore.cli.flower_superexec import _parse_args
    from flwr.superlink.cli.flower_superlink import _parse_args_run_superlink

    link, superexec, _ = superlink.daemons(prepared, 4321, 9, {})
    told = _parse_args_run_superlink().parse_args(link.command[1:])
    assert told.enable_supernode_auth
    assert told.isolation == "process"
    assert told.runtime_dependency_install is False
    assert _parse_args().parse_args(superexec.command[1:]).parent_pid == os.getpid()


def test_secrets_are_closed_and_kept(prepared: CentreHome) -> None:
    secret = prepared.secret.read_bytes()
    prepared.secret.chmod(0o644)
    superlink.prepare(prepared, 4322)
    assert prepared.secret.read_bytes() == secret
    assert prepared.secret.stat().st_mode & 0o777 == 0o600
    config = (prepared.flwr_home / "config.toml").read_text("utf-8")
    assert "127.0.0.1:4322" in config


def test_a_home_without_keys_is_told_to_init(tmp_path: Path) -> None:
    home = CentreHome(tmp_path / "centre")
    home.prepare()
    with pytest.raises(DeploymentError, match="mascaron-admin init"):
        superlink.prepare(home, 4321)
    with pytest.raises(DeploymentError, match="mascaron-admin init"):
        control.Control(home, 4321)


def test_a_stranger_on_the_port_is_not_well(home: CentreHome) -> None:
    assert not superlink.is_well(home, free_port())


def test_a_superlink_that_is_away_is_named(home: CentreHome) -> None:
    with (
        control.Control(home, free_port()) as asked,
        pytest.raises(DeploymentError, match="SuperLink did not list the nodes"),
    ):
        asked.nodes()


def test_flower_writes_node_keys_as_we_do() -> None:
    from flwr.supercore.primitives.asymmetric import public_key_to_bytes

    key = a_key()
    assert public_key_to_bytes(key) == key.public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    )
    assert control._line(public_key_to_bytes(key)) == node_text(key)


def test_keys_are_kept_while_the_centre_does_not_serve(home: CentreHome) -> None:
    line = node_text(a_key())
    fleet.register_node(home, f"{line} somebody@somewhere")
    (kept,) = home.nodes.glob("*.pub")
    assert kept.read_text("ascii") == f"{line}\n"
    fleet.unregister_node(home, line)
    fleet.unregister_node(home, line)
    assert not list(home.nodes.iterdir())
    with pytest.raises(SignatureError):
        fleet.register_node(home, "ssh-ed25519 AAAA")
    for ask in (fleet.runs, fleet.nodes):
        with pytest.raises(DeploymentError, match="mascaron-admin serve"):
            ask(home)


def test_the_place_of_the_pin_is_there_in_this_flower(monkeypatch: pytest.MonkeyPatch) -> None:
    known = vars(importlib.import_module("flwr.superlink.runtime.run_serverapp"))
    before = known["install_from_fab"]
    try:
        launcher.pin("0" * 64)
        with pytest.raises(PermissionError, match="BUNDLE_REFUSED"):
            known["install_from_fab"](b"any bundle", skip_prompt=True)
    finally:
        known["install_from_fab"] = before
    monkeypatch.setattr(launcher, "FLOWER", "1.40.")
    with pytest.raises(DeploymentError, match=r"1\.40"):
        launcher.pin("0" * 64)


def test_every_task_of_flower_has_a_launcher_of_ours(prepared: CentreHome) -> None:
    from flwr.supercore.constant import TASK_TYPE_TO_COMMAND

    assert {launcher.OURS, *launcher.OTHERS} == set(TASK_TYPE_TO_COMMAND.values())
    for name in TASK_TYPE_TO_COMMAND.values():
        assert os.access(prepared.launchers / name, os.X_OK)
        refuses = launcher.REFUSED in (prepared.launchers / name).read_text("utf-8")
        assert refuses == (name != launcher.OURS)


def test_only_the_one_bundle_is_installed() -> None:
    taken: list[tuple[Any, ...]] = []
    install = launcher.guarded(
        lambda *a, **o: taken.append((a, o)), hashlib.sha256(b"x").hexdigest()
    )
    install(b"x", skip_prompt=True)
    with pytest.raises(PermissionError, match="BUNDLE_REFUSED"):
        install(b"y", skip_prompt=True)
    assert taken == [((b"x",), {"skip_prompt": True})]


def test_what_serverapps_log_is_kept(tmp_path: Path) -> None:
    ours = logging.getLogger("server.app")
    before = {n: list(logging.getLogger(n).handlers) for n in ("flwr", "server", "common")}
    try:
        launcher.keep_log(tmp_path / "serverapp.log")
        ours.info("round %d", 3)
        assert "INFO server.app: round 3" in (tmp_path / "serverapp.log").read_text("utf-8")
    finally:
        for name, handlers in before.items():
            for handler in set(logging.getLogger(name).handlers) - set(handlers):
                handler.close()
            logging.getLogger(name).handlers = handlers
