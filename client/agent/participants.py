"""Whose features a round looks at: who agreed to training, as of the day the run began.

The vault is asked at each round, so an erasure or a withdrawal takes effect at the next one; and
nobody comes into a run that is under way, by being enrolled later or by agreeing later. So it is
with labels: learnt from are those of people who had agreed to both, training and labels.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from client.agent.labelled import put_in_words, site_labels
from client.agent.labels import SiteLabels
from client.agent.people import SitePeople
from client.agent.sentences import Speech
from client.home import PRIVATE, make_folder
from client.vault.handles import framed
from client.vault.identity import PersonId, TemplateId
from client.vault.labels import PURPOSE as LABELS
from client.vault.store import Vault
from common import wire
from common.errors import NotReadyError, UnknownPersonError, VaultError
from common.trust import storing

PURPOSE, TEXT = "training", "text"
TAG = 16  # bytes that stand for a person in one run, as many for their labels, and for text


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class RunsPlace:
    """Where the vault's people are remembered run by run, and what they are trained with."""

    folder: Path  # one sealed file a run
    vault: Vault
    trunk: str  # hash of the trunk whose features are looked at
    dim: int  # D of that trunk
    clock: Callable[[], float]  # seconds since 1970
    allows: Callable[[str], bool] = lambda name: False  # which labels may be learnt from
    speech: Speech | None = None  # makes sentences of them; without, nothing is put in words


@dataclass(frozen=True, slots=True, repr=False)
class Agreed:
    """Of those who are trained on: who agreed to labels, and who to text as well."""

    labelled: set[PersonId]
    spoken: set[PersonId]


class VaultPeople:
    """The people of a site's vault, for the runs of its federation.

    Guarantee: a round of a run is computed from people alone who had agreed to training when the
    run began, have not taken it back, and are not erased. Who was enrolled or agreed later changes
    no bit of it: so adding or removing one person changes what is summed by that person's one
    clipped contribution or by nothing, which is the sensitivity that the plan is priced at. The
    file of a run names nobody: its tags are made with the persons' own keys and die with them.
    Labels are opened by rounds that ask for them, of those who had agreed to them as well when the
    run began and still do, and of the kinds that the policy allows now; they are put in words of
    those alone who had agreed to text, too.
    Leaks: about how many took part, to who lists the agent's folder. Somebody enrolled twice is
    two persons here: the duplicate check at enrolment stands against it. Without its file a run
    goes on once its charter is accepted again, with the people of that day.
    """

    def __init__(self, place: RunsPlace) -> None:
        make_folder(place.folder, PRIVATE)
        self._place, self._vault = place, place.vault

    def begin(self, run: str) -> None:
        """Remembers who may take part in ``run``; a run that was begun before is left as it is."""
        path = self._path(run)
        if storing.read(path) is not None:
            return
        tags = sorted(
            tag for also in (PURPOSE, LABELS, TEXT) for tag in self._tags(run, also).values()
        )
        key = self._vault.derive(PURPOSE)
        storing.replace(path, key.seal(b"".join(tags), framed("run", run)))

    def of(self, run: str) -> SitePeople:
        """Who takes part in a round of ``run`` now, in the order of their ids.

        ``NotReadyError`` for a run that never began, ``VaultError`` for a file that was altered.
        """
        sealed = storing.read(self._path(run))
        if sealed is None:
            raise NotReadyError("this run has not begun here: its charter has to be accepted again")
        content = self._vault.derive(PURPOSE).open(sealed, framed("run", run))
        begun = {content[i : i + TAG] for i in range(0, len(content), TAG)}
        trained, labelled, spoken = (
            {p for p, tag in self._tags(run, also).items() if tag in begun}
            for also in (PURPOSE, LABELS, TEXT)
        )
        return self._features(trained, Agreed(labelled & trained, spoken & labelled & trained))

    def _tags(self, run: str, also: str) -> dict[PersonId, bytes]:
        """What stands in ``run`` for each who agrees to training, and ``also`` to this, now."""
        message, tags, now = framed(also, run), dict[PersonId, bytes](), self._place.clock()
        agreed = [self._vault.people(purpose=what, now=now) for what in (PURPOSE, also)]
        for person in frozenset.intersection(*agreed):
            with suppress(UnknownPersonError):  # erased at this very moment
                tags[person] = self._vault.tag(person, message)[:TAG]
        return tags

    def _features(self, wanted: set[PersonId], agreed: Agreed) -> SitePeople:
        loaded = self._vault.load(self._place.trunk)
        rows = [row for row, person in enumerate(loaded.persons) if person in wanted]
        ordered = {person: place for place, person in enumerate(sorted(wanted))}
        features = np.empty((len(rows), self._place.dim), np.float32)
        if rows:
            if loaded.features.shape[1] != self._place.dim:
                raise VaultError("features in the vault are of another length than the trunk's")
            features[:] = loaded.features[rows]
        loaded.wipe()
        person = np.array([ordered[loaded.persons[row]] for row in rows], np.int64)
        shown = tuple((loaded.persons[row], loaded.templates[row]) for row in rows)
        return _Bags(features, person, lambda: self._labels(shown, agreed))

    def _labels(
        self, shown: tuple[tuple[PersonId, TemplateId], ...], agreed: Agreed
    ) -> SiteLabels | None:
        """What is said of the pictures of the templates ``shown``, in their order."""
        found = self._vault.labels.of(agreed.labelled, now=self._place.clock())
        said = site_labels([found.get(template) for _, template in shown], self._place.allows)
        if said is None or self._place.speech is None:
            return said
        spoken = np.array([person in agreed.spoken for person, _ in shown])
        return put_in_words(said, spoken, self._place.speech)

    def _path(self, run: str) -> Path:
        return self._place.folder / f"{wire.digest('run', run)}.sealed"

    def __repr__(self) -> str:
        return "VaultPeople(...)"


class _Bags(SitePeople):
    """Of one round. Their labels are opened once somebody asks for one, and no earlier."""

    def __init__(
        self,
        features: NDArray[np.float32],
        person: NDArray[np.int64],
        opened: Callable[[], SiteLabels | None],
    ) -> None:
        """``person`` in ascending order, so that rows stay where they are."""
        super().__init__(features, person)
        self._opened: Callable[[], SiteLabels | None] | None = opened

    def labels(self, index: int) -> SiteLabels | None:
        if self._opened is not None:
            self._labels, self._opened = self._opened(), None
        return super().labels(index)
