"""The home of a centre is closed to others, and its settings are read or refused."""

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ConfigError, DeploymentError
from server.home import CentreConfig, CentreHome


def test_every_folder_of_a_home_is_closed_to_others(tmp_path: Path) -> None:
    home = CentreHome(tmp_path / "centre")
    home.folder.mkdir(mode=0o755)
    home.prepare()
    home.prepare()
    folders = [home.folder, *(p for p in home.folder.rglob("*") if p.is_dir())]
    assert home.keys in folders
    assert home.flwr_home in folders
    assert {stat.S_IMODE(p.stat().st_mode) for p in folders} == {0o700}


def test_a_link_or_a_file_in_the_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    home = CentreHome(tmp_path)
    home.keys.symlink_to("/tmp")  # noqa: S108
    with pytest.raises(DeploymentError, match="not a folder"):
        home.prepare()
    home.keys.unlink()
    home.keys.write_text("", "utf-8")
    with pytest.raises(DeploymentError, match="cannot make"):
        home.prepare()


@given(
    name=st.text(st.characters(codec="utf-8"), min_size=1, max_size=64).filter(str.isprintable),
    port=st.integers(1, 65535),
)
def test_settings_survive_the_file(
    tmp_path_factory: pytest.TempPathFactory, name: str, port: int
) -> None:
    home = CentreHome(tmp_path_factory.mktemp("home"))
    config = CentreConfig(name=name, host="fl.example", port=port, bind="127.0.0.1")
    home.settings.write_text(config.to_toml(), "utf-8")
    assert home.config() == config


@pytest.mark.parametrize(
    "wrong", ['host = "a:1"', 'host = "https://a"', "port = 0", "port = 70000", 'name = ""']
)
def test_wrong_settings_name_the_file(tmp_path: Path, wrong: str) -> None:
    home = CentreHome(tmp_path)
    key = wrong.split(" =")[0]
    given = {"name": 'name = "x"', "host": 'host = "a"', key: wrong}
    home.settings.write_text("\n".join(given.values()), "utf-8")
    with pytest.raises(ConfigError, match=r"centre\.toml"):
        home.config()
