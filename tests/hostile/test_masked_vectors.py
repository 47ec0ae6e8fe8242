"""What a courier learns from a whole masked vector: nothing, whoever the people are.

The agents of two federations hold people who could not differ more. Under masks their words pass
a battery of tests of randomness, and nobody tells the two apart; without masks both tests fail.
"""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from client.agent import aggregation
from client.agent.people import SitePeople
from client.agent.secrets import RoundSecrets
from common.moments.names import FRAME_BIAS, FRAME_WEIGHT
from common.moments.packing import pack_symmetric, packed_size
from common.privacy.plan import MomentMechanism
from common.secagg.messages import Masked
from common.secagg.phases import VECTOR
from common.trust.charter import arrays_digest
from tests.randomness import worst_chance
from tests.small_site import D, tail
from tests.small_sums import NAMES, Sharing, shared_mean

CERTAIN = 1e-12  # of a false alarm: masks are the system's randomness here, seeded by nobody
K = 200  # so that a scatter has 20,100 words
PEOPLE, PICTURES = 5, 3

Words = list[NDArray[np.uint32]]


class OneFace(Sharing):
    """Everybody looks the same in every picture: all contributions are zero, and the sum is."""

    def people(self, name: str) -> SitePeople:
        person = np.repeat(np.arange(PEOPLE), PICTURES)
        return SitePeople(np.ones((len(person), D), np.float32), person)


class Opposites(Sharing):
    """Nobody looks like himself: every contribution is as long as the clip allows, and alike."""

    def people(self, name: str) -> SitePeople:
        person = np.repeat(np.arange(PEOPLE), PICTURES)
        step = np.tile([-1e3, 0.0, 1e3], PEOPLE)[:, None]
        return SitePeople(np.asarray(step * np.ones((1, D)), np.float32), person)


class NoMasks(RoundSecrets):
    """Mutant: sends what should go under the masks as it is."""

    def masked(self, steps: NDArray[np.int64]) -> bytes:
        return self._context.terms.grid.wrap(steps).tobytes()


def frame() -> dict[str, NDArray[np.float32]]:
    weight = np.random.default_rng(5).normal(size=(K, D)).astype(np.float32)
    return {FRAME_WEIGHT: weight, FRAME_BIAS: np.zeros(K, np.float32)}


def vectors(kind: type[Sharing], folder: Path) -> Words:
    """The words of all four sites in one round, as the courier of each relays them."""
    folder.mkdir()
    sites, arrays = kind(folder, size=packed_size(K)), {**tail(), **frame()}
    scatter = MomentMechanism(kind="scatter", sigma=2.0, clip=1.0, name="scatter")
    plan = shared_mean(mechanisms=(scatter,))
    sites.accept(plan, arrays=arrays, initial=arrays_digest(arrays))
    requests = sites.until(VECTOR).requests(VECTOR)
    said = [sites.answer(name, VECTOR, requests[name], arrays=frame()) for name in NAMES]
    sites.close()
    return [np.frombuffer(Masked.from_bytes(one).words, "<u4") for one in said]


def told_apart(words: Words) -> float:
    """The chance that ``words`` have nothing to do with what ``Opposites`` put into a sum."""
    frames = frame()[FRAME_WEIGHT].astype(np.float64).sum(axis=1)
    aimed = pack_symmetric(np.outer(frames, frames))
    signed = np.concatenate([one.view(np.int32) for one in words]).astype(np.float64)
    return float(stats.pearsonr(signed, np.tile(aimed, len(words))).pvalue)


@pytest.mark.parametrize("kind", [OneFace, Opposites])
def test_masked_words_are_random_whoever_the_people_are(
    tmp_path: Path, kind: type[Sharing]
) -> None:
    words = vectors(kind, tmp_path / "masked")
    assert len(words[0]) == packed_size(K)
    chances = worst_chance(words)
    assert min(chances.values()) > CERTAIN, chances
    assert told_apart(words) > CERTAIN


def test_without_masks_words_are_not_random_and_tell_who_the_people_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aggregation, "RoundSecrets", NoMasks)
    found = {kind: vectors(kind, tmp_path / kind.__name__) for kind in (OneFace, Opposites)}
    for words in found.values():
        assert min(worst_chance(words).values()) < CERTAIN
    assert told_apart(found[Opposites]) < CERTAIN < told_apart(found[OneFace])
