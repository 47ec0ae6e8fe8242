"""What a site says to be admitted and what it asks afterwards: signed, small, without a secret."""

import json
from dataclasses import asdict, dataclass
from typing import Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from common.config import build
from common.errors import ConfigError, SignatureError, VersionError, WireError
from common.trust.certificates import key_of
from common.trust.commitments import is_commitment
from common.trust.keys import PublicKey, SigningKey
from common.trust.nodes import check_node, node_text, read_node, sign_as_node
from common.trust.roster import SiteEntry
from common.trust.signed import Signed, seal, unseal
from common.trust.token import Token

PROTOCOL = 1
REQUEST, QUESTION = "admission request", "admission question"
LONGEST = 32 * 2**10  # bytes of a body; an honest one has two
WINDOW = 300.0  # seconds that two clocks may differ


@dataclass(frozen=True, kw_only=True, slots=True)
class SiteRequest:
    """What an operator declares of a site, and its two public keys.

    Leaks: a name, a camera type and a declared number, all chosen by the operator.
    """

    federation: str
    name: str
    csr: str  # PEM, of the identity key
    node: str  # OpenSSH line of the courier's key
    camera_type: str
    people: int
    trunk: str = ""  # SHA-256 of its weights, if the operator named one

    def __post_init__(self) -> None:
        try:
            self.entry()
        except SignatureError as error:
            raise ConfigError(str(error)) from None
        if len(self.trunk) > 64 or not self.trunk.isprintable():
            raise ConfigError("trunk must be the hash of a trunk")

    @property
    def identity(self) -> PublicKey:
        """The key the CSR is of."""
        return key_of(_read_csr(self.csr))

    def entry(self) -> SiteEntry:
        """The site as the roster would have it."""
        return SiteEntry(
            name=self.name,
            identity=self.identity.text,
            node=node_text(read_node(self.node)),
            camera_type=self.camera_type,
            people=self.people,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What a known site asks: how it stands, or for its next certificate."""

    federation: str
    ask: Literal["status", "renew"]
    time: int  # unix seconds of the site's clock: an old question is none
    audit: str = ""  # a commitment to the head of the site's audit log, for the centre to sign

    def __post_init__(self) -> None:
        if self.audit and not is_commitment(self.audit):
            raise ConfigError("audit is a commitment")


@dataclass(frozen=True, kw_only=True, slots=True)
class Envelope:
    """One body of `POST /mascaron/v1/{request,status,renew}`.

    Guarantee: no key and no secret is in it. ``proof`` shows that the sender has the token,
    ``node_signature`` that it has the node key, ``signature`` that it has the identity key.
    """

    protocol: int
    identity: str  # ``PublicKey.text`` of whoever signed
    content: str
    signature: str
    proof: str = ""
    node_signature: str = ""

    def to_json(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @property
    def signed(self) -> Signed:
        return Signed(self.content, self.signature)

    @property
    def proven(self) -> bytes:
        """What the token's proof and the node's signature are over."""
        return self.signed.to_json().encode()


def read_envelope(body: bytes) -> Envelope:
    """Reads a body; ``WireError`` for any other bytes, ``VersionError`` for another protocol."""
    try:
        table = json.loads(body) if len(body) <= LONGEST else None
        if not isinstance(table, dict):
            raise WireError("not a request of admission")
        if table.get("protocol") != PROTOCOL:
            raise VersionError(f"this is version {PROTOCOL} of admission")
        return build(Envelope, table, "request")
    except (ValueError, RecursionError, ConfigError):
        raise WireError("not a request of admission") from None


def make_csr(key: SigningKey, name: str) -> str:
    """A signing request for ``key``; the CA takes nothing over from it but the key."""
    private = serialization.load_pem_private_key(key.pem(), None)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateSigningRequestBuilder(subject)
    csr = builder.sign(private, None)  # type: ignore[arg-type]
    return csr.public_bytes(serialization.Encoding.PEM).decode()


def send_request(
    request: SiteRequest, key: SigningKey, node: ec.EllipticCurvePrivateKey, token: Token
) -> Envelope:
    """``request`` signed by both keys of the site and proven by the token."""
    signed = seal(key, REQUEST, asdict(request))
    bare = _envelope(key, signed)
    return _envelope(
        key, signed, proof=token.proof(bare.proven), node_signature=sign_as_node(node, bare.proven)
    )


def read_request(envelope: Envelope) -> SiteRequest:
    """The request in ``envelope``.

    Raises ``SignatureError`` unless the keys it names signed it, ``WireError`` if it is malformed.
    """
    identity = PublicKey.of(envelope.identity)
    table = unseal(identity, REQUEST, envelope.signed)
    try:
        request = build(SiteRequest, table, "request")
    except ConfigError as error:
        raise WireError(str(error)) from None
    if request.identity != identity:
        raise SignatureError("the request is not signed by the key of its CSR")
    check_node(read_node(request.node), envelope.proven, envelope.node_signature)
    return request


def send_question(question: Question, key: SigningKey) -> Envelope:
    """``question`` signed by the site."""
    return _envelope(key, seal(key, QUESTION, asdict(question)))


def read_question(envelope: Envelope) -> tuple[PublicKey, Question]:
    """Who asks and what. Raises ``SignatureError`` or ``WireError`` as ``read_request`` does."""
    identity = PublicKey.of(envelope.identity)
    try:
        return identity, build(Question, unseal(identity, QUESTION, envelope.signed), "question")
    except ConfigError as error:
        raise WireError(str(error)) from None


def _envelope(key: SigningKey, signed: Signed, **proofs: str) -> Envelope:
    return Envelope(
        protocol=PROTOCOL,
        identity=key.public.text,
        content=signed.content,
        signature=signed.signature,
        **proofs,
    )


def _read_csr(pem: str) -> x509.CertificateSigningRequest:
    try:
        csr = x509.load_pem_x509_csr(pem.encode("ascii"))
        valid = csr.is_signature_valid
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        valid = False
    if not valid:
        raise SignatureError("not a signing request of its own key")
    return csr
