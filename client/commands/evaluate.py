"""`mascaron-site evaluate`: how each release does on this site's people, on this terminal."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from client.audit.events import Kind
from client.audit.log import AuditLog, AuditPlace
from client.centre.admission import countersigned
from client.door.building import comparable
from client.door.evaluating import LocalFigures, Own, evaluate
from client.door.opening import read_rules
from client.door.recording import Recorder, check_of_one_day
from client.door.releases import ReleasePlace, Releases
from client.door.serving import Serving
from client.door.strangers import PublicPictures, reader
from client.door.weighing import likeness_of
from client.home import SiteHome
from client.vault.founding import vault_place
from client.vault.store import Vault
from common.errors import BusyError, NotReadyError
from common.metrics.impostors import Faces
from common.models.trunk import load_trunk
from common.trust.keys import SigningKey

Say = Callable[[str], None]
Start = Callable[[str, int], Callable[[int], None]]  # what is done, in how many steps


def evaluate_site(
    home: SiteHome, start: Start, say: Say, clock: Callable[[], float] = time.time
) -> dict[str, Any]:
    """The figures of the release that decides, and of those beside it, at their own thresholds.

    A row of the audit log says that it was done. ``BusyError`` while `serve` has the vault,
    ``NotReadyError`` where nothing decides yet; else raises as ``open_door``.
    """
    home.check_agent()
    with _opened(home, say, clock) as (vault, releases, strangers, recorder):
        held = releases.galleries
        lead = held.lead()
        with recorder.row(None, Kind.EVALUATE) as note:
            note.reference = recorder.reference(lead.release)
            parts = (("decides", lead), ("beside", held.beside), ("staged", held.staged))
            told = {
                name: told_of(one, figures_of(one, (vault, strangers), start, clock()))
                for name, one in parts
                if one is not None
            }
    return {"left_this_site": False, "charged": 0.0, "releases": told}


def figures_of(
    serving: Serving, given: tuple[Vault, PublicPictures], start: Start, now: float
) -> LocalFigures | None:
    """Of ``given`` vault and public people; None for a release without thresholds.

    What is opened is zeroed once it was used.
    """
    vault, public = given
    if serving.calibration is None:
        return None
    strangers = Faces(public.of(serving.trunk), public.person)
    own = _own(vault, serving.trunk, now, strangers.embeddings.shape[1])
    try:
        step = start(f"release {serving.release[:12]}", len(set(own.person.tolist())))
        decided = (serving.calibration, serving.measure)
        return evaluate(own, strangers, serving.tail, decided, step)
    finally:
        own.features.fill(0)


def _own(vault: Vault, trunk: str, now: float, dim: int) -> Own:
    import numpy as np

    agreed = comparable(vault, now)
    loaded = vault.load(trunk)
    chosen = [at for at, person in enumerate(loaded.persons) if person in agreed]
    number = {person: at for at, person in enumerate(dict.fromkeys(loaded.persons))}
    features = np.zeros((len(chosen), dim), np.float32)
    if chosen:
        features[:] = loaded.features[chosen]
    own = Own(
        features=features,
        person=np.array([number[loaded.persons[at]] for at in chosen], np.int64),
        quality=loaded.quality[chosen].copy(),
    )
    loaded.wipe()
    return own


def told_of(serving: Serving, figures: LocalFigures | None) -> dict[str, Any]:
    """What is printed of one release."""
    name = {"release": serving.release[:12]}
    if figures is None:
        return {**name, "calibrated": False}
    if not figures.people:
        return {**name, "calibrated": True, "too_few_people": True}
    return {
        **name,
        "calibrated": True,
        "people": f"{figures.people}+",
        "public_strangers": f"{figures.strangers}+" if figures.strangers else None,
        "fnmr": figures.fnmr,
        "fmr_of_public_strangers": figures.fmr,
    }


@contextmanager
def _opened(
    home: SiteHome, say: Say, clock: Callable[[], float]
) -> Iterator[tuple[Vault, Releases, PublicPictures, Recorder]]:
    config, rules = home.config(), read_rules(home)
    identity = SigningKey.load(home.identity_key)
    seen = countersigned(home, identity.public).heads
    place = AuditPlace(path=home.audit, key=identity, site=config.name, passed=seen)
    try:
        vault = Vault(vault_place(home, config))
    except BusyError as error:
        raise BusyError(
            f"{error}; an evaluation reads the vault itself: stop `mascaron-site serve` for it"
        ) from None
    with vault, AuditLog(place) as log:
        check_of_one_day(vault, log)
        names = [config.trunk, *filter(None, [rules.old_trunk])]
        trunks = tuple(load_trunk(name)[0] for name in names)
        read = reader(home.features, config.public, config.aligned, say)
        public = PublicPictures(trunks, read)
        kept = ReleasePlace(folder=home.releases, likeness=likeness_of(rules, trunks), clock=clock)
        releases = Releases(kept, vault, public)
        try:
            if not releases.trunks:
                raise NotReadyError(
                    "no release is here yet: `mascaron-site serve` stages the first"
                )
            yield vault, releases, public, Recorder(vault, log, clock)
        finally:
            releases.close()
