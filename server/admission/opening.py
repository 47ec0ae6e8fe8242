"""What a centre puts right before it opens its door, and daily: certificates, lists and nodes as
the roster has them, whatever a crash or a long sleep left behind."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from common.trust.storing import read, remove, replace
from server.admission.authority import renew_server
from server.admission.membership import Membership
from server.admission.roster import RosterBook
from server.home import CentreHome


def make_ready(home: CentreHome, now: float) -> None:
    """Renews the server's certificate if it is due, and follows the roster to the letter.

    Guarantee: a node key that the roster does not name as admitted, or whose site let its
    certificate expire, is not told to the SuperLink.
    Raises ``DeploymentError`` or ``SignatureError`` if the home is not whole.
    """
    renew_server(home, now, due=True)
    members = Membership(home)
    members.settle(now)
    with RosterBook(home).changing() as roster:  # else a site admitted meanwhile would be lost
        lapsed = members.lapsed(now)
        keep_nodes(home, (e.node for e in roster.admitted if e.name not in lapsed))


def keep_nodes(home: CentreHome, lines: Iterable[str]) -> None:
    """Makes the folder of node keys hold ``lines`` (OpenSSH) and no other."""
    wanted = {node_file(home, line): f"{line}\n".encode() for line in lines}
    for path in home.nodes.glob("*.pub"):
        if path not in wanted:
            remove(path)
    for path, content in wanted.items():
        if read(path) != content:
            replace(path, content)


def node_file(home: CentreHome, line: str) -> Path:
    """Where the node key of ``line`` is kept for the next start of the SuperLink."""
    return home.nodes / f"{hashlib.sha256(line.encode()).hexdigest()}.pub"
