"""`mascaron-admin revoke`: a site is out from the next message on, and is told why."""

from typing import Any

from common.errors import DeploymentError
from common.trust.fingerprints import spoken
from common.trust.keys import PublicKey
from server.admission.membership import Membership
from server.commands.admit import NodeCall
from server.home import CentreHome
from server.standing import federation_of


def revoke_command(
    home: CentreHome, name: str, reason: str, *, now: float, unregister: NodeCall
) -> dict[str, Any]:
    """Marks ``name`` as revoked in the roster, lists its certificates, unregisters its node.

    Raises ``DeploymentError`` if the SuperLink cannot be told: the roster says it already, so that
    no run takes the site, but its node stays connected until the command is repeated.
    """
    federation_of(home)
    entry = Membership(home).revoke(name, reason, now)
    try:
        unregister(entry.node)
    except DeploymentError as error:
        raise DeploymentError(
            f"{name} is revoked, but its node is still registered ({error}); "
            "repeat the command when `mascaron-admin serve` runs"
        ) from None
    return {
        "revoked": entry.name,
        "fingerprint": spoken(PublicKey.of(entry.identity).fingerprint),
        "reason": entry.reason,
    }
