"""One attempt's secrets at one site: in memory only, drawn, dealt, used and forgotten."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from common.errors import AggregationError
from common.secagg import masks, shamir
from common.secagg.masks import KEY, End
from common.secagg.messages import (
    Boxes,
    Cohort,
    Dealing,
    SiteKeys,
    Survivors,
    check_of,
    seed_digest,
)
from common.secagg.terms import Context


class RoundSecrets:
    """The seed, two X25519 keys and the shares of others that one attempt lives on.

    Guarantee: ``opening`` gives one share a dealer, and whoever holds this object can call it for
    one list of survivors only; afterwards, as after ``forget``, there is nothing to give.
    Leaks: Python does not overwrite memory; the bytes stay in this process until it is reused.
    """

    def __init__(self, site: str, context: Context, random: Callable[[int], bytes]) -> None:
        self._site, self._context, self._random = site, context, random
        self._seed, self._mask, self._box = (shamir.draw(random) for _ in range(3))
        self._peers: dict[str, SiteKeys] = {}
        self._cohort = b""
        self._pairs: dict[str, bytes] = {}  # peer: key of the mask with it
        self._kept: dict[str, tuple[bytes, bytes]] = {}  # dealer: share of seed, share of key

    def keys(self) -> SiteKeys:
        """The public halves, unsigned."""
        return SiteKeys(self._site, masks.public_of(self._mask), masks.public_of(self._box))

    def deal(self, cohort: Cohort) -> Dealing:
        """Both secrets in shares for ``cohort``, each encrypted for its keeper; unsigned.

        Raises ``AggregationError`` for a peer's key that agrees on no secret.
        """
        context, members = self._context, self._context.terms.members
        threshold = context.terms.threshold
        seeds = shamir.share(self._seed, threshold, len(members), self._random)
        keys = shamir.share(self._mask, threshold, len(members), self._random)
        self._peers = {key.site: key for key in cohort.keys}
        self._cohort = cohort.view()
        own = End(self._site, self._peers[self._site].masks)
        boxes, checks = [], b""
        for name in cohort.names:
            at = members.index(name)
            pair = (seeds[at], keys[at])
            for part in pair:
                checks += check_of(part, self._site, name, context.digest)
            if name == self._site:
                self._kept[name] = pair
                boxes.append(b"")
            else:
                peer = End(name, self._peers[name].masks)
                self._pairs[name] = masks.mask_key(self._mask, own, peer, context.digest)
                boxes.append(self._shut(name, pair[0] + pair[1]))
        digest = seed_digest(self._seed, self._site, context.digest)
        return Dealing(self._site, digest, tuple(boxes), checks)

    def receive(self, boxes: Boxes) -> None:
        """Opens the shares that the other dealers made for this site, or ``AggregationError``."""
        kept = {self._site: self._kept[self._site]}
        for dealer, box in zip(boxes.dealers, boxes.boxes, strict=True):
            if dealer != self._site:
                key = self._box_key(dealer, self._site)
                both = masks.opened(key, box, self._bound(dealer, self._site))
                kept[dealer] = (both[:KEY], both[KEY:])
        self._kept = kept

    def masked(self, steps: NDArray[np.int64]) -> bytes:
        """``steps`` (K,) plus the own mask and, up or down, that of each pair of dealers."""
        grid, attempt = self._context.terms.grid, self._context.digest
        words = grid.wrap(steps)
        words += masks.stream(masks.self_key(self._seed, self._site, attempt), len(words), grid)
        for dealer in self._kept:
            if dealer != self._site:
                mask = masks.stream(self._pairs[dealer], len(words), grid)
                if self._site < dealer:
                    words += mask
                else:
                    words -= mask
        return words.tobytes()

    def opening(self, dealers: tuple[str, ...], survivors: Survivors) -> bytes:
        """A share a dealer: of the seed if it survived, of the mask key if not. Once."""
        kept, alive = self._kept, set(survivors.alive)
        self.forget()
        if set(kept) != set(dealers):
            raise AggregationError("the shares of this attempt are gone")
        return b"".join(kept[dealer][dealer not in alive] for dealer in dealers)

    def forget(self) -> None:
        """Drops every secret."""
        self._seed = self._mask = self._box = b""
        self._kept, self._pairs, self._peers = {}, {}, {}

    def _shut(self, keeper: str, shares: bytes) -> bytes:
        return masks.shut(
            self._box_key(self._site, keeper), shares, self._bound(self._site, keeper)
        )

    def _box_key(self, dealer: str, keeper: str) -> bytes:
        ends = End(dealer, self._peers[dealer].shares), End(keeper, self._peers[keeper].shares)
        other = ends[dealer == self._site].key
        return masks.box_key(self._box, ends, other, self._context.digest)

    def _bound(self, dealer: str, keeper: str) -> bytes:
        return b"|".join((self._context.digest, self._cohort, dealer.encode(), keeper.encode()))
