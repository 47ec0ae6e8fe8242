"""Flower's daemons get what they need to be a courier, and nothing of the operator's session."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from flwr.cli.supernode.register import try_load_public_key
from flwr.common.config import parse_config_args
from flwr.supercore.cli.flower_superexec import _parse_args as superexec_arguments
from flwr.supernode.cli.flower_supernode import (
    _parse_args_run_supernode as supernode_arguments,
)
from flwr.supernode.cli.flower_supernode import (
    _try_setup_client_authentication as authentication,
)

from client.courier import supernode
from client.home import SiteHome
from client.site_config import SiteConfig
from common.daemons.surroundings import KEPT, QUIET, UNBUFFERED, scrubbed
from common.errors import ConfigError, DeploymentError

HOSTILE = {
    "PATH": "/attacker/bin:/usr/bin",
    "PYTHONPATH": "/attacker",
    "PYTHONSTARTUP": "/attacker/x.py",
    "LD_PRELOAD": "/attacker/x.so",
    "LD_LIBRARY_PATH": "/attacker",
    "FLWR_HOME": "/attacker",
    "FLWR_TELEMETRY_ENABLED": "1",
    "FLWR_TRACING_ENABLED": "1",
    "HTTPS_PROXY": "http://attacker",
    "SSL_CERT_FILE": "/attacker/ca.crt",
    "MASCARON_TOKEN": "secret",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "HOME": "/root",
    "LANG": "C.UTF-8",
}


@pytest.fixture
def home(tmp_path: Path) -> SiteHome:
    home = SiteHome(tmp_path / "site")
    home.prepare()
    return home


def config(**changes: object) -> SiteConfig:
    facts: dict[str, object] = {"name": "a", "centre": "fl.example:8443", "camera_type": "door"}
    paths = {"trunk": Path("t"), "faces": Path("f"), "public": Path("p")}
    return SiteConfig(**{**facts, "people": 5, **paths, **changes})  # type: ignore[arg-type]


def test_a_node_key_is_made_once_closed_to_others_and_read_by_flower(home: SiteHome) -> None:
    line = supernode.make_node_key(home)
    key = home.node_key.read_bytes()
    assert stat.S_IMODE(home.node_key.stat().st_mode) == 0o600
    assert try_load_public_key(home.node_public).startswith(b"-----BEGIN PUBLIC KEY-----")
    assert home.node_public.read_text("utf-8") == f"{line}\n"
    assert supernode.make_node_key(home) == line
    assert home.node_key.read_bytes() == key
    told = supernode.supernode_command(home, config(), 9)[3:]
    found = authentication(supernode_arguments().parse_args(told))
    assert found is not None
    assert found[1].curve.name == "secp384r1"


def test_what_is_no_node_key_is_not_written_over(home: SiteHome) -> None:
    home.node_key.write_text("mine", "utf-8")
    with pytest.raises(ConfigError, match=r"node\.key"):
        supernode.make_node_key(home)
    assert home.node_key.read_text("utf-8") == "mine"


def test_the_supernode_checks_tls_proves_itself_and_starts_nothing_itself(home: SiteHome) -> None:
    command = supernode.supernode_command(home, config(), 9)
    assert command[:2] == (sys.executable, "-I")
    told = supernode_arguments().parse_args(command[3:])
    assert (told.superlink, told.host, told.port) == ("fl.example:8443", "127.0.0.1", 9)
    assert told.isolation == "process"
    assert not told.insecure
    assert told.root_certificates == str(home.ca)
    assert told.superexec_auth_secret_file == str(home.superexec_secret)
    assert not told.runtime_dependency_install


def test_the_superexec_shows_the_secret_to_the_supernode_on_loopback(home: SiteHome) -> None:
    command = supernode.superexec_command(home, 9)
    assert command[:2] == (sys.executable, "-I")
    told = superexec_arguments().parse_args(command[3:])
    assert told.runtime_api_address == "127.0.0.1:9"
    assert told.superexec_auth_secret_file == str(home.superexec_secret)
    assert not told.runtime_dependency_install


@pytest.mark.parametrize("path", ["/run/a b/agent.sock", "/run/é/agent.sock", "/run/a=b/x.sock"])
def test_the_courier_learns_where_the_agent_is_and_nothing_else(home: SiteHome, path: str) -> None:
    command = supernode.supernode_command(home, config(socket=Path(path)), 9)
    told = supernode_arguments().parse_args(command[3:])
    assert parse_config_args([told.node_config]) == {"agent-address": f"unix://{path}"}


def test_a_courier_of_a_port_learns_where_its_own_end_is(home: SiteHome) -> None:
    command = supernode.supernode_command(home, config(agent="127.0.0.1:9443"), 9)
    told = parse_config_args([supernode_arguments().parse_args(command[3:]).node_config])
    assert told == {"agent-address": "127.0.0.1:9443", "agent-tls": str(home.courier_tls)}


@pytest.mark.parametrize("path", ['/run/a" x="/b.sock', "/run/a'b.sock", "/run/a\nb.sock"])
def test_a_path_that_could_add_settings_is_refused(home: SiteHome, path: str) -> None:
    with pytest.raises(ConfigError, match="socket"):
        supernode.supernode_command(home, config(socket=Path(path)), 9)


def test_a_secret_is_new_at_every_start_and_closed_to_others(home: SiteHome) -> None:
    supernode.make_secret(home)
    first = home.superexec_secret.read_bytes()
    supernode.make_secret(home)
    assert len(first) == 32
    assert home.superexec_secret.read_bytes() != first
    assert stat.S_IMODE(home.superexec_secret.stat().st_mode) == 0o600


def test_both_daemons_meet_on_a_port_and_get_a_scrubbed_environment(home: SiteHome) -> None:
    node, executor = supernode.daemons(home, config(), HOSTILE)
    assert f"127.0.0.1:{node.command[node.command.index('--port') + 1]}" in executor.command
    assert (node.leads, executor.leads) == (True, False)
    for program in (node, executor):
        given = dict(program.environment)
        assert set(given) <= {*KEPT, *QUIET, *UNBUFFERED, "PATH", "HOME", "FLWR_HOME"}
        assert given["PATH"] == str(home.bin)
        assert given["FLWR_HOME"] == str(home.flwr_home)
        assert given["FLWR_TELEMETRY_ENABLED"] == "0"
        assert not any("attacker" in value or "secret" in value for value in given.values())


def test_a_started_program_finds_nothing_but_the_launcher_on_its_path(home: SiteHome) -> None:
    node, _ = supernode.daemons(home, config(), {**os.environ, **HOSTILE})
    code = "import os, shutil; print(sorted(os.environ), shutil.which('sh'))"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code],
        env=dict(node.environment),
        cwd=node.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    names, _, shell = done.stdout.strip().rpartition(" ")
    assert shell == "None"
    expected = {*QUIET, *UNBUFFERED, "PATH", "HOME", "FLWR_HOME", "LANG", "LC_CTYPE"}
    assert set(eval(names)) - {*KEPT} <= expected  # noqa: S307 (our own words)


def test_a_missing_flower_is_named_with_its_remedy(
    home: SiteHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(home.folder))
    with pytest.raises(DeploymentError, match="pip install"):
        supernode.superexec_command(home, 9)


def test_only_harmless_names_are_kept_of_an_environment() -> None:
    assert scrubbed(HOSTILE, {}) == {"LANG": "C.UTF-8", **QUIET}
