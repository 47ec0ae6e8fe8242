"""A new release comes beside the old one, proves itself, takes over, and can be sent back.

Nobody is enrolled again for a new tail: the gallery is made anew from the features in the vault.
One file says which release decides; everything else follows from it.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from client.door import building, shadow
from client.door.building import Strangers
from client.door.calibrating import Target
from client.door.galleries import Features, Galleries
from client.door.measures import COSINE, Likeness
from client.door.measuring import Measuring
from client.door.serving import Serving
from client.door.shadow import Shadow
from client.door.shelf import Entry, Shelf, State
from client.door.standing import ReleaseStatus, outgrown, standing
from client.door.succession import alone, first, successor
from client.door.thresholds import Calibration
from client.door.wording import Brought
from client.vault.disk import DISK, Disk
from client.vault.identity import PersonId
from client.vault.store import Vault
from common.errors import (
    DeploymentError,
    InsufficientCalibrationError,
    NotReadyError,
    ReleaseError,
)
from common.models.tail import Tail

Fixed = dict[Serving, Calibration | None]  # None: too few people


@dataclass(frozen=True, kw_only=True, eq=False)
class ReleasePlace:
    """Where releases are kept (the agent's own folder), how they compare, and what time it is."""

    folder: Path
    likeness: Likeness = COSINE
    disk: Disk = DISK
    clock: Callable[[], float] = time.time


class Releases:
    """Stage, calibrate, promote, roll back. Safe among threads; decisions never wait for a change.

    Guarantee: after a crash at any moment the release that decides is the one from before or the
    one from after, with its own thresholds. After a rollback every decision is, to the bit, the one
    it was; while the site names another distance or pooling than then, there is none. Who is erased
    is in no gallery, also not in one that is being made.
    Leaks: as ``Shelf``, ``Serving`` and ``Shadow``. A calibration made while somebody was enrolled
    who has been erased since stays in force until the next one.
    """

    def __init__(self, place: ReleasePlace, vault: Vault, public: Strangers) -> None:
        """Opens what is kept at ``place``, and makes its galleries.

        Where the site names another distance or pooling than before, thresholds are fixed again for
        the same rates; where people are too few for that, nothing is decided. ``ReleaseError``
        where a file was altered or the trunk of a release is not at this site.
        """
        self._vault, self._public, self._clock = vault, public, place.clock
        self._shelf = Shelf(place.folder, vault.derive("releases"), place.disk)
        self._changing = threading.RLock()  # of releases, which may take minutes
        self._rows = threading.Lock()  # of the galleries that decide
        self._touched: set[PersonId] | None = None  # whose rows changed during a change
        self._broken, self._tended = False, -1
        kept = self._shelf.read()
        self._shelf.tidy(kept)
        self._measuring = Measuring(place.likeness, self._shelf, public)
        self._state = self._measuring.fitting(kept)
        self._galleries = self._made(self._state, ())
        self._shadow = Shadow()
        if self._state != kept and self._state.lead is not None and self._state.target is not None:
            with suppress(InsufficientCalibrationError):
                self.calibrate(self._state.target, self._clock())

    @property
    def galleries(self) -> Galleries:
        """What decides now. Take it once for each question: the next moment it may be another."""
        return self._galleries

    @property
    def active(self) -> Serving:
        """The release that decides; ``NotReadyError`` if there is none."""
        return self._galleries.lead()

    @property
    def beside(self) -> Serving | None:
        """The release of an older trunk, for people who were not enrolled again yet."""
        return self._galleries.beside

    @property
    def staged(self) -> Serving | None:
        """The release that may be next."""
        return self._galleries.staged

    @property
    def before(self) -> Entry | None:
        """What a rollback brings back, if there is anything."""
        return None if self._state.before is None else self._state.before.active

    @property
    def brought(self) -> Brought | None:
        """The heads of the release that decides, if it came with some."""
        active = self._galleries.active
        return None if active is None else active.brought

    @property
    def trunks(self) -> tuple[str, ...]:
        """By which a picture has to be seen: a probe, and what is enrolled."""
        return self._galleries.trunks

    def stage(self, tail: Tail, trunk: str, heads: bytes | None = None) -> None:
        """Puts a release beside the active one, calibrated for the same rates if that can be.

        ``heads`` is the file of those that it brings. ``ReleaseError`` for one that does not fit
        this site, or decides already.
        """
        with self._change():
            building.check(tail, trunk, self._public)
            brought = None if heads is None else Brought.of(heads, trunk)
            measure, target = self._measuring.fresh(tail, trunk), self._state.target
            made, lead = Serving(trunk, tail, None, measure, brought), self._state.lead
            if lead is not None and lead.active.name == made.name:
                raise ReleaseError("this release decides already")
            building.fill(made, self._vault)
            entry = self._shelf.put(tail, trunk, measure.whitened, heads)
            made.decide_by(self._attempt(made, target, self._clock()))
            kept = self._shelf.put_calibration(made.calibration)
            self._enter(replace(self._state, staged=replace(entry, calibration=kept)), made)

    def promote(self) -> None:
        """Lets the staged release decide; the first ever also before a calibration.

        ``ReleaseError`` if none is staged, if it is not calibrated and the active one is, or if
        people would be left whom only a third trunk has seen.
        """
        with self._change():
            self._enter(successor(self._state, self._galleries))

    def rollback(self) -> None:
        """Lets the release from before decide again; ``ReleaseError`` if there is none, or if it
        decided by another distance or pooling."""
        with self._change():
            if self._state.before is None:
                raise ReleaseError("there is no release to go back to")
            self._enter(replace(self._state, lead=self._state.before, before=None))

    def retire(self) -> None:
        """Lets the release of the old trunk go, and destroys every feature of that trunk.

        Raises as ``alone``. What a crash leaves is as it was, or without the way back, and is
        finished by the same again.
        """
        with self._change():
            state, _ = alone(self._state, self._galleries)
            self._enter(replace(self._state, before=state.before))
            with self.taking():
                state, trunk = alone(self._state, self._galleries)
                self._vault.forget_trunk(trunk)
                self._write(state)
                self._galleries = replace(self._galleries, beside=None)

    def unstage(self) -> None:
        """Takes the staged release away; ``ReleaseError`` if none is staged."""
        with self._change():
            if self._state.staged is None:
                raise ReleaseError("no release is staged")
            self._enter(replace(self._state, staged=None))

    def calibrate(self, target: Target, now: float) -> Calibration:
        """Fixes the thresholds of every release here for ``target``, in one change.

        Returns those that decide. Where nothing is active yet, the staged release is afterwards.
        ``InsufficientCalibrationError`` where they cannot be fixed: then nothing changed. A staged
        release that cannot be calibrated is left without thresholds, and cannot be promoted.
        """
        with self._change():
            state = first(self._state)
            galleries = self._made(state, self._galleries.all)
            if galleries.active is None:
                raise NotReadyError("there is no release to calibrate: stage one")
            decides = self._calibrated(galleries.active, target, now)
            found: Fixed = {galleries.active: decides}
            for other in (galleries.beside, galleries.staged):
                if other is not None:
                    found[other] = self._attempt(other, target, now)
            if galleries.beside is not None and found[galleries.beside] is None:
                del found[galleries.beside]  # better its old thresholds than none
            self._decide_by(found, replace(state, target=target), galleries)
            return decides

    @property
    def due(self) -> bool:
        """Whether ``tend`` has something to do; cheap while nobody was enrolled or erased."""
        if self._state.target is None or self._tended == self._vault.generation:
            return False
        return outgrown(self._galleries, self._agreed()) or self._waiting

    def tend(self) -> bool:
        """Calibrates again where the gallery has outgrown its thresholds, or where a staged release
        has none. Tells whether it could: False where people are still too few, or nothing is due.
        """
        with self._change():
            held, target, done = self._galleries, self._state.target, False
            if target is None or not self.due:
                return False
            self._tended, now = self._vault.generation, self._clock()
            if outgrown(held, self._agreed()):
                with suppress(InsufficientCalibrationError):
                    self.calibrate(target, now)
                    done = True
            if not done and held.staged is not None and self._waiting:
                found = self._attempt(held.staged, target, now)
                done = found is not None
                if done:
                    self._decide_by({held.staged: found}, self._state, held)
            return done

    @contextmanager
    def taking(self) -> Iterator[tuple[str, ...]]:
        """While the block puts somebody into the vault, by these trunks, none comes or goes."""
        with self._rows:
            self._check_whole()
            yield self._galleries.trunks

    def enrolled(self, person: PersonId) -> None:
        """Puts the templates of ``person``, as they are in the vault now, into every gallery."""
        with self._rows:
            self._touch([person])
            building.follow(self._galleries, self._vault, [person])

    def erased(self, persons: Collection[PersonId]) -> None:
        """Zeroes the rows of ``persons`` in every gallery; one that is being made leaves them out
        before it decides anything."""
        with self._rows:
            self._touch(persons)
            for serving in self._galleries.all:
                for person in persons:
                    serving.drop(person)

    def observe(
        self,
        seen: Features,
        person: PersonId | None = None,
        allowed: Collection[PersonId] | None = None,
    ) -> None:
        """Lets the staged release decide a probe too, and counts whether it would answer alike.

        As the probe was asked about: is it ``person``, or else who of ``allowed`` (None: all)?
        """
        counts, found = self._shadow, shadow.answers(self._galleries, seen, person, allowed)
        if found is not None:
            counts.note(*found)

    def status(self) -> ReleaseStatus:
        """Which releases there are, and how the staged one does."""
        return standing(self._state, self._galleries, self._shadow, self._agreed())

    def close(self) -> None:
        """Lets go of all galleries, which zeroes them; a change under way comes to nothing."""
        with self._rows:
            self._broken, self._galleries = True, Galleries()

    @property
    def _waiting(self) -> bool:
        staged = self._galleries.staged
        return staged is not None and staged.calibration is None

    @contextmanager
    def _change(self) -> Iterator[None]:
        """One change at a time; people come and go meanwhile, and are noted."""
        with self._changing:
            self._check_whole()
            outer = self._touched
            self._touched = set() if outer is None else outer
            try:
                yield
            finally:
                self._touched = outer

    def _check_whole(self) -> None:
        if self._broken:
            raise DeploymentError("a change of releases failed half way: start the door again")

    def _touch(self, persons: Collection[PersonId]) -> None:
        if self._touched is not None:
            self._touched.update(persons)

    def _enter(self, state: State, *made: Serving) -> None:
        """Makes what ``state`` needs, writes it, and lets it decide: in this order."""
        self._exchange(state, self._made(state, (*made, *self._galleries.all)), {})

    def _exchange(self, state: State, galleries: Galleries, thresholds: Fixed) -> None:
        """Writes ``state``, then lets ``galleries`` decide, with everybody who came meanwhile."""
        with self._rows:
            self._check_whole()
            building.follow(galleries, self._vault, self._touched or ())
            self._write(state)
            for serving, calibration in thresholds.items():
                serving.decide_by(calibration)
            self._galleries, self._shadow = galleries, Shadow()

    def _write(self, state: State) -> None:
        try:
            self._shelf.write(state)
        except DeploymentError:
            self._broken = not self._shelf.unchanged(self._state)
            raise
        self._state = state
        self._shelf.tidy(state)

    def _made(self, state: State, known: Collection[Serving]) -> Galleries:
        """The releases that ``state`` names; of those ``known`` whatever is the very same."""
        lead = state.lead
        return Galleries(
            active=None if lead is None else self._serving(lead.active, known),
            beside=None if lead is None else self._serving(lead.beside, known),
            staged=self._serving(state.staged, known),
        )

    def _serving(self, entry: Entry | None, known: Collection[Serving]) -> Serving | None:
        if entry is None:
            return None
        calibration, measure = self._shelf.calibration(entry), self._measuring.of(entry)
        for one in known:
            same = one.name == entry.name and one.measure.name == measure.name
            if same and one.calibration == calibration:
                return one
        self._public.dim(entry.trunk)
        tail, brought = self._shelf.tail(entry), self._shelf.heads(entry)
        made = Serving(entry.trunk, tail, calibration, measure, brought)
        building.fill(made, self._vault)
        return made

    def _decide_by(self, found: Fixed, state: State, galleries: Galleries) -> None:
        names = {one.name: self._shelf.put_calibration(made) for one, made in found.items()}
        self._exchange(state.calibrated(names), galleries, found)

    def _attempt(self, serving: Serving, target: Target | None, now: float) -> Calibration | None:
        """As ``_calibrated``; None without a target, and where people are too few."""
        with suppress(InsufficientCalibrationError):
            return None if target is None else self._calibrated(serving, target, now)
        return None

    def _calibrated(self, serving: Serving, target: Target, now: float) -> Calibration:
        return building.calibrated(serving, self._vault, self._public, target, now)

    def _agreed(self) -> frozenset[PersonId]:
        return building.comparable(self._vault, self._clock())
