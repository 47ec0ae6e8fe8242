"""`mascaron-site init`: a site makes its own keys and asks to be let in; keys never travel."""

import secrets
from collections.abc import Callable
from typing import Any

from client.centre.contact import Centre, fetch_ca
from client.commands.settings import Asked, settle
from client.courier.supernode import make_node_key
from client.door.operator import found_operator
from client.ends import make_ends
from client.home import SiteHome
from client.site_config import SiteConfig
from client.vault.founding import found_vault
from common.config import read_toml
from common.errors import AdmissionError, ConfigError
from common.trust import storing
from common.trust.admission import SiteRequest, make_csr, send_request
from common.trust.certificates import check_ca, der, fingerprint, read_certificate
from common.trust.fingerprints import spoken
from common.trust.keys import SigningKey
from common.trust.nodes import load_node_key
from common.trust.token import Token

_NEEDED = ("centre", "name", "camera_type", "people")
LEDGER_KEY = 32  # bytes
START = "`mascaron-site serve` and `mascaron-site join`, side by side"

_POLICY = """\
# What this site allows, whatever a charter asks. The agent reads it at its start.

# The whole privacy loss that people here may ever suffer, over all runs together: epsilon at
# delta. Lower it at will; raising it is a promise broken. With `yearly_refresh = true` it would be
# the loss of every single year.
epsilon = 8.0
delta = 1e-4

# Public, and told instead of a count. Round it so that one person more or less never changes it.
declared_people = {people}

# Most rounds of one charter, and longest time in seconds that an answer may be held back.
rounds = 200
release_slot = 600.0

# Kinds of heads that may learn from labels of the people's pictures (attributes, age, gender,
# words): only what the people agreed to, and nothing without it. The door takes labels of these
# kinds alone; words are sentences of them. What is denied, such as "age" or "glasses", is neither
# learnt nor taken, said nor searched for, whatever it is called.
heads = []
denied_attributes = []

# A charter within both limits is accepted without asking you. As they stand, you are always asked.
[auto_accept]
epsilon = 0.0
rounds = 0

# What a release must show before it is staged at the door, besides the centre's signature: name
# here what is to be stricter than common/evidence/gates.toml. `heads` are the kinds of heads that
# the door takes from a release, where site.toml lets it describe. Gender is read only where it is
# named here, also by a file of your own.
[release]
unsigned = false
heads = ["attributes", "age", "words"]
[release.gates]
# least_tar = 0.9
"""


def init_command(
    home: SiteHome, asked: Asked, token_text: str, clock: Callable[[], float], *, later: bool
) -> dict[str, Any]:
    """Makes what is missing in ``home`` and puts the site into the centre's waiting room.

    Done again, it makes nothing new and asks the same; a site that was alone asks for the first
    time. ``later`` leaves the network alone.
    Raises ``ConfigError`` if the home is another site's, ``AdmissionError`` or
    ``DeploymentError`` if the centre refuses or cannot be reached: the keys are kept then.
    """
    token = Token.parse(token_text)
    home.prepare()
    config = settle(home, asked, _NEEDED)
    key = _keys(home, config)
    _member_keys(home, config)
    if config.agent is not None:
        make_ends(home, clock())
    told = {"site": config.name, "fingerprint": spoken(key.public.fingerprint)}
    if later:
        return {**told, "state": "not sent", "next": "the same command without --later"}
    ca = _meet(home, config, token)
    certificate = read_certificate(ca)
    check_ca(certificate, clock())
    request = SiteRequest(
        federation=fingerprint(certificate),
        name=config.name,
        csr=make_csr(key, config.name),
        node=make_node_key(home),
        camera_type=config.camera_type,
        people=config.people,
        trunk=_trunk(home),
    )
    node = load_node_key(home.node_key.read_bytes())
    body = send_request(request, key, node, token).to_json()
    answer = Centre(config.host, config.port, ca).ask("request", body)
    state = "admitted" if answer.get("state") == "admitted" else "waiting"
    read_out = "read the fingerprint to the administrator on the telephone, then "
    step = START if state == "admitted" else f"{read_out}{START}"
    return {**told, "federation": request.federation, "state": state, "next": step}


def init_alone(home: SiteHome, asked: Asked) -> dict[str, Any]:
    """Makes a site that has a door and no centre: `serve` answers there and waits for nobody.

    ``ConfigError`` if the home is another site's, or has a centre.
    """
    home.prepare()
    config = settle(home, asked, ("name",))
    if not config.alone:
        raise ConfigError(f"{home.settings} names a centre: a site with one is not alone")
    told = {"site": config.name, "fingerprint": spoken(_keys(home, config).public.fingerprint)}
    return {**told, "state": "alone", "next": "`mascaron-site serve`"}


def _keys(home: SiteHome, config: SiteConfig) -> SigningKey:
    """The site's identity, its vault with what opens that, and its first caller; made once."""
    if not home.identity_key.exists():
        storing.replace(home.identity_key, SigningKey.generate().pem())
    found_vault(home, config)
    found_operator(home, secrets.token_bytes)
    return SigningKey.load(home.identity_key)


def _member_keys(home: SiteHome, config: SiteConfig) -> None:
    """What only a member of a federation needs: keys of node and ledger, and a policy."""
    if not home.ledger_key.exists():
        storing.replace(home.ledger_key, secrets.token_bytes(LEDGER_KEY))
    make_node_key(home)
    if not home.policy.exists():
        text = _POLICY.format(people=config.people)
        storing.replace(home.policy, text.encode(), storing.PUBLIC)


def _meet(home: SiteHome, config: SiteConfig, token: Token) -> bytes:
    """The CA certificate, pinned by the token at first contact and kept from then on."""
    kept = storing.read(home.ca)
    if kept is None:
        kept = fetch_ca(config.host, config.port, token)
        storing.replace(home.ca, kept, storing.PUBLIC)
    elif not token.pins(der(read_certificate(kept))):
        raise AdmissionError(
            f"this home belongs to another federation than the token ({home.ca}): make another "
            "site with --home"
        )
    return kept


def _trunk(home: SiteHome) -> str:
    """The hash of the trunk this site runs, if it has one by now."""
    manifest = home.config().trunk
    table = read_toml(manifest).get("trunk") if manifest.is_file() else None
    found = table.get("sha256") if isinstance(table, dict) else None
    return found if isinstance(found, str) else ""
