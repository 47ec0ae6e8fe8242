"""The administrator's acts: admit a site, revoke it, and the renewal a site may ask for itself.

Guarantee: `roster.json` is replaced once an act, and by that alone the act has happened. What is
written before it counts for nothing; what follows from it is put right by whoever comes next.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

from common.errors import AdmissionError, ConfigError, MascaronError
from common.trust import storing
from common.trust.admission import SiteRequest
from common.trust.certificates import expiry, life_left
from common.trust.fingerprints import read_typed, spoken
from common.trust.keys import PublicKey
from common.trust.roster import WHY_REVOKED, Roster, SiteEntry, check_name
from server.admission.authority import Authority
from server.admission.issued import Issued, is_over
from server.admission.roster import RosterBook
from server.admission.waiting import Waiting, WaitingRoom
from server.home import CentreHome

_NOBODY = "no site with this fingerprint waits; `mascaron-admin sites` lists them"
_NAMESAKE = (
    "a site of this name waits with another fingerprint: trust it only when you have compared it "
    "again on the telephone"
)
RENEWABLE = 1 / 2  # of a certificate's life left: asked earlier, it gets the one it has


@dataclass(frozen=True, kw_only=True, slots=True)
class Declared:
    """What the administrator puts in the place of what a site declared, if anything."""

    camera_type: str | None = None
    people: int | None = None

    def over(self, entry: SiteEntry) -> SiteEntry:
        given = {k: v for k, v in asdict(self).items() if v is not None}
        return replace(entry, **given)


@dataclass(frozen=True, slots=True)
class Admitted:
    """A site as it stands in the roster, and the node key it had before if that went."""

    entry: SiteEntry
    replaced: str = ""


class Membership:
    """Who is in the federation, and how that changes. Seconds are since 1970."""

    def __init__(self, home: CentreHome) -> None:
        self._book = RosterBook(home)
        self._issued = Issued(home, Authority.load(home))
        self._room = WaitingRoom(home)
        self._heads = home.heads

    def asking(self, name: str, typed: str, now: float) -> SiteEntry:
        """What the site that ``admit`` would let in says of itself; raises as ``admit`` does."""
        return self._asking(name, typed, self._book.read(), now)

    def admit(self, name: str, typed: str, declared: Declared, now: float) -> Admitted:
        """Admits the site whose key has the fingerprint ``typed`` on the telephone.

        A site that is admitted already gets what it asks anew, such as another node key, and a
        certificate if its own has expired. Raises ``AdmissionError`` if nobody of that name and
        fingerprint asks.
        """
        with self._book.changing() as roster:
            entry = declared.over(self._asking(name, typed, roster, now))
            identity = PublicKey.of(entry.identity)
            before = roster.site(name)
            if before is not None and before.identity != entry.identity:
                if before.state == "admitted":
                    raise AdmissionError(
                        f"another key is admitted as {name}; if it is lost, revoke it first: "
                        f"mascaron-admin revoke {name} --reason superseded"
                    )
                storing.remove(self._heads / f"{name}.json")  # signed by the key that went
            if not self._issued.is_current(entry, now):
                issued = self._issued.issue(identity, name, now)
                entry = replace(entry, certificate=issued)
            self._put(roster, entry, now)
        self._room.leave(identity)
        replaced = "" if before is None or before.node == entry.node else before.node
        return Admitted(entry, replaced)

    def revoke(self, name: str, reason: str, now: float) -> SiteEntry:
        """Takes ``name`` out of the federation; done twice, it stays as it was the first time."""
        if reason not in WHY_REVOKED:
            raise ConfigError(f"reason must be one of {', '.join(WHY_REVOKED)}, got {reason!r}")
        with self._book.changing() as roster:
            entry = roster.site(name)
            if entry is None:
                raise AdmissionError(f"no site is called {name}; `mascaron-admin sites` lists them")
            if entry.state == "admitted":
                entry = replace(entry, state="revoked", reason=reason)
            self._put(roster, entry, now)
        self._room.leave(PublicKey.of(entry.identity))
        return entry

    def renew(self, identity: PublicKey, now: float) -> None:
        """The next certificate for an admitted ``identity`` whose one is past half its life."""
        with self._book.changing() as roster:
            entry = roster.holder(identity)
            if entry is None or entry.state != "admitted":
                return
            if 0 <= life_left(self._issued.in_force(entry), now) < RENEWABLE:
                issued = self._issued.issue(identity, entry.name, now)
                self._put(roster, replace(entry, certificate=issued), now)

    def drop(self, typed: str, now: float) -> SiteRequest:
        """Takes whoever waits with the fingerprint ``typed`` out of the room, unadmitted."""
        digits = read_typed(typed)
        for wait in self._room.all(now):
            if wait.fingerprint.startswith(digits):
                self._room.leave(wait.request.identity)
                return wait.request
        raise AdmissionError(_NOBODY)

    def lapsed(self, now: float) -> frozenset[str]:
        """Names of admitted sites whose certificate was not renewed in time."""
        admitted = self._book.read().admitted
        return frozenset(e.name for e in admitted if not self._issued.is_current(e, now))

    def settle(self, now: float) -> None:
        """Puts right what follows from the roster, after a crash or a month."""
        with self._book.changing() as roster:
            self._issued.revocations(roster, now)
            for wait in self._room.all(now):
                if _is_settled(wait, roster):
                    self._room.leave(wait.request.identity)

    def table(self, now: float) -> dict[str, Any]:
        """Everybody who waits, is admitted or was revoked, for the administrator's eyes."""
        roster = self._book.read()
        waits = [w for w in self._room.all(now) if not _is_settled(w, roster)]
        return {
            "federation": roster.federation,
            "roster": roster.number,
            "waiting": [
                {
                    **_declared(w.request.entry()),
                    "trunk": w.request.trunk,
                    "arrived": int(w.arrived),
                    "name_taken": roster.site(w.request.name) is not None,
                }
                for w in waits
            ],
            "admitted": [self._admitted(entry, now) for entry in roster.admitted],
            "revoked": [
                {**_declared(entry), "reason": entry.reason}
                for entry in roster.sites
                if entry.state == "revoked"
            ],
        }

    def _put(self, roster: Roster, entry: SiteEntry, now: float) -> None:
        after = roster if roster.site(entry.name) == entry else roster.with_site(entry)
        if after is not roster:
            self._book.write(after)
        self._issued.revocations(after, now)

    def _asking(self, name: str, typed: str, roster: Roster, now: float) -> SiteEntry:
        """Whom the administrator means: in the waiting room, or in the roster already."""
        check_name(name)
        digits = read_typed(typed)
        waits = [w.request.entry() for w in self._room.all(now)]
        found = next((entry for entry in waits if _is(entry, digits)), None)
        known = next((entry for entry in roster.sites if _is(entry, digits)), None)
        meant = found or known
        if meant is None:
            namesake = any(entry.name == name for entry in waits)
            raise AdmissionError(_NAMESAKE if namesake else _NOBODY)
        if known is not None and known.state == "revoked":
            raise AdmissionError(f"this key was revoked as {known.name}; the site needs a new one")
        if name != meant.name or (known is not None and name != known.name):
            raise AdmissionError(
                f"the site with this fingerprint calls itself {meant.name}; admit it by that name, "
                "or let it ask again by another"
            )
        return meant if known is None else replace(meant, certificate=known.certificate)

    def _admitted(self, entry: SiteEntry, now: float) -> dict[str, Any]:
        try:
            certificate = self._issued.in_force(entry)
            life = {"expires": expiry(certificate), "expired": is_over(certificate, now)}
        except MascaronError as error:
            life = {"expires": None, "problem": str(error)}
        return {**_declared(entry), **life}


def _is_settled(wait: Waiting, roster: Roster) -> bool:
    """Whether the roster already says all that ``wait`` asks for."""
    entry = roster.holder(wait.request.identity)
    return entry is not None and (
        entry.state == "revoked" or entry.node == wait.request.entry().node
    )


def _is(entry: SiteEntry, digits: str) -> bool:
    return PublicKey.of(entry.identity).fingerprint.startswith(digits)


def _declared(entry: SiteEntry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "fingerprint": spoken(PublicKey.of(entry.identity).fingerprint),
        "camera_type": entry.camera_type,
        "people": entry.people,
    }
