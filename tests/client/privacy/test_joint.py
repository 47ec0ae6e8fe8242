"""Identity and heads are one loss of one person: one gradient, one clip, nobody else's labels."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from client.privacy.adversary import FeatureAdversary, Hardened
from client.privacy.entropy import OsEntropy
from client.privacy.joint import Joint, Person, Reading, Trained
from client.privacy.objective import OBJECTIVES
from client.privacy.step import PersonDPOptimizer, private_step, sgd
from common.heads.head import MISSING, PictureLabels
from common.heads.planned import planned_head
from common.heads.sentences import bank_digest, prompt_bank
from common.heads.words import NEAR, WordsHead
from common.privacy.heads import HeadTerms
from tests.small_contributions import contributions_of, crossings
from tests.small_heads import TEXTS, Letters, bank

D, E, CLIP = 6, 4, 0.5
ENCODER = Letters()
TERMS = (
    HeadTerms(kind="attributes", weight=0.5, names=("beard", "hat"), shown=(9, 3), absent=(9, 30)),
    HeadTerms(kind="age", weight=0.7),
    HeadTerms(kind="gender", weight=2.0, shown=(5,), absent=(7,)),
    HeadTerms(kind="words", weight=0.3, encoder="e" * 64, bank=bank_digest(), size=TEXTS),
)
Step = Callable[[nn.Module, Joint, Sequence[Person], PersonDPOptimizer], None]


def module(*, frozen: bool = False) -> Trained:
    generator = torch.Generator().manual_seed(4)
    tail = nn.Linear(D, E)
    with torch.no_grad():
        for p in tail.parameters():
            p.copy_(torch.randn(p.shape, generator=generator))
    arrays = {n: a for terms in TERMS for n, a in planned_head(terms).arrays(D, generator).items()}
    return Trained(tail.double(), {n: a.double() for n, a in arrays.items()}, frozen=frozen)


def loss(
    trained: Trained,
    *,
    identity: float = 1.0,
    attacked: bool = False,
    louder: Mapping[str, float] | None = None,
) -> Joint:
    generator = torch.Generator().manual_seed(99)
    public = torch.randn(8, D, generator=generator).double()
    objective = OBJECTIVES["contrast"](trained, public, 16.0)
    if attacked:
        objective = Hardened(objective, FeatureAdversary(steps=3, eps=0.8))
    reading = Reading(
        heads=[planned_head(terms, ENCODER) for terms in TERMS],
        weights={terms.kind: terms.weight for terms in TERMS} | dict(louder or {}),
        arrays=trained.arrays,
        centre=torch.full((D,), 0.3).double(),
        scale=torch.linspace(0.5, 2.0, D).double(),
    )
    return Joint(objective, identity, reading)


def people(count: int, pictures: int = 3, size: float = 1.0) -> list[Person]:
    generator = torch.Generator().manual_seed(count)
    found = []
    for number in range(count):
        bag = size * torch.randn(pictures, D, generator=generator).double()
        attributes = torch.randint(-1, 2, (pictures, 2), generator=generator, dtype=torch.int8)
        age = torch.full((pictures,), 20.0 + 9 * number, dtype=torch.float64)
        gender = torch.full((pictures,), number % 2, dtype=torch.int8)
        words = torch.from_numpy(bank(pictures, seed=number + 7)).double()
        said = PictureLabels(attributes=attributes, age=age, gender=gender, words=words)
        found.append(Person(bag, said))
    return found


def gradients(step: Step, joint: Joint, trained: Trained, persons: Sequence[Person]) -> Tensor:
    """The noiseless sum over everything that is trained, at the same arrays always."""
    optimizer = sgd(trained, rate=0.0, sigma=0.0, clip=CLIP, entropy=OsEntropy())
    step(trained, joint, persons, optimizer)
    return torch.cat([p.grad.flatten() for p in optimizer.params if p.grad is not None])


# --- the sensitivity: one clip, however many heads there are -----------------------------------


def clips_each_head(
    trained: nn.Module, joint: Joint, persons: Sequence[Person], optimizer: PersonDPOptimizer
) -> None:
    """MUTANT: identity and every head are samples of their own, each clipped by itself."""
    assert joint.reading is not None
    parts = [("identity", person) for person in persons]
    parts += [(head.kind, person) for person in persons for head in joint.reading.heads]

    def loss_of(module: nn.Module, part: tuple[str, Person]) -> Tensor:
        kind, person = part
        if kind == "identity":
            return joint.objective(module, person.bag)
        assert joint.reading is not None
        (head,) = [one for one in joint.reading.heads if one.kind == kind]
        reading = joint.reading
        alone = dataclasses.replace(reading, heads=[head])
        return alone.loss(person)

    private_step(trained, loss_of, parts, optimizer)


def clips_tail_and_heads_apart(
    trained: nn.Module, joint: Joint, persons: Sequence[Person], optimizer: PersonDPOptimizer
) -> None:
    """MUTANT: the tail's part and the heads' part of one person are clipped one by one."""
    assert joint.reading is not None

    def loss_of(module: nn.Module, part: tuple[bool, Person]) -> Tensor:
        heads, person = part
        assert joint.reading is not None
        if heads:
            return joint.reading.loss(person)
        return joint.objective(module, person.bag)

    private_step(trained, loss_of, [(k, p) for p in persons for k in (0, 1)], optimizer)


def sensitivity(step: Step, *, attacked: bool = False) -> float:
    """The most one person of several moves a noiseless sum, in clip norms."""
    worst = 0.0
    for pictures in (1, 2, 8):
        persons, trained = people(4, pictures, size=5.0), module()
        joint = loss(trained, attacked=attacked)
        whole = gradients(step, joint, trained, persons)
        for gone in range(len(persons)):
            rest = [person for n, person in enumerate(persons) if n != gone]
            moved = whole - gradients(step, joint, trained, rest)
            worst = max(worst, float(moved.norm()) / CLIP)
    return worst


@pytest.mark.parametrize("attacked", [False, True])
def test_one_person_moves_tail_and_heads_together_by_the_clip_at_most(attacked: bool) -> None:
    assert 0.99 < sensitivity(private_step, attacked=attacked) <= 1 + 1e-9


@pytest.mark.parametrize("weight", [1e-3, 1.0, 1e3])
def test_a_weight_shares_the_clip_out_and_makes_it_no_larger(weight: float) -> None:
    """Heads get more of each person, the tail less, and together they are C at most."""
    trained, (person,) = module(), people(1, size=5.0)
    joint = loss(trained, louder=dict.fromkeys(("attributes", "age", "gender", "words"), weight))
    own = gradients(private_step, joint, trained, [person])
    assert float(own.norm()) <= CLIP * (1 + 1e-9)
    tail = D * E + E
    share = float(own[tail:].norm() / own[:tail].norm())
    assert (share < 1e-2) if weight < 1 else (share > 1e-2 * weight)


@pytest.mark.parametrize("mutant", [clips_each_head, clips_tail_and_heads_apart])
def test_clipping_head_by_head_is_caught_by_the_sensitivity(mutant: Step) -> None:
    assert sensitivity(mutant) > 1.3


# --- the cross-person test ----------------------------------------------------------------------


def contributions(persons: Sequence[Person], joint_of: Callable[..., Joint] = loss) -> list[bytes]:
    trained = module()
    return contributions_of(trained, joint_of(trained), persons, CLIP)


def test_a_persons_leaving_changes_nobody_elses_contribution_by_a_bit() -> None:
    persons = people(4)
    assert len(set(contributions(persons))) == 4
    assert crossings(contributions, persons) == 0


def test_weights_of_classes_from_the_sample_are_caught_by_the_cross_person_test() -> None:
    """MUTANT: rare sides are weighed up by counts of the very people that are sampled."""

    def counted(persons: Sequence[Person]) -> list[bytes]:
        told = torch.cat([person.labels.attributes for person in persons])  # type: ignore[misc]
        shown, absent = ((told == side).sum(0).tolist() for side in (1, 0))
        own = HeadTerms(
            kind="attributes",
            weight=0.5,
            names=("beard", "hat"),
            shown=tuple(shown),
            absent=tuple(absent),
        )

        def joint_of(trained: Trained) -> Joint:
            plain = loss(trained)
            assert plain.reading is not None
            heads = [planned_head(own), *plain.reading.heads[1:]]
            reading = plain.reading
            seen = dataclasses.replace(reading, heads=heads)
            return Joint(plain.objective, 1.0, seen)

        return contributions(persons, joint_of)

    persons = people(4)
    whole = counted(persons)
    assert any(
        counted(persons[:n] + persons[n + 1 :]) != whole[:n] + whole[n + 1 :] for n in (0, 3)
    )


def test_contrast_with_other_peoples_sentences_is_caught_by_the_cross_person_test() -> None:
    """MUTANT: descriptions are told apart from those of the very people that are sampled."""

    def contrasted(persons: Sequence[Person]) -> list[bytes]:
        said = torch.cat([person.labels.words for person in persons])  # type: ignore[misc]
        batch = WordsHead(size=TEXTS, encoder="e" * 64, bank=said.float().numpy())

        def joint_of(trained: Trained) -> Joint:
            plain = loss(trained)
            assert plain.reading is not None
            reading = dataclasses.replace(plain.reading, heads=[*plain.reading.heads[:3], batch])
            return Joint(plain.objective, 1.0, reading)

        return contributions(persons, joint_of)

    assert crossings(contrasted, people(4)) > 0


# --- what is not labelled -----------------------------------------------------------------------


def test_who_has_no_labels_adds_exactly_nothing_to_the_heads() -> None:
    trained, bag = module(), people(1)[0].bag
    nothing = PictureLabels(
        attributes=torch.full((3, 2), MISSING, dtype=torch.int8),
        age=torch.full((3,), torch.nan, dtype=torch.float64),
        gender=torch.full((3,), MISSING, dtype=torch.int8),
        words=torch.full((3, TEXTS), torch.nan, dtype=torch.float64),
    )
    for labels in (PictureLabels(), nothing):
        told = loss(trained)(trained, Person(bag, labels))
        assert torch.equal(told, loss(trained).objective(trained, bag))
        parts = torch.autograd.grad(told, list(trained.arrays.values()), materialize_grads=True)
        assert all(not part.any() for part in parts)


def test_without_identity_and_labels_a_person_adds_nothing_at_all() -> None:
    trained = module(frozen=True)
    joint = loss(trained, identity=0.0)
    silent = [Person(person.bag, PictureLabels()) for person in people(3)]
    assert not gradients(private_step, joint, trained, silent).any()
    left = gradients(private_step, joint, trained, people(3))
    assert left.numel() == sum(a.numel() for a in trained.arrays.values())
    assert left.any()


def test_an_attack_on_identity_leaves_what_heads_learn_as_it_is() -> None:
    trained, (person,) = module(), people(1)
    values = list(trained.arrays.values())
    plain, attacked = (
        torch.autograd.grad(loss(trained, attacked=hard)(trained, person), values)
        for hard in (False, True)
    )
    assert all(torch.equal(one, other) for one, other in zip(plain, attacked, strict=True))


# --- the oracle ---------------------------------------------------------------------------------


def by_hand(persons: Sequence[Person]) -> np.ndarray:
    """Losses of the heads written out term by term; the tail is frozen."""
    trained = module(frozen=True)
    weights = {terms.kind: terms.weight for terms in TERMS}
    total = np.zeros(sum(a.numel() for a in trained.arrays.values()))
    for person in persons:
        at = [a.detach().clone().requires_grad_() for a in trained.arrays.values()]
        seen = (person.bag - 0.3) * torch.linspace(0.5, 2.0, D).double()
        parts = torch.zeros((), dtype=torch.float64)
        for kind, (w, b) in zip(weights, zip(at[::2], at[1::2], strict=True), strict=True):
            logits = seen @ w.T + b
            if kind == "words":
                parts = parts + weights[kind] * told_apart(logits, person.labels)
                continue
            reached = torch.sigmoid(logits)
            parts = parts + weights[kind] * written_out(kind, reached, person.labels)
        parts = torch.cat([g.flatten() for g in torch.autograd.grad(parts, at)]).numpy()
        total += parts * min(1.0, CLIP / np.linalg.norm(parts))
    return total


def written_out(kind: str, reached: Tensor, labels: PictureLabels) -> Tensor:
    """Mean cross entropy over what is labelled, a picture and a row at a time."""
    losses = []
    for k in range(len(reached)):
        for row in range(reached.shape[1]):
            side, weight = truth_of(kind, labels, k, row)
            if side is not None:
                p = reached[k, row]
                losses.append(-weight * torch.log(p if side else 1 - p))
    return torch.stack(losses).mean() if losses else 0 * reached.sum()


def told_apart(mapped: Tensor, labels: PictureLabels) -> Tensor:
    """A softmax over one's own sentence and the prompts that say something else."""
    losses, prompts = [], torch.from_numpy(prompt_bank(ENCODER)).double()
    assert labels.words is not None
    for k, own in enumerate(labels.words):
        unit = mapped[k] / mapped[k].norm()
        others = [16 * unit @ prompt for prompt in prompts if own @ prompt < NEAR]
        mine = 16 * unit @ own
        losses.append(torch.log(torch.exp(torch.stack([mine, *others])).sum()) - mine)
    return torch.stack(losses).mean()


def truth_of(kind: str, labels: PictureLabels, k: int, row: int) -> tuple[bool | None, float]:
    if kind == "age":
        assert labels.age is not None
        return float(labels.age[k]) >= 20 + 5 * row, 1.0
    said = labels.attributes[k, row] if kind == "attributes" else labels.gender[k]  # type: ignore[index]
    terms = TERMS[0] if kind == "attributes" else TERMS[2]
    counts = terms.absent[row], terms.shown[row]
    rare = [1 / (1 - 0.999**n) for n in counts]
    level = sum(counts) / sum(r * n for r, n in zip(rare, counts, strict=True))
    if said == MISSING:
        return None, 0.0
    return bool(said), level * rare[int(said)]


def test_heads_alone_take_the_step_worked_out_by_hand() -> None:
    trained, persons = module(frozen=True), people(5)
    left = gradients(private_step, loss(trained, identity=0.0), trained, persons)
    np.testing.assert_allclose(left.numpy(), by_hand(persons), atol=1e-6)
