"""What the SuperNode says is summed up in one word about how the node stands."""

import json
from pathlib import Path

import pytest

from client.courier import standing
from client.courier.standing import Listener, Standing
from client.home import SiteHome
from common.errors import ConfigError

REFUSAL = (  # of a node that is unknown, as Flower 1.41 writes it
    "ERROR :     Exit Code: 305",
    "Failed to initialize the connection to the SuperLink.",
    "[code: 2004] Failed to activate SuperNode.",
    "The SuperNode could not establish a connection to the SuperLink.",
)


class Site:
    """A listener with a clock of its own, and what it told the operator."""

    def __init__(self, folder: Path) -> None:
        self.home = SiteHome(folder)
        self.home.prepare()
        self.now, self.said = 100.0, list[str]()
        self.listener = Listener(self.home, lambda: self.now, self.said.append)

    def hear(self, *lines: str, name: str = "supernode") -> None:
        for line in lines:
            self.now += 1
            self.listener.heard(name, line)

    @property
    def standing(self) -> Standing | None:
        return Standing.load(self.home.standing)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "site")


def test_a_connected_node_stands_as_connected(site: Site) -> None:
    site.hear("INFO :      SuperNode ID: 14523508419014624207")
    assert site.standing == Standing(state=standing.CONNECTED, since=101.0)


def test_a_refused_node_stands_as_refused_since_the_first_time(site: Site) -> None:
    for _ in range(3):
        site.hear("INFO :      Starting Flower SuperNode", *REFUSAL, "ended with 1")
    assert site.standing == Standing(state=standing.REFUSED, since=104.0)
    assert site.said == [standing.SAID[standing.REFUSED]]


def test_losing_the_centre_and_finding_it_again_is_told(site: Site) -> None:
    site.hear("SuperNode ID: 5", "WARNING :   Connection attempt failed, retrying in 1 seconds")
    assert site.standing == Standing(state=standing.UNREACHABLE, since=102.0)
    site.hear("INFO :      Connection successful after 3 seconds and 2 tries.")
    assert site.standing == Standing(state=standing.CONNECTED, since=103.0)


def test_ending_without_a_word_is_told_too(site: Site) -> None:
    site.hear("INFO :      Starting Flower SuperNode", "ended with -9")
    assert site.standing == Standing(state=standing.ENDED, since=102.0)
    site.hear("SuperNode ID: 5", "ended with -9")
    assert site.standing == Standing(state=standing.ENDED, since=104.0)


def test_only_the_supernode_tells_how_the_node_stands(site: Site) -> None:
    site.hear("SuperNode ID: 5", "ended with 1", name="superexec")
    assert site.standing is None
    [log] = site.home.logs.iterdir()
    assert log.name == "superexec.log"


@pytest.mark.parametrize("content", ["{", "[]", '{"state": 1, "since": 2}', '{"state": "x"}'])
def test_a_damaged_standing_is_an_error_that_names_the_file(site: Site, content: str) -> None:
    site.home.standing.write_text(content, "utf-8")
    with pytest.raises(ConfigError, match=r"standing\.json"):
        Standing.load(site.home.standing)


def test_before_anything_was_heard_there_is_no_standing(site: Site) -> None:
    assert site.standing is None
    site.listener.stand(standing.STARTING)
    assert json.loads(site.home.standing.read_text("utf-8"))["state"] == "starting"
