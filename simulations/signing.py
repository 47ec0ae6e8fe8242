"""The keys of a federation in the laboratory: made for it, kept nowhere else."""

from pathlib import Path

from client.agent.facts import Membership
from common.trust.keys import PublicKey, SigningKey
from common.trust.signed import Signed
from server.charter import Charter, Initial, write_charter
from server.runs.register import CENTRE_KEY

FEDERATION = "laboratory"
NEVER = 2**53  # seconds since 1970: a charter of the laboratory does not expire


def publish(charter: Charter, initial: Initial, folder: Path) -> PublicKey:
    """Signs ``charter`` with a new key and writes it and the key's public half into ``folder``."""
    key = SigningKey.generate()
    write_charter(folder, sign(charter, initial, key), initial)
    (folder / CENTRE_KEY).write_text(key.public.text + "\n", "utf-8")
    return key.public


def sign(charter: Charter, initial: Initial, key: SigningKey) -> Signed:
    """``charter`` over ``initial`` as the laboratory's centre signs it."""
    return charter.terms(FEDERATION, initial, NEVER).sign(key)


def member(site: str, centre: PublicKey) -> Membership:
    """A site of the laboratory, with an identity of its own that dies with its agent."""
    identity = SigningKey.generate()
    return Membership(federation=FEDERATION, site=site, identity=identity, centre=centre)
