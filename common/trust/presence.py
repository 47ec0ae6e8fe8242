"""A site's answer to a challenge: which admitted site it is, and what it declares."""

import os
from dataclasses import astuple, dataclass

from common import wire
from common.errors import SignatureError
from common.trust.keys import PublicKey, SigningKey

PURPOSE = "presence"
CHALLENGE = 32  # bytes that the centre draws
LEAST, MOST = 16, 64  # bytes that a site signs


@dataclass(frozen=True, kw_only=True, slots=True)
class Presence:
    """What a site says of itself when it describes itself: public, declared by its operator.

    Guarantee: signed together with a challenge that was never used before, so that neither an old
    answer nor another site's counts, and a courier cannot declare otherwise than its operator.
    Leaks: that the site's agent was reachable when the challenge was drawn.
    """

    federation: str
    site: str
    camera_type: str
    trunk: str
    people: int

    def sign(self, key: SigningKey, challenge: bytes) -> bytes:
        return key.sign(PURPOSE, self._content(challenge))

    def verify(self, site: PublicKey, challenge: bytes, signature: bytes) -> None:
        """Raises ``SignatureError`` unless ``site`` signed this over ``challenge``."""
        if not LEAST <= len(challenge) <= MOST:
            raise SignatureError(f"a challenge has {LEAST} to {MOST} bytes")
        site.verify(PURPOSE, self._content(challenge), signature)

    def _content(self, challenge: bytes) -> bytes:
        return wire.digest(challenge, *(str(value) for value in astuple(self))).encode()


def new_challenge() -> bytes:
    """Random bytes that nobody signed before."""
    return os.urandom(CHALLENGE)
