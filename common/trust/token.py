"""The token an administrator gives a site: a secret, and which CA the site may believe."""

import base64
import binascii
import hashlib
import hmac
import secrets
from typing import NoReturn

from common.errors import AdmissionError

SECRET, PIN, CHECK = 16, 16, 3  # bytes: 35 together, which are 56 letters
GROUP = 8
_LETTERS = (SECRET + PIN + CHECK) * 8 // 5
_REMEDY = "copy it again as `mascaron-admin init` printed it"


class Token:
    """Lets one ask to be admitted, no more: admission itself is the administrator's act.

    Guarantee: a site that holds it takes no other CA for its federation's (SHA-256 cut to 128
    bits), and whoever answers learns only ``proof``, from which the secret does not follow.
    Leaks: whoever has the token can fill the waiting room, which has a cap.
    """

    def __init__(self, secret: bytes, pin: bytes) -> None:
        self._secret = secret
        self._pin = pin

    @classmethod
    def generate(cls, ca: bytes) -> "Token":
        """A new token for the CA whose certificate is ``ca``, in DER."""
        return cls(secrets.token_bytes(SECRET), hashlib.sha256(ca).digest()[:PIN])

    @classmethod
    def parse(cls, text: str) -> "Token":
        """Reads ``text`` however it was typed: case, spaces, hyphens, 0 for O and 1 for I.

        Raises ``AdmissionError`` if a letter is wrong or missing; it never repeats the text.
        """
        letters = "".join(text.split()).replace("-", "")
        if len(letters) != _LETTERS:
            raise AdmissionError(
                f"a token has {_LETTERS} letters and digits, this one has {len(letters)}; {_REMEDY}"
            )
        try:
            raw = base64.b32decode(letters.encode("ascii"), casefold=True, map01=b"I")
        except (binascii.Error, UnicodeEncodeError):
            raise AdmissionError(
                f"a token has only the letters A-Z and the digits 2-7; {_REMEDY}"
            ) from None
        body, check = raw[:-CHECK], raw[-CHECK:]
        if not hmac.compare_digest(_check(body), check):
            raise AdmissionError(f"a letter of the token is not right; {_REMEDY}")
        return cls(body[:SECRET], body[SECRET:])

    @property
    def text(self) -> str:
        """Seven groups of eight, to be copied or read aloud. Secret."""
        body = self._secret + self._pin
        letters = base64.b32encode(body + _check(body)).decode()
        return "-".join(letters[at : at + GROUP] for at in range(0, len(letters), GROUP))

    def pins(self, ca: bytes) -> bool:
        """Whether ``ca`` (DER) is the certificate this token was made for."""
        return hmac.compare_digest(hashlib.sha256(ca).digest()[:PIN], self._pin)

    def proof(self, content: bytes) -> str:
        """What only somebody with the secret can say of ``content``: HMAC-SHA256, hexadecimal."""
        return hmac.new(self._secret, b"mascaron admission v1\0" + content, "sha256").hexdigest()

    def proves(self, content: bytes, proof: str) -> bool:
        """Whether ``proof`` is of ``content`` and of this token; takes as long if it is not."""
        return hmac.compare_digest(self.proof(content).encode(), proof.encode("utf-8", "replace"))

    def __repr__(self) -> str:
        return "Token(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a token is not pickled")


def _check(body: bytes) -> bytes:
    return hashlib.sha256(b"mascaron token v1\0" + body).digest()[:CHECK]
