"""What a masked vector tells (nothing), and mutants of the protocol that the attacks undo.

A test of secrecy that every implementation passes is worthless, so each attack here is first run
against the real sites, where it must fail, and then against sites with one rule removed.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from client.agent import aggregation
from client.agent.aggregation import Member, SecureAggregation, Steps
from client.agent.attempts import Attempts
from client.agent.secrets import RoundSecrets
from common.errors import AggregationError, ReplayError
from common.secagg import masks, shamir
from common.secagg.masks import End
from common.secagg.messages import Boxes, Consent, Consents, Masked, Shares, Survivors
from common.secagg.phases import OPENING, PHASES, SURVIVORS, VECTOR
from common.secagg.terms import Context
from server.strategies.aggregating import Aggregation
from tests.randomness import CHANCE, worst_chance
from tests.small_secagg import SIZE, SmallFederation, names, small_context, small_terms

VICTIM = names(5)[0]
LONG = 20_000


class Forgetful(SecureAggregation):
    """Mutant: remembers neither the survivors it signed nor that it opened them."""

    def answer(self, context: Context, phase: str, payload: bytes, release: object) -> bytes:
        live = self._live.get(context.run)
        if live is not None and phase in (SURVIVORS, OPENING):
            for said in PHASES[PHASES.index(phase) :]:
                live.said.pop(said, None)
        return super().answer(context, phase, payload, release)  # type: ignore[arg-type]


class Hoarding(RoundSecrets):
    """Mutant: keeps its secrets after the opening."""

    def forget(self) -> None:
        pass


class NoSelfMask(Hoarding):
    """Mutant: forgets the own mask, as if pairs were enough."""

    def masked(self, steps: Steps) -> bytes:
        grid, attempt = self._context.terms.grid, self._context.digest
        words = np.frombuffer(super().masked(steps), grid.word)
        own = masks.stream(masks.self_key(self._seed, self._site, attempt), len(words), grid)
        return np.asarray(words - own).tobytes()


class NoMasks(RoundSecrets):
    """Mutant: forgets all masks."""

    def masked(self, steps: Steps) -> bytes:
        return self._context.terms.grid.wrap(steps).tobytes()


class OneMask(RoundSecrets):
    """Mutant: the same mask in every attempt of every run, as under a key that was kept."""

    def masked(self, steps: Steps) -> bytes:
        grid = self._context.terms.grid
        words = grid.wrap(steps) + masks.stream(b"k" * 32, len(steps), grid)
        return np.asarray(words).tobytes()


@pytest.fixture
def federation(tmp_path: Path) -> SmallFederation:
    return SmallFederation(5, tmp_path)


def forgetful(federation: SmallFederation) -> None:
    for name, key in federation.keys.items():
        member = Member(name=name, key=key, roster=lambda: federation.roster)
        federation.sites[name] = Forgetful(member, Attempts(federation.folder / f"{name}.f"))


class Spy:
    """A centre that keeps everything it sees and computes what honest centres do not."""

    def __init__(self, federation: SmallFederation, context: Context) -> None:
        self.federation, self.context = federation, context
        self.centre = federation.until(VECTOR, context)
        self.vectors = federation.answers(self.centre, VECTOR)
        self.keys = dict(zip(names(5), self.centre._cohort.keys, strict=True))

    def opened(self, survivors: Survivors) -> dict[str, Shares]:
        """The shares of all survivors, by site."""
        ask, alive = self.federation.answer, survivors.alive
        lists = {n: ask(n, self.context, SURVIVORS, survivors.to_bytes()) for n in alive}
        signed = tuple(Consent.from_bytes(lists[name]) for name in alive)
        consents = Consents(alive, signed).to_bytes()
        said = {n: ask(n, self.context, OPENING, consents) for n in alive}
        return {n: Shares.from_bytes(raw) for n, raw in said.items()}

    def secret(self, shares: Mapping[str, Shares]) -> bytes:
        """The victim's: it is the first dealer."""
        members = self.context.terms.members
        keepers = list(shares)[: self.context.terms.threshold]
        chosen = {members.index(name) + 1: shares[name].share_at(0) for name in keepers}
        return shamir.combine(chosen, shamir.weights(tuple(chosen)))

    def without_pair_masks(self, mask_secret: bytes) -> NDArray[np.unsignedinteger]:
        """The victim's words less the masks it has with the others."""
        grid, attempt = self.context.terms.grid, self.context.digest
        words = np.frombuffer(Masked.from_bytes(self.vectors[VICTIM]).words, grid.word).copy()
        own = End(VICTIM, self.keys[VICTIM].masks)
        private = masks.private_of(mask_secret, VICTIM, attempt)
        for name in self.context.terms.members[1:]:
            peer = End(name, self.keys[name].masks)
            key = masks.mask_key(masks.agreed(private, peer.key), own, peer, attempt)
            words -= masks.stream(key, len(words), grid)
        return words


def unmask_one(federation: SmallFederation) -> Steps:
    """The centre says first that all survived, then that the victim did not."""
    context = small_context(small_terms(5))
    spy, everybody = Spy(federation, context), names(5)
    seed = spy.secret(spy.opened(Survivors(everybody, ())))
    key = spy.secret(spy.opened(Survivors(everybody[1:], (VICTIM,))))
    words = spy.without_pair_masks(key)
    own = masks.stream(masks.self_key(seed, VICTIM, context.digest), SIZE, context.terms.grid)
    return context.terms.grid.unwrap(np.asarray(words - own))


def late_vector(federation: SmallFederation) -> Steps:
    """The centre declares a site lost, opens its pair masks, and had its vector all along."""
    context = small_context(small_terms(5))
    spy = Spy(federation, context)
    key = spy.secret(spy.opened(Survivors(names(5)[1:], (VICTIM,))))
    return context.terms.grid.unwrap(spy.without_pair_masks(key))


def test_both_secrets_of_a_site_are_never_to_be_had(federation: SmallFederation) -> None:
    with pytest.raises(ReplayError):
        unmask_one(federation)


def test_sites_that_give_both_are_undone_by_the_same_attack(
    federation: SmallFederation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aggregation, "RoundSecrets", Hoarding)
    forgetful(federation)
    assert np.array_equal(unmask_one(federation), federation.vectors[VICTIM])


def test_forgetting_what_was_signed_is_not_enough_while_secrets_go(
    federation: SmallFederation,
) -> None:
    forgetful(federation)
    with pytest.raises(AggregationError, match="gone"):
        unmask_one(federation)


def test_a_late_vector_is_still_hidden_by_its_own_mask(federation: SmallFederation) -> None:
    found = late_vector(federation)
    assert np.abs(found).max() > 2**24  # honest coordinates are below 2^14
    assert not np.array_equal(found, federation.vectors[VICTIM])


def test_without_the_own_mask_a_late_vector_is_read_and_a_timely_sum_is_wrong(
    federation: SmallFederation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aggregation, "RoundSecrets", NoSelfMask)
    assert np.array_equal(late_vector(federation), federation.vectors[VICTIM])
    try:
        centre = federation.run(small_context(small_terms(5), attempt=2), {})
    except AggregationError as error:
        assert "out of range" in str(error)
    else:
        assert not np.array_equal(centre.total, federation.plain_sum({}))


def masked_words(folder: Path, secrets: type[RoundSecrets]) -> list[NDArray[np.uint32]]:
    """The words of four sites in one attempt and of the first in a second one; seeded."""
    folder.mkdir()
    federation, rng = SmallFederation(4, folder), np.random.default_rng(11)
    for name, key in federation.keys.items():
        member = Member(name=name, key=key, roster=lambda: federation.roster)
        attempts = Attempts(folder / f"{name}.seeded")
        federation.sites[name] = SecureAggregation(member, attempts, rng.bytes)
        federation.vectors[name] = rng.integers(-5000, 5000, LONG)
    words = []
    patch = pytest.MonkeyPatch()
    patch.setattr(aggregation, "RoundSecrets", secrets)
    terms = small_terms(4, size=LONG)
    for attempt, asked in ((1, federation.names), (2, federation.names[:1])):
        centre = federation.until(VECTOR, small_context(terms, attempt=attempt))
        answers = federation.answers(centre, VECTOR)
        read = [Masked.from_bytes(answers[name]).words for name in asked]
        words += [np.frombuffer(raw, "<u4") for raw in read]
    patch.undo()
    return words


def test_masked_vectors_pass_a_battery_of_tests_of_randomness(tmp_path: Path) -> None:
    chances = worst_chance(masked_words(tmp_path / "real", RoundSecrets))
    assert min(chances.values()) > CHANCE, chances


def test_the_battery_fails_vectors_without_masks_and_masks_used_twice(tmp_path: Path) -> None:
    bare = worst_chance(masked_words(tmp_path / "bare", NoMasks))
    assert {name for name, chance in bare.items() if chance < 1e-9} >= {"bytes", "runs"}
    twice = worst_chance(masked_words(tmp_path / "twice", OneMask))
    assert twice["other sites"] < 1e-9
    assert twice["bytes"] > CHANCE


def test_the_own_vector_does_not_show_in_the_masked_one(tmp_path: Path) -> None:
    """The same vector in two attempts gives words that share nothing."""
    words = masked_words(tmp_path / "again", RoundSecrets)
    first, again = words[0], words[-1]
    assert (first == again).sum() < 5  # 20,000 chances of 2^-32
    assert stats.pearsonr(first.astype(float), again.astype(float)).pvalue > CHANCE


def test_a_box_for_one_site_is_nothing_to_another(federation: SmallFederation) -> None:
    """Colluders hold the shares they were dealt and those alone."""
    context = small_context(small_terms(5))
    centre: Aggregation = federation.until(VECTOR, context)
    mine = Boxes.from_bytes(centre.requests(VECTOR)[names(5)[1]])
    theirs = dataclasses.replace(mine, boxes=(*mine.boxes[2:], *mine.boxes[:2]))
    with pytest.raises(AggregationError, match="do not open"):
        federation.answer(VICTIM, context, VECTOR, theirs.to_bytes())
