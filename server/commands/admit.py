"""`mascaron-admin admit`: the one act that lets a site in, after two people compared a key."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from common.errors import DeploymentError
from common.trust.fingerprints import spoken
from common.trust.keys import PublicKey
from server.admission.membership import Declared, Membership
from server.home import CentreHome
from server.standing import federation_of

NodeCall = Callable[[str], None]  # tells the SuperLink of one node key; ``DeploymentError``


@dataclass(frozen=True, slots=True)
class Outside:
    """What is told of an admission: the SuperLink, and the administrator who is looking on."""

    register: NodeCall
    unregister: NodeCall
    show: Callable[[str], None]


def admit_command(
    home: CentreHome,
    name: str,
    fingerprint: str,
    declared: Declared,
    *,
    now: float,
    outside: Outside,
) -> dict[str, Any]:
    """Shows what the site called ``name`` declared, puts it in the roster, registers its node.

    If the SuperLink cannot be told now, the site is
    admitted all the same and `registered` is false: `serve` registers whoever is in the roster.
    """
    federation_of(home)
    members = Membership(home)
    asks = members.asking(name, fingerprint, now)
    outside.show(f"{asks.name} declares camera type {asks.camera_type!r}, {asks.people} people")
    admitted = members.admit(name, fingerprint, declared, now)
    entry = admitted.entry
    try:
        if admitted.replaced:
            outside.unregister(admitted.replaced)
        outside.register(entry.node)
        registered, note = True, "at the site: `mascaron-site serve` and `mascaron-site join`"
    except DeploymentError as error:
        registered, note = False, f"{error}; `mascaron-admin serve` registers the node"
    return {
        "admitted": entry.name,
        "fingerprint": spoken(PublicKey.of(entry.identity).fingerprint),
        "camera_type": entry.camera_type,
        "people": entry.people,
        "registered": registered,
        "next": note,
    }
