"""A site's folder has one place for everything, and its settings are read or refused."""

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.home import SiteHome
from client.site_config import SiteConfig
from common.errors import ConfigError, DeploymentError

SETTINGS = """[site]
name = "north-gate"
centre = "fl.example:8443"
camera_type = "door"
people = 240
trunk = "trunk/trunk.toml"
faces = "/srv/faces"
public = "public.npz"
"""


def home(folder: Path, settings: str = SETTINGS) -> SiteHome:
    (folder / "site.toml").write_text(settings, "utf-8")
    return SiteHome(folder)


def test_relative_paths_start_at_the_home(tmp_path: Path) -> None:
    config = home(tmp_path).config()
    assert config.trunk == tmp_path / "trunk" / "trunk.toml"
    assert (config.faces, config.public) == (Path("/srv/faces"), tmp_path / "public.npz")
    assert (config.host, config.port) == ("fl.example", 8443)
    assert home(tmp_path).socket(config) == tmp_path / "run" / "agent.sock"


def test_an_operator_may_put_the_socket_elsewhere(tmp_path: Path) -> None:
    place = home(tmp_path, SETTINGS + 'socket = "/run/mascaron/agent.sock"\n')
    assert place.socket(place.config()) == Path("/run/mascaron/agent.sock")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('name = "North Gate"', "a site's name is"),
        ('name = "a/b"', "a site's name is"),
        ('centre = "https://fl.example:8443"', "centre must be host:port"),
        ('centre = "fl.example"', "centre must be host:port"),
        ('centre = "fl.example:0"', "centre must be host:port"),
        ('centre = "fl.example:65536"', "centre must be host:port"),
        ('centre = "a b:1"', "centre must be host:port"),
        ('camera_type = ""', "camera_type"),
        ("people = 0", "people must be"),
        ('people = "240"', "expected int"),
        ('camera_tipe = "x"', "did you mean 'camera_type'"),
    ],
)
def test_a_wrong_setting_is_named_with_its_file(tmp_path: Path, line: str, told: str) -> None:
    key = line.split(" ")[0]
    kept = [other for other in SETTINGS.splitlines() if not other.startswith(f"{key} ")]
    with pytest.raises(ConfigError, match=told) as refused:
        home(tmp_path, "\n".join([*kept, line])).config()
    assert "site.toml" in str(refused.value)


def test_where_no_site_is_the_way_to_one_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no site\.toml: `mascaron-site init` makes one"):
        SiteHome(tmp_path).config()
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot look at"):
        SiteHome(tmp_path / "file").config()


@given(host=st.from_regex(r"[a-z0-9.-]{1,20}", fullmatch=True), port=st.integers(1, 65535))
def test_every_plain_address_is_taken_apart_as_it_was_put_together(host: str, port: int) -> None:
    facts = {"name": "x", "camera_type": "door", "people": 1}
    paths = {"trunk": Path("t"), "faces": Path("f"), "public": Path("p")}
    if host[0] in ".-":
        with pytest.raises(ConfigError):
            SiteConfig(centre=f"{host}:{port}", **facts, **paths)  # type: ignore[arg-type]
        return
    config = SiteConfig(centre=f"{host}:{port}", **facts, **paths)  # type: ignore[arg-type]
    assert (config.host, config.port) == (host, port)


def test_folders_of_one_side_are_closed_to_the_other(tmp_path: Path) -> None:
    place = SiteHome(tmp_path / "deep" / "site")
    place.prepare()
    for folder in (place.agent, place.features, place.courier, place.bin, place.logs):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder
    for folder in (place.folder, place.trust, place.run):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o755, folder


def test_preparing_narrows_a_folder_and_keeps_what_is_in_it(tmp_path: Path) -> None:
    place = SiteHome(tmp_path)
    place.agent.mkdir(mode=0o777)
    place.agent.chmod(0o777)
    place.ledger.write_text("kept", "utf-8")
    place.prepare()
    assert stat.S_IMODE(place.agent.stat().st_mode) == 0o700
    assert place.ledger.read_text("utf-8") == "kept"


def test_a_link_in_the_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    place = SiteHome(tmp_path / "site")
    place.folder.mkdir()
    (tmp_path / "elsewhere").mkdir()
    place.agent.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DeploymentError, match="not a folder"):
        place.prepare()
