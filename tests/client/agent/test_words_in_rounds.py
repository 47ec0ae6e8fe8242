"""Rounds that train words: a fixed public bank, one clip a person, sentences of nobody else."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from client.agent.gradients import gradient_rows, gradient_update
from client.agent.labels import SiteLabels
from client.agent.mechanisms import Terms
from client.agent.people import SitePeople
from client.agent.sentences import Said, Speech
from client.policy import AutoAccept, SitePolicy
from common.errors import PlanError
from common.heads.sentences import bank_digest
from common.privacy.heads import HeadTerms
from common.privacy.plan import GradientMechanism
from common.text.encoder import built_in
from common.text.phrasing import Phrasing
from tests.client.agent.test_gradients import PEOPLE, Still, negatives
from tests.client.agent.test_heads_in_rounds import KINDS, flat, mechanism
from tests.small_heads import TEXTS, Letters, bank
from tests.small_site import (
    HEADS,
    RUN,
    D,
    Site,
    features,
    head_plan,
    heads,
    initial,
    labels,
    offer,
    tail,
)

WORDS = HeadTerms(kind="words", weight=0.4, encoder="e" * 64, bank=bank_digest(), size=TEXTS)
SPOKEN = (*HEADS, WORDS)


def worded(people: int, pictures: int, *, silent: bool = False) -> SiteLabels:
    """Of half the pictures something is said, or of none."""
    rows = bank(people * pictures, seed=11)
    rows[:: 1 if silent else 2] = np.nan
    return dataclasses.replace(labels(people, pictures), words=rows)


def speaking(told: GradientMechanism, people: SitePeople) -> dict[str, np.ndarray]:
    asked = {**tail(), **heads(SPOKEN)}
    return gradient_update(told, asked, people, negatives(), Terms(0.0, Still(), PEOPLE, Letters()))


@pytest.mark.parametrize("said", [None, worded(4, 3, silent=True)])
def test_who_says_no_sentence_adds_exactly_nothing_to_words(said: SiteLabels | None) -> None:
    held, person = features(4, 3), np.repeat(np.arange(4), 3)
    left = speaking(mechanism(heads=SPOKEN), SitePeople(held, person, said))
    assert all(not left[f"gradient.{name}"].any() for name in WORDS.arrays)
    spoken = speaking(mechanism(heads=SPOKEN), SitePeople(held, person, worded(4, 3)))
    assert all(spoken[f"gradient.{name}"].any() for name in WORDS.arrays)


def test_a_persons_sentences_move_the_others_rows_by_nothing_and_the_sum_by_the_clip() -> None:
    held, person, said = features(5, 3), np.repeat(np.arange(5), 3), worded(5, 3)
    told = mechanism(heads=SPOKEN, identity=0.0)
    terms = Terms(0.0, Still(), PEOPLE, Letters())

    def rows(kept: np.ndarray) -> list[bytes]:
        at = np.flatnonzero(np.isin(person, kept))
        people = SitePeople(held[at], person[at], said.at(at))
        asked = {**tail(), **heads(SPOKEN)}
        return [r.tobytes() for r in gradient_rows(told, asked, people, negatives(), terms)]

    everybody = rows(np.arange(5))
    whole = flat(speaking(told, SitePeople(held, person, said)))
    for gone in range(5):
        kept = np.delete(np.arange(5), gone)
        assert rows(kept) == [row for n, row in enumerate(everybody) if n != gone]
        at = np.flatnonzero(person != gone)
        left = flat(speaking(told, SitePeople(held[at], person[at], said.at(at))))
        moved = float(np.linalg.norm(whole - left)) * told.rate * PEOPLE
        assert moved <= told.clip * (1 + 1e-4)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_who_leaves_a_small_site_moves_nobody_elses_row_by_a_bit(count: int) -> None:
    """By sentences as the agent makes them: what one person says is embedded for itself."""
    encoder, draw = built_in(), Phrasing(np.random.default_rng(5))
    texts = np.array([draw.draw().text for _ in range(2 * count)])
    terms = dataclasses.replace(WORDS, encoder=encoder.hash, size=encoder.size)
    told, asked = mechanism(heads=(terms,), identity=0.0), {**tail(), **heads((terms,))}
    held, person = features(count, 2), np.repeat(np.arange(count), 2)

    def rows(kept: np.ndarray) -> list[bytes]:
        at = np.isin(person, kept)
        said = Said(count=int(at.sum()), texts=texts[at].tolist())
        people = SitePeople(
            held[at], person[at], SiteLabels(words=Speech(encoder=encoder).rows(said))
        )
        means = Terms(0.0, Still(), PEOPLE, encoder)
        return [r.tobytes() for r in gradient_rows(told, asked, people, negatives(), means)]

    everybody = rows(np.arange(count))
    assert all(np.frombuffer(row, np.float32).any() for row in everybody)
    for gone in range(count):
        left = rows(np.delete(np.arange(count), gone))
        assert left == [row for n, row in enumerate(everybody) if n != gone]


@pytest.fixture
def speaker(site: Site) -> Site:
    """Whose operator switches words on, beside other heads."""
    site.policy = SitePolicy(
        epsilon=8.0,
        delta=1e-4,
        heads=(*KINDS, "words"),
        auto_accept=AutoAccept(epsilon=50.0, rounds=10_000),
    )
    site.labels, site.encoder = worded(5, 3), Letters()
    return site


def test_words_leave_like_other_heads_from_a_site_that_switched_them_on(speaker: Site) -> None:
    room = speaker.training()
    begun = {**initial(), **heads(SPOKEN)}
    room.accept(offer(head_plan(heads=SPOKEN), arrays=begun))
    left = room.train(RUN, 1, {**tail(), **heads(SPOKEN)})
    shapes = {name: left[f"gradient.{name}"].shape for name in WORDS.arrays}
    assert list(shapes.values()) == [(TEXTS, D), (TEXTS,)]


def test_a_site_that_lost_its_encoder_goes_on_with_nothing_and_pays_nothing(speaker: Site) -> None:
    begun = {**initial(), **heads(SPOKEN)}
    speaker.training().accept(offer(head_plan(heads=SPOKEN), arrays=begun))
    before = len(speaker.kinds())
    speaker.encoder = None
    with pytest.raises(PlanError, match="no text encoder"):
        speaker.training().train(RUN, 1, {**tail(), **heads(SPOKEN)})
    assert len(speaker.kinds()) == before


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"policy": ("attributes", "age")}, "switches none on"),
        ({"denied": ("words",)}, r"policy\.toml denies"),
        ({"encoder": None}, "has no text encoder"),
        ({"terms": {"encoder": "f" * 64}}, "another text encoder"),
        ({"terms": {"size": TEXTS + 1}}, "another text encoder"),
        ({"terms": {"bank": "0" * 64}}, "other prompts"),
    ],
)
def test_words_are_refused_before_round_1_unless_everything_is_there(
    speaker: Site, changes: dict[str, Any], said: str
) -> None:
    kinds, denied = changes.get("policy", (*KINDS, "words")), changes.get("denied", ())
    speaker.policy = dataclasses.replace(speaker.policy, heads=kinds, denied_attributes=denied)
    speaker.encoder = changes.get("encoder", speaker.encoder)
    terms = dataclasses.replace(WORDS, **changes.get("terms", {}))
    begun = {**initial(), **heads(SPOKEN)}
    with pytest.raises(PlanError, match=said):
        speaker.training().accept(offer(head_plan(heads=(*HEADS, terms)), arrays=begun))
    assert speaker.kinds() == []
