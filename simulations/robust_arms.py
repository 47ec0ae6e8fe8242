"""Tails that were trained against attacks, each beside one that was not and cost as much.

Public arms know public people only. Private arms start from the public tail and take the same
DP-SGD steps, at the same noise, over the same people: they differ in what is attacked, if anything.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from client.agent.gradients import gradient_update
from client.agent.mechanisms import Terms
from client.agent.people import SitePeople
from client.privacy.adversary import CropAdversary, Hardened
from client.privacy.entropy import Entropy
from client.privacy.objective import OBJECTIVES, Objective
from client.privacy.sampler import choose, poisson
from client.privacy.step import private_step, sgd
from common.attacks.target import to_pixels
from common.errors import ScenarioError
from common.faces.faceset import FaceSet
from common.heads.tuning import TuningOptions
from common.models.tail import BIAS, WEIGHT, Tail
from common.moments.names import GRADIENT, SHIFT
from common.privacy.calibrate import sigma_for
from common.privacy.plan import GradientMechanism
from server.robust_tuning import PublicCrops, RobustOptions, attacked_features, tune_robust
from server.tuning import tune_public

Attacked = Literal["nothing", "features", "crops"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RobustTraining:
    """One budget for all private arms: ``steps`` of DP-SGD at sampling ``rate`` and ``clip``.

    ``attack`` steps within ``eps`` (L-inf, pixels in [0, 1]) are trained against.
    """

    delta: float = 1e-4
    steps: int = 40
    rate: float = 0.2
    clip: float = 0.5
    learning_rate: float = 0.1
    views: int = 3
    objective: str = "contrast"
    attack: int = 3
    eps: float = 4 / 255
    stages: int = 3  # of robust tuning on public people
    public_steps: int = 200  # of public tuning; half as many in a stage

    def __post_init__(self) -> None:
        if not 0 < self.delta < 1:
            raise ScenarioError(f"delta must be in (0, 1), got {self.delta}")
        if not (0 < self.rate <= 1 and 0 < self.eps <= 1):
            raise ScenarioError("the sampling rate and the radius to train for are in (0, 1]")


@dataclass(frozen=True, kw_only=True, eq=False)
class Classroom:
    """Whom arms learn from: ``public`` people, and the pictures of private ones."""

    tail: Tail
    public: PublicCrops
    private: FaceSet
    features: NDArray[np.float32]  # (N, D) of the private pictures


@dataclass(frozen=True, kw_only=True, eq=False)
class Arm:
    """A tail, what it cost, and the name of the arm that it is to be compared with."""

    name: str
    tail: Tail
    epsilon: float | None  # 0: public people only; None: no noise, no guarantee
    control: str


def arms(
    room: Classroom,
    training: RobustTraining,
    epsilons: tuple[float | None, ...],
    make_entropy: Callable[[str], Entropy],
    seed: int,
) -> Iterator[Arm]:
    """Every arm at one seed. ``make_entropy`` gives the source of a private arm's draws, by what
    they are for.

    An arm and its control draw the same noise where ``make_entropy`` is seeded, which makes them
    paired; the laboratory alone may do that.
    """
    rng = np.random.default_rng(seed)
    options = TuningOptions(steps=training.public_steps, people=100)
    public, views = room.public, room.public.features[:, None]
    plain = tune_public(room.tail, views, public.faces.person, options, rng)
    yield Arm(name="base", tail=room.tail, epsilon=0.0, control="base")
    yield Arm(name="public", tail=plain, epsilon=0.0, control="public")
    asked = RobustOptions(
        stages=training.stages,
        steps=max(1, training.public_steps // 2),
        attack=training.attack,
        eps=training.eps,
    )
    hard = tune_robust(plain, public, asked, rng)
    yield Arm(name="public_robust", tail=hard, epsilon=0.0, control="public")
    radius = feature_radius(plain, public, asked)
    kinds: tuple[Attacked, ...] = ("nothing", "features", "crops")
    for epsilon in epsilons:
        for kind in kinds:
            drawn = make_entropy("noise and sampling"), make_entropy("attacks")
            school = _School(room, training, epsilon, radius, drawn)
            suffix = "" if kind == "nothing" else f"_{kind}"
            name = f"{'private' if epsilon is not None else 'nonprivate'}{suffix}"
            control = name.removesuffix(suffix) if suffix else name
            yield Arm(name=name, tail=school.train(plain, kind), epsilon=epsilon, control=control)


def feature_radius(tail: Tail, public: PublicCrops, options: RobustOptions) -> float:
    """How far an attack on pixels moves features, the median over public pictures: L2."""
    moved = attacked_features(tail, public, options, torch.Generator().manual_seed(0))
    return float(np.median(np.linalg.norm(moved - public.features, axis=1)))


@dataclass(frozen=True, eq=False)
class _School:
    """The private people of one arm and the steps it takes over them."""

    room: Classroom
    training: RobustTraining
    epsilon: float | None
    radius: float
    drawn: tuple[Entropy, Entropy]  # of noise and sampling, and of attacks

    @property
    def entropy(self) -> Entropy:
        return self.drawn[0]

    def train(self, tail: Tail, attacked: Attacked) -> Tail:
        if attacked == "crops":
            return self._over_crops(tail)
        mechanism = self._mechanism(attacked)
        shared: dict[str, NDArray[Any]] = {**tail.arrays(), SHIFT: self._shift()}
        people = SitePeople(self.room.features, self.room.private.person)
        terms = Terms(mechanism.sigma, self.entropy, self._people())
        left = gradient_update(mechanism, shared, people, self.room.public.features, terms)
        rate = mechanism.learning_rate
        after = {name: shared[name] - rate * left[GRADIENT + name] for name in (WEIGHT, BIAS)}
        return Tail.of(after)

    def _mechanism(self, attacked: Attacked) -> GradientMechanism:
        told = self.training
        steps, on = (told.attack, self.radius) if attacked == "features" else (0, 0.0)
        return GradientMechanism(
            sigma=self._sigma(),
            clip=told.clip,
            rate=told.rate,
            rounds=1,
            steps_per_round=told.steps,
            views=told.views,
            learning_rate=told.learning_rate,
            objective=told.objective,
            adversarial_steps=steps,
            adversarial_eps=on,
        )

    def _over_crops(self, tail: Tail) -> Tail:
        """What an agent that kept its crops would do: the same step, pixels attacked."""
        told, plan, module = self.training, self._mechanism("nothing"), tail.module()
        rate = told.learning_rate / (told.rate * self._people())
        optimizer = sgd(module, rate=rate, sigma=plan.sigma, clip=told.clip, entropy=self.entropy)
        public, faces = self.room.public.features, self.room.private
        people = faces.people
        for _ in range(told.steps):
            drawn = choose(len(public), plan.negatives, self.entropy)
            plain = OBJECTIVES[plan.objective](module, torch.from_numpy(public[drawn]), plan.scale)
            sampled = poisson(len(people), told.rate, self.entropy)
            bags = [self._some(faces.pictures_of(int(people[i]))) for i in sampled]
            private_step(module, self._loss(plain), bags, optimizer)
        return Tail(module.weight.detach().numpy(), module.bias.detach().numpy())

    def _some(self, pictures: NDArray[np.int64]) -> NDArray[np.int64]:
        chosen: NDArray[np.int64] = pictures[
            choose(len(pictures), self.training.views, self.entropy)
        ]
        return chosen

    def _loss(self, plain: Objective) -> Callable[[nn.Module, NDArray[np.int64]], Tensor]:
        room, told = self.room, self.training

        def loss(module: nn.Module, rows: NDArray[np.int64]) -> Tensor:
            adversary = CropAdversary(
                trunk=room.public.trunk.module,
                crops=to_pixels(room.private.crops(rows)),
                steps=told.attack,
                eps=told.eps,
                entropy=self.drawn[1],
            )
            return Hardened(plain, adversary)(module, torch.from_numpy(room.features[rows]))

        return loss

    def _sigma(self) -> float:
        told = self.training
        if self.epsilon is None:
            return 0.0
        return sigma_for(self.epsilon, told.delta, told.rate, told.steps)

    def _people(self) -> int:
        """Declared, in fives, as the laboratory declares them."""
        return 5 * math.ceil(len(self.room.private.people) / 5)

    def _shift(self) -> NDArray[np.float32]:
        return np.zeros(self.room.features.shape[1], np.float32)
