"""Who decides after a promotion, or once an old trunk goes, and that it leaves nobody behind."""

from dataclasses import replace

from client.door.galleries import Galleries
from client.door.shelf import Entry, Lead, State
from common.errors import ReleaseError


def successor(state: State, galleries: Galleries) -> State:
    """``state`` once its staged release decides, with the one before to go back to.

    A release of another trunk has the active one beside it, for people whom that trunk alone has
    seen. ``ReleaseError`` if none is staged, if it is not calibrated and the active one is, or if
    people would be left whom only a third trunk has seen.
    """
    now, staged = state.lead, state.staged
    if staged is None:
        raise ReleaseError("no release is staged")
    if now is not None and now.active.calibration and not staged.calibration:
        raise ReleaseError("the staged release is not calibrated: run calibrate first")
    lead = _lead(now, staged)
    _check_nobody_lost(lead, galleries)
    return State(lead=lead, before=now, target=state.target)


def first(state: State) -> State:
    """``state`` with the staged release as the active one, where there is none."""
    if state.lead is not None or state.staged is None:
        return state
    return State(lead=Lead(active=state.staged), before=state.before, target=state.target)


def alone(state: State, galleries: Galleries) -> tuple[State, str]:
    """``state`` once the active release decides alone, and the hash of the trunk that goes.

    Nothing brings that trunk back: no rollback leads there any more. ``ReleaseError`` if there is
    one trunk only, if a staged release needs the old one, or while somebody was seen by it alone.
    """
    lead, old, now = state.lead, galleries.beside, galleries.lead()
    if lead is None or old is None:
        raise ReleaseError("no old trunk serves here")
    if state.staged is not None and state.staged.trunk == old.trunk:
        raise ReleaseError("the staged release is of the old trunk: unstage it first")
    if old.gallery.people - now.gallery.people:
        raise ReleaseError("somebody was seen by the old trunk alone: enrol them again first")
    before = state.before
    if before is not None:
        before = None if before.active.trunk == old.trunk else Lead(active=before.active)
    return replace(state, lead=Lead(active=lead.active), before=before), old.trunk


def _lead(now: Lead | None, staged: Entry) -> Lead:
    if now is None:
        return Lead(active=staged)
    if staged.trunk == now.active.trunk:
        return Lead(active=staged, beside=now.beside)
    return Lead(active=staged, beside=now.active if now.active.calibration else None)


def _check_nobody_lost(lead: Lead, galleries: Galleries) -> None:
    old = galleries.beside
    kept = {entry.trunk for entry in (lead.active, lead.beside) if entry is not None}
    if old is None or old.trunk in kept:
        return
    others = [one.gallery.people for one in galleries.all if one is not old]
    if old.gallery.people.difference(*others):
        raise ReleaseError(
            "somebody enrolled was seen by the trunk before last alone: enrol them again first"
        )
