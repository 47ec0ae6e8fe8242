"""What a site denies is neither said, taken, asked nor learnt there, whatever it is called."""

import dataclasses

import numpy as np
import pytest

from client.door.labelling import LabelRules
from client.door.words import Words, words_of
from client.policy import SitePolicy
from common.errors import ForbiddenError, PlanError, QueryError
from common.heads.age import AgeHead
from common.heads.attributes import AttributesHead
from common.heads.gender import GenderHead
from common.heads.heads import Heads
from common.heads.scaling import Scaling
from common.heads.words import WordsHead
from common.privacy.heads import HeadTerms
from common.privacy.plan import GradientMechanism, PrivacyPlan
from common.text.describe import describe
from common.text.encoder import built_in
from common.text.grammar import sentence

NAMES = ("black_hair", "bushy_eyebrows", "glasses", "young")
KINDS = ("attributes", "age", "gender", "words")
WIDTH = built_in().size  # so that a feature may be a text
TRUNK = "a" * 64
AGE = ("about forty", {"age": 40}, HeadTerms(kind="age", weight=1.0))
GENDER = (
    "a woman",
    {"female": True},
    HeadTerms(kind="gender", weight=1.0, shown=(5,), absent=(5,)),
)


def attribute(query: str, name: str) -> tuple[str, dict[str, bool], HeadTerms]:
    terms = HeadTerms(kind="attributes", weight=1.0, names=(name,), shown=(5,), absent=(5,))
    return query, {name: True}, terms


YOUNG = attribute("somebody young", "young")
HAIR = attribute("black hair", "black_hair")
BROWS = attribute("with bushy eyebrows", "bushy_eyebrows")
GLASSES = attribute("with glasses", "glasses")
TOPICS = {"forty": AGE, "woman": GENDER, "hair": HAIR, "eyebrows": BROWS, "glasses": GLASSES}


def heads() -> Heads:
    """Heads that say of everybody what is in ``TOPICS``, and find whom a text describes."""
    listed = (
        AttributesHead(names=NAMES, shown=(50,) * 4, absent=(50,) * 4),
        AgeHead(),
        GenderHead(female=50, male=50),
        WordsHead(size=WIDTH, encoder=built_in().hash),
    )
    arrays = {
        name: np.zeros(shape, np.float32)
        for head in listed
        for name, shape in head.shapes(WIDTH).items()
    }
    arrays["heads.attributes.bias"][:] = 6
    arrays["heads.gender.bias"][:] = 6
    arrays["heads.age.bias"][:] = [6] * 5 + [-6] * (len(arrays["heads.age.bias"]) - 5)
    arrays["heads.words.weight"][:] = np.eye(WIDTH)
    return Heads(
        trunk=TRUNK,
        heads=listed,
        scaling=Scaling(np.zeros(WIDTH, np.float32), np.ones(WIDTH, np.float32)),
        arrays=arrays,
        weights=dict.fromkeys(KINDS, 1.0),
        calibration={},
    )


def door(*denied: str) -> Words:
    return words_of("f" * 64, heads(), denied)


def policy(*denied: str) -> SitePolicy:
    return SitePolicy(epsilon=8.0, delta=1e-4, heads=KINDS, denied_attributes=denied)


def plan(terms: HeadTerms) -> PrivacyPlan:
    step = GradientMechanism(sigma=9.0, clip=1.0, rate=0.5, rounds=1, heads=(terms,))
    return PrivacyPlan(mechanisms=(step,), people=100, delta=1e-4, trunk=TRUNK)


def said(words: Words) -> str:
    return describe(words.read(np.zeros((1, WIDTH), np.float32))).sentence


def test_a_site_that_denies_nothing_says_takes_asks_and_learns_it_all() -> None:
    told = said(door())
    rules = dataclasses.replace(policy(), tensors=("heads.", "gradient."))
    for word, (query, label, terms) in (*TOPICS.items(), ("", YOUNG)):
        assert word in told
        assert not door().asked(query).empty
        assert LabelRules(policy()).kept(label) is not None
        rules.check(plan(terms), TRUNK)


@pytest.mark.parametrize(
    ("word", "denied"),
    [
        *((word, "forty") for word in ("age", "ages", "age ", "Age", "年龄", "年齡", "岁数")),
        *((word, "woman") for word in ("sex", "gender", "性别", "性別", "Male", "women", "男女")),
        *((word, "hair") for word in ("hair", "hairs", "头发", "頭髮", "发色", "hair colour")),
        *((word, "eyebrows") for word in ("eyebrows", "eyebrow", "眉毛", "Bushy_Eyebrows")),
        *((word, "glasses") for word in ("eyewear", "Eyeglasses", "眼鏡", "spectacles ")),
    ],
)
def test_whatever_it_is_called_all_four_leave_it_out(word: str, denied: str) -> None:
    told = said(door(word))
    for topic, (query, label, terms) in TOPICS.items():
        if topic != denied:
            assert topic in told
            assert not door(word).asked(query).empty
            assert LabelRules(policy(word)).kept(label) is not None
            continue
        assert topic not in told
        for asked in (query, *(["somebody young"] if topic == "forty" else [])):
            with pytest.raises(ForbiddenError, match="policy"):
                door(word).asked(asked)
        with pytest.raises(ForbiddenError, match="policy"):
            LabelRules(policy(word)).kept(label)
        with pytest.raises(PlanError, match=r"policy\.toml denies"):
            policy(word).check(plan(terms), TRUNK)


def test_an_alias_of_what_is_denied_is_no_head() -> None:
    for name in ("under_35", "over_60", "young"):
        with pytest.raises(PlanError, match=r"policy\.toml denies"):
            policy("age").check(plan(attribute("", name)[2]), TRUNK)


def test_kinds_of_heads_that_are_denied_are_not_read() -> None:
    silent = door("attributes", "words")
    readings = silent.read(np.zeros((1, WIDTH), np.float32))
    assert readings.names == () and readings.words is None
    assert said(silent) == "A woman of about forty."
    with pytest.raises(ForbiddenError):
        silent.asked("with glasses")


def test_a_slip_of_the_pen_finds_nobody_by_what_is_denied() -> None:
    people = [{"beard": True, "glasses": True}] * 10 + [{"glasses": True}] * 30
    people = [people[at] for at in np.random.default_rng(0).permutation(40)]
    features = built_in().encode([sentence(one) for one in people])

    def bearded(words: Words, query: str) -> int:
        ranking = words.searcher.rank(words.asked(query), words.read(features))
        return sum("beard" in people[row] for row in ranking.order[:10])

    for slip in ("beardy", "bearde", "beared"):
        assert bearded(door(), slip) == 10
        asked = door("beard").asked(slip)
        assert asked.empty and asked.unasked == ("words",)
        with pytest.raises(QueryError):
            door("beard").unread(asked)
        assert bearded(door("beard"), f"glasses, {slip}") == bearded(door("beard"), "glasses") < 10
