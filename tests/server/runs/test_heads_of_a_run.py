"""A run's heads begin as public ones, are averaged like the tail, and come out as a file again."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from common.errors import ConfigError, ModelError, RunError
from common.heads.age import AgeHead
from common.heads.attributes import AttributesHead
from common.heads.calibration import Platt
from common.heads.gender import GenderHead
from common.heads.heads import Heads
from common.heads.heads_file import heads_bytes, read_heads
from common.heads.scaling import Scaling
from common.heads.sentences import bank_digest
from common.heads.words import WordsHead
from common.models.tail import BIAS, WEIGHT
from common.moments.names import SHIFT
from common.privacy.heads import CENTRE, SCALE
from common.privacy.plan import GradientMechanism, PrivacyPlan
from common.trust.charter import arrays_digest
from server import phases
from server.commands.charter import asked_of, heads_beside
from server.mechanisms import make_mechanisms
from server.runs.meaning import meaning
from server.runs.pacing import GAIN, paced
from server.runs.proposal import Ground, propose, read_proposal, write_proposal
from server.runs.reading import (
    PUBLIC,
    Chosen,
    choose_heads,
    heads_after,
    keep_public,
    trained_heads,
)
from tests.fakes import TRUNK
from tests.small_centre import asked, centre, initial, proposed

D = 3
OPTIONS: dict[str, Any] = {
    "run": "r1", "epsilon": 8.0, "delta": 1e-4, "people": 240, "cohort": 3, "rounds": 2,
    "expires": "30d", "timeout": "60m", "strategy": "fedavg", "public": Path("p"),
    "trunk": Path("t"),
}  # fmt: skip


def public(**changes: Any) -> Heads:
    made = (
        AttributesHead(names=("beard", "hat"), shown=(3, 4), absent=(9, 8)),
        AgeHead(),
        GenderHead(female=5, male=6),
        WordsHead(size=2, encoder="e" * 64),
    )
    generator = torch.Generator().manual_seed(0)
    arrays = {n: a.numpy() for head in made for n, a in head.arrays(D, generator).items()}
    told: dict[str, Any] = {
        "trunk": TRUNK,
        "heads": made,
        "scaling": Scaling(np.array([1, 2, 3], "f4"), np.array([0.5, 1, 2], "f4")),
        "arrays": arrays,
        "weights": {"attributes": 1.5, "age": 0.75, "gender": 2.0, "words": 0.1},
        "calibration": {"age": Platt(np.array([2.0]), np.array([0.5]))},
    }
    return Heads(**{**told, **changes})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "made.heads.safetensors"
    path.write_bytes(heads_bytes(public()))
    return path


def kinds(chosen: Chosen) -> dict[str, float]:
    return {terms.kind: terms.weight for terms in chosen.terms}


def test_weights_are_the_files_unless_they_are_given_and_gender_has_to_be_named(file: Path) -> None:
    assert kinds(choose_heads(file, ())) == {"attributes": 1.5, "age": 0.75}
    assert choose_heads(file, ()).identity == 0.0, "the tail is left to the moments"
    assert choose_heads(file, ("age", "identity")).identity == 1.0
    chosen = choose_heads(file, ("gender", "attributes:0.25", "identity:0"))
    assert (kinds(chosen), chosen.identity) == ({"gender": 2.0, "attributes": 0.25}, 0.0)
    assert chosen.terms[1].names == ("beard", "hat")
    assert set(chosen.arrays) == {
        *(name for terms in chosen.terms for name in terms.arrays), CENTRE, SCALE
    }  # fmt: skip


def test_a_rate_of_its_own_comes_after_the_weight_and_words_name_space_and_bank(
    file: Path,
) -> None:
    chosen = choose_heads(file, ("age::3", "attributes:2:0.5", "words"))
    assert [(t.kind, t.weight, t.learning_rate) for t in chosen.terms] == [
        ("age", 0.75, 3.0), ("attributes", 2.0, 0.5), ("words", 0.1, 0.0)
    ]  # fmt: skip
    words = chosen.terms[-1]
    assert (words.encoder, words.size, words.bank) == ("e" * 64, 2, bank_digest())


def test_a_run_sees_features_longer_and_begins_and_ends_saying_the_same(file: Path) -> None:
    chosen = choose_heads(file, ("attributes", "age", "gender", "words"))
    begun = chosen.arrays
    np.testing.assert_array_equal(begun[SCALE], GAIN * public().scaling.scale)
    np.testing.assert_array_equal(begun[CENTRE], public().scaling.centre)
    features = np.random.default_rng(2).standard_normal((7, D)).astype(np.float32)
    longer = Scaling(begun[CENTRE], begun[SCALE])(features)
    for terms in chosen.terms:
        weight, bias = terms.arrays
        theirs = public().scaling(features) @ public().arrays[weight].T + public().arrays[bias]
        np.testing.assert_allclose(longer @ begun[weight].T + begun[bias], theirs, rtol=1e-5)
    unmoved = heads_after(public(), begun)
    for name, array in public().arrays.items():
        np.testing.assert_array_equal(unmoved.arrays[name], array)
    rng = np.random.default_rng(3)
    moved = {n: a + rng.standard_normal(a.shape).astype("f4") for n, a in begun.items()
             if n not in (CENTRE, SCALE)}  # fmt: skip
    after = heads_after(public(), {**begun, **moved})
    weight, bias = chosen.terms[0].arrays
    np.testing.assert_allclose(
        after.scaling(features) @ after.arrays[weight].T + after.arrays[bias],
        longer @ moved[weight].T + moved[bias],
        rtol=1e-4,
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("eyes:1",), "the file has"),
        (("age:-1",), "above 0"),
        (("age:0",), "above 0"),
        (("age:nan",), "above 0"),
        (("identity:inf",), "above 0"),
        (("age:much",), "above 0"),
        (("age:1:0",), "above 0"),
        (("age:1:nan",), "above 0"),
        (("age:1:2:3",), "expected KIND"),
        (("identity:1:2",), "expected KIND"),
        (("age", "age:2"), "twice"),
    ],
)
def test_what_no_plan_trains_is_told(file: Path, given: tuple[str, ...], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        choose_heads(file, given)


def test_a_head_with_other_constants_than_plans_have_is_refused(file: Path) -> None:
    cut = AgeHead(cuts=(30, 60))
    arrays = {n: a.numpy() for n, a in cut.arrays(D, torch.Generator()).items()}
    odd = public(heads=(cut,), arrays=arrays, weights={"age": 1.0}, calibration={})
    file.write_bytes(heads_bytes(odd))
    with pytest.raises(ConfigError, match="other constants"):
        choose_heads(file, ())


def test_options_of_a_proposal_name_heads_by_a_file(file: Path) -> None:
    given, sources = asked_of({**OPTIONS, "heads": file, "head": ("age:2", "identity:0.5")})
    assert [(t.kind, t.weight) for t in given.heads] == [("age", 2.0)]
    assert given.identity == 0.5
    assert sources.heads is not None
    with pytest.raises(ConfigError, match="--heads FILE"):
        asked_of({**OPTIONS, "head": ("age",)})
    with pytest.raises(ConfigError, match="--rounds"):
        asked_of({**OPTIONS, "rounds": 0, "heads": file, "head": ()})
    plain, _ = asked_of({**OPTIONS, "head": ()})
    assert plain.heads == ()


@pytest.mark.parametrize(
    ("named", "rate", "sampled"),
    [(("age",), None, 1.0), (("age", "identity"), None, 0.2), (("age",), 0.5, 0.5)],
)
def test_a_proposal_paces_its_heads_and_draws_everybody_for_heads_alone(
    tmp_path: Path, file: Path, named: tuple[str, ...], rate: float | None, sampled: float
) -> None:
    chosen = choose_heads(file, named)
    told = asked(rounds=3, heads=chosen.terms, identity=chosen.identity, sample_rate=rate)
    ground = Ground(federation="f" * 64, trunk=TRUNK, tail="u" * 64, public="p" * 64, radius=0.25)
    terms = propose(told, ground, {**initial(), **chosen.arrays}, now=1.0)
    *_, steps = terms.plan.mechanisms
    assert isinstance(steps, GradientMechanism)
    assert steps.rate == sampled
    assert steps.heads[0].learning_rate > steps.learning_rate
    assert paced(terms.plan) == terms.plan
    said = meaning(terms, {**initial(), **chosen.arrays}, 3)["releases"]["gradient"]["heads"]
    assert said["learning_rates"] == {"age": steps.heads[0].learning_rate}


def test_a_proposal_says_what_its_heads_learn_and_keeps_their_arrays(
    tmp_path: Path, file: Path
) -> None:
    chosen = choose_heads(file, ())
    ours = asked(rounds=2, heads=chosen.terms, identity=0.5)
    *_, steps = make_mechanisms(ours.recipe, 0.25, None)
    assert isinstance(steps, GradientMechanism)
    assert (steps.heads, steps.identity) == (chosen.terms, 0.5)
    loud = dataclasses.replace(steps, sigma=9.0, rate=1.0)
    begun = {**initial(), **chosen.arrays}
    plain = proposed(centre(tmp_path / "centre"))
    terms = dataclasses.replace(
        plain,
        plan=dataclasses.replace(plain.plan, mechanisms=(loud,)),
        initial=arrays_digest(begun),
    )
    write_proposal(tmp_path / "charter", terms, begun)
    again, arrays = read_proposal(tmp_path / "charter")
    assert again.plan == terms.plan
    assert set(arrays) == set(begun)
    told = meaning(terms, begun, 3)
    assert told["releases"]["gradient"]["heads"] == {
        "identity": 0.5, "attributes": 1.5, "age": 0.75, "names": ["beard", "hat"]
    }  # fmt: skip
    assert "attributes, age (beard, hat)" in " ".join(told["in_plain_words"])
    size = sum(begun[name].size for name in loud.trained)
    assert told["releases"]["gradient"]["bytes"] == 2 * 4 * size


def step(identity: float, file: Path) -> tuple[PrivacyPlan, dict[str, Any]]:
    chosen = choose_heads(file, ())
    mechanism = GradientMechanism(
        sigma=1.0, clip=1.0, rate=0.5, rounds=2, learning_rate=0.1, heads=chosen.terms,
        identity=identity,
    )  # fmt: skip
    plan = PrivacyPlan(mechanisms=(mechanism,), people=10, delta=1e-4, trunk=TRUNK)
    return plan, {**initial(), **chosen.arrays}


@pytest.mark.parametrize("identity", [0.0, 1.0])
def test_sites_are_asked_with_what_the_plan_needs_and_answers_move_it(
    file: Path, identity: float
) -> None:
    plan, begun = step(identity, file)
    current, shared = plan.rounds[0], phases.opening(begun, plan)
    trained = plan.mechanisms[0].trained  # type: ignore[union-attr]
    assert set(phases.request(current, shared)) == {WEIGHT, BIAS, SHIFT, *trained, CENTRE, SCALE}
    expected = phases.expected(current, shared)
    assert list(expected) == [f"gradient.{name}" for name in trained]
    size = phases.size(current, shared)
    total = np.arange(size, dtype=np.float64)
    average = phases.averaged(current, shared, total, phases.SumTerms(sites=2, people=10))
    flat = np.concatenate([a.ravel() for a in average.values()])
    np.testing.assert_allclose(flat, total / (2 * 0.5 * 10))
    pooled = phases.Pooled(sites=2, people=20, momentum=0.9)
    after = phases.absorb(current, shared, average, pooled)
    for name in set(begun) - set(trained):
        np.testing.assert_array_equal(after[name], begun[name])
    for name in trained:
        np.testing.assert_allclose(
            after[name], begun[name] - 0.1 * average[f"gradient.{name}"], rtol=1e-5
        )


def test_a_rate_of_its_own_steps_by_itself_and_the_centres_momentum_is_for_the_others(
    file: Path,
) -> None:
    plan, begun = step(1.0, file)
    (mechanism,) = plan.mechanisms
    assert isinstance(mechanism, GradientMechanism)
    quick = tuple(dataclasses.replace(h, learning_rate=2.0) for h in mechanism.heads)
    plan = dataclasses.replace(plan, mechanisms=(dataclasses.replace(mechanism, heads=quick),))
    shared = phases.opening(begun, plan)
    ones = {f"gradient.{n}": np.ones_like(begun[n]) for n in mechanism.trained}
    pooled = phases.Pooled(sites=2, people=20, momentum=0.9)
    for current in plan.rounds:
        shared = phases.absorb(current, shared, ones, pooled)
    for name in mechanism.trained:
        walked = 2 * 2.0 if name.startswith("heads.") else 0.1 * (1 + 1.9)
        np.testing.assert_allclose(shared[name], begun[name] - walked, rtol=1e-5, atol=1e-6)


def test_a_charter_that_left_out_the_arrays_of_its_heads_cannot_begin(file: Path) -> None:
    plan, begun = step(1.0, file)
    for name in ("heads.age.bias", CENTRE):
        with pytest.raises(RunError, match=name):
            phases.opening({n: a for n, a in begun.items() if n != name}, plan)


def test_heads_after_a_run_keep_their_calibration_and_their_scaling(
    tmp_path: Path, file: Path
) -> None:
    _, begun = step(1.0, file)
    keep_public(tmp_path, read_heads(file))
    moved = {**begun, "heads.age.bias": np.arange(12, dtype=np.float32)}
    found = trained_heads(tmp_path, {"a": moved, "b": begun})
    np.testing.assert_array_equal(found["a"].arrays["heads.age.bias"], np.arange(12))
    for one in found.values():
        np.testing.assert_array_equal(one.scaling.centre, [1, 2, 3])
        assert one.kinds == public().kinds
        np.testing.assert_array_equal(one.calibration["age"].slope, [2.0])
        np.testing.assert_array_equal(
            one.arrays["heads.gender.bias"], public().arrays["heads.gender.bias"]
        )
    with pytest.raises(ModelError, match="cannot read"):
        trained_heads(tmp_path / "nowhere", {"a": moved})


def test_heads_of_another_trunk_are_refused_and_others_kept_beside_the_charter(
    tmp_path: Path, file: Path
) -> None:
    chosen = choose_heads(file, ())
    ground = Ground(federation="f", trunk=TRUNK, tail="u", public="p", radius=0.25)
    begun = heads_beside(chosen, ground, tmp_path / "charter")
    assert set(begun) == set(chosen.arrays)
    assert read_heads(tmp_path / "charter" / PUBLIC).kinds == public().kinds
    with pytest.raises(ConfigError, match="another trunk"):
        heads_beside(chosen, dataclasses.replace(ground, trunk="v" * 64), tmp_path / "other")
    assert not (tmp_path / "other").exists()
