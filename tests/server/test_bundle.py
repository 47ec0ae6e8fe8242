"""The bundle: the same bytes everywhere, accepted by Flower, and without a line of code."""

import hashlib
import io
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from flwr.cli.build import build_fab_from_disk
from flwr.cli.config_utils import load_and_validate
from flwr.common.config import get_fused_config_from_dir
from flwr.supercore.object_ref import load_app

import client.app
import server.app
from common import bundle
from common.errors import RunError

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.filterwarnings("ignore:GitWildMatch:DeprecationWarning")  # flwr's own


def fab(folder: Path) -> bytes:
    bundle.write_app(folder)
    return build_fab_from_disk(folder)


def test_the_bundle_is_the_same_bytes_in_any_folder_at_any_time(tmp_path: Path) -> None:
    first = fab(tmp_path / "here" / "app")
    second = tmp_path / "there" / "another"
    bundle.write_app(second)
    for path in second.iterdir():
        os.utime(path, (1, 1))
        path.chmod(0o600)
    assert build_fab_from_disk(second) == first
    assert fab(tmp_path / "here" / "app") == first  # written over itself


def test_another_version_or_protocol_is_another_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes = {hashlib.sha256(fab(tmp_path / "a")).hexdigest()}
    for number, old in enumerate((f'"{bundle.VERSION}"', f"protocol = {bundle.PROTOCOL}")):
        changed = bundle.PROJECT.replace(old, old[:-1] + "9" + old[-1] * (old[-1] == '"'))
        monkeypatch.setitem(bundle.FILES, "pyproject.toml", changed)
        hashes.add(hashlib.sha256(fab(tmp_path / f"b{number}")).hexdigest())
    assert len(hashes) == 3


def test_the_bundle_holds_names_and_no_code(tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(fab(tmp_path / "app"))) as held:
        assert set(held.namelist()) == {"pyproject.toml", "LICENSE", ".info/CONTENT"}


def test_its_apps_are_the_installed_ones(tmp_path: Path) -> None:
    bundle.write_app(tmp_path / "app")
    config, warnings = load_and_validate(tmp_path / "app" / "pyproject.toml")
    assert not warnings
    components = config["tool"]["flwr"]["app"]["components"]
    path = list(sys.path)
    try:
        found = {
            kind: load_app(components[kind], RuntimeError, tmp_path / "app")
            for kind in ("serverapp", "clientapp")
        }
    finally:
        sys.path[:] = path
    assert found == {"serverapp": server.app.app, "clientapp": client.app.app}


def test_every_key_of_a_run_may_be_set(tmp_path: Path) -> None:
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert (
        tomllib.loads(bundle.PROJECT)["tool"]["flwr"]["app"]["config"]
        == (ours["tool"]["flwr"]["app"]["config"])
    )
    bundle.write_app(tmp_path / "app")
    told = {"charter": "c", "folder": "f", "resume": True, "agent-folder": "", "centre": "h"}
    told |= {"wait": 60.0, "without": '["door"]'}
    assert get_fused_config_from_dir(tmp_path / "app", told) == told


def test_the_version_in_it_is_the_version_of_the_package() -> None:
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert ours["project"]["version"] == bundle.VERSION


def test_a_folder_with_anything_else_is_refused(tmp_path: Path) -> None:
    bundle.write_app(tmp_path / "app")
    (tmp_path / "app" / ".gitignore").write_text("LICENSE\n", "utf-8")
    with pytest.raises(RunError, match="gitignore"):
        bundle.write_app(tmp_path / "app")
    with pytest.raises(RunError, match="cannot write"):
        bundle.write_app(tmp_path / "app" / "LICENSE")


@pytest.mark.slow
def test_flwr_build_accepts_it(tmp_path: Path) -> None:
    bundle.write_app(tmp_path / "app")
    environment = {
        **os.environ,
        "FLWR_HOME": str(tmp_path / "home"),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "PYTHONPATH": str(ROOT),
    }
    command = [Path(sys.executable).parent / "flwr", "build", "--app", tmp_path / "app"]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    (built,) = tmp_path.glob("*.fab")
    assert built.read_bytes() == build_fab_from_disk(tmp_path / "app")
