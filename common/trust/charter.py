"""What a site is asked to accept before round 1: the whole run in one text the centre signed."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common import wire
from common.config import build
from common.errors import CharterError, ConfigError, PlanError
from common.privacy.plan import PrivacyPlan
from common.secagg.terms import LONGEST_PHASE
from common.trust.keys import PublicKey, SigningKey
from common.trust.roster import check_name
from common.trust.signed import Signed, seal, unseal

PURPOSE = "charter"
Members = Mapping[str, tuple[str, ...]]  # of each pool, the names of its sites, sorted
_MOST_MEMBERS = 1024
_DIGEST = re.compile(r"float(?:32|64)\[((?:[0-9]{1,10},?){0,4})\]:[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True, slots=True)
class CharterTerms:
    """One training run as signed. ``centre`` is what binds the centre alone (rule of averaging,
    early stopping): fixed with the rest, read by people, not by agents.

    ``members`` are the sites that secure sums are made over, by pool; empty where every site adds
    all its noise itself. All sites must mean the same ones, so they are in the signed text: rosters
    change, and two sites may hold different ones.
    """

    federation: str
    run: str
    plan: PrivacyPlan
    initial: str  # digest of the shared arrays every pool starts from
    expires: int  # seconds since 1970, UTC: not to be accepted afterwards
    timeout: float = 3600.0  # seconds of every round; in a secure sum of each of its phases
    centre: Mapping[str, Any] = field(default_factory=dict)
    members: Members = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (1 <= len(self.run) <= wire.MAX_NAME and self.run.isprintable()):
            raise CharterError("a run's name is 1-128 printable characters")
        if not self.federation or not self.initial:
            raise CharterError("a charter names its federation and its initial arrays")
        if not 0 < self.timeout <= 7 * 86400:
            raise CharterError("timeout must be in (0 s, 7 days]")
        if self.plan.noise == "distributed" and self.timeout > LONGEST_PHASE:
            raise CharterError(
                f"timeout must be at most {LONGEST_PHASE / 3600:g} h where sums are secure: sites "
                "forget the secrets of an attempt in which nothing is said"
            )
        _check_members(self.members, self.plan)

    def members_with(self, site: str) -> tuple[str, ...]:
        """The members of the pool that ``site`` is in; ``CharterError`` if it is in none."""
        for names in self.members.values():
            if site in names:
                return names
        raise CharterError("this site is not among the members that the charter names")

    def sign(self, key: SigningKey) -> Signed:
        table = {
            "federation": self.federation,
            "run": self.run,
            "plan": json.loads(self.plan.to_json()),
            "initial": self.initial,
            "expires": self.expires,
            "timeout": self.timeout,
            "centre": dict(self.centre),
        }
        if self.members:
            table["members"] = {pool: list(names) for pool, names in self.members.items()}
        return seal(key, PURPOSE, table)


@dataclass(frozen=True, kw_only=True, slots=True)
class _File:
    federation: str
    run: str
    initial: str
    expires: int
    timeout: float


def read_charter(signed: Signed, centre: PublicKey, federation: str, now: float) -> CharterTerms:
    """The terms in ``signed``, as of ``now`` (seconds since 1970).

    Raises ``SignatureError`` if the centre did not sign them, ``CharterError`` if they are of
    another federation, expired or malformed, ``PlanError`` for a plan that is none.
    """
    table = unseal(centre, PURPOSE, signed)
    plan, rest = table.pop("plan", None), table.pop("centre", {})
    if not isinstance(plan, dict) or not isinstance(rest, dict):
        raise CharterError("a charter has a plan")
    members = members_of(table.pop("members", {}))
    try:
        file = build(_File, table, "charter")
    except ConfigError as error:
        raise CharterError(str(error)) from None
    if file.federation != federation:
        raise CharterError("the charter is of another federation")
    if file.expires <= now:
        raise CharterError("the charter has expired: ask the centre for a new one")
    return CharterTerms(
        federation=file.federation,
        run=file.run,
        plan=_plan(plan),
        initial=file.initial,
        expires=file.expires,
        timeout=file.timeout,
        centre=rest,
        members=members,
    )


def members_of(table: Any) -> dict[str, tuple[str, ...]]:
    """``CharterTerms.members`` as JSON has them; ``CharterError`` for anything else."""
    if not isinstance(table, dict) or not all(isinstance(names, list) for names in table.values()):
        raise CharterError("members are lists of sites by pool")
    if not all(isinstance(name, str) for names in table.values() for name in names):
        raise CharterError("a member is the name of a site")
    return {pool: tuple(names) for pool, names in table.items()}


def charter_digest(signed: Signed) -> str:
    """What names this very charter: SHA-256 over the words and the signature."""
    return wire.digest("charter", signed.content, signed.signature)


def arrays_digest(arrays: Mapping[str, NDArray[np.generic]]) -> str:
    """What names the initial arrays as a whole."""
    return digest_of(array_digests(arrays))


def array_digests(arrays: Mapping[str, NDArray[np.generic]]) -> dict[str, str]:
    """Type, shape and SHA-256 of each array alone, such as ``float32[128,512]:0b54...``.

    Enough to check an array later, and to know before how large it will be.
    """
    return {name: _array_digest(name, array) for name, array in arrays.items()}


def shape_of(digest: str) -> tuple[int, ...]:
    """The shape in one of ``array_digests``; ``CharterError`` if it is none."""
    found = _DIGEST.fullmatch(digest)
    if found is None:
        raise CharterError("a digest of an initial array is malformed")
    return tuple(int(n) for n in found[1].split(",") if n)


def digest_of(digests: Mapping[str, str]) -> str:
    """``arrays_digest`` of the arrays whose own digests these are."""
    return wire.digest("arrays", *(part for pair in sorted(digests.items()) for part in pair))


def _array_digest(name: str, array: NDArray[np.generic]) -> str:
    shape = ",".join(str(n) for n in array.shape)
    return f"{array.dtype.name}[{shape}]:{wire.digest('array', wire.dump({name: array}))}"


def _check_members(members: Members, plan: PrivacyPlan) -> None:
    if members and plan.noise != "distributed":
        raise CharterError("members belong to distributed noise")
    every = [name for names in members.values() for name in names]
    if len(every) > _MOST_MEMBERS or len(set(every)) != len(every):
        raise CharterError(f"a charter names each site once, and at most {_MOST_MEMBERS}")
    if any(not pool or len(pool) > wire.MAX_NAME for pool in members):
        raise CharterError("a pool has a name")
    try:
        for name in every:
            check_name(name)
    except ConfigError as error:
        raise CharterError(str(error)) from None
    if any(tuple(sorted(names)) != names or not names for names in members.values()):
        raise CharterError("the members of a pool are sorted, and there are some")


def _plan(table: dict[str, Any]) -> PrivacyPlan:
    try:
        return PrivacyPlan.from_json(json.dumps(table))
    except ValueError as error:
        raise PlanError(f"not a plan: {error}") from None
