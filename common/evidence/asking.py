"""How a site asks its centre for history, witnesses and releases: signed, small, in known pieces.

Two names under `/mascaron/v1/`: `releases` for news of the history, `release` for a piece of a
file. Both are answered to admitted sites only.

Leaks: to the centre, that the site asked, what it has, and the head it believes in.
"""

import base64
import binascii
from dataclasses import asdict, dataclass
from typing import Any, Literal

from common.config import build
from common.errors import ConfigError, ReleaseError, SignatureError, WireError
from common.evidence.bundle import check_size
from common.trust.admission import PROTOCOL, Envelope
from common.trust.keys import PublicKey, SigningKey
from common.trust.signed import Signed, seal, unseal

PURPOSE = "release question"
NEWS, PIECE = "releases", "release"  # names of the requests
ASKS = (NEWS, PIECE)
MOST_ENTRIES = 500  # of the history in one answer
PIECE_BYTES = 2**20  # of a release in one answer


@dataclass(frozen=True, kw_only=True, slots=True)
class ReleaseQuestion:
    """What an admitted site asks. `releases` uses ``after`` and ``witness``, `release` the rest."""

    federation: str
    ask: Literal["releases", "release"]
    time: int  # unix seconds of the site's clock: an old question is none
    after: int = 0  # entries of the history that the site has
    witness: str = ""  # ``Witness.sign(...).to_json()``, of the head that it believes in
    release: str = ""  # digest
    offset: int = 0  # bytes of it that the site has


@dataclass(frozen=True, kw_only=True, slots=True)
class News:
    """The entries after those that were asked for, the statements of all sites, and how many
    entries there are: if the answer has not all of them, one asks again."""

    entries: tuple[Signed, ...]
    witnesses: dict[str, str]
    number: int

    def to_table(self) -> dict[str, Any]:
        """As it travels."""
        entries = [signed.to_json() for signed in self.entries]
        return {"entries": entries, "witnesses": self.witnesses, "number": self.number}


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """Bytes of a release of ``size`` bytes, from ``offset`` on."""

    content: bytes
    offset: int
    size: int

    def to_table(self) -> dict[str, Any]:
        """As it travels."""
        text = base64.b64encode(self.content).decode("ascii")
        return {"piece": text, "offset": self.offset, "size": self.size}


def send_release_question(question: ReleaseQuestion, key: SigningKey) -> Envelope:
    """``question`` signed by the site."""
    signed = seal(key, PURPOSE, asdict(question))
    return Envelope(
        protocol=PROTOCOL,
        identity=key.public.text,
        content=signed.content,
        signature=signed.signature,
    )


def read_release_question(envelope: Envelope) -> tuple[PublicKey, ReleaseQuestion]:
    """Who asks and what. Raises ``SignatureError`` if it is not signed, ``WireError`` if no
    question."""
    identity = PublicKey.of(envelope.identity)
    try:
        table = unseal(identity, PURPOSE, envelope.signed)
        question = build(ReleaseQuestion, table, "question")
    except ConfigError as error:
        raise WireError(str(error)) from None
    if question.after < 0 or question.offset < 0:
        raise WireError("numbers are not negative")
    return identity, question


def read_news(table: dict[str, Any]) -> News:
    """The centre's answer to `releases`; ``WireError`` for anything else."""
    entries, witnesses, number = (table.get(key) for key in ("entries", "witnesses", "number"))
    if not (isinstance(entries, list) and isinstance(witnesses, dict) and type(number) is int):
        raise WireError("the centre's answer lacks what it must have")
    if not all(isinstance(text, str) for text in (*entries, *witnesses.values())):
        raise WireError("the centre's answer has other things than texts")
    try:
        signed = tuple(Signed.from_json(text) for text in entries)
    except SignatureError:
        raise WireError("the centre's answer has entries that are none") from None
    return News(entries=signed, witnesses=witnesses, number=number)


def read_piece(table: dict[str, Any], offset: int) -> Piece:
    """The centre's answer to `release`; ``WireError`` for anything else, ``ReleaseError`` for a
    release that is too large."""
    text, at, size = (table.get(key) for key in ("piece", "offset", "size"))
    if not isinstance(text, str) or type(size) is not int or at != offset:
        raise WireError("the centre's answer is no piece of a release")
    check_size(size)
    try:
        content = base64.b64decode(text.encode("ascii", "replace"), validate=True)
    except binascii.Error:
        raise WireError("the centre's answer is no piece of a release") from None
    if not content or offset + len(content) > size:
        raise ReleaseError("the centre sends more or less of a release than there is")
    return Piece(content=content, offset=offset, size=size)
