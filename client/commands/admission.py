"""`mascaron-site admission`: asks the centre how this site stands, and renews what is due."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from client.centre.admission import fetch
from client.commands.init import START
from client.home import SiteHome

_NEXT = {
    "waiting": "read the fingerprint that `mascaron-site init` printed to the administrator",
    "admitted": START,
    "revoked": "to join again, make a new home with `mascaron-site init`",
}
_NEW_NODE = "run `mascaron-site init` again and be admitted once more: the node key is another"


def admission_command(home: SiteHome, clock: Callable[[], float]) -> dict[str, Any]:
    """State, reason, end of the certificate and number of the roster, as signed.

    Run it once a day: a certificate under a third of its life is renewed by it. Raises as
    ``fetch`` does, and ``DeploymentError`` for a user who is not the agent's.
    """
    home.check_agent()
    state = fetch(home, clock)
    lost = state.state == "admitted" and not state.node_known
    expires = datetime.fromtimestamp(state.expires, UTC).isoformat() if state.expires else None
    return {
        "state": state.state,
        "reason": state.reason,
        "expires": expires,
        "roster": state.roster,
        "node_known": state.node_known,
        "next": _NEW_NODE if lost else _NEXT[state.state],
    }
