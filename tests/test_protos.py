"""The committed messages are those of protos/*.proto: `make protos` would change nothing."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_generated_messages_are_fresh(tmp_path: Path) -> None:
    outputs = [f"--{kind}_out={tmp_path}" for kind in ("python", "pyi", "grpc_python")]
    protos = [f"protos/{p.name}" for p in sorted((ROOT / "protos").glob("*.proto"))]
    command = [sys.executable, "-m", "grpc_tools.protoc", "-Iprotos/gen=protos", *outputs, *protos]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    made = sorted(p for p in (tmp_path / "protos" / "gen").iterdir())
    assert made
    for path in made:
        committed = ROOT / "protos" / "gen" / path.name
        assert _body(path) == _body(committed), f"{committed.name}: run `make protos`"


def _body(path: Path) -> list[str]:
    """Without the lines in which the compiler writes its own version."""
    lines = path.read_text("utf-8").splitlines()
    return [line for line in lines if not any(mark in line for mark in VERSION_MARKS)]


VERSION_MARKS = (
    "Protobuf Python Version",
    "ValidateProtobufRuntimeVersion",
    "GRPC_GENERATED_VERSION =",
)
