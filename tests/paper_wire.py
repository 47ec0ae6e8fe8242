"""A site and a centre that talk on paper: what is sent is seen, what comes back may be a lie."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from client.commands.init import init_command
from client.commands.settings import Asked
from client.home import SiteHome
from common.errors import (
    DeploymentError,
)
from common.trust.keys import SigningKey
from tests.small_federation import PaperCentre, PaperSite

ASKED = Asked(
    centre="centre.example:8443",
    name="north",
    camera_type="door",
    people=240,
    faces=Path("/srv/faces"),
)
Change = Callable[[dict[str, Any]], None]


class Wire:
    """Takes the place of TLS: what a site sends reaches the paper centre, what comes back may
    be changed on its way."""

    def __init__(self, centre: PaperCentre) -> None:
        self.centre = centre
        self.sent: list[tuple[str, bytes]] = []
        self.change: Change = lambda table: None
        self.down = False

    def exchange(self, host: str, port: int, context: Any, asked: Any) -> tuple[int, bytes]:
        if self.down:
            raise DeploymentError("nothing listens")
        method, path, body = asked
        name = path.rpartition("/")[2]
        if (method, name) == ("GET", "ca"):
            return 200, self.centre.home.ca.read_bytes()
        self.sent.append((name, body))
        status, table = self.centre.admission().answer(name, body)
        self.change(table)
        return status, json.dumps(table).encode()


def init(home: SiteHome, centre: PaperCentre, asked: Asked = ASKED, **options: Any) -> Any:
    facts = {"later": False, **options}
    return init_command(home, asked, centre.token.text, centre.clock, **facts)


def joined(home: SiteHome, centre: PaperCentre) -> PaperSite:
    """The site of ``home``, admitted; its keys as a paper site has them."""
    init(home, centre)
    site = PaperSite(key=SigningKey.load(home.identity_key))
    centre.admit(site)
    return site


def trusted(home: SiteHome) -> dict[str, bytes]:
    own = home.commitments.name  # what the site says itself, and its lock
    found = [path for path in home.trust.iterdir() if not path.name.startswith(own)]
    return {path.name: path.read_bytes() for path in found}
