"""The receipt of an erasure: what the site signs and the person keeps.

Guarantee: whoever has the site's public key can tell that this site said, of the people with these
tags, that their keys were destroyed, by which change of the keyring and in which row of its audit
log. Nothing else is in it: no id, no name, no label.
Leaks: to who is given it, that so many people were erased together and when. The tags were made
with keys that are gone: they match rows of the log, and nobody makes them again from a person.
A receipt is the site's word: that no copy of the keys was kept beside the vault it cannot prove.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from client.audit.events import cut
from client.vault.store import Erasure
from common.config import build
from common.errors import ConfigError, SignatureError
from common.trust.keys import PublicKey, SigningKey
from common.trust.signed import Signed, seal, unseal

PURPOSE = "erasure receipt"
WORDS = (
    "The keys of the people named by these tags were destroyed, and with them all that this site "
    "had sealed under those keys: their templates, consent and label."
)
_DIGEST, _TAG = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Receipt:
    """What is signed. Digests are SHA-256 of the keyring before and after, in hexadecimal."""

    site: str
    says: str = WORDS
    subjects: tuple[str, ...]  # tags, in hexadecimal, as rows of the audit log have them
    index: int  # of the row of the audit log
    at: float  # Unix seconds
    epoch_before: int
    epoch_after: int
    keyring_before: str
    keyring_after: str
    generation: int  # of the vault afterwards

    def __post_init__(self) -> None:
        if self.says != WORDS or not self.subjects:
            raise ConfigError("not a receipt of an erasure")
        if not all(_TAG.fullmatch(subject) for subject in self.subjects):
            raise ConfigError("subjects are tags")
        digests = (self.keyring_before, self.keyring_after)
        if not all(_DIGEST.fullmatch(digest) for digest in digests) or len(set(digests)) < 2:
            raise ConfigError("the keyring did not change")
        if not (0 < self.epoch_before < self.epoch_after and self.index > 0 < self.generation):
            raise ConfigError("the epoch did not end, or nothing was recorded")
        if not math.isfinite(self.at):
            raise ConfigError("an erasure has a time")


def issue(
    erasure: Erasure, subjects: Sequence[bytes], index: int, site: str, key: SigningKey
) -> Signed:
    """The receipt of ``erasure``, recorded in row ``index``; its ``to_json`` is for the person.

    ``subjects`` are the tags of those erased, made while their keys lived. ``ValueError`` if they
    are not as many as were erased.
    """
    if len(subjects) != len(erasure.persons):
        raise ValueError("a receipt names everybody who was erased, and nobody else")
    receipt = Receipt(
        site=site,
        subjects=tuple(sorted(cut(subject).hex() for subject in subjects)),
        index=index,
        at=erasure.at,
        epoch_before=erasure.epoch_before,
        epoch_after=erasure.epoch_after,
        keyring_before=erasure.keyring_before,
        keyring_after=erasure.keyring_after,
        generation=erasure.generation,
    )
    return seal(key, PURPOSE, asdict(receipt))


def check(text: str, public_key: PublicKey) -> Receipt:
    """The receipt in ``text``; ``SignatureError`` unless the owner of ``public_key`` issued it."""
    table = unseal(public_key, PURPOSE, Signed.from_json(text))
    try:
        return build(Receipt, table, "receipt")
    except ConfigError:
        raise SignatureError("not a receipt of an erasure") from None
