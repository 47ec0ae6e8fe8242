"""Heads through a whole federation: agents, gate, ledgers, secure sums, checkpoint, optimiser."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client.agent.labels import SiteLabels
from client.agent.people import SitePeople
from common.heads.planned import planned_shapes
from common.heads.sentences import bank_digest
from common.models.tail import BIAS, WEIGHT
from common.privacy.accountant import epsilon
from common.privacy.heads import CENTRE, SCALE, HeadTerms
from common.privacy.plan import GradientMechanism, NoiseModel, PrivacyPlan
from common.text.encoder import built_in
from server.checkpoint import read_checkpoint
from server.strategies.choice import FEDAVG, StrategyChoice
from simulations.federation import Door, Federation, Outcome
from tests.simulations.test_federation import DIM, INITIAL, SITES, TRUNK

HEADS = (
    HeadTerms(kind="attributes", weight=1.0, names=("beard", "hat"), shown=(9, 9), absent=(9, 9)),
    HeadTerms(kind="age", weight=1.0),
)
SPOKEN = HeadTerms(
    kind="words", weight=1.0, learning_rate=2.0, encoder=built_in().hash, bank=bank_digest(),
    size=built_in().size,
)  # fmt: skip
ARRAYS = [name for terms in HEADS for name in terms.arrays]


def doors(people: int = 6, *, words: bool = False) -> list[Door]:
    """Whoever has a beard has a large first number; nobody says anything of hats."""
    bare, worn = built_in().encode(["no beard", "a beard"]) if words else (None, None)
    made = []
    for number in range(SITES):
        rng = np.random.default_rng(number)
        beard = np.repeat(rng.permutation(people) % 2, 3)
        features = rng.standard_normal((3 * people, DIM)).astype(np.float32)
        features[:, 0] += 4 * beard - 2
        table = np.stack([beard, np.full_like(beard, -1)], axis=1).astype(np.int8)
        rows = np.where(beard[:, None] == 1, worn, bare) if words else None
        said = SiteLabels(names=("beard", "hat"), attributes=table, words=rows)
        held = SitePeople(features, np.repeat(np.arange(people), 3), said)
        made.append(Door(name=f"s{number}", camera_type="a", people=held, declared_people=people))
    return made


def plan(noise: NoiseModel, **changes: Any) -> PrivacyPlan:
    steps = GradientMechanism(
        sigma=0.0 if noise == "none" else 8.0,
        clip=1.0,
        rate=1.0,
        rounds=3,
        negatives=4,
        heads=HEADS,
    )
    return PrivacyPlan(
        mechanisms=(dataclasses.replace(steps, **changes),),
        people=6,
        delta=1e-4,
        noise=noise,
        honest_sites=SITES if noise == "distributed" else 1,
        trunk=TRUNK,
        cohort=SITES,
        pooling="all",
    )


def run(folder: Path, given: PrivacyPlan, strategy: StrategyChoice = FEDAVG) -> Outcome:
    shapes, rng = planned_shapes(given.heads, DIM), np.random.default_rng(3)
    begun = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    begun |= {n: rng.standard_normal(shapes[n]).astype("f4") for n in SPOKEN.arrays if n in shapes}
    begun |= {CENTRE: np.zeros(DIM, np.float32), SCALE: np.ones(DIM, np.float32)}
    federation = Federation(
        doors=doors(words=any(head.kind == "words" for head in given.heads)),
        trunk=TRUNK,
        negatives=np.random.default_rng(9).standard_normal((8, DIM)).astype(np.float32),
        strategy=strategy,
        secure=given.noise == "distributed",
    )
    return federation.run(given, {**INITIAL, **begun}, folder, (0, 0))


def test_heads_learn_what_people_show_and_nothing_of_what_nobody_said(tmp_path: Path) -> None:
    offered = plan("none", learning_rate=0.5)
    pool = run(tmp_path, offered).pools["all"]
    beard, hat = pool["heads.attributes.weight"]
    assert beard[0] > 5 * np.abs(beard[1:]).max() > 0
    assert not hat.any()
    assert not pool["heads.age.weight"].any()
    assert not np.array_equal(pool[WEIGHT], INITIAL[WEIGHT])
    np.testing.assert_array_equal(pool[SCALE], np.ones(DIM))
    state = read_checkpoint(tmp_path, offered.digest)
    assert state is not None
    assert set(state.pools["all"]) >= {*ARRAYS, *(f"velocity.{name}" for name in ARRAYS)}


def test_words_learn_what_people_say_through_the_whole_federation(tmp_path: Path) -> None:
    heads = (dataclasses.replace(HEADS[0], learning_rate=2.0), SPOKEN)
    offered = plan("none", heads=heads, identity=0.0, rounds=6)
    pool = run(tmp_path, offered).pools["all"]
    worn, bare = built_in().encode(["a beard", "no beard"])
    seen = np.zeros((2, DIM), np.float32)
    seen[:, 0] = 2, -2
    mapped = seen @ pool["heads.words.weight"].T + pool["heads.words.bias"]
    told = mapped @ (worn - bare)
    assert told[0] > 0 > told[1]
    state = read_checkpoint(tmp_path, offered.digest)
    assert state is not None
    assert set(state.pools["all"]) >= {f"velocity.{name}" for name in SPOKEN.arrays}


@pytest.mark.parametrize("noise", ["local", "distributed"])
def test_heads_leave_like_the_tail_at_the_price_of_the_tail_alone(
    tmp_path: Path, noise: NoiseModel
) -> None:
    offered = plan(noise, learning_rate=0.1, heads=(*HEADS, SPOKEN))
    outcome = run(tmp_path, offered)
    (spent,) = set(outcome.spent.values())
    assert spent == pytest.approx(epsilon(plan(noise, heads=()).events(), 1e-4), abs=1e-9)
    names = {name for _, name, _ in outcome.left}
    if noise == "local":
        assert names == {f"gradient.{name}" for name in (WEIGHT, BIAS, *ARRAYS, *SPOKEN.arrays)}
    else:
        assert names == set()  # under masks alone
    pool = outcome.pools["all"]
    trained = (*ARRAYS, *SPOKEN.arrays)
    assert all(np.isfinite(pool[name]).all() and pool[name].any() for name in trained)


def test_heads_alone_leave_the_tail_as_it_was_and_an_optimiser_moves_them_too(
    tmp_path: Path,
) -> None:
    adam = StrategyChoice(name="fedadam")
    pool = run(tmp_path, plan("none", identity=0.0, learning_rate=0.5), adam).pools["all"]
    np.testing.assert_array_equal(pool[WEIGHT], INITIAL[WEIGHT])
    assert pool["heads.attributes.weight"].any()
    assert "optimiser.first.heads.attributes.weight" in pool
    assert f"optimiser.first.{WEIGHT}" not in pool
