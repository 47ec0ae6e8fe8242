"""The centre's side of a secure sum: relay, count, open, and refuse any total that is not exact.

No room for a robust rule here: the centre sees one sum of a pool, never a site's update, so
validating replies by their norm, medians and per-site figures are off in such a round.
"""

import logging
from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from common.errors import AggregationError, MascaronError, NotReadyError, WireError
from common.secagg import masks, shamir
from common.secagg.masks import End
from common.secagg.messages import (
    BOX,
    CHECK,
    Boxes,
    Cohort,
    Consent,
    Consents,
    Dealing,
    Masked,
    Shares,
    SiteKeys,
    SiteMessage,
    Survivors,
    boxed,
    check_of,
    seed_digest,
)
from common.secagg.phases import KEYS, OPENING, PHASES, SHARES, SURVIVORS, VECTOR
from common.secagg.terms import Context
from common.trust.keys import PublicKey
from common.trust.roster import Roster

log = logging.getLogger(__name__)

_S = TypeVar("_S", bound=SiteMessage)
Words = NDArray[np.unsignedinteger]


class Aggregation:
    """One attempt at one secure sum, phase by phase; carries nothing itself.

    ``requests(phase)`` says what to send to which site, ``take(phase, replies)`` what came back.
    After the last phase ``total`` is the sum over ``summed``. A site whose answer is missing,
    malformed, unsigned or inconsistent is left out from there on and counted in ``dropped``.

    Guarantee: with at most ``terms.dropouts`` sites lost, each at any phase, ``total`` is the
    exact integer sum over the sites whose masked vector arrived. Every share that is used was
    checked against its dealer's digest, every secret against the digest or public key that its
    owner signed. Otherwise ``CohortError`` or ``AggregationError``: never a total that is known
    to be wrong.
    Leaks: who took part, and the total.
    Not detected: a site that adds any vector of its choice, within the range of an honest total;
    one that adds other masks than it agreed on is seen only because the total leaves that range.
    """

    def __init__(self, context: Context, roster: Roster) -> None:
        members = set(context.terms.members)
        self.context = context
        self.dropped: dict[str, str] = {}  # site: phase and reason
        self._peers = {
            site.name: PublicKey.of(site.identity)
            for site in roster.admitted
            if site.name in members
        }
        self._left = tuple(sorted(self._peers))
        self._phase = 0
        self._cohort = Cohort((), ())
        self._dealings: dict[str, Dealing] = {}
        self._sum: Words = np.zeros(context.terms.size, context.terms.grid.word)
        self._survivors = Survivors((), ())
        self._consents = Consents((), ())
        self._dealers_view = b""
        self._total: NDArray[np.int64] | None = None

    @property
    def total(self) -> NDArray[np.int64]:
        """The sum in steps of the grid (``terms.grid.decode`` makes it real); (K,)."""
        if self._total is None:
            raise NotReadyError("the secure sum is not opened yet")
        return self._total

    @property
    def summed(self) -> tuple[str, ...]:
        """The sites that are in the total."""
        return self._survivors.alive

    def requests(self, phase: str) -> dict[str, bytes]:
        """The payload for each site that is to be asked in ``phase``."""
        self._expect(phase)
        if phase == VECTOR:
            return {name: self._boxes(name).to_bytes() for name in self._left}
        payload = {
            KEYS: b"",
            SHARES: self._cohort.to_bytes(),
            SURVIVORS: self._survivors.to_bytes(),
            OPENING: self._consents.to_bytes(),
        }[phase]
        return dict.fromkeys(self._left, payload)

    def take(self, phase: str, replies: Mapping[str, bytes]) -> None:
        """What the sites asked in ``phase`` answered, by name; who is not there was lost.

        Raises ``CohortError`` if too few are left to go on, ``AggregationError`` if the total
        cannot be opened or is out of range; the attempt is over then.
        """
        self._expect(phase)
        asked = set(self._left)
        timely = {name: reply for name, reply in sorted(replies.items()) if name in asked}
        takers: dict[str, Callable[[dict[str, bytes]], None]] = {
            KEYS: self._take_keys,
            SHARES: self._take_dealings,
            VECTOR: self._take_vectors,
            SURVIVORS: self._take_consents,
            OPENING: self._take_shares,
        }
        self._phase = len(PHASES) + 1  # over, unless all goes well
        takers[phase](timely)
        self._phase = PHASES.index(phase) + 1

    def _expect(self, phase: str) -> None:
        if self._phase >= len(PHASES) or PHASES[self._phase] != phase:
            raise NotReadyError(f"this secure sum is not at phase {phase}")

    def _take_keys(self, replies: dict[str, bytes]) -> None:
        found = self._read(SiteKeys, replies, b"", lambda _: None)
        self._keep(KEYS, found, "sent keys")
        self._cohort = Cohort(self._left, tuple(found[name] for name in self._left))

    def _take_dealings(self, replies: dict[str, bytes]) -> None:
        sites, threshold = len(self._cohort.names), self.context.terms.threshold

        def check(dealing: Dealing) -> None:
            if len(dealing.checks) != 2 * CHECK * sites:
                raise WireError("not two checks for each site")
            if len(dealing.boxes) != BOX * (sites - threshold):
                raise WireError("a box is missing, or one too many")

        found = self._read(Dealing, replies, self._cohort.view(), check)
        self._keep(SHARES, found, "dealt shares")
        self._dealings = found
        self._dealers_view = self._boxes(self._left[0]).view(self._cohort.view())

    def _take_vectors(self, replies: dict[str, bytes]) -> None:
        grid = self.context.terms.grid

        def check(masked: Masked) -> None:
            if len(masked.words) != self.context.terms.size * grid.word.itemsize:
                raise WireError("a vector of another size")

        for name, reply in replies.items():  # one after the other: they are large
            for masked in self._read(Masked, {name: reply}, self._dealers_view, check).values():
                self._sum += np.frombuffer(masked.words, grid.word)
                self._survivors = Survivors((*self._survivors.alive, name), ())
        alive = set(self._survivors.alive)
        dead = tuple(name for name in self._left if name not in alive)
        self._survivors = Survivors(self._survivors.alive, dead)
        self._keep(VECTOR, alive, "sent vectors")

    def _take_consents(self, replies: dict[str, bytes]) -> None:
        view = self._survivors.view(self._dealers_view)
        found = self._read(Consent, replies, view, lambda _: None)
        self._keep(SURVIVORS, found, "signed the survivors")
        self._consents = Consents(self._left, tuple(found[name] for name in self._left))

    def _take_shares(self, replies: dict[str, bytes]) -> None:
        dealers = tuple(self._dealings)

        def check(shares: Shares) -> None:
            if len(shares.shares) != shamir.SIZE * len(dealers):
                raise WireError("not a share for each dealer")

        view = self._survivors.view(self._dealers_view)
        found = self._read(Shares, replies, view, check)
        self._keep(OPENING, found, "opened their shares")
        for at, dealer in enumerate(dealers):
            self._unmask(dealer, {name: found[name].share_at(at) for name in self._left})
        total = self.context.terms.grid.unwrap(self._sum)
        if max(int(total.max()), -int(total.min())) > self.context.terms.grid.bound:
            raise AggregationError(
                "the total is out of range: a site used other masks or left the grid; try again, "
                "and leave sites out one by one if it happens again"
            )
        self._total = total

    def _unmask(self, dealer: str, shares: dict[str, bytes]) -> None:
        """Takes the masks of ``dealer`` that do not cancel out of the sum."""
        grid, attempt, size = self.context.terms.grid, self.context.digest, len(self._sum)
        alive = dealer in self._survivors.alive
        secret = self._secret(dealer, shares, alive)
        if alive:
            if seed_digest(secret, dealer, attempt) != self._dealings[dealer].seed_digest:
                raise _spoiled(dealer)
            self._sum -= masks.stream(masks.self_key(secret, dealer, attempt), size, grid)
            return
        cohort = zip(self._cohort.names, self._cohort.keys, strict=True)
        keys = {name: key.masks for name, key in cohort}
        private = masks.private_of(secret, dealer, attempt)
        if masks.public_of(private) != keys[dealer]:
            raise _spoiled(dealer)
        own = End(dealer, keys[dealer])
        for name in self._survivors.alive:
            agreed = masks.agreed(private, keys[name])
            key = masks.mask_key(agreed, own, End(name, keys[name]), attempt)
            mask = masks.stream(key, size, grid)
            if name < dealer:
                self._sum -= mask
            else:
                self._sum += mask

    def _secret(self, dealer: str, shares: dict[str, bytes], alive: bool) -> bytes:
        """The secret of ``dealer`` from the first threshold of shares that are as it dealt them."""
        terms, dealing, good = self.context.terms, self._dealings[dealer], {}
        for keeper, share in shares.items():
            checks = dealing.checks_at(self._cohort.names.index(keeper))
            check = checks[:CHECK] if alive else checks[CHECK:]
            if check_of(share, dealer, keeper, self.context.digest) == check:
                good[terms.number(keeper)] = share
            else:
                log.warning("a share of %s kept by %s is not as it was dealt", dealer, keeper)
        if len(good) < terms.threshold:
            raise _spoiled(dealer)
        points = tuple(sorted(good)[: terms.threshold])
        return shamir.combine({point: good[point] for point in points}, shamir.weights(points))

    def _boxes(self, keeper: str) -> Boxes:
        names, boxes, checks = self._cohort.names, [], []
        for dealer, dealing in self._dealings.items():
            some = boxed(names, dealer, self.context.terms.threshold)
            boxes.append(dealing.box_at(some.index(keeper)) if keeper in some else b"")
            checks.append(dealing.checks_at(names.index(keeper)))
        return Boxes(tuple(self._dealings), tuple(boxes), tuple(checks))

    def _read(
        self, kind: type[_S], replies: dict[str, bytes], view: bytes, check: Callable[[_S], None]
    ) -> dict[str, _S]:
        """The replies that are what they must be, by site; the others' sites are dropped."""
        found = {}
        for name, reply in replies.items():
            try:
                message = kind.from_bytes(reply)
                message.verify(name, self._peers[name], self.context, view)
                check(message)
            except (MascaronError, ValueError) as error:
                reason = getattr(error, "reason", WireError.reason)
                self.dropped[name] = f"{kind.purpose}: {reason}"
                log.warning("round %d: %s left out: %s", self.context.round, name, reason)
            else:
                found[name] = message
        return found

    def _keep(self, phase: str, found: Mapping[str, object] | set[str], what: str) -> None:
        """Goes on with the sites in ``found``; ``CohortError`` if they are too few."""
        for name in self._left:
            if name not in found:
                self.dropped.setdefault(name, f"{phase}: no answer")
        self._left = tuple(name for name in self._left if name in found)
        self.context.terms.check_cohort(len(self._left), what)


def _spoiled(dealer: str) -> AggregationError:
    return AggregationError(
        f"the secret of {dealer} cannot be put together from the shares that came: it dealt wrong "
        "ones, or too many sites answer wrongly; try the round again without it"
    )
