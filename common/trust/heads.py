"""A ledger head signed by its site: what the centre keeps so that an older ledger shows."""

from dataclasses import asdict, dataclass

from common.config import build
from common.errors import ConfigError, SignatureError
from common.trust.keys import PublicKey, SigningKey
from common.trust.signed import Signed, seal, unseal

PURPOSE = "ledger head"


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedHead:
    """How many rows the ledger of ``site`` has, and the tag of the last one.

    Leaks: the number of rows, which follows from the rounds the centre itself asked for; the tag
    is an HMAC under a key that never leaves the site.
    """

    federation: str
    site: str
    sequence: int
    mac: str  # hexadecimal

    def __post_init__(self) -> None:
        try:
            whole = len(bytes.fromhex(self.mac)) == 32
        except ValueError:
            whole = False
        if self.sequence < 0 or not whole:
            raise ConfigError("a head is a row number and 32 bytes")

    def sign(self, key: SigningKey) -> Signed:
        return seal(key, PURPOSE, asdict(self))


def read_head(signed: Signed, site: PublicKey) -> SignedHead:
    """The head in ``signed``; ``SignatureError`` unless ``site`` signed it."""
    try:
        return build(SignedHead, unseal(site, PURPOSE, signed), "head")
    except ConfigError as error:
        raise SignatureError(f"not a ledger head: {error}") from None
