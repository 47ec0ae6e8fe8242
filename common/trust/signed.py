"""A signed text: the exact words that were signed travel, and are parsed only once they verify."""

import json
from dataclasses import dataclass
from typing import Any, NoReturn

from common.errors import SignatureError
from common.trust.keys import PublicKey, SigningKey, decode, encode

LONGEST = 4 * 2**20  # characters; the largest honest one is a roster of thousands of sites


@dataclass(frozen=True, slots=True)
class Signed:
    """``content`` as signed, and the signature in URL-safe base64."""

    content: str
    signature: str

    def to_json(self) -> str:
        return json.dumps({"content": self.content, "signature": self.signature})

    @classmethod
    def from_json(cls, text: str) -> "Signed":
        """Reads ``to_json``; ``SignatureError`` for anything else."""
        table = _table(text)
        content, signature = table.get("content"), table.get("signature")
        if not (isinstance(content, str) and isinstance(signature, str) and len(table) == 2):
            raise SignatureError("not a signed text")
        return cls(content, signature)


def seal(key: SigningKey, purpose: str, table: dict[str, Any]) -> Signed:
    """``table`` as canonical JSON, signed by ``key`` for ``purpose``."""
    content = json.dumps(table, sort_keys=True, separators=(",", ":"), allow_nan=False)
    signature = key.sign(purpose, content.encode())
    return Signed(content, encode(signature))


def unseal(public: PublicKey, purpose: str, signed: Signed) -> dict[str, Any]:
    """The table that ``public``'s owner signed; ``SignatureError`` before anything is parsed."""
    try:
        signature = decode(signed.signature)
    except ValueError:
        raise SignatureError(f"the signature of the {purpose} is malformed") from None
    public.verify(purpose, signed.content.encode("utf-8", "surrogatepass"), signature)
    return _table(signed.content)


def _table(text: str) -> dict[str, Any]:
    if len(text) > LONGEST:
        raise SignatureError("a signed text is too long")
    try:
        table = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise SignatureError("a signed text is not JSON") from None
    if not isinstance(table, dict):
        raise SignatureError("a signed text is not an object")
    return table


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a key is given twice")
    return table


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number")
