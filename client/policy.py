"""What a site allows, whatever a charter asks: the operator's file against the centre's plan."""

import math
import re
from dataclasses import dataclass, field
from typing import Any

from client.privacy.ledger import Budget
from common.config import build, read_toml
from common.errors import (
    CohortError,
    ConfigError,
    ForbiddenError,
    LabelError,
    PlanError,
    TrunkError,
)
from common.evidence.limits import SHIPPED, Gates
from common.moments.names import EVALUATION, GRADIENT, evaluation_sum, sum_name
from common.privacy import accountant
from common.privacy.heads import GENDER, WORDS, HeadTerms
from common.privacy.plan import (
    SHIPPED_OBJECTIVES,
    EvaluationMechanism,
    GradientMechanism,
    Mechanism,
    PrivacyPlan,
)
from common.secagg.terms import LEAST_SITES, MOST_SITES
from common.text.denied import AGE, check_denied, denied_names, denies
from common.text.forbidden import SITE, category, refuse
from common.text.vocabulary import FEMALE

MOST_EPSILON = 50.0
TRAINED = ("attributes", "age", GENDER, WORDS)  # kinds of heads that a plan may train
MECHANISMS = ("mean", "scatter", "moments", "gradient", "evaluation")  # kinds that one may deny
_HASH = re.compile(r"[0-9a-f]{64}")
_PART = re.compile(r"[.-]")


@dataclass(frozen=True, kw_only=True, slots=True)
class AutoAccept:
    """Up to where a charter is accepted without asking the operator; by default never."""

    epsilon: float = 0.0  # of the charter's plan, at the policy's delta
    rounds: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.epsilon <= MOST_EPSILON:
            raise ConfigError(f"epsilon must be in [0, {MOST_EPSILON:g}], got {self.epsilon}")
        if self.rounds < 0:
            raise ConfigError(f"rounds must not be negative, got {self.rounds}")


@dataclass(frozen=True, kw_only=True, slots=True)
class ReleasePolicy:
    """What a release has to show before this site stages it, whatever the centre found enough, and
    which of the heads that it brings the door reads faces by, where describing is switched on."""

    unsigned: bool = False  # whether a tail that nobody signed may be staged in a federation
    heads: tuple[str, ...] = ("attributes", "age", "words")  # kinds; gender where it is named
    gates: dict[str, Any] = field(default_factory=dict)  # limits, in the place of those shipped

    def __post_init__(self) -> None:
        _check_kinds("[release] heads", self.heads, TRAINED)
        self.limits()

    def limits(self) -> Gates:
        """The gates of this site; ``ConfigError`` for a limit that there is not."""
        return build(Gates, {**read_toml(SHIPPED), **self.gates}, "[release.gates]")


@dataclass(frozen=True, kw_only=True)
class SitePolicy:
    """The limits of one site. ``epsilon`` at ``delta`` is for the whole life of the ledger.

    With ``yearly_refresh`` it is for one calendar year (UTC): people may then lose that much again
    every year, and what is shown as lost is still counted from the ledger's first row.

    Guarantee: only plans with noise are accepted, and what carries but a share of the noise leaves
    this site in a secure sum of ``least_sites`` or more, never by itself. A ledger with a
    larger budget, one that a power cut may shorten, and noise that can be repeated are refused
    before any plan is looked at.
    """

    epsilon: float
    delta: float
    declared_people: int = 100  # public, and stands in for a count of the site's people
    rounds: int = 1000  # of one plan, at most
    release_slot: float = 600.0  # seconds an answer may be held back, at most
    trunks: tuple[str, ...] = ()  # SHA-256 of those that may be used; empty: the site's own
    tensors: tuple[str, ...] = ("moments.", GRADIENT, EVALUATION)  # may leave: names or beginnings
    heads: tuple[str, ...] = ()  # kinds that may learn from labels: people agreed to that, too
    denied_attributes: tuple[str, ...] = ()  # no mechanism may be about them, nor any label
    cohort: int = 1  # fewest sites a charter must ask for
    least_sites: int = LEAST_SITES  # fewest sites in a secure sum that this one is part of
    yearly_refresh: bool = False  # whether epsilon is for a calendar year
    auto_accept: AutoAccept = AutoAccept()
    release: ReleasePolicy = field(default_factory=ReleasePolicy)

    def __post_init__(self) -> None:
        if not 0 < self.epsilon <= MOST_EPSILON:
            raise ConfigError(f"epsilon must be in (0, {MOST_EPSILON:g}], got {self.epsilon}")
        if not 0 < self.delta < 1e-2:
            raise ConfigError(f"delta must be in (0, 0.01), got {self.delta}")
        if not 1 <= self.declared_people <= 1_000_000:
            raise ConfigError(
                f"declared_people must be in [1, 1000000], got {self.declared_people}"
            )
        if not 1 <= self.cohort <= 1_000_000:
            raise ConfigError(f"cohort must be in [1, 1000000], got {self.cohort}")
        if not LEAST_SITES <= self.least_sites <= MOST_SITES:
            raise ConfigError(
                f"least_sites must be in [{LEAST_SITES}, {MOST_SITES}], got {self.least_sites}: a "
                "sum of fewer hides nothing"
            )
        if any(not _HASH.fullmatch(trunk) for trunk in self.trunks):
            raise ConfigError("trunks are SHA-256 hashes: 64 of 0-9 and a-f")
        _check_kinds("heads", self.heads, TRAINED)
        check_denied(self.denied_attributes, besides=(*SHIPPED_OBJECTIVES, *MECHANISMS))
        if "" in self.tensors:
            raise ConfigError("tensors must not hold an empty name, which would allow any")
        if self.rounds < 1:
            raise ConfigError(f"rounds must be at least 1, got {self.rounds}")
        if not 0 <= self.release_slot < math.inf:
            raise ConfigError(f"release_slot must be finite, got {self.release_slot}")

    def automatic(self, plan: PrivacyPlan) -> bool:
        """Whether ``plan`` is within what the operator accepts without being asked."""
        rounds = sum(mechanism.rounds for mechanism in plan.mechanisms)
        if rounds > self.auto_accept.rounds:
            return False
        return accountant.epsilon(plan.events(), self.delta) <= self.auto_accept.epsilon

    def allows_noise(self, plan: PrivacyPlan) -> bool:
        """Whether ``plan`` adds noise at all."""
        return plan.noise in ("local", "distributed")

    def allows_plain(self, plan: PrivacyPlan) -> bool:
        """Whether a release may leave by itself: only with all of its noise. What has a share of
        it belongs into a secure sum."""
        return plan.noise == "local"

    def allows_objective(self, name: str) -> bool:
        """Whether people may be trained on objective ``name``: the reviewed ones only."""
        return name in SHIPPED_OBJECTIVES

    def allows_head(self, kind: str) -> bool:
        """Whether labels of this kind may be learnt from: only where the operator says so."""
        return kind in self.heads

    def check_label(self, name: str) -> None:
        """Raises unless ``name`` (of the vocabulary, ``female`` or ``age``) may be said of
        somebody's picture here, and learnt from: ``LabelError`` where no head of its kind is
        switched on, ``ForbiddenError`` where it is about what is forbidden or denied."""
        kind = {AGE: AGE, FEMALE: GENDER}.get(name, "attributes")
        if not self.allows_head(kind):
            raise LabelError(
                f"no head may learn from {kind} at this site, so nothing is said of it: "
                f'heads = ["{kind}"] in policy.toml, if the people agreed to it'
            )
        self._refuse(kind, (name,) if kind == "attributes" else ())

    def allows_label(self, name: str) -> bool:
        """The same, without a word."""
        try:
            self.check_label(name)
        except (LabelError, ForbiddenError):
            return False
        return True

    def check_means(self, budget: Budget, entropy: str, durable: bool) -> None:
        """Raises ``ConfigError`` if an agent's ledger or source of noise promises less than this.

        ``entropy`` is the kind of the source, ``durable`` whether the ledger outlives a power cut.
        """
        if not durable:
            raise ConfigError("the ledger must outlive a power cut")
        if not (budget.epsilon <= self.epsilon and budget.delta <= self.delta):
            raise ConfigError("the ledger's budget is larger than the policy's")
        if entropy != "os":
            raise ConfigError("noise must come from the operating system")

    def check(self, plan: PrivacyPlan, trunk: str) -> None:
        """Raises ``PlanError`` or ``TrunkError`` if ``plan`` asks for more than is allowed."""
        if not self.allows_noise(plan):
            raise PlanError(f"noise = {plan.noise!r} is not allowed at this site")
        if plan.cohort < self.cohort:
            raise CohortError(f"a cohort of {plan.cohort}, this site asks for {self.cohort}")
        for mechanism in plan.mechanisms:
            self._check_mechanism(mechanism)
        rounds = sum(mechanism.rounds for mechanism in plan.mechanisms)  # never listed one by one
        if rounds > self.rounds:
            raise PlanError(f"{rounds} rounds, this site allows {self.rounds}")
        if plan.release_slot > self.release_slot:
            raise PlanError(f"answers held back {plan.release_slot} s, at most {self.release_slot}")
        if plan.trunk != trunk:
            raise TrunkError("the plan names another trunk than the one this site runs")
        if self.trunks and trunk not in self.trunks:
            raise TrunkError("the trunk is not among those that policy.toml allows")

    def check_tensor(self, name: str) -> None:
        """Raises ``PlanError`` unless the array ``name`` may ever leave this site."""
        beginnings = tuple(entry for entry in self.tensors if entry.endswith("."))
        if name not in self.tensors and not name.startswith(beginnings):
            raise PlanError(f"{name} is not among the tensors that policy.toml allows")

    def _check_mechanism(self, mechanism: Mechanism) -> None:
        about = [mechanism.name, mechanism.kind]
        if isinstance(mechanism, GradientMechanism):
            if not self.allows_objective(mechanism.objective):
                raise PlanError(f"objective {mechanism.objective!r} is not allowed at this site")
            if mechanism.adversarial_on == "crops":
                raise PlanError(
                    "adversarial_on = 'crops' needs pictures, and this site keeps features only: "
                    "ask the centre for adversarial_on = 'features'"
                )
            for head in mechanism.heads:
                self._check_head(head)
            about.append(mechanism.objective)
            released = [GRADIENT + name for name in mechanism.trained]
        elif isinstance(mechanism, EvaluationMechanism):
            released = [evaluation_sum(mechanism.name)]
        else:
            released = [sum_name(mechanism.name)]
        self._check_names(about)
        for name in released:
            self.check_tensor(name)

    def _check_names(self, about: list[str]) -> None:
        """Raises ``PlanError`` for a mechanism whose names, or a part of them between dots and
        hyphens, are about what is denied here or forbidden everywhere."""
        parts = {part for name in about for part in (name, *_PART.split(name))}
        if category(about) is not None or any(denies(self.denied_attributes, one) for one in parts):
            raise PlanError(f"{about[0]}: denied by policy.toml, or forbidden everywhere")

    def _check_head(self, head: HeadTerms) -> None:
        """Raises ``PlanError`` for a head that this site does not switch on, or whose labels are
        about what is forbidden everywhere or denied here. The error names the category alone."""
        if not self.allows_head(head.kind):
            raise PlanError(
                f"a head for {head.kind} learns from labels, and this site switches none on: "
                f'heads = ["{head.kind}"] in policy.toml, if the people agreed to it'
            )
        try:
            self._refuse(head.kind, head.names)
        except ForbiddenError as error:
            raise PlanError(f"the labels of a head: {error}") from None

    def _refuse(self, kind: str, names: tuple[str, ...]) -> None:
        """``ForbiddenError`` for labels called ``names``, of a head of that ``kind``, that are
        forbidden everywhere or about what is denied here."""
        refuse(names)
        denied = self.denied_attributes
        if kind in denied_names(denied) or any(denies(denied, name) for name in names):
            raise ForbiddenError(SITE)


def _check_kinds(where: str, kinds: tuple[str, ...], known: tuple[str, ...]) -> None:
    if unknown := set(kinds) - set(known):
        raise ConfigError(f"{where}: there is no {', '.join(sorted(unknown))}")
