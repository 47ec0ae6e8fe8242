"""One attempt's secrets at one site: in memory only, drawn, dealt, used and forgotten."""

from collections.abc import Callable

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from numpy.typing import NDArray

from common.errors import AggregationError
from common.secagg import masks, shamir
from common.secagg.masks import KEY, End
from common.secagg.messages import (
    BOX,
    CHECK,
    Boxes,
    Cohort,
    Dealing,
    SiteKeys,
    Survivors,
    boxed,
    check_of,
    seed_digest,
)
from common.secagg.terms import Context

Pair = tuple[bytes, bytes]  # of the seed, of the mask secret


class RoundSecrets:
    """The seed, two X25519 keys and the shares of others that one attempt lives on.

    A share is a pad, which dealer and keeper both derive from the key they agreed on, plus a
    box: nothing for as many keepers as the polynomial can be led through, see ``boxed``.

    Guarantee: ``opening`` gives one share a dealer, and whoever holds this object can call it for
    one list of survivors only; afterwards, as after ``forget``, there is nothing to give. What is
    dealt says nothing of either secret to who lacks the pads of ``threshold`` keepers; a box that
    is altered, swapped or of another attempt, cohort or dealer is refused, but for one try in
    2^48. It would show nothing: the share is off by as much as the box, and who altered that
    knows by how much.
    Leaks: Python does not overwrite memory; the bytes stay in this process until it is reused.
    """

    def __init__(self, site: str, context: Context, random: Callable[[int], bytes]) -> None:
        self._site, self._context = site, context
        self._seed, self._mask = shamir.draw(random), shamir.draw(random)
        privates = (
            masks.private_of(self._mask, site, context.digest),
            X25519PrivateKey.from_private_bytes(random(KEY)),
        )
        self._privates: tuple[X25519PrivateKey, ...] = privates
        self._own = SiteKeys(*map(masks.public_of, privates))
        self._peers: dict[str, SiteKeys] = {}
        self._names: tuple[str, ...] = ()  # of the cohort
        self._view = b""  # and its digest
        self._pairs: dict[str, bytes] = {}  # peer: key of the mask with it
        self._shared: dict[str, bytes] = {}  # peer: what pads are derived from
        self._kept: dict[str, Pair] = {}  # dealer: its shares for this site

    def keys(self) -> SiteKeys:
        """The public halves, unsigned."""
        return self._own

    def deal(self, cohort: Cohort) -> Dealing:
        """Both secrets in shares for ``cohort``; unsigned.

        Raises ``AggregationError`` for a peer's key that agrees on no secret.
        """
        self._names, self._view = cohort.names, cohort.view()
        self._peers = dict(zip(cohort.names, cohort.keys, strict=True))
        self._agree()
        attempt, threshold = self._context.digest, self._context.terms.threshold
        pads = {name: self._pads(self._site, name) for name in self._shared}
        some = boxed(cohort.names, self._site, threshold)
        seeds, keys = (
            self._dealt(secret, {name: pads[name][at] for name in pads if name not in some})
            for at, secret in enumerate((self._seed, self._mask))
        )
        self._kept = {self._site: (seeds[self._site], keys[self._site])}
        boxes = [
            shamir.minus(dealt[name], pads[name][at])
            for name in some
            for at, dealt in enumerate((seeds, keys))
        ]
        checks = [
            check_of(dealt[name], self._site, name, attempt)
            for name in cohort.names
            for dealt in (seeds, keys)
        ]
        digest = seed_digest(self._seed, self._site, attempt)
        return Dealing(digest, b"".join(boxes), b"".join(checks))

    def receive(self, boxes: Boxes) -> None:
        """Takes the shares that the other dealers made for this site, or ``AggregationError``."""
        kept = {self._site: self._kept[self._site]}
        for dealer, box, checks in zip(boxes.dealers, boxes.boxes, boxes.checks, strict=True):
            if dealer != self._site:
                kept[dealer] = self._received(dealer, box, checks)
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
        """A share a dealer: of the seed if it survived, of the mask secret if not. Once."""
        kept, alive = self._kept, set(survivors.alive)
        self.forget()
        if set(kept) != set(dealers):
            raise AggregationError("the shares of this attempt are gone")
        return b"".join(kept[dealer][dealer not in alive] for dealer in dealers)

    def forget(self) -> None:
        """Drops every secret."""
        self._seed = self._mask = b""
        self._privates = ()
        self._kept, self._pairs, self._shared = {}, {}, {}

    def _agree(self) -> None:
        """Agrees with every peer on the key of a mask and on what pads are derived from."""
        mask, box = self._privates
        own, attempt = End(self._site, self._own.masks), self._context.digest
        self._pairs, self._shared = {}, {}
        for name, keys in self._peers.items():
            if name != self._site:
                peer, agreed = End(name, keys.masks), masks.agreed(mask, keys.masks)
                self._pairs[name] = masks.mask_key(agreed, own, peer, attempt)
                self._shared[name] = masks.agreed(box, keys.shares)

    def _dealt(self, secret: bytes, given: dict[str, bytes]) -> dict[str, bytes]:
        """The shares of ``secret`` for all of the cohort, given those that are pads."""
        numbers = {name: self._context.terms.number(name) for name in self._names}
        known = {numbers[name]: pad for name, pad in given.items()}
        rest = [number for number in numbers.values() if number not in known]
        dealt = known | shamir.share(secret, known, rest)
        return {name: dealt[number] for name, number in numbers.items()}

    def _received(self, dealer: str, box: bytes, checks: bytes) -> Pair:
        pads, attempt = self._pads(dealer, self._site), self._context.digest
        sent = self._site in boxed(self._names, dealer, self._context.terms.threshold)
        if len(box) == sent * BOX:
            parts = (box[: shamir.SIZE], box[shamir.SIZE :]) if sent else (bytes(shamir.SIZE),) * 2
            seed, key = shamir.plus(pads[0], parts[0]), shamir.plus(pads[1], parts[1])
            found = [check_of(share, dealer, self._site, attempt) for share in (seed, key)]
            if b"".join(found) == checks and len(checks) == 2 * CHECK:
                return seed, key
        raise AggregationError(
            "shares from another site do not open: they were altered, or made for another attempt"
        )

    def _pads(self, dealer: str, keeper: str) -> Pair:
        ends = End(dealer, self._peers[dealer].shares), End(keeper, self._peers[keeper].shares)
        peer = keeper if dealer == self._site else dealer
        return masks.pads(self._shared[peer], ends, self._view, self._context.digest)
