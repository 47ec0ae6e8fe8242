"""`mascaron-site admission`: asks the centre how this site stands, and renews what is due."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from client.centre.admission import fetch
from client.centre.releases import fetch_history
from client.commands.init import START
from client.home import SiteHome
from common.errors import AdmissionError, DeploymentError

_NEXT = {
    "waiting": "read the fingerprint that `mascaron-site init` printed to the administrator",
    "admitted": START,
    "revoked": "to join again, make a new home with `mascaron-site init`",
}
_NEW_NODE = "run `mascaron-site init` again and be admitted once more: the node key is another"


def admission_command(home: SiteHome, clock: Callable[[], float]) -> dict[str, Any]:
    """State, reason, end of the certificate and number of the roster, as signed; and how many
    entries the history of releases has.

    Run it once a day, better every hour: a certificate under a third of its life is renewed by it,
    and the centre hears, for all other sites to see, which history this one was shown. Raises as
    ``fetch`` does, ``DeploymentError`` for a user who is not the agent's, and ``HistoryError`` or
    ``SplitViewError`` for a history that cannot be believed.
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
        "releases": _releases(home, clock) if state.state == "admitted" else None,
        "next": _NEW_NODE if lost else _NEXT[state.state],
    }


def _releases(home: SiteHome, clock: Callable[[], float]) -> int | str:
    """How many entries there are, or why nobody said: an admission does not hang on it."""
    try:
        history, _ = fetch_history(home, clock)
    except (AdmissionError, DeploymentError) as error:
        return error.reason
    return len(history.entries)
