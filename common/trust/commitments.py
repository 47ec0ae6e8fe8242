"""A commitment to the head of a site's audit log, and the centre's word that it saw it in time.

Guarantee: two different heads have no commitment in common, and whoever holds the centre's word on
one cannot later show another log in its place.
Leaks: nothing of the head: 32 random bytes are in each commitment, and each is of one size.
"""

import hashlib
import re
from dataclasses import asdict, dataclass

from common.config import build
from common.errors import ConfigError, SignatureError
from common.trust.keys import PublicKey, SigningKey
from common.trust.signed import Signed, seal, unseal

PURPOSE = "audit commitment"
NONCE = HASH = 32  # bytes
_DIGEST = re.compile(r"[0-9a-f]{64}")


def commitment(head: tuple[int, bytes], nonce: bytes) -> str:
    """The digest of a head, which is a row's number and chain value, under ``nonce``."""
    index, value = head
    if len(nonce) != NONCE or len(value) != HASH:
        raise ValueError(f"a nonce and a chain value have {NONCE} bytes each")
    content = nonce + index.to_bytes(8, "big") + value
    return hashlib.sha256(b"mascaron audit commitment v1\0" + content).hexdigest()


def is_commitment(text: str) -> bool:
    """Whether ``text`` has the form of one."""
    return _DIGEST.fullmatch(text) is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class Countersigned:
    """What the centre signs: which site showed it which commitment, and when."""

    federation: str
    identity: str  # ``PublicKey.text`` of the site
    digest: str
    time: int  # Unix seconds of the centre's clock

    def __post_init__(self) -> None:
        if not is_commitment(self.digest):
            raise ConfigError("a commitment is a SHA-256 in hexadecimal")

    def sign(self, key: SigningKey) -> Signed:
        return seal(key, PURPOSE, asdict(self))


def read_countersigned(text: str, centre: PublicKey) -> Countersigned:
    """The word in ``text``; ``SignatureError`` unless ``centre`` gave it."""
    try:
        table = unseal(centre, PURPOSE, Signed.from_json(text))
        return build(Countersigned, table, "commitment")
    except ConfigError as error:
        raise SignatureError(f"not a commitment: {error}") from None
