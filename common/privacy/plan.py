"""The privacy plan: every noisy release of a run, fixed before the first one.

The centre writes it, each site prices it against its own ledger before round 1 and refuses it
whole if it does not fit. It is a list of mechanisms, each a Gaussian on a sum of clipped
contributions, one contribution a person. Nothing in it is derived from anybody's face.
"""

import dataclasses
import hashlib
import json
import math
import re
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, TypeAlias

from common.config import build
from common.errors import ConfigError, PlanError
from common.models.tail import BIAS, WEIGHT
from common.privacy.accountant import Event
from common.privacy.cells import MOST_THRESHOLDS, sensitivity
from common.privacy.heads import HeadTerms, check_heads, shorten

NoiseModel = Literal["local", "distributed", "none"]

SHIPPED_OBJECTIVES = ("contrast", "compact")  # every agent knows them; others are plug-ins

_ADVERSARIAL = ("adversarial_steps", "adversarial_eps", "adversarial_on")
_NAME = re.compile(r"[a-z0-9._-]{1,64}")
_PLUG_IN = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,99}:[A-Za-z_][A-Za-z0-9_]{0,59}")
_MOST = 10**9  # no honest plan comes near; a hostile one must not overflow anything
_MOST_STEPS = 10**5
_MOST_ADVERSARIAL = 20  # steps against one person's pictures: each costs as much as a plain step
_MOST_MECHANISMS = 64  # pricing a plan takes a fraction of a second for each sampled one


@dataclass(frozen=True, kw_only=True, slots=True)
class MomentMechanism:
    """One Gaussian release of a sum over everybody: no sampling, one round.

    ``clip`` is the L2 sensitivity of the whole contribution: what one person moves at most.
    """

    kind: Literal["mean", "scatter", "moments"]
    sigma: float  # noise multiplier: standard deviation over clip
    clip: float
    name: str

    def __post_init__(self) -> None:
        _make_plain(self)
        _check_noise(self.name, self.sigma, self.clip)

    @property
    def event(self) -> Event:
        """What one round costs."""
        return Event(self.sigma)

    @property
    def rounds(self) -> int:
        """How many rounds the mechanism takes."""
        return 1


@dataclass(frozen=True, kw_only=True, slots=True)
class GradientMechanism:
    """DP-SGD over people: each step Poisson-samples them and clips one gradient a person.

    ``proximal`` is the mu of FedProx (Li et al. 2020): every step also moves the tail by learning
    rate * mu towards where the round began. It acts on noised values only, so it costs nothing
    and needs no clip; at one step a round there is nothing yet to pull back.

    With ``adversarial_steps`` a person's loss is the mean of the loss of their pictures and of
    their pictures attacked: own pictures, the tail as it is, public negatives, nothing else. Its
    one gradient is clipped once, so it costs no more. ``adversarial_eps`` is the radius: L2 of a
    feature, or L-inf of pixels in [0, 1] where the attack is on ``crops``.

    With ``heads`` it is ``identity`` times that loss plus each head's weight times its loss of the
    same pictures, as they are and not attacked: still one scalar, one gradient, one clip. At
    ``identity`` 0 the heads alone are trained, and the tail neither moves nor is released.
    """

    kind: Literal["gradient"] = "gradient"
    sigma: float  # noise multiplier: standard deviation over clip
    clip: float
    rate: float  # Poisson sampling probability of each person
    rounds: int
    steps_per_round: int = 1
    views: int = 4  # pictures of a sampled person used in a step, at most
    learning_rate: float = 1.0
    negatives: int = 256  # public features a step contrasts with
    scale: float = 16.0  # inverse temperature of the contrast
    objective: str = "contrast"  # one of ``SHIPPED_OBJECTIVES``, or a laboratory's module:name
    name: str = "gradient"
    proximal: float = 0.0
    adversarial_steps: int = 0  # 0: nothing is attacked
    adversarial_eps: float = 0.0
    adversarial_on: Literal["features", "crops"] = "features"  # crops: where a site keeps them
    heads: tuple[HeadTerms, ...] = ()
    identity: float = 1.0  # weight of the objective beside the heads

    def __post_init__(self) -> None:
        _make_plain(self)
        _check_noise(self.name, self.sigma, self.clip)
        _check_adversary(self)
        check_heads(self.name, self.heads, self.identity)
        if not 0 < self.rate <= 1:
            raise PlanError(f"{self.name}: rate must be in (0, 1], got {self.rate}")
        if not is_objective(self.objective):
            raise PlanError(f"{self.name}: no objective {self.objective!r}")
        for key in ("rounds", "steps_per_round", "views", "negatives"):
            if not 1 <= getattr(self, key) <= _MOST_STEPS:
                raise PlanError(f"{self.name}: {key} must be in [1, {_MOST_STEPS}]")
        if self.rounds * self.steps_per_round > _MOST_STEPS:
            raise PlanError(f"{self.name}: more than {_MOST_STEPS} steps")
        for key in ("learning_rate", "scale"):
            if not 0 < getattr(self, key) <= _MOST:
                raise PlanError(f"{self.name}: {key} must be in (0, {_MOST}]")
        fastest = max((self.learning_rate, *self.learning_rates.values()))
        if not 0 <= self.proximal * fastest <= 1:  # beyond, a pull would overshoot
            raise PlanError(f"{self.name}: proximal must be in [0, 1 / learning_rate]")

    @property
    def event(self) -> Event:
        """What one round costs."""
        return Event(self.sigma, self.rate, self.steps_per_round)

    @property
    def trained(self) -> tuple[str, ...]:
        """The shared arrays that a round moves, in the order in which their sums are put."""
        return tuple(self.learning_rates)

    @property
    def learning_rates(self) -> dict[str, float]:
        """Of each of them, in that order: a head may have one of its own."""
        rates = dict.fromkeys((WEIGHT, BIAS) if self.identity > 0 else (), self.learning_rate)
        for head in self.heads:
            rates |= dict.fromkeys(head.arrays, head.learning_rate or self.learning_rate)
        return rates

    @property
    def without_momentum(self) -> frozenset[str]:
        """Those that the centre's momentum leaves alone: of heads with a rate of their own."""
        own = (head.arrays for head in self.heads if head.learning_rate)
        return frozenset(name for arrays in own for name in arrays)


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationMechanism:
    """How well a tail does on a site's people: one Gaussian release of a sum of rates, one round.

    Nothing trains on it. What one person adds at most follows from ``thresholds`` alone, so no
    plan can state a smaller clip: see ``common.privacy.cells``.
    """

    kind: Literal["evaluation"] = "evaluation"
    sigma: float  # noise multiplier: standard deviation over clip
    thresholds: int = 1
    name: str = "evaluation"

    def __post_init__(self) -> None:
        _make_plain(self)
        if not 1 <= self.thresholds <= MOST_THRESHOLDS:
            raise PlanError(f"{self.name}: thresholds must be in [1, {MOST_THRESHOLDS}]")
        _check_noise(self.name, self.sigma, self.clip)

    @property
    def clip(self) -> float:
        """The joint L2 sensitivity of everything one person adds."""
        return sensitivity(self.thresholds)

    @property
    def event(self) -> Event:
        """What the round costs."""
        return Event(self.sigma)

    @property
    def rounds(self) -> int:
        """How many rounds the mechanism takes."""
        return 1


Mechanism: TypeAlias = MomentMechanism | GradientMechanism | EvaluationMechanism


@dataclass(frozen=True, slots=True)
class Round:
    """One release of a plan: which mechanism, and which of its steps it covers."""

    number: int  # from 1, through the whole plan
    mechanism: Mechanism
    steps: range  # of this mechanism

    @property
    def event(self) -> Event:
        """What the ledger charges before the round samples anybody."""
        return self.mechanism.event


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """Everything a plan says besides its mechanisms."""

    unit: Literal["person"] = "person"
    adjacency: Literal["add/remove one person"] = "add/remove one person"
    people: int  # declared for each site and public; divides sums in place of the true count
    delta: float
    noise: NoiseModel = "local"
    honest_sites: int = 1  # sites that add noise for certain: n - t, dropouts and colluders off
    trunk: str = ""  # hashes of what is public
    tail: str = ""
    public: str = ""
    cohort: int = 1  # fewest sites a round may have
    pooling: Literal["camera_type", "all"] = "camera_type"  # whose releases are averaged together
    release_slot: float = 0.0  # seconds after which a reply leaves, whatever it took; 0 = at once

    def __post_init__(self) -> None:
        _make_plain(self)
        for key in ("people", "cohort", "honest_sites"):
            if not 1 <= getattr(self, key) <= _MOST:
                raise PlanError(f"{key} must be in [1, {_MOST}]")
        if not 0 < self.delta < 1:
            raise PlanError(f"delta must be in (0, 1), got {self.delta}")
        if not 0 <= self.release_slot < math.inf:
            raise PlanError("release_slot must be finite and not negative")
        if self.noise != "distributed" and self.honest_sites != 1:
            raise PlanError("honest_sites belongs to distributed noise")
        if self.cohort < self.honest_sites:
            raise PlanError("cohort must be at least honest_sites, or a round may lack noise")


@dataclass(frozen=True, kw_only=True, slots=True)
class PrivacyPlan(Terms):
    """What a run may release, to whom it is close, and on whose honesty it rests.

    Guarantee: a site that follows the plan releases something (epsilon, delta)-DP, epsilon =
    ``accountant.epsilon(plan.events(), delta)``, under adding or removing one person with all
    pictures. With ``local`` noise this holds against everybody; with ``distributed`` noise only
    while ``honest_sites`` sites add their noise and the centre sees nothing but the sum; with
    ``none`` there is no guarantee at all (the laboratory only).
    Leaks: the plan itself is public, ``people`` included: it is a declared capacity, not a count.
    """

    mechanisms: tuple[Mechanism, ...]

    def __post_init__(self) -> None:
        Terms.__post_init__(self)
        names = [m.name for m in self.mechanisms]
        if not 1 <= len(names) <= _MOST_MECHANISMS:
            raise PlanError(f"a plan has 1 to {_MOST_MECHANISMS} mechanisms")
        if len(set(names)) != len(names):
            raise PlanError("two mechanisms have the same name")
        silent = [m.name for m in self.mechanisms if m.sigma == 0]
        if self.noise == "none" and silent != names:
            raise PlanError('noise = "none" adds nothing, so every sigma must be 0')
        if self.noise != "none" and silent:
            raise PlanError(f'sigma = 0 needs noise = "none": {", ".join(silent)}')
        if self.noise == "distributed" and any(m.event.steps > 1 for m in self.mechanisms):
            # A second local step would follow a first one that carries only this site's share.
            raise PlanError("distributed noise allows one step a round")

    @property
    def rounds(self) -> tuple[Round, ...]:
        """Every release of the plan in order; ``rounds[n - 1]`` has number ``n``."""
        done: list[Round] = []
        for mechanism in self.mechanisms:
            each = mechanism.event.steps
            for first in range(0, mechanism.rounds * each, each):
                done.append(Round(len(done) + 1, mechanism, range(first, first + each)))
        return tuple(done)

    @property
    def heads(self) -> tuple[HeadTerms, ...]:
        """Every head that some mechanism trains; none in most plans."""
        gradients = [m for m in self.mechanisms if isinstance(m, GradientMechanism)]
        return tuple(head for mechanism in gradients for head in mechanism.heads)

    def events(self) -> tuple[Event, ...]:
        """The whole plan as the accountant sees it, one event a mechanism."""
        return tuple(
            dataclasses.replace(m.event, steps=m.event.steps * m.rounds) for m in self.mechanisms
        )

    def site_sigma(self, mechanism: Mechanism) -> float:
        """The noise multiplier that one site applies: the only place where noise is shared out.

        Distributed: ``honest_sites`` equal shares of variance add up to (sigma clip)^2 in the sum.
        """
        return mechanism.sigma / math.sqrt(self.honest_sites)

    def to_json(self) -> str:
        """Canonical JSON: equal plans give equal text, and so equal digests.

        A proximal term of 0, an attack of no steps, an empty list of heads and what a head does
        not say are left out, as in plans from before there were any.
        """
        table = dataclasses.asdict(self)
        for entry in table["mechanisms"]:
            if entry.get("proximal") == 0:
                del entry["proximal"]
            if entry.get("adversarial_steps") == 0:
                for key in _ADVERSARIAL:
                    del entry[key]
            if not entry.get("heads", True):
                del entry["heads"], entry["identity"]
            for head in entry.get("heads", ()):
                shorten(head)
        return json.dumps(table, sort_keys=True, separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "PrivacyPlan":
        """Reads ``to_json``; PlanError for anything unknown, missing, doubled or inconsistent."""
        try:
            table = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)
            mechanisms = table.pop("mechanisms") if isinstance(table, dict) else None
            if not isinstance(mechanisms, list):
                raise PlanError("a plan is an object with a list of mechanisms")
            terms = dataclasses.asdict(build(Terms, table, "plan"))
            return cls(**terms, mechanisms=tuple(_mechanism(entry) for entry in mechanisms))
        except KeyError as error:
            raise PlanError(f"plan: missing {error}") from None
        except (ConfigError, ValueError, RecursionError) as error:
            raise PlanError(f"not a plan: {error}") from None

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON, in hexadecimal."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


def is_objective(name: str) -> bool:
    """Whether ``name`` is a shipped objective or looks like a plug-in's, ``package.module:name``.

    Only the laboratory runs plug-ins: a site's policy refuses a plan that names one.
    """
    return name in SHIPPED_OBJECTIVES or bool(_PLUG_IN.fullmatch(name))


def _mechanism(entry: Any) -> Mechanism:
    if not isinstance(entry, dict):
        raise PlanError("a mechanism is an object")
    if entry.get("kind") == "gradient":
        return build(GradientMechanism, entry, "plan mechanism")
    if entry.get("kind") == "evaluation":
        return build(EvaluationMechanism, entry, "plan mechanism")
    return build(MomentMechanism, entry, "plan mechanism")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise PlanError("a key is given twice")
    return table


def _refuse(constant: str) -> NoReturn:
    raise PlanError(f"{constant} is not a number")


def _make_plain(settings: Any) -> None:
    """Turns 1 into 1.0 where a float belongs: one plan must not have two digests."""
    for entry in dataclasses.fields(settings):
        if entry.type in (float, int):
            object.__setattr__(settings, entry.name, entry.type(getattr(settings, entry.name)))


def _check_noise(name: str, sigma: float, clip: float) -> None:
    if not _NAME.fullmatch(name):
        raise PlanError("a mechanism's name is 1-64 of a-z, 0-9, '.', '_' and '-'")
    if not 0 <= sigma <= _MOST:
        raise PlanError(f"{name}: sigma must be in [0, {_MOST}]")
    if not 0 < clip <= _MOST:
        raise PlanError(f"{name}: clip must be in (0, {_MOST}]")


def _check_adversary(mechanism: GradientMechanism) -> None:
    """One plan has one text: an attack is whole, or nothing of it is said."""
    name, on = mechanism.name, mechanism.adversarial_on
    if on not in ("features", "crops"):
        raise PlanError(f"{name}: adversarial_on must be features or crops, got {on!r}")
    if not 0 <= mechanism.adversarial_steps <= _MOST_ADVERSARIAL:
        raise PlanError(f"{name}: adversarial_steps must be in [0, {_MOST_ADVERSARIAL}]")
    if not 0 <= mechanism.adversarial_eps <= (1.0 if on == "crops" else _MOST):
        raise PlanError(f"{name}: adversarial_eps is a radius of {on}, not below 0")
    told = (mechanism.adversarial_steps > 0, mechanism.adversarial_eps > 0)
    if any(told) != all(told) or (on == "crops" and not all(told)):
        raise PlanError(f"{name}: adversarial_steps and adversarial_eps go together")
    if any(told) and mechanism.identity == 0:
        raise PlanError(f"{name}: attacks are on identity, and identity = 0 trains none")
