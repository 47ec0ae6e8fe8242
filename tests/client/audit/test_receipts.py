"""A receipt of an erasure says what was erased, to whoever knows the site's public key."""

import json
from pathlib import Path

import pytest

from client.audit import receipts
from client.audit.receipts import WORDS, Receipt
from client.vault.store import Erasure, Vault
from common.errors import SignatureError
from common.trust.keys import encode
from common.trust.signed import Signed, seal
from tests.small_audit import NOW, SITE, key, tag
from tests.small_vault import filled, person, place

ERASURE = Erasure(
    persons=(person(1), person(2)),
    epoch_before=3,
    epoch_after=4,
    keyring_before="0a" * 32,
    keyring_after="0b" * 32,
    generation=9,
    at=NOW,
)


def issued() -> str:
    return receipts.issue(ERASURE, (tag(8), tag(7)), 12, SITE, key()).to_json()


def test_a_receipt_says_what_the_vault_did_and_where_it_is_written_down(quick_path: Path) -> None:
    filled(quick_path / "v", (1, 2))
    with Vault(place(quick_path / "v")) as vault:
        tags = [vault.tag(person(1), b"audit")]
        erasure = vault.erase([person(1)], NOW)
    receipt = receipts.check(receipts.issue(erasure, tags, 5, SITE, key()).to_json(), key().public)
    assert receipt == Receipt(
        site=SITE,
        subjects=(tags[0][:16].hex(),),
        index=5,
        at=NOW,
        epoch_before=1,
        epoch_after=2,
        keyring_before=erasure.keyring_before,
        keyring_after=erasure.keyring_after,
        generation=erasure.generation,
    )
    assert receipt.says == WORDS


def test_a_receipt_holds_neither_ids_nor_whole_tags() -> None:
    text = issued()
    assert person(1).hex() not in text
    assert (tag(7) + tag(7)).hex() not in text


def test_a_receipt_with_any_letter_changed_is_none() -> None:
    text = issued()
    signed = Signed.from_json(text)
    for at in range(len(signed.content)):
        other = "0" if signed.content[at] != "0" else "1"
        forged = Signed(signed.content[:at] + other + signed.content[at + 1 :], signed.signature)
        with pytest.raises(SignatureError):
            receipts.check(forged.to_json(), key().public)
    for at in range(0, len(text), 7):
        with pytest.raises(SignatureError):
            receipts.check(text[:at], key().public)


def test_a_receipt_of_another_key_or_purpose_is_none() -> None:
    with pytest.raises(SignatureError):
        receipts.check(issued(), key(2).public)
    content = Signed.from_json(issued()).content
    for purpose in ("audit head", "audit row", "ledger head"):
        signature = encode(key().sign(purpose, content.encode()))
        with pytest.raises(SignatureError):
            receipts.check(Signed(content, signature).to_json(), key().public)


@pytest.mark.parametrize(
    "wrong",
    [
        {"subjects": []},
        {"subjects": ["Jane"]},
        {"subjects": "00" * 16},
        {"epoch_after": 3},
        {"keyring_after": "0a" * 32},
        {"keyring_after": "short"},
        {"index": 0},
        {"index": "1"},
        {"says": "all is well"},
        {"site": 4},
        {"more": 1},
        {"at": 10**400},
    ],
)
def test_not_even_the_site_signs_a_receipt_that_says_nothing(wrong: dict[str, object]) -> None:
    table = json.loads(Signed.from_json(issued()).content)
    receipts.check(seal(key(), receipts.PURPOSE, table).to_json(), key().public)
    with pytest.raises(SignatureError):
        receipts.check(seal(key(), receipts.PURPOSE, {**table, **wrong}).to_json(), key().public)


def test_a_receipt_names_everybody_who_was_erased() -> None:
    with pytest.raises(ValueError, match="everybody"):
        receipts.issue(ERASURE, (tag(7),), 12, SITE, key())
