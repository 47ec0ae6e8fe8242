"""Node keys and runs of a centre: what the administrator's commands ask of the SuperLink."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.errors import DeploymentError, RunError
from common.trust.nodes import node_text, read_node
from common.trust.storing import remove, replace
from server.admission.opening import node_file
from server.commands.serve import serving
from server.home import CentreHome
from server.serving.superlink import CONNECTION, environment

SECONDS = 120  # for Flower's command line


def register_node(home: CentreHome, public_key_line: str) -> None:
    """Lets the SuperNode with this OpenSSH line in, now if the centre serves and at every start.

    Raises ``SignatureError`` if the line is no EC P-384 key, ``DeploymentError`` if the key cannot
    be kept or a running SuperLink does not answer; the key is then kept and known at the next
    start.
    """
    line = node_text(read_node(public_key_line))
    replace(node_file(home, line), f"{line}\n".encode())
    port = _port(home)
    if port is not None:
        from server.serving.control import Control

        with Control(home, port) as control:
            control.register(line)


def unregister_node(home: CentreHome, public_key_line: str) -> None:
    """Shuts that SuperNode out, now and for ever; it is no error if it was not in.

    Raises like ``register_node``; the key is then forgotten at the next start of the centre.
    """
    line = node_text(read_node(public_key_line))
    remove(node_file(home, line))
    port = _port(home)
    if port is not None:
        from server.serving.control import Control

        with Control(home, port) as control:
            control.unregister(line)


def nodes(home: CentreHome) -> dict[str, str]:
    """What the SuperLink says of every node key: registered, online or offline; by key line."""
    from server.serving.control import Control

    with Control(home, _needed_port(home)) as control:
        return {node.key: node.status for node in control.nodes()}


def start_run(home: CentreHome, config: Mapping[str, str | bool | float]) -> int:
    """Starts a run of our bundle with ``config``, whose keys are those of the bundle; its id.

    Raises ``DeploymentError`` if the centre does not serve, ``RunError`` if Flower refuses.
    """
    _needed_port(home)
    settings = "".join(
        f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in config.items()
    )
    with tempfile.NamedTemporaryFile("w", suffix=".toml", encoding="utf-8") as file:
        file.write(settings)
        file.flush()
        told = _flwr(home, "run", str(home.app), CONNECTION, "--run-config", file.name)
    return int(told["run-id"])


def runs(home: CentreHome) -> list[dict[str, Any]]:
    """The runs since the SuperLink started, as Flower tells them: ``run-id``, ``status``, times."""
    _needed_port(home)
    return list(_flwr(home, "list", CONNECTION)["runs"])


def has_ended(home: CentreHome, run: object) -> bool:
    """Whether Flower believes the run with this id to be over, however it ended."""
    mine = [told for told in runs(home) if str(told.get("run-id")) == str(run)]
    return any(str(told.get("status", "")).startswith("finished") for told in mine)


def _flwr(home: CentreHome, *arguments: str) -> dict[str, Any]:
    """What Flower's command line answers in JSON; ``RunError`` with its words if it fails."""
    command = [str(Path(sys.executable).parent / "flwr"), *arguments, "--format", "json"]
    try:
        done = subprocess.run(  # noqa: S603 - our own arguments
            command,
            env=environment(home, os.environ),
            cwd=home.superlink,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        told = dict(json.loads(done.stdout))
    except (OSError, subprocess.TimeoutExpired, ValueError):
        raise DeploymentError(
            f"`flwr {arguments[0]}` gave no answer: is the centre well? see {home.logs}"
        ) from None
    if not told.get("success"):
        raise RunError(f"flwr {arguments[0]}: {told.get('error-message', 'failed')}")
    return told


def _port(home: CentreHome) -> int | None:
    """Where the SuperLink of a serving centre is."""
    state = serving(home)
    return None if state is None else int(state["superlink"])


def _needed_port(home: CentreHome) -> int:
    port = _port(home)
    if port is None:
        raise DeploymentError("the centre does not serve: start `mascaron-admin serve` first")
    return port
