"""What a door works with, opened from its site's folder: vault, log, releases, eye and callers."""

import os
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from client.audit.log import AuditLog, AuditPlace
from client.centre.admission import countersigned
from client.door.callers import CallerBook
from client.door.eye import Eye, EyeRules, open_eye
from client.door.labelling import LabelRules
from client.door.parts import Parts
from client.door.reception import Reception
from client.door.recording import Recorder, check_of_one_day
from client.door.releases import ReleasePlace, Releases
from client.door.rollcall import RollCall
from client.door.rules import DoorRules
from client.door.strangers import PublicPictures, reader
from client.door.vouching import Alone, Member
from client.door.weighing import likeness_of
from client.door.wording import Wording
from client.door.words import Words, read_words
from client.home import SiteHome
from client.policy import ReleasePolicy, SitePolicy
from client.site_config import SiteConfig
from client.vault.founding import vault_place
from client.vault.store import Vault
from common.config import build, load, read_toml
from common.errors import ConfigError, MascaronError
from common.faces.detect import WholePicture
from common.faces.liveness import LivenessCheck, plugged_in
from common.models.tail import Tail
from common.models.trunk import load_trunk
from common.privacy.heads import GENDER
from common.trust.keys import SigningKey

SECTION = "door"  # of site.toml
TIDY = 60.0  # seconds between two looks for what has run out

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class OpenDoor:
    """A door ready to answer. Vault and log are open, and this process alone has them."""

    reception: Reception
    vault: Vault
    book: CallerBook
    rules: DoorRules
    shut: ExitStack

    def close(self) -> None:
        """Zeroes keys and galleries, and gives the files to other processes."""
        self.shut.close()

    def __enter__(self) -> "OpenDoor":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_rules(home: SiteHome) -> DoorRules:
    """``[door]`` of `site.toml` with absolute paths; what is not written there is as it is."""
    home.check()
    table = read_toml(home.settings).get(SECTION, {})
    rules = build(DoorRules, table, f"{home.settings} [{SECTION}]")

    def absolute(path: Path | None) -> Path | None:
        return None if path is None else home.folder.absolute() / path.expanduser()

    return replace(
        rules,
        detector=absolute(rules.detector),
        old_trunk=absolute(rules.old_trunk),
        heads=absolute(rules.heads),
        pooling_weights=absolute(rules.pooling_weights),
        old_pooling_weights=absolute(rules.old_pooling_weights),
    )


def open_door(
    home: SiteHome, say: Say = lambda line: None, clock: Callable[[], float] = time.time
) -> OpenDoor:
    """Everything above. ``say`` is told a line where something is left out.

    The first time, the trunk's own tail is staged: calibrated, it is the first release.

    Raises ``BusyError`` while another process has the vault; ``ConfigError``, ``SealedError``,
    ``VaultError``, ``AuditError``, ``ReleaseError`` or ``TrunkError``, none of which names anybody.
    """
    config, rules = home.config(), read_rules(home)
    identity = SigningKey.load(home.identity_key)
    with ExitStack() as stack:
        vault = stack.enter_context(Vault(vault_place(home, config)))
        seen = countersigned(home, identity.public).heads
        place = AuditPlace(path=home.audit, key=identity, site=config.name, passed=seen)
        log = stack.enter_context(AuditLog(place))
        check_of_one_day(vault, log)
        eye = _eye(config, rules)
        read = reader(home.features, config.public, config.aligned, say)
        trunks = tuple(eye.trunks.values())
        likeness = likeness_of(rules, trunks)
        kept = ReleasePlace(folder=home.releases, likeness=likeness, clock=clock)
        releases = Releases(kept, vault, PublicPictures(trunks, read))
        stack.callback(releases.close)
        if not releases.trunks:
            releases.stage(_first_tail(config), eye.trunk.hash)
        parts = Parts(
            vault=vault,
            eye=eye,
            releases=releases,
            log=log,
            rules=rules,
            clock=clock,
            random=os.urandom,
            identity=identity,
            vouching=Alone() if config.alone else Member(home, eye.trunk.hash),
            words=_wording(home, rules, eye.trunk.hash, say),
            labels=_labels(home, say),
        )
        reception = Reception(parts)
        stack.callback(reception.close)
        book = CallerBook(home.callers, RollCall(Recorder(vault, log, clock)))
        book.callers()
        return OpenDoor(
            reception=reception,
            vault=vault,
            book=book,
            rules=rules,
            shut=stack.pop_all(),
        )


class Upkeep:
    """While the block runs, ``reception`` is tidied now and then, in a thread of its own.

    ``say`` is told of what fails, once."""

    def __init__(self, reception: Reception, say: Say, every: float = TIDY) -> None:
        self._reception, self._say, self._every = reception, say, every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="upkeep", daemon=True)

    def __enter__(self) -> "Upkeep":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        said = ""
        while True:
            told = self._tidied()
            if told and told != said:
                self._say(f"the door is not kept in order: {told}")
            said = told
            if self._over.wait(self._every):
                return

    def _tidied(self) -> str:
        """Why it could not be tidied; "" if it was."""
        try:
            self._reception.tidy()
        except MascaronError as error:
            return error.reason
        except Exception as error:  # a bug, which must not end the erasing of who is due
            return type(error).__name__
        return ""


def _wording(home: SiteHome, rules: DoorRules, trunk: str, say: Say) -> Wording:
    """What faces are described by, as the policy says; by nothing where it cannot be read."""
    if not rules.describes and rules.heads is None:
        return Wording()
    try:
        policy = _policy(home)
    except ConfigError as error:
        say(f"nobody is described: {error}")
        return Wording()
    denied = () if policy is None else policy.denied_attributes
    kinds = ReleasePolicy().heads if policy is None else policy.release.heads
    own = None if rules.heads is None else read_words(rules.heads, trunk, denied)
    if own is not None and policy is not None and GENDER not in kinds:
        own = _without_gender(own)
    return Wording(own, kinds, denied)


def _without_gender(own: Words) -> Words | None:
    """``own`` as a policy has it that does not name gender; None where there is nothing else."""
    kept = own.heads.only(set(own.heads.kinds) - {GENDER})
    return None if kept is None else replace(own, heads=kept)


def _labels(home: SiteHome, say: Say) -> LabelRules:
    """What may be said of pictures, as the policy says; nothing where it cannot be read."""
    try:
        return LabelRules(_policy(home))
    except ConfigError as error:
        say(f"no labels are taken: {error}")
        return LabelRules()


def _policy(home: SiteHome) -> SitePolicy | None:
    """The site's policy; None at a site alone that wrote none.

    A member always has one: `init` writes it. So where it is gone nothing is known of what was
    denied, and that is a ``ConfigError`` as where it cannot be read.
    """
    if home.config().alone and not os.path.lexists(home.policy):
        return None
    return load(SitePolicy, home.policy)


def _first_tail(config: SiteConfig) -> Tail:
    """The tail that the trunk came with: what a door decides by before any release."""
    _, tail = load_trunk(config.trunk)
    return tail


def _eye(config: SiteConfig, rules: DoorRules) -> Eye:
    named = plugged_in(rules.liveness) if rules.liveness else None
    liveness = LivenessCheck(named, fail_closed=rules.liveness_fail_closed)
    seeing = EyeRules(least_quality=rules.least_quality)
    detector = WholePicture() if rules.aligned else rules.detector
    trunks = [config.trunk, *filter(None, [rules.old_trunk])]
    return open_eye(trunks, detector, seeing, liveness)
