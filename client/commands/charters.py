"""`mascaron-site charter`: what the centre offers, what it would cost, and the operator's word."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from client.home import SiteHome
from common import wire
from common.config import load
from common.errors import CharterError, ConfigError
from common.privacy import accountant
from common.privacy.plan import GradientMechanism, Mechanism, PrivacyPlan
from common.privacy.statement import heads_of, statement
from common.secagg.terms import terms_of
from common.trust import storing
from common.trust.certificates import fingerprint, read_certificate
from common.trust.charter import CharterTerms, read_charter, shape_of
from common.trust.keys import PublicKey
from common.trust.signed import Signed

if TYPE_CHECKING:
    from client.agent.desk import Desk, Price


def list_charters(home: SiteHome) -> dict[str, Any]:
    """Every charter that asked for the operator, and whether it was accepted."""
    desk, found = _desk(home), []
    for digest in desk.digests():
        terms = _terms(home, desk.charter(digest)[0])
        state = "accepted" if desk.approved(digest) else "waiting"
        price = _price(home, terms, desk.told_price(digest))
        found.append({"digest": digest, "run": terms.run, "state": state, **price})
    return {"charters": found}


def show_charter(home: SiteHome, digest: str) -> dict[str, Any]:
    """What a charter asks in full, and what every round would let out: a dry run.

    The bytes of each round are exact; the noise is not drawn, nobody is sampled or charged.
    """
    signed, initial = _desk(home).charter(digest)
    terms = _terms(home, signed)
    plan = terms.plan
    return {
        "digest": digest,
        "run": terms.run,
        "expires": terms.expires,  # seconds since 1970, whatever the centre wrote there
        "people": plan.people,
        "noise": plan.noise,
        "cohort": plan.cohort,
        "release_slot": plan.release_slot,
        **_sums(home, terms),
        **_price(home, terms),
        "rounds": _rounds(plan, initial),
    }


def show_all(home: SiteHome) -> dict[str, Any]:
    """Every charter on the desk in full: what taking part would let out, before it does."""
    return {"charters": [show_charter(home, digest) for digest in _desk(home).digests()]}


def accept_charter(home: SiteHome, digest: str) -> dict[str, Any]:
    """The operator's word: the agent accepts this very charter when it is offered again."""
    desk = _desk(home)
    terms = _terms(home, desk.charter(digest)[0])
    desk.accept(digest)
    return {"digest": digest, "run": terms.run, "state": "accepted"}


def _desk(home: SiteHome) -> "Desk":
    """The desk, for who may look at it; ``ConfigError`` or ``DeploymentError`` for others."""
    from client.agent.opening import open_desk

    home.check_agent()
    return open_desk(home)


def _terms(home: SiteHome, signed: Signed) -> CharterTerms:
    """Verified again: a file on the desk is not believed for lying there. Expired or not."""
    ca, centre = storing.read(home.ca), storing.read(home.centre_key)
    if ca is None or centre is None:
        raise ConfigError(f"{home.trust} lacks ca.crt or centre.pub: `mascaron-site join` first")
    key = PublicKey.of(centre.decode("ascii", "replace").strip())
    return read_charter(signed, key, fingerprint(read_certificate(ca)), -math.inf)


def _sums(home: SiteHome, terms: CharterTerms) -> dict[str, Any]:
    """With whom this site would share noise, and on whose honesty its people's privacy rests."""
    plan = terms.plan
    if plan.noise != "distributed":
        return {}
    members = terms.members_with(home.config().name)
    sums = terms_of(plan, plan.mechanisms[0], members, 1)
    return {
        "members": list(members),
        "least_sites": sums.threshold,
        "trust": statement(plan, {})["trust"],
    }


def _price(home: SiteHome, terms: CharterTerms, known: "Price | None" = None) -> dict[str, Any]:
    """What the plan costs by itself at the policy's delta, which the ledger charges at.

    ``known`` is taken where it is at that delta: reckoning sampled rounds takes seconds.
    """
    from client.policy import SitePolicy

    delta = load(SitePolicy, home.policy).delta
    if known is not None and known.delta == delta:
        cost = known.epsilon
    else:
        cost = accountant.epsilon(terms.plan.events(), delta)
    return {
        "epsilon": cost if math.isfinite(cost) else None,
        "delta": delta,
        "number_of_rounds": sum(mechanism.rounds for mechanism in terms.plan.mechanisms),
    }


def _rounds(plan: PrivacyPlan, initial: Mapping[str, str]) -> list[dict[str, Any]]:
    """What leaves in each kind of round, and what one such round costs alone."""
    from client.agent.mechanisms import entries

    shapes = {name: shape_of(digest) for name, digest in initial.items()}
    told, number = [], 1
    for mechanism in plan.mechanisms:
        try:
            shared = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
            leaving = entries(plan.rounds[number - 1], shared, plan.people)
        except KeyError as error:
            raise CharterError(f"the charter's initial arrays lack {error}") from None
        empty = {entry.name: np.zeros(entry.shape, entry.dtype) for entry in leaving}
        told.append(
            {
                "mechanism": mechanism.name,
                "kind": mechanism.kind,
                "first": number,
                "last": number + mechanism.rounds - 1,
                "tensors": {entry.name: list(entry.shape) for entry in leaving},
                "bytes": len(wire.dump(empty)),
                "epsilon": accountant.epsilon([mechanism.event], plan.delta),
                "sigma": mechanism.sigma,
                "clip": mechanism.clip,
                **_learnt(mechanism),
            }
        )
        number += mechanism.rounds
    return told


def _learnt(mechanism: Mechanism) -> dict[str, Any]:
    """What heads of ``mechanism`` would learn from labels, and how much each counts."""
    if not isinstance(mechanism, GradientMechanism) or not mechanism.heads:
        return {}
    return {"heads": heads_of(mechanism)}
