"""What each site says of the history it was shown, so that two histories cannot both be believed.

A site that was shown a history signs its last entry, with the centre's own signature on it, and the
centre shows all sites' statements beside the history. A statement that is not on the history a site
was shown is proof against the centre in the centre's own hand: no site can make one up.

Guarantee: a centre that shows two histories is found out by every site that sees one statement of
the other side made after they parted; likewise one that shows anybody an older state.
Leaks: to members, which entry each site saw last, and when.
Not promised: that statements come through. A centre can keep back those of the other side, or show
old ones. What a site then sees is that sites of the roster say nothing or have long said nothing
(``Crossing.silent``, ``Crossing.old``): a split lives as long as nobody minds. The centre also
writes the roster, and can fill it with sites of its own that say what it likes; they only ever add.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from common.config import build
from common.errors import ConfigError, HistoryError, SignatureError, SplitViewError
from common.evidence.history import GENESIS, Head, History, entry_digest, read_entry
from common.trust.keys import PublicKey, SigningKey
from common.trust.roster import Roster
from common.trust.signed import Signed, seal, unseal

PURPOSE = "release witness"
OLD = 7 * 86400.0  # seconds; a site states anew with every question, which is every day or hour


@dataclass(frozen=True, kw_only=True, slots=True)
class Witness:
    """What ``site`` saw last: the entry as the centre signed it; empty for an empty history."""

    federation: str
    site: str
    time: int  # seconds since 1970, UTC, of the site's clock
    content: str = ""  # the words of the entry, and
    signature: str = ""  # the centre's under them

    def sign(self, key: SigningKey) -> Signed:
        return seal(key, PURPOSE, asdict(self))

    def head(self, centre: PublicKey) -> Head:
        """The head that the site saw; ``SignatureError`` unless ``centre`` signed it."""
        if not self.content:
            return Head(0, GENESIS)
        signed = Signed(self.content, self.signature)
        entry = read_entry(signed, centre)
        if entry.federation != self.federation:
            raise SignatureError("an entry of another federation")
        return Head(entry.number, entry_digest(signed))


@dataclass(frozen=True, kw_only=True, slots=True)
class Crossing:
    """Who vouches for a history: names of admitted sites."""

    agreeing: tuple[str, ...] = ()  # their last entry is on it
    old: tuple[str, ...] = ()  # of those, who said so longer ago than ``OLD``
    silent: tuple[str, ...] = ()  # nothing that can be read was shown of them


def witness_of(history: History, site: str, time: int) -> Witness:
    """The statement of ``site`` that it was shown ``history``."""
    last = history.texts[-1] if history.texts else Signed("", "")
    return Witness(
        federation=history.federation,
        site=site,
        time=int(time),
        content=last.content,
        signature=last.signature,
    )


def read_witness(text: str, site: PublicKey, centre: PublicKey) -> tuple[Witness, Head]:
    """The statement in ``text`` and the head it is about.

    Raises ``SignatureError`` unless ``site`` signed it, and ``centre`` what it is about.
    """
    try:
        found = build(Witness, unseal(site, PURPOSE, Signed.from_json(text)), "witness")
    except ConfigError as error:
        raise SignatureError(f"not a witness: {error}") from None
    return found, found.head(centre)


def cross(
    history: History, shown: Mapping[str, str], roster: Roster, centre: PublicKey, now: float
) -> Crossing:
    """Compares ``history`` with the statements ``shown``, by name of the site.

    A statement that is not signed as it must be counts as none. Raises ``SplitViewError`` for one
    on another history, ``HistoryError`` for one on a longer one than this.
    """
    agreeing, old = [], []
    for site in roster.admitted:
        try:
            witness, head = read_witness(
                shown.get(site.name, ""), PublicKey.of(site.identity), centre
            )
        except SignatureError:
            continue
        if (witness.federation, witness.site) != (history.federation, site.name):
            continue
        _compare(history, head, witness)
        agreeing.append(site.name)
        if now - witness.time > OLD:
            old.append(site.name)
    return Crossing(
        agreeing=tuple(agreeing),
        old=tuple(old),
        silent=_without(agreeing, (site.name for site in roster.admitted)),
    )


def _compare(history: History, head: Head, witness: Witness) -> None:
    if head.number > len(history.entries):
        raise HistoryError(
            f"{witness.site} was shown {head.number} entries of the history, this site "
            f"{len(history.entries)}: the centre keeps news from this site, or lost them"
        )
    if history.head_at(head.number) != head:
        ours, theirs = history.texts[head.number - 1], Signed(witness.content, witness.signature)
        raise SplitViewError(
            f"the centre signed two histories: {witness.site} was shown another entry "
            f"{head.number}",
            (ours.to_json(), theirs.to_json()),
        )


def _without(taken: list[str], names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name not in taken)
