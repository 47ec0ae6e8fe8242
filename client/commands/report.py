"""`mascaron-site report ropa`: the record of processing that GDPR Article 30(1) asks for.

It is made of what the operator wrote down, in site.toml and policy.toml, and of what this program
does whatever is written there. Nobody's data is opened for it, and no count is in it but the
declared one.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from client.audit.log import SIX_MONTHS
from client.door.rules import DAY, DoorRules
from client.home import SiteHome
from client.policy import SitePolicy
from client.site_config import SiteConfig
from common.config import load, read_toml
from common.errors import ConfigError

PERSONS = "people who were enrolled at this site and agreed to it before"
SHOWN = "people who are seen by its cameras: compared, and not kept"
DATA = (
    "templates of faces (biometric data, Article 9), sealed; no picture is kept",
    "purposes, day and end of each consent, and the digest of the words agreed to",
    "the operator's own word for a person, sealed under that person's key",
    "what was said of pictures (labels), of those who agreed to that, sealed in the same way",
    "audit rows: when what was done, by whom and with which coarse outcome, as keyed digests",
)
SECURITY = (
    "each person's data are sealed with AES-256-GCM under a key of their own",
    "erasure destroys that key, and is recorded and receipted",
    "answers are decisions in coarse bands: no score, no template, no picture leaves",
    "each caller has a role and a budget of queries, hourly and daily",
    "every use is a row of a hash chain, signed, before its answer leaves",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Controller:
    """``[controller]`` of `site.toml`: what only the operator can say. Article 30(1)(a), (d), (e).

    ``consent_texts`` are files with the words that people agree to: their digests are shown.
    """

    name: str = ""
    contact: str = ""
    representative: str = ""
    protection_officer: str = ""
    recipients: tuple[str, ...] = ()
    transfers: tuple[str, ...] = ()  # to third countries, with their safeguards
    consent_texts: tuple[Path, ...] = ()


def report_ropa(home: SiteHome) -> dict[str, Any]:
    """The record, and under ``missing`` what the operator has still to write into site.toml.

    Raises ``ConfigError`` for a home that is not set up, or a text that is not there.
    """
    home.check()
    config, controller = home.config(), _section(home, Controller, "controller")
    rules = _section(home, DoorRules, "door")
    policy = None if config.alone else load(SitePolicy, home.policy)
    named = ("name", "contact", "representative", "protection_officer")
    return {
        "law": "Regulation (EU) 2016/679, Article 30(1)",
        "site": config.name,
        "controller": {key: getattr(controller, key) for key in named},
        "purposes": list(_purposes(config, rules, policy)),
        "legal_basis": "explicit consent, Article 9(2)(a) and Article 6(1)(a)",
        "consent_texts": [_digest(home, path) for path in controller.consent_texts],
        "people": [PERSONS, SHOWN],
        "declared_people": config.people if policy is None else policy.declared_people,
        "data": list(DATA),
        "recipients": [*controller.recipients, *_federation(config, policy)],
        "transfers": list(controller.transfers),
        "erasure": _terms(rules),
        "security": [*SECURITY, *_chosen(rules)],
        "missing": [
            f"[controller] {key}"
            for key in ("name", "contact", "protection_officer", "consent_texts")
            if not getattr(controller, key)
        ],
    }


def _section(home: SiteHome, schema: type[Any], name: str) -> Any:
    """That table of site.toml, or what holds where it is left out."""
    return load(schema, home.settings, name) if name in read_toml(home.settings) else schema()


def _purposes(config: SiteConfig, rules: DoorRules, policy: SitePolicy | None) -> Iterator[str]:
    if rules.verify:
        yield "verify: whether somebody is who they claim to be"
    if rules.identify:
        yield "identify: who of those enrolled somebody is, or that they are none of them"
    if not config.alone:
        yield "training: a common model is improved by noised sums over people who agreed to it"
    if policy is not None and policy.heads:
        kinds = ", ".join(policy.heads)
        yield f"labels: heads learn {kinds} by such sums, of people who agreed to this as well"


def _federation(config: SiteConfig, policy: SitePolicy | None) -> Iterator[str]:
    if policy is not None:
        yield (
            f"the centre at {config.centre}: sums over people, with noise that bounds what they "
            f"tell of anyone (epsilon {policy.epsilon:g}, delta {policy.delta:g})"
        )


def _terms(rules: DoorRules) -> dict[str, str]:
    """Article 30(1)(f): envisaged time limits for erasure."""
    return {
        "templates and consent": f"when the consent ends, {rules.retention_days} days at most; at "
        "once when it is withdrawn",
        "pictures": "never kept: they are in memory while they are looked at",
        "audit rows": f"not before {SIX_MONTHS / DAY:.0f} days, then when the operator prunes them",
    }


def _chosen(rules: DoorRules) -> Iterator[str]:
    if rules.identify and rules.four_eyes:
        yield "nobody is named by a search before two people confirmed it"
    if rules.liveness_fail_closed:
        yield "a picture is refused where nobody can tell that it is of a living person"


def _digest(home: SiteHome, path: Path) -> dict[str, str]:
    where = home.folder.absolute() / path.expanduser()
    try:
        content = where.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"cannot read {where}, a text of consent that site.toml names: {error.strerror}"
        ) from None
    return {"file": path.name, "sha256": hashlib.sha256(content).hexdigest()}
