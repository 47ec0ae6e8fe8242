"""What a centre's home says of itself: name, signing key, roster, daemons; read, never changed."""

import json

from common.errors import DeploymentError
from common.trust import storing
from common.trust.certificates import fingerprint, read_certificate
from common.trust.keys import PublicKey, SigningKey
from common.trust.roster import Roster, read_roster
from common.trust.signed import Signed
from server.home import CentreHome

INIT = "`mascaron-admin init` makes a centre, `mascaron-admin restore` brings one back"


def federation_of(home: CentreHome) -> str:
    """The federation's name; ``DeploymentError`` where there is no CA, ``SignatureError`` where
    its certificate is none."""
    content = storing.read(home.ca)
    if content is None:
        raise DeploymentError(f"{home.folder} is not a centre: {INIT}")
    return fingerprint(read_certificate(content))


def signing_key(home: CentreHome) -> SigningKey:
    """The key that signs charters; ``ConfigError`` if it is missing or not private."""
    return SigningKey.load(home.centre_key)


def public_key(home: CentreHome) -> PublicKey:
    """What rosters and charters of this centre verify against."""
    return signing_key(home).public


def roster_of(home: CentreHome) -> Roster:
    """The roster in force, empty before the first admission.

    Raises ``SignatureError`` unless this centre signed it, for this federation.
    """
    federation, content = federation_of(home), storing.read(home.roster)
    if content is None:
        return Roster(federation=federation)
    signed = Signed.from_json(content.decode("utf-8", "replace"))
    return read_roster(signed, public_key(home), Roster(federation=federation))


def daemon_states(home: CentreHome) -> dict[str, str]:
    """The daemons of `serve` and their states, as it last wrote them; empty if it did not yet."""
    try:
        table = json.loads(storing.read(home.state) or b"{}")
        return {name: str(one["state"]) for name, one in table["daemons"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
