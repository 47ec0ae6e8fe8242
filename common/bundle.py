"""The bundle that Flower carries between centre and sites: it names the apps and holds no code.

Both ends run what is installed there. The bundle of one version of ours is the same bytes wherever
it is built, so its hash is a version check and the only one that a site allows.

Guarantee: a site that compares the hash runs its own installed courier, whatever the centre sends.
Leaks: the version of mascaron and of the wire protocol.
"""

from pathlib import Path

from common.errors import RunError
from common.wire import PROTOCOL

VERSION = "0.1.0"  # of mascaron; the same as in pyproject.toml
PROJECT = f"""\
[project]
name = "mascaron"
version = "{VERSION}"
description = "Names the installed apps of mascaron; holds no code."
license = "Apache-2.0"

[tool.mascaron]
protocol = {PROTOCOL}

[tool.flwr.app]
publisher = "mascaron"
fab-include = ["LICENSE"]

[tool.flwr.app.components]
serverapp = "server.app:app"
clientapp = "client.app:app"

[tool.flwr.app.config]
charter = ""
folder = ""
resume = false
agent-folder = ""
centre = ""
wait = 900.0
without = ""
"""
LICENSE = "mascaron is distributed under the Apache License, Version 2.0 (SPDX: Apache-2.0).\n"
FILES = {"pyproject.toml": PROJECT, "LICENSE": LICENSE}


def write_app(folder: Path) -> None:
    """Writes the app folder that ``flwr build`` and ``flwr run`` take; the name of ``folder`` is
    to be letters, digits and hyphens.

    Raises ``RunError`` if ``folder`` holds anything else, since Flower reads what it finds there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        strange = sorted(p.name for p in folder.iterdir() if p.name not in FILES)
        if strange:
            raise RunError(f"{folder} holds {strange[0]}, which is not of the bundle; remove it")
        for name, text in FILES.items():
            (folder / name).write_bytes(text.encode())
    except OSError as error:
        raise RunError(f"cannot write the bundle to {folder}: {error.strerror}") from error
