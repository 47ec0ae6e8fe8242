"""Invented people who stand in for whoever may not be compared, so that it takes no less work.

Who claims to be somebody unknown, erased, without consent or beyond it, is compared with a decoy,
by the same release and in the same way as anybody is compared with their own templates. What comes
of it is thrown away: the answer is no.

Guarantee: the same steps on the same sizes, whoever is claimed. Which decoy stands in depends on
the id that is claimed and on a key of this process.
Leaks: what a cache or a memory bus shows of two equal computations on different numbers.
"""

import hmac
import threading
import weakref

import numpy as np
from numpy.typing import NDArray

from client.door.galleries import Galleries
from client.door.serving import Serving
from client.vault.handles import KEY, DataKey
from client.vault.identity import PersonId, Random, new_person, new_template

PEOPLE = 32
FEWEST, MOST = 3, 8  # templates of one, as people have them
ABOUT = b"decoy"


class Decoys:
    """Decoys for the releases at work; made anew where those change. Safe among threads."""

    def __init__(self, random: Random) -> None:
        self._random, self._lock = random, threading.Lock()
        self._persons = [new_person(random) for _ in range(PEOPLE)]
        self._secret = random(KEY)
        self._wrapping = DataKey.generate(random)
        self._wrapped = self._wrapping.seal(random(KEY), ABOUT)
        self._made: weakref.WeakKeyDictionary[Serving, Serving] = weakref.WeakKeyDictionary()

    def person(self, claimed: bytes) -> PersonId:
        """Who stands in for the id ``claimed``: always the same one."""
        drawn = hmac.digest(self._secret, claimed, "sha256")
        return self._persons[int.from_bytes(drawn[:4], "big") % PEOPLE]

    def tag(self, message: bytes) -> bytes:
        """As ``Vault.tag`` takes it for a person: unwrap, derive, tag. It says nothing."""
        key = DataKey(self._wrapping.open(self._wrapped, ABOUT), self._random)
        return key.derive("subject").tag(message)

    def galleries(self, real: Galleries) -> Galleries:
        """The releases of ``real``, with decoys in place of people."""
        with self._lock:
            active, beside, staged = (
                None if one is None else self._like(one)
                for one in (real.active, real.beside, real.staged)
            )
        return Galleries(active=active, beside=beside, staged=staged)

    def _like(self, real: Serving) -> Serving:
        made = self._made.get(real)
        if made is None:
            made = self._made[real] = Serving(real.trunk, real.tail, measure=real.measure)
            self._fill(made)
        made.decide_by(real.calibration)
        return made

    def _fill(self, made: Serving) -> None:
        """By the release's own rows of drawn features, so that they lie as people's do."""
        rng = np.random.default_rng(int.from_bytes(self._random(16), "big"))
        for number, person in enumerate(self._persons):
            count = FEWEST + number % (MOST - FEWEST + 1)
            features: NDArray[np.float32] = rng.standard_normal(
                (count, made.tail.feature_dim), dtype=np.float32
            )
            made.extend([person] * count, [new_template(self._random) for _ in features], features)
