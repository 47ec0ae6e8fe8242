"""flwr's rules do to gradients and sums what their papers say, worked out by hand and by flwr."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from flwr.serverapp.strategy import FedAdam, FedYogi

from common import wire
from server.strategies.choice import NAMES, StrategyChoice
from server.strategies.named import FIRST, SECOND, Optimiser, Standing, averaging
from server.strategies.validating import Expected, Validating
from simulations.grid import InProcessGrid
from tests.fakes import fake_site

LEARNING_RATE = 0.05
HONEST = [0.9, 1.0, 1.1, 1.0, 0.95, 1.05]  # what six sites send in every coordinate
SHARED = {
    "tail.weight": np.full((2, 3), 0.5, np.float32),
    "tail.bias": np.full(2, -0.25, np.float32),
}
RATES = dict.fromkeys(SHARED, LEARNING_RATE)


def replies(values: list[float], names: tuple[str, ...] = ("gradient.tail.weight",)) -> Any:
    """A reply a site, node 2 on, every coordinate of every array the site's value."""
    InProcessGrid(fake_site(lambda m, a: m), 1, {})  # a run, outside of which no message is made
    made = []
    for node, value in enumerate(values, start=2):
        shapes = {n: SHARED[n.removeprefix("gradient.")].shape for n in names}
        arrays = {n: Array(np.full(shape, value, np.float32)) for n, shape in shapes.items()}
        record = RecordDict(
            {wire.ARRAYS: ArrayRecord(arrays), wire.METRICS: MetricRecord({wire.WEIGHT: 1})}
        )
        message = Message(record, 1, "train")
        message.metadata.__dict__["_src_node_id"] = node
        made.append(message)
    return made


def averaged(choice: StrategyChoice, values: list[float]) -> np.ndarray:
    """Through the validating wrapper, as a run does it; the bound lets 1000 pass."""
    expected = Expected({"gradient.tail.weight": ((2, 3), "float32")}, 1000 * np.sqrt(6) + 1)
    weights = {node: 1 for node in range(2, 2 + len(values))}
    wrapped = Validating(averaging(choice), expected, weights)
    average, _ = wrapped.aggregate_train(3, replies(values))
    assert average is not None
    assert not wrapped.refused
    return average["gradient.tail.weight"].numpy()


def krum(values: list[float], malicious: int) -> list[int]:
    """Order of the sites by the summed squared distance to their n - f - 2 nearest."""
    points = np.array(values)
    near = np.sort((points[:, None] - points[None, :]) ** 2, axis=1)
    scores = near[:, 1 : len(values) - malicious - 1].sum(axis=1)
    return [int(i) for i in np.argsort(scores)]


VALUES = [0.0, 1.0, 2.5, 3.0, 4.0, 7.0, 50.0]


@pytest.mark.parametrize(
    ("choice", "by_hand"),
    [
        (StrategyChoice(), np.mean(VALUES)),
        (StrategyChoice(name="fedprox"), np.mean(VALUES)),
        (StrategyChoice(name="fedmedian"), 3.0),
        (StrategyChoice(name="fedtrimmedavg", trim=0.2), np.mean([1.0, 2.5, 3.0, 4.0, 7.0])),
        (StrategyChoice(name="krum"), VALUES[krum(VALUES, 1)[0]]),
        (StrategyChoice(name="multikrum"), np.mean([VALUES[i] for i in krum(VALUES, 1)[:4]])),
        (
            StrategyChoice(name="multikrum", selected=2),
            np.mean([VALUES[i] for i in krum(VALUES, 1)[:2]]),
        ),
        # Krum keeps 0, 1, 2.5, 3 and 4; of these the three nearest their median of 2.5.
        (StrategyChoice(name="bulyan"), np.mean([2.5, 3.0, 1.0])),
    ],
)
def test_seven_sites_are_averaged_as_worked_out_by_hand(
    choice: StrategyChoice, by_hand: float
) -> None:
    np.testing.assert_allclose(averaged(choice, VALUES), by_hand, rtol=1e-5)


def test_krum_takes_the_release_in_the_middle_of_the_crowd() -> None:
    assert krum(VALUES, 1)[0] == 2
    assert averaged(StrategyChoice(name="krum"), VALUES).max() == 2.5


def test_multikrum_averages_fewer_where_fewer_answered() -> None:
    choice = StrategyChoice(name="multikrum", malicious=1)
    values = VALUES[:5]
    by_hand = np.mean([values[i] for i in krum(values, 1)[:2]])
    np.testing.assert_allclose(averaged(choice, values), by_hand)


ATTACKS: dict[str, float] = {"huge": 900.0, "flipped": -40.0, "constant": 25.0}


@pytest.mark.parametrize("attack", sorted(ATTACKS))
@pytest.mark.parametrize("name", ["fedmedian", "fedtrimmedavg", "krum", "multikrum", "bulyan"])
def test_one_hostile_site_moves_a_robust_average_little_and_a_plain_one_far(
    name: str, attack: str
) -> None:
    values = [*HONEST, ATTACKS[attack]]
    robust = averaged(StrategyChoice(name=name), values)
    assert np.abs(robust - np.mean(HONEST)).max() <= 0.1  # no further than honest sites differ
    plain = averaged(StrategyChoice(), values)
    assert np.abs(plain - np.mean(HONEST)).min() > 3


def adam(moves: list[np.ndarray], choice: StrategyChoice) -> np.ndarray:
    """Reddi et al. 2021, algorithm 2, with flwr's bias correction, one round a move."""
    first = second = np.zeros(1)
    total = np.zeros(1)
    for number, move in enumerate(moves, start=1):
        first = choice.beta_1 * first + (1 - choice.beta_1) * move
        second = choice.beta_2 * second + (1 - choice.beta_2) * move**2
        rate = choice.server_rate * np.sqrt(1 - choice.beta_2 ** (number + 1))
        total = total + rate / (1 - choice.beta_1 ** (number + 1)) * first / (
            np.sqrt(second) + choice.tau
        )
    return total


def yogi(moves: list[np.ndarray], choice: StrategyChoice) -> np.ndarray:
    first = second = total = np.zeros(1)
    for move in moves:
        first = choice.beta_1 * first + (1 - choice.beta_1) * move
        square = move**2
        second = second - (1 - choice.beta_2) * square * np.sign(second - square)
        total = total + choice.server_rate * first / (np.sqrt(second) + choice.tau)
    return total


BOTH = ("gradient.tail.weight", "gradient.tail.bias")
ROUNDS = [[1.0, 2.0, 3.0], [-1.0, 0.5, 0.0], [4.0, 4.0, 1.0], [0.1, 0.0, 0.2]]


def optimised(choice: StrategyChoice) -> list[dict[str, np.ndarray]]:
    """The shared arrays after every one of ``ROUNDS``."""
    shared, seen = dict(SHARED), []
    for number, values in enumerate(ROUNDS, start=1):
        standing = Standing(shared=shared, number=number, learning_rates=RATES)
        after, _ = Optimiser(choice, standing).aggregate_train(10 + number, replies(values, BOTH))
        assert after is not None
        shared = {**shared, **{n: a.numpy() for n, a in after.items()}}
        seen.append(shared)
    return seen


@pytest.mark.parametrize(("name", "rule"), [("fedadam", adam), ("fedyogi", yogi)])
def test_the_centres_optimiser_follows_its_paper(name: str, rule: Callable[..., Any]) -> None:
    choice = StrategyChoice(name=name, server_rate=0.1, tau=0.01)
    moves = [-LEARNING_RATE * np.array([np.mean(values)]) for values in ROUNDS]
    for done, after in enumerate(optimised(choice), start=1):
        walked = rule(moves[:done], choice)
        for key, array in after.items():
            if not key.startswith((FIRST, SECOND)):
                assert array.dtype == np.float32
                np.testing.assert_allclose(array, SHARED[key] + walked, rtol=1e-5)


@pytest.mark.parametrize(("name", "kind"), [("fedadam", FedAdam), ("fedyogi", FedYogi)])
def test_the_centres_optimiser_does_what_flwr_does_to_whole_models(
    name: str, kind: type[FedAdam] | type[FedYogi]
) -> None:
    choice = StrategyChoice(name=name)
    direct = kind(eta=1e-3, tau=1e-3, beta_1=0.9, beta_2=0.99)
    model = {f"gradient.{n}": a.astype(np.float64) for n, a in SHARED.items()}
    for number, values in enumerate(ROUNDS, start=1):
        direct.current_arrays = model
        models = replies(values, BOTH)
        for message in models:
            record = message.content.array_records[wire.ARRAYS]
            moved = {n: model[n] - LEARNING_RATE * a.numpy() for n, a in record.items()}
            message.content[wire.ARRAYS] = ArrayRecord({n: Array(a) for n, a in moved.items()})
        after, _ = direct.aggregate_train(number, models)
        assert after is not None
        model = {n: a.numpy() for n, a in after.items()}
    ours = optimised(choice)[-1]
    for n in SHARED:
        np.testing.assert_allclose(ours[n], model[f"gradient.{n}"], rtol=1e-5)


def test_every_array_moves_by_the_rate_it_was_divided_by() -> None:
    choice, shared = StrategyChoice(name="fedadam", server_rate=0.1, tau=10.0), dict(SHARED)
    rates = dict(zip(SHARED, (LEARNING_RATE, 4 * LEARNING_RATE), strict=True))
    standing = Standing(shared=shared, number=1, learning_rates=rates)
    after, _ = Optimiser(choice, standing).aggregate_train(1, replies([2.0] * 3, BOTH))
    assert after is not None
    first, second = (after[FIRST + n].numpy().ravel()[0] for n in rates)
    assert second == pytest.approx(4 * first, rel=1e-5)


def test_what_the_optimiser_remembers_is_part_of_the_shared_arrays() -> None:
    after = optimised(StrategyChoice(name="fedadam"))[0]
    move = -LEARNING_RATE * np.mean(ROUNDS[0])
    np.testing.assert_allclose(after[FIRST + "tail.weight"], 0.1 * move, rtol=1e-5)
    np.testing.assert_allclose(after[SECOND + "tail.bias"], 0.01 * move**2, rtol=1e-5)


def test_no_reply_leaves_the_optimiser_where_it_is() -> None:
    standing = Standing(shared=SHARED, number=1, learning_rates=RATES)
    assert Optimiser(StrategyChoice(name="fedyogi"), standing).aggregate_train(1, []) == (
        None,
        None,
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_name_has_a_rule(name: str) -> None:
    same = averaged(StrategyChoice(name=name), [2.0] * 7)
    np.testing.assert_allclose(same, 2.0, rtol=1e-6)


@pytest.mark.parametrize("sites", [7, 15])
@pytest.mark.parametrize("name", NAMES)
def test_an_average_of_noise_is_no_noisier_than_the_rule_says(name: str, sites: int) -> None:
    choice, size = StrategyChoice(name=name), 20_000
    rng, made = np.random.default_rng(sites), replies([0.0] * sites)
    for message in made:
        drawn = Array(rng.standard_normal(size).astype(np.float32))
        message.content[wire.ARRAYS] = ArrayRecord({"x": drawn})
    average, _ = averaging(choice).aggregate_train(1, made)
    assert average is not None
    factor = float(average["x"].numpy().var()) * sites
    assert factor <= choice.noise_factor(sites) * 1.05
    assert factor > 0.5 * choice.noise_factor(sites)  # and the rule does not exaggerate much
