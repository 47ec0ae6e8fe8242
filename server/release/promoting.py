"""Puts releases in force, for a few sites first or for all, and takes them back with a reason.

Guarantee: nothing is promoted that is not signed by this centre, byte for byte what its name says,
and past every gate as it is judged at that moment; there is no way around a gate. A promotion that
was cut short did not happen. Rolling back asks no gate: what comes back passed them in its time,
and has to be there, whole and signed.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

from common.errors import ReleaseError
from common.evidence.bundle import Release, Verdict
from common.evidence.gates import check_gates
from common.evidence.history import Entry, Step
from common.evidence.limits import Gates, Known
from common.trust.roster import Roster
from server.home import CentreHome
from server.release.registry import Registry
from server.standing import federation_of, public_key, roster_of, signing_key

EVERYBODY = "all"  # the pool of runs whose plan pools all sites together


@dataclass(frozen=True, kw_only=True, slots=True)
class First:
    """Who stages a release before the others: a ``share`` of the pool's sites, or ``sites``."""

    share: float = 0.0
    sites: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1 or bool(self.share) == bool(self.sites):
            raise ReleaseError("a canary is a share in (0, 1) of the sites, or sites by name")

    def chosen(self, release: str, pool: Sequence[str]) -> tuple[str, ...]:
        """The sites of ``pool`` that go first, sorted; at least one.

        The same release and sites, the same choice: those with the smallest hashes. Raises
        ``ReleaseError`` for a name that is not in the pool.
        """
        strange = sorted(set(self.sites) - set(pool))
        if strange or not pool:
            raise ReleaseError(f"not an admitted site of this pool: {', '.join(strange) or 'none'}")
        if self.sites:
            return tuple(sorted(set(self.sites)))
        ranked = sorted(pool, key=lambda site: _lot(release, site))
        return tuple(sorted(ranked[: math.ceil(self.share * len(pool))]))


def sign_release(home: CentreHome, digest: str) -> Release:
    """Signs the release called ``digest``: the centre's word from now on, and not in force yet."""
    registry = Registry(home)
    release = registry.get(digest)
    if release.manifest.federation != federation_of(home):
        raise ReleaseError("the release is of another federation")
    signed = release.sign(signing_key(home))
    registry.put(signed)
    return signed


def promote(
    home: CentreHome, digest: str, judged_by: tuple[Gates, Known], first: First | None, now: float
) -> tuple[Entry, tuple[Verdict, ...]]:
    """Puts the release called ``digest`` in force, at the sites of ``first`` or at all of its pool.

    Raises ``ReleaseError`` for one that was altered, is not signed or fails a gate,
    ``HistoryError`` for one that was in force before; nothing has changed then.
    """
    registry = Registry(home)
    with registry.changing() as history:
        release = _whole(home, registry, digest)
        verdicts = check_gates(release, *judged_by)
        pool = release.manifest.pool
        if first is None:
            step = Step(action="promote", release=digest, pool=pool)
        else:
            sites = first.chosen(digest, sites_of(roster_of(home), pool))
            step = Step(action="canary", release=digest, pool=pool, sites=sites, share=first.share)
        after = history.with_step(step, signing_key(home), int(now))
        registry.write(after)
    return after.entries[-1], verdicts


def roll_back(home: CentreHome, digest: str, reason: str, now: float) -> Entry:
    """Puts a release that was in force before in force again; ``HistoryError`` if it never was,
    ``ConfigError`` without a reason."""
    return _step(home, "rollback", digest, reason, now)


def withdraw(home: CentreHome, digest: str, reason: str, now: float) -> Entry:
    """Ends a release for good, wherever it is: no site stages it again. ``ConfigError`` without a
    reason."""
    return _step(home, "withdraw", digest, reason, now)


def sites_of(roster: Roster, pool: str) -> list[str]:
    """The names of the admitted sites of ``pool``."""
    return [site.name for site in roster.admitted if pool in (site.camera_type, EVERYBODY)]


def _step(home: CentreHome, action: str, digest: str, reason: str, now: float) -> Entry:
    registry = Registry(home)
    with registry.changing() as history:
        release = _whole(home, registry, digest)
        step = Step(
            action=action,  # type: ignore[arg-type]
            release=digest,
            pool=release.manifest.pool,
            reason=reason,
        )
        after = history.with_step(step, signing_key(home), int(now))
        registry.write(after)
    return after.entries[-1]


def _whole(home: CentreHome, registry: Registry, digest: str) -> Release:
    release = registry.get(digest)
    release.check_signature(public_key(home))
    if release.manifest.federation != federation_of(home):
        raise ReleaseError("the release is of another federation")
    return release


def _lot(release: str, site: str) -> str:
    return hashlib.sha256(f"canary {release} {site}".encode()).hexdigest()
