"""The courier's key as Flower knows it, and the proof that a site really has it."""

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from common.errors import ConfigError, SignatureError
from common.trust.keys import decode, encode

_FRAME = b"mascaron node key v1\0"
_OPENSSH = serialization.PublicFormat.OpenSSH
_SIGNED = ec.ECDSA(hashes.SHA384())


def node_text(key: ec.EllipticCurvePublicKey) -> str:
    """One line as `flower-supernode` and `flwr supernode register` read it, without a comment."""
    return key.public_bytes(serialization.Encoding.OpenSSH, _OPENSSH).decode()


def read_node(text: str) -> ec.EllipticCurvePublicKey:
    """The EC P-384 key of one OpenSSH line, whatever its comment; ``SignatureError`` if none."""
    try:
        key = serialization.load_ssh_public_key(text.strip().encode("ascii"))
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp384r1":
        raise SignatureError("a node key is one OpenSSH line of ecdsa-sha2-nistp384")
    return key


def load_node_key(content: bytes) -> ec.EllipticCurvePrivateKey:
    """The private node key in ``content``, PEM or OpenSSH; ``ConfigError`` if it is none."""
    for load in (serialization.load_ssh_private_key, serialization.load_pem_private_key):
        try:
            key = load(content, None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            continue
        if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == "secp384r1":
            return key
    raise ConfigError("the node key is not an EC P-384 private key without a passphrase")


def sign_as_node(key: ec.EllipticCurvePrivateKey, content: bytes) -> str:
    """A signature over ``content`` that only the owner of the node key can make, in base64."""
    return encode(key.sign(_FRAME + content, _SIGNED))


def check_node(key: ec.EllipticCurvePublicKey, content: bytes, signature: str) -> None:
    """Raises ``SignatureError`` unless ``key`` signed ``content`` as a node."""
    try:
        raw = decode(signature)
        key.verify(raw, _FRAME + content, _SIGNED)
    except (ValueError, InvalidSignature):
        raise SignatureError("the request is not signed by the node key it names") from None
