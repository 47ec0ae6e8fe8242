"""One small centre: a home with its keys, sites in the roster, a charter that is signed."""

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from common.models.tail import BIAS, WEIGHT
from common.moments.names import FRAME_BIAS, FRAME_WEIGHT
from common.trust.charter import CharterTerms
from common.trust.keys import SigningKey
from common.trust.roster import Roster, SiteEntry
from server.charter import write_charter
from server.home import CentreHome
from server.runs.proposal import Asked, Ground, propose, write_proposal
from server.standing import federation_of, signing_key
from tests.fakes import TRUNK

NOW = 1_800_000_000.0  # seconds since 1970


def initial() -> dict[str, np.ndarray]:
    """Tail and frame, 3 features to 2 coordinates."""
    return {
        WEIGHT: np.ones((2, 3), np.float32),
        BIAS: np.zeros(2, np.float32),
        FRAME_WEIGHT: np.ones((2, 3), np.float32),
        FRAME_BIAS: np.zeros(2, np.float32),
    }


def centre(folder: Path) -> CentreHome:
    """A home with a CA certificate and a signing key, and nobody admitted."""
    home = CentreHome(folder)
    home.prepare()
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test CA")])
    now = dt.datetime.fromtimestamp(NOW, dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=365))
        .sign(key, hashes.SHA256())
    )
    home.ca.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    SigningKey.generate().save(home.centre_key)
    return home


def admit(home: CentreHome, sites: int, types: str = "a", number: int | None = None) -> Roster:
    """Signs a roster of ``sites``, whose camera types take turns in ``types``."""
    roster = Roster(federation=federation_of(home))
    for index in range(sites):
        entry = SiteEntry(
            name=f"site-{index}",
            identity=SigningKey.generate().public.text,
            node=f"node-{index}",
            camera_type=types[index % len(types)],
            people=10,
        )
        roster = roster.with_site(entry)
    home.roster.write_text(roster.sign(signing_key(home)).to_json(), "utf-8")
    return roster


def asked(**changes: Any) -> Asked:
    told: dict[str, Any] = {"run": "r1", "epsilon": 8.0, "delta": 1e-4, "people": 240, "cohort": 3}
    return Asked(**{**told, **changes})


def proposed(home: CentreHome, **changes: Any) -> CharterTerms:
    """A proposal as ``charter propose`` leaves it, without public people."""
    ground = Ground(
        federation=federation_of(home),
        trunk=TRUNK,
        tail="u" * 64,
        public="p" * 64,
        radius=0.25,
        thresholds=changes.pop("thresholds", 1),
    )
    terms = propose(asked(**changes), ground, initial(), NOW)
    write_proposal(home.charter(terms.run), terms, initial())
    return terms


def signed(home: CentreHome, **changes: Any) -> CharterTerms:
    """A charter that is signed, whatever the roster says."""
    terms = proposed(home, **changes)
    write_charter(home.charter(terms.run), terms.sign(signing_key(home)), initial())
    return terms
