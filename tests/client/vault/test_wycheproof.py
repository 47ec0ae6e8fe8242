"""Vectors of Project Wycheproof through our own wrappers: what is valid opens, nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from client.vault.handles import KEY, DataKey, hkdf
from common.errors import AggregationError, SignatureError, VaultError
from common.secagg import masks
from common.trust.keys import PublicKey, encode

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "golden" / "wycheproof.json").read_text("utf-8")
)
NO_SECRET = (0, 1, 2**255 - 20, 2**255 - 19, 2**255 - 18)  # u of small order on curve and twist


def number(vector: list[Any]) -> str:
    return str(vector[0])


@pytest.mark.parametrize("vector", VECTORS["aes_gcm"], ids=number)
def test_a_data_key_opens_what_is_valid_alone(vector: list[Any]) -> None:
    key, nonce, about, plain, cipher, tag = map(bytes.fromhex, vector[1:7])
    handle, sealed = DataKey(key, lambda _: nonce), nonce + cipher + tag
    if vector[7]:
        assert handle.open(sealed, about) == plain and handle.seal(plain, about) == sealed
    else:
        assert handle.seal(plain, about) != sealed
        with pytest.raises(VaultError):
            handle.open(sealed, about)


@pytest.mark.parametrize("vector", VECTORS["hkdf_sha256"], ids=number)
def test_keys_are_derived_as_the_standard_says(vector: list[Any]) -> None:
    secret, salt, info, derived = map(bytes.fromhex, vector[1:])
    assert hkdf(secret, info, salt=salt, size=len(derived)) == derived


def test_no_more_is_derived_than_there_is() -> None:
    assert len(hkdf(b"x", b"", size=255 * KEY)) == 255 * KEY
    with pytest.raises(ValueError, match="8160"):
        hkdf(b"x", b"", size=255 * KEY + 1)


@pytest.mark.parametrize("vector", VECTORS["x25519"], ids=number)
def test_two_ends_agree_as_the_standard_says(vector: list[Any]) -> None:
    public, private, shared = map(bytes.fromhex, vector[1:])
    assert masks.agreed(X25519PrivateKey.from_private_bytes(private), public) == shared


@pytest.mark.parametrize("low", NO_SECRET)
def test_keys_of_small_order_agree_with_nobody(low: int) -> None:
    with pytest.raises(AggregationError):
        masks.agreed(X25519PrivateKey.generate(), low.to_bytes(32, "little"))


@pytest.mark.parametrize("vector", VECTORS["ed25519"], ids=number)
def test_a_public_key_takes_valid_signatures_alone(vector: list[Any]) -> None:
    """Ours are over a purpose, so the vectors go to the key inside, and once through the frame."""
    key = PublicKey.of(encode(bytes.fromhex(VECTORS["ed25519_key"])))
    message, signature = bytes.fromhex(vector[1]), bytes.fromhex(vector[2])
    if vector[3]:
        key._key.verify(signature, message)
    else:
        with pytest.raises(InvalidSignature):
            key._key.verify(signature, message)
    with pytest.raises(SignatureError):
        key.verify("purpose", message, signature)
