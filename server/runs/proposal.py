"""A charter before it is signed: solved from a budget and public people, kept beside its arrays.

A proposal binds nobody. Everything in it is public or chosen by the administrator; nothing in it
was derived from a person at a site.
"""

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from common.config import build
from common.errors import CharterError, ConfigError, PlanError
from common.moments.reference import MEAN_SHARE
from common.privacy.heads import HeadTerms
from common.privacy.plan import PrivacyPlan
from common.trust.charter import CharterTerms, arrays_digest
from common.trust.storing import read, replace
from server.charter import INITIAL, Charter
from server.mechanisms import RATE, Recipe, make_mechanisms
from server.runs.pacing import paced
from server.strategies.choice import FEDAVG, StrategyChoice

PROPOSAL = "proposal.json"
GRADIENT_SHARE = 0.3  # of the budget, where gradients are asked for
MOST_EXPIRY = 366 * 86400.0  # seconds

Arrays = Mapping[str, NDArray[Any]]

_RUN = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What an administrator asks of a run. ``rounds`` of gradients, 0 for moments only;
    ``evaluation`` is the share of the budget that figures about the sites' people may cost.

    ``sample_rate`` is the probability with which such a round draws each person, and None the
    usual one, or 1 where it trains heads alone; ``people`` is the declared number of each site,
    ``expires`` the seconds a site has to accept it in, ``timeout`` those that a round may take,
    ``release_slot`` those after which every answer leaves. Heads without a learning rate get one
    (``pacing``). ``ConfigError`` for numbers nobody can mean; ``PlanError`` comes from the plan.
    """

    run: str
    epsilon: float
    delta: float
    people: int
    cohort: int
    rounds: int = 0
    sample_rate: float | None = None
    noise: Literal["local", "distributed"] = "local"
    honest_sites: int = 1
    pooling: Literal["camera_type", "all"] = "camera_type"
    mean_share: float = MEAN_SHARE
    evaluation: float = 0.0
    evaluate_before: bool = False
    expires: float = 30 * 86400.0
    timeout: float = 3600.0
    release_slot: float = 5.0
    strategy: StrategyChoice = FEDAVG
    adversarial_steps: int = 0  # against features, inside the gradient rounds
    adversarial_eps: float = 0.0
    heads: tuple[HeadTerms, ...] = ()  # trained there too, in the same step
    identity: float = 1.0

    def __post_init__(self) -> None:
        check_run(self.run)
        if not (0 < self.epsilon <= 50 and 0 < self.delta < 1e-2):
            raise ConfigError("epsilon must be in (0, 50] and delta in (0, 0.01)")
        if not 0 <= self.rounds <= 1000:
            raise ConfigError(f"rounds must be in [0, 1000], got {self.rounds}")
        if (self.adversarial_steps or self.adversarial_eps) and not self.rounds:
            raise ConfigError("attacks are trained against in gradient rounds: give --rounds")
        if self.heads and not self.rounds:
            raise ConfigError("heads are trained in gradient rounds: give --rounds")
        if not 60 <= self.expires <= MOST_EXPIRY:
            raise ConfigError("expires must be between a minute and 366 days")
        if self.noise == "distributed" and self.honest_sites < 2:
            raise ConfigError(
                "distributed noise is shared by --honest-sites k of the cohort, 2 or more; "
                "with one honest site it is local noise"
            )
        if self.release_slot > self.timeout:
            raise ConfigError("an answer must leave before the round is over: timeout is too short")

    @property
    def recipe(self) -> Recipe:
        """How the budget is shared out."""
        return Recipe(
            delta=self.delta,
            mean_share=self.mean_share,
            gradient_share=GRADIENT_SHARE if self.rounds else 0.0,
            gradient_rounds=self.rounds or 1,
            gradient_rate=self._rate,
            evaluation_share=self.evaluation,
            evaluate_before=self.evaluate_before,
            adversarial_steps=self.adversarial_steps,
            adversarial_eps=self.adversarial_eps,
            heads=self.heads,
            identity=self.identity,
        )

    @property
    def _rate(self) -> float:
        """Few people drawn often cost heads more noise than all of them each time."""
        if self.sample_rate is not None:
            return self.sample_rate
        return 1.0 if self.heads and not self.identity else RATE


@dataclass(frozen=True, kw_only=True, slots=True)
class Ground:
    """What is public of a run: hashes of trunk and of the public pictures, and the opening's.

    ``radius`` is the clip norm of a person's scatter, from public people only; ``thresholds`` is
    at how many of the usual rates of false matches there are enough public pairs to evaluate.
    """

    federation: str
    trunk: str
    tail: str
    public: str
    radius: float
    thresholds: int = 0


def propose(asked: Asked, ground: Ground, initial: Arrays, now: float) -> CharterTerms:
    """The terms that ``asked`` comes to on ``ground``, as of ``now`` (seconds since 1970).

    Raises ``ConfigError`` for a budget that no noise meets, a strategy the plan rules out, or an
    evaluation that public people are too few for.
    """
    if asked.evaluation and not ground.thresholds:
        raise ConfigError(
            "an evaluation accepts at the cosine that 1 % of the pairs of public people reach, "
            "and there are fewer than 1,000 such pairs: bring more --public people, or leave "
            "--evaluation out"
        )
    recipe = dataclasses.replace(asked.recipe, thresholds=max(ground.thresholds, 1))
    try:
        mechanisms = make_mechanisms(recipe, ground.radius, asked.epsilon)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    plan = PrivacyPlan(
        mechanisms=mechanisms,
        people=asked.people,
        delta=asked.delta,
        noise=asked.noise,
        honest_sites=asked.honest_sites,
        trunk=ground.trunk,
        tail=ground.tail,
        public=ground.public,
        cohort=asked.cohort,
        pooling=asked.pooling,
        release_slot=asked.release_slot,
    )
    plan = paced(plan)
    charter = Charter(run=asked.run, plan=plan, timeout=asked.timeout, strategy=asked.strategy)
    return charter.terms(ground.federation, initial, int(now + asked.expires))


@dataclass(frozen=True, kw_only=True, slots=True)
class _File:
    federation: str
    run: str
    initial: str
    expires: int
    timeout: float


def write_proposal(folder: Path, terms: CharterTerms, initial: Arrays) -> None:
    """Writes proposal and initial arrays into ``folder``; ``DeploymentError`` if it cannot."""
    from safetensors.numpy import save

    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    table = {key: getattr(terms, key) for key in ("federation", "run", "initial", "expires")}
    table |= {"timeout": terms.timeout, "centre": dict(terms.centre)}
    table["plan"] = json.loads(terms.plan.to_json())
    arrays = {name: np.ascontiguousarray(array) for name, array in initial.items()}
    replace(folder / INITIAL, save(arrays))
    replace(folder / PROPOSAL, (json.dumps(table, indent=2) + "\n").encode())


def read_proposal(folder: Path) -> tuple[CharterTerms, dict[str, NDArray[Any]]]:
    """The proposal in ``folder``; ``CharterError`` if there is none or its arrays are others."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    content, arrays = read(folder / PROPOSAL), read(folder / INITIAL)
    if content is None or arrays is None:
        raise CharterError(
            f"{folder} holds no proposal: `mascaron-admin charter propose` makes one"
        )
    try:
        table = json.loads(content)
        plan = PrivacyPlan.from_json(json.dumps(table.pop("plan")))
        centre = table.pop("centre")
        file = build(_File, table, str(folder / PROPOSAL))
        initial = dict(load(arrays))
        terms = CharterTerms(
            **{key: getattr(file, key) for key in _File.__dataclass_fields__},
            plan=plan,
            centre=dict(centre),
        )
    except (ConfigError, PlanError) as error:
        raise CharterError(f"cannot read the proposal: {error}") from None
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError, SafetensorError):
        raise CharterError(f"cannot read the proposal in {folder}: propose it again") from None
    if arrays_digest(initial) != terms.initial:
        raise CharterError(f"{folder / INITIAL} is not what was proposed: propose it again")
    return terms, initial


def check_run(name: str) -> None:
    """Raises ``ConfigError`` unless ``name`` can name a run and its folders."""
    if not _RUN.fullmatch(name):
        raise ConfigError(
            "a run's name is 1-63 of a-z, 0-9, '.', '_' and '-', with a letter or digit at "
            f"either end: not {name!r}"
        )
