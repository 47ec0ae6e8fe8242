"""`mascaron-admin sites`: who waits, who is in, who is out."""

from typing import Any

from common.trust.fingerprints import spoken
from server.admission.membership import Membership
from server.home import CentreHome
from server.standing import federation_of


def sites_command(home: CentreHome, now: float) -> dict[str, Any]:
    """All sites with what they declared, and until when their certificates last."""
    federation_of(home)
    return Membership(home).table(now)


def drop_command(home: CentreHome, fingerprint: str, now: float) -> dict[str, Any]:
    """Sends whoever waits with ``fingerprint`` out of the waiting room."""
    federation_of(home)
    request = Membership(home).drop(fingerprint, now)
    return {"dropped": request.name, "fingerprint": spoken(request.identity.fingerprint)}
