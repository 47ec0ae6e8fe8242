"""A federation on paper: a centre's home, sites with keys, and what they say to each other."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric import ec

from common.trust.admission import (
    Question,
    SiteRequest,
    make_csr,
    send_question,
    send_request,
)
from common.trust.certificates import fingerprint, read_certificate
from common.trust.keys import SigningKey
from common.trust.nodes import node_text
from common.trust.refusals import REFUSALS
from common.trust.token import Token
from server.admission.answers import Admission
from server.admission.founding import found
from server.admission.membership import Declared, Membership
from server.home import CentreConfig, CentreHome

NOW = 1_790_000_000.0
DAY = 86400.0


@dataclass
class Clock:
    """Time that passes when it is told to."""

    now: float = NOW

    def __call__(self) -> float:
        return self.now


@dataclass
class PaperCentre:
    """A centre's home and what would answer behind its gateway."""

    folder: Path
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.home = CentreHome(self.folder)
        config = CentreConfig(name="test", host="centre.example", port=8443)
        self.token = found(self.home, config, (), self.clock())
        self.federation = fingerprint(self.ca)

    @property
    def ca(self) -> Any:
        return read_certificate(self.home.ca.read_bytes())

    @property
    def members(self) -> Membership:
        return Membership(self.home)

    def admission(self) -> Admission:
        return Admission(self.home, self.clock)

    def admit(self, site: "PaperSite", **declared: Any) -> None:
        typed = site.key.public.fingerprint
        self.members.admit(site.name, typed, Declared(**declared), self.clock())

    def welcome(self, site: "PaperSite") -> "PaperSite":
        """Lets ``site`` ask and admits it."""
        status, told = self.admission().answer("request", site.request(self))
        assert status == 200, told
        self.admit(site)
        return site


@dataclass
class PaperSite:
    """Keys of one site, and the bodies it would send."""

    name: str = "north"
    camera_type: str = "door"
    people: int = 240
    key: SigningKey = field(default_factory=SigningKey.generate)
    node_key: Any = field(default_factory=lambda: ec.generate_private_key(ec.SECP384R1()))

    @property
    def node(self) -> str:
        return node_text(self.node_key.public_key())

    def asked(self, federation: str, **changes: Any) -> SiteRequest:
        facts: dict[str, Any] = {
            "federation": federation,
            "name": self.name,
            "csr": make_csr(self.key, self.name),
            "node": self.node,
            "camera_type": self.camera_type,
            "people": self.people,
        }
        return SiteRequest(**{**facts, **changes})

    def request(self, centre: PaperCentre, token: Token | None = None, **changes: Any) -> bytes:
        request = self.asked(**{"federation": centre.federation, **changes})
        return send_request(request, self.key, self.node_key, token or centre.token).to_json()

    def question(
        self, centre: PaperCentre, ask: Literal["status", "renew"] = "status", **changes: Any
    ) -> bytes:
        facts = {"federation": centre.federation, "ask": ask, "time": int(centre.clock())}
        return send_question(Question(**{**facts, **changes}), self.key).to_json()


def altered(body: bytes, **changes: Any) -> bytes:
    """``body`` with some of its fields put otherwise."""
    return json.dumps({**json.loads(body), **changes}).encode()


def refusal(answer: tuple[int, dict[str, Any]]) -> str:
    """The code of an answer that must be a refusal, and say nothing more."""
    status, table = answer
    assert set(table) == {"refused", "now"}
    assert status == REFUSALS[table["refused"]].status
    return str(table["refused"])


def certificate_of(told: dict[str, Any]) -> Any:
    """The certificate that a member is given."""
    return read_certificate(told["certificate"].encode())
