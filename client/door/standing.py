"""How the releases of a site stand: what its operator sees before promoting one."""

from dataclasses import dataclass

from client.door.galleries import Galleries
from client.door.shadow import Change, Shadow
from client.door.shelf import State
from client.vault.identity import PersonId


@dataclass(frozen=True, kw_only=True, slots=True)
class ReleaseStatus:
    """Releases are named by the hashes of their tails.

    ``heads`` is the SHA-256 of the file of heads that is read now, of ``kinds``; those of the three
    releases are of what each brought. ``alike`` is the share of ``probes`` that the staged release
    answers as the active one does, and ``changes`` tell the others. ``progress`` is the share of
    people enrolled under the newer of two trunks, in tenths, rounded down; None while there is one
    trunk. ``outgrown``: more people may be compared than the thresholds of searches were fixed for.

    Leaks: to the operator, what ``Shadow`` does; no threshold, and of people one coarse share.
    """

    active: str | None
    staged: str | None
    previous: str | None
    calibrated: bool
    staged_calibrated: bool
    outgrown: bool
    alike: float | None
    probes: int
    changes: tuple[Change, ...]
    progress: float | None
    active_heads: str | None = None
    staged_heads: str | None = None
    previous_heads: str | None = None
    heads: str | None = None
    kinds: tuple[str, ...] = ()


def standing(
    state: State, galleries: Galleries, counts: Shadow, agreed: frozenset[PersonId]
) -> ReleaseStatus:
    """The status of releases as ``state`` names them and ``galleries`` hold them.

    ``agreed`` are those who may be compared, as a calibration counts them.
    """
    active, staged, before = galleries.active, galleries.staged, state.before
    return ReleaseStatus(
        active=None if active is None else active.release,
        staged=None if staged is None else staged.release,
        previous=None if before is None else before.active.release,
        calibrated=active is not None and active.calibration is not None,
        staged_calibrated=staged is not None and staged.calibration is not None,
        outgrown=outgrown(galleries, agreed),
        alike=counts.alike,
        probes=counts.probes,
        changes=counts.changes,
        progress=progress(galleries),
        active_heads=None if active is None else active.heads or None,
        staged_heads=None if staged is None else staged.heads or None,
        previous_heads=None if before is None else before.active.heads,
    )


def outgrown(galleries: Galleries, agreed: frozenset[PersonId]) -> bool:
    """Whether so many of ``agreed`` came since that the active thresholds may not hold."""
    active = galleries.active
    if active is None or active.calibration is None:
        return False
    return active.calibration.outgrown(len(active.gallery.people & agreed))


def progress(galleries: Galleries) -> float | None:
    """The share of people enrolled under the newer trunk; None while there is one."""
    active, staged = galleries.active, galleries.staged
    new, old = active, galleries.beside
    if active is not None and staged is not None and staged.trunk != active.trunk:
        new, old = staged, active
    if new is None or old is None:
        return None
    again = new.gallery.people
    everybody = again | old.gallery.people
    return 10 * len(again) // max(1, len(everybody)) / 10
