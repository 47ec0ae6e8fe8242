"""A plan says which heads its steps train, in one form, and older plans keep their digests."""

import dataclasses
import json
import math
from typing import Any

import numpy as np
import pytest

from common.errors import PlanError
from common.heads.planned import planned_head, planned_shapes
from common.heads.scaling import Scaling
from common.heads.sentences import PROMPTS, bank_digest
from common.heads.words import WordsHead
from common.models.tail import BIAS, WEIGHT
from common.privacy.heads import CENTRE, SCALE, HeadTerms
from common.privacy.plan import GradientMechanism, PrivacyPlan
from tests.small_heads import Letters

ATTRIBUTES = HeadTerms(
    kind="attributes", weight=0.5, names=("beard", "hat"), shown=(3, 4), absent=(5, 6)
)
AGE = HeadTerms(kind="age", weight=2)
GENDER = HeadTerms(kind="gender", weight=1.0, shown=(7,), absent=(8,))
SPACE = {"encoder": "e" * 64, "bank": bank_digest(), "size": 4}
WORDS = HeadTerms(kind="words", weight=0.25, **SPACE)  # type: ignore[arg-type]
ALL = (ATTRIBUTES, AGE, GENDER, WORDS)


def plan(**changes: Any) -> PrivacyPlan:
    step = GradientMechanism(**{"sigma": 1.0, "clip": 1.0, "rate": 0.1, "rounds": 3, **changes})
    return PrivacyPlan(mechanisms=(step,), people=100, delta=1e-5)


def test_heads_are_in_the_digest_and_cost_nothing() -> None:
    told = [plan(), plan(heads=(AGE,)), plan(heads=ALL), plan(heads=ALL, identity=0.5)]
    told += [plan(heads=(dataclasses.replace(AGE, weight=3.0),))]
    told += [plan(heads=(dataclasses.replace(ATTRIBUTES, names=("hat", "beard")),))]
    told += [plan(heads=(dataclasses.replace(AGE, learning_rate=rate),)) for rate in (0.5, 2)]
    told += [plan(heads=(WORDS,)), plan(heads=(dataclasses.replace(WORDS, encoder="f" * 64),))]
    told += [plan(heads=(dataclasses.replace(WORDS, bank="0" * 64),))]
    assert len({one.digest for one in told}) == len(told)
    assert {one.events() for one in told} == {told[0].events()}
    for one in told:
        assert PrivacyPlan.from_json(one.to_json()) == one


def test_a_plan_without_heads_says_nothing_of_them() -> None:
    text = plan().to_json()
    assert "heads" not in text
    assert "identity" not in text
    table = json.loads(text)
    table["mechanisms"][0] |= {"heads": [], "identity": 1}
    assert PrivacyPlan.from_json(json.dumps(table)).digest == plan().digest


def test_a_head_that_says_nothing_new_is_written_as_before_there_was_any() -> None:
    """So charters that were signed keep their digests."""
    table = json.loads(plan(heads=ALL).to_json())["mechanisms"][0]["heads"]
    old = {"kind", "weight", "names", "shown", "absent"}
    assert [set(head) for head in table] == [old, old, old, old | set(SPACE)]
    told = {"learning_rate": 0, "encoder": "", "bank": "", "size": 0}
    spelt = json.loads(plan(heads=(AGE,)).to_json())
    spelt["mechanisms"][0]["heads"][0] |= told
    assert PrivacyPlan.from_json(json.dumps(spelt)).digest == plan(heads=(AGE,)).digest
    quick = dataclasses.replace(AGE, learning_rate=2)
    [head] = json.loads(plan(heads=(quick,)).to_json())["mechanisms"][0]["heads"]
    assert set(head) == old | {"learning_rate"}


def test_every_array_has_a_rate_and_momentum_is_for_those_of_the_plan() -> None:
    quick = dataclasses.replace(AGE, learning_rate=4)
    step = plan(heads=(ATTRIBUTES, quick), learning_rate=0.25).mechanisms[0]
    assert step.learning_rates == {  # type: ignore[union-attr]
        WEIGHT: 0.25, BIAS: 0.25, **dict.fromkeys(ATTRIBUTES.arrays, 0.25),
        **dict.fromkeys(quick.arrays, 4.0),
    }  # fmt: skip
    assert tuple(step.learning_rates) == step.trained  # type: ignore[union-attr]
    assert step.without_momentum == set(quick.arrays)  # type: ignore[union-attr]
    with pytest.raises(PlanError, match="proximal"):  # of the fastest: a pull must not overshoot
        plan(heads=(quick,), learning_rate=0.25, proximal=0.5)


def test_what_is_trained_is_the_tail_unless_identity_counts_for_nothing() -> None:
    arrays = tuple(name for head in ALL for name in head.arrays)
    assert plan().mechanisms[0].trained == (WEIGHT, BIAS)  # type: ignore[union-attr]
    assert plan(heads=ALL).mechanisms[0].trained == (WEIGHT, BIAS, *arrays)  # type: ignore[union-attr]
    assert plan(heads=ALL, identity=0).mechanisms[0].trained == arrays  # type: ignore[union-attr]
    assert plan(heads=ALL).heads == ALL


def test_names_of_arrays_are_those_of_the_heads_themselves() -> None:
    shapes = planned_shapes(ALL, 6)
    assert list(shapes) == [name for head in ALL for name in head.arrays]
    for terms in ALL:
        assert planned_head(terms).kind == terms.kind
    assert set(Scaling.of(np.eye(3, dtype=np.float32)).arrays()) == {CENTRE, SCALE}


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "words", "weight": 1.0},
        {"kind": "words", "weight": 1.0, **SPACE, "encoder": "E" * 64},
        {"kind": "words", "weight": 1.0, **SPACE, "bank": ""},
        {"kind": "words", "weight": 1.0, **SPACE, "size": 0},
        {"kind": "words", "weight": 1.0, **SPACE, "size": True},
        {"kind": "words", "weight": 1.0, **SPACE, "names": ("hat",)},
        {"kind": "words", "weight": 1.0, **SPACE, "shown": (1,), "absent": (1,)},
        {"kind": "age", "weight": 1.0, **SPACE},
        {"kind": "age", "weight": 1.0, "size": 4},
        {"kind": "age", "weight": 1.0, "learning_rate": -1.0},
        {"kind": "age", "weight": 1.0, "learning_rate": math.nan},
        {"kind": "age", "weight": 1.0, "learning_rate": math.inf},
        {"kind": "face", "weight": 1.0},
        {"kind": "age", "weight": 0.0},
        {"kind": "age", "weight": math.nan},
        {"kind": "age", "weight": math.inf},
        {"kind": "age", "weight": 1.0, "names": ("hat",)},
        {"kind": "age", "weight": 1.0, "shown": (1,), "absent": (1,)},
        {"kind": "gender", "weight": 1.0},
        {"kind": "gender", "weight": 1.0, "shown": (1,), "absent": (-1,)},
        {"kind": "gender", "weight": 1.0, "shown": (True,), "absent": (1,)},
        {"kind": "attributes", "weight": 1.0},
        {"kind": "attributes", "weight": 1.0, "names": ("hat",)},
        {"kind": "attributes", "weight": 1.0, "names": ("Hat",), "shown": (1,), "absent": (1,)},
        {"kind": "attributes", "weight": 1.0, "names": ("a b",), "shown": (1,), "absent": (1,)},
        {"kind": "attributes", "weight": 1.0, "names": ("",), "shown": (1,), "absent": (1,)},
        {"kind": "attributes", "weight": 1.0, "names": ("h",) * 2, "shown": (1,) * 2,
         "absent": (1,) * 2},
    ],
)  # fmt: skip
def test_a_head_that_is_none_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(PlanError):
        HeadTerms(**wrong)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"heads": (AGE, AGE)}, "two heads"),
        ({"identity": 0.5}, "without heads"),
        ({"heads": (AGE,), "identity": -1.0}, "identity"),
        ({"heads": (AGE,), "identity": math.nan}, "identity"),
        ({"heads": (AGE,), "identity": 0, "adversarial_steps": 1, "adversarial_eps": 1}, "attacks"),
    ],
)
def test_heads_that_do_not_go_together_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(PlanError, match=said):
        plan(**wrong)


@pytest.mark.parametrize("name", ["woman", "male", "skin_tone", "headscarf", "smiling_happy"])
def test_no_head_is_made_of_gender_or_what_is_forbidden_under_an_attributes_name(name: str) -> None:
    terms = HeadTerms(kind="attributes", weight=1.0, names=(name,), shown=(1,), absent=(1,))
    with pytest.raises(PlanError, match=r"head attributes: (gender|words about)"):
        planned_head(terms)


def test_a_words_head_is_made_for_its_own_encoder_and_bank_alone() -> None:
    reader, learner = planned_head(WORDS), planned_head(WORDS, Letters())
    assert isinstance(reader, WordsHead)
    assert isinstance(learner, WordsHead)
    assert reader.bank is None
    assert learner.bank is not None
    assert learner.bank.shape == (PROMPTS, 4)
    assert reader.table() == learner.table()
    for told, said in (({"encoder": "f" * 64}, "another text"), ({"size": 5}, "another text"),
                       ({"bank": "0" * 64}, "other prompts")):  # fmt: skip
        with pytest.raises(PlanError, match=said):
            planned_head(dataclasses.replace(WORDS, **told), Letters())  # type: ignore[arg-type]


def test_a_misspelt_field_of_a_head_is_an_error() -> None:
    text = plan(heads=ALL).to_json().replace('"absent"', '"absnt"', 1)
    with pytest.raises(PlanError, match="absnt"):
        PrivacyPlan.from_json(text)
