"""The parts of a report on robustness; each asks the cells for what it needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from common.attacks import masking
from common.attacks.gradient import Pgd
from common.attacks.masks import PLACES, lasting, worn
from common.attacks.minimal import median, minimal_distortion
from common.attacks.signals import SIGNALS, Unsuspicious, inconsistency, separation
from common.attacks.target import GOALS, NORMS, Attack, Budget, Goal, Trials
from common.attacks.transfer import NOISE, Contender, Made, transfer
from simulations.evidence.robustness.cells import Cells, packed, unpacked
from simulations.evidence.robustness.pairs import Attacked
from simulations.evidence.robustness.plan import QUERIED, SIGNAL, TRANSFER, Plan
from simulations.evidence.robustness.rates import share

Figures = dict[str, Any]
Curves = dict[str, dict[str, dict[Goal, dict[str, masking.Outcomes]]]]  # norm, attack, goal, eps
ORDER = (("pgd", "fgsm"), ("apgd", "pgd"), ("apgd", "noise"))  # of the curves: stronger, weaker


@dataclass(frozen=True, eq=False, kw_only=True)
class Field:
    """What is attacked: the model under test, the pairs of each goal, the plan, the cells."""

    model: Contender
    attacked: Mapping[Goal, Attacked]
    plan: Plan
    cells: Cells

    def some(self, goal: Goal, count: int) -> Trials:
        """The first attempts of ``goal`` that the model decides correctly."""
        return self.attacked[goal].first(count)[1]


def curves(field: Field) -> Curves:
    """Who is fooled by each attack at each budget; queries on some pairs and at one budget."""
    made: Curves = {}
    for name, budget in field.plan.budgets():
        for attack, does in field.plan.curves().items():
            for goal in GOALS:
                trials = field.some(goal, len(field.attacked[goal].right))
                found = _cell(field, (attack, budget.norm, name, goal), trials, does, budget)
                made.setdefault(budget.norm, {}).setdefault(attack, {}).setdefault(goal, {})[
                    name
                ] = found
    for norm, budget in QUERIED.items():
        for goal in GOALS:
            couples, trials = field.attacked[goal].first(field.plan.queried)
            starts = couples.references if goal == "impersonate" else None
            for attack, does in field.plan.queries_of(starts).items():
                name = f"{budget.eps * 255:g}/255" if norm == "linf" else f"{budget.eps:g}"
                found = _cell(field, (attack, norm, name, goal), trials, does, budget)
                made.setdefault(norm, {}).setdefault(attack, {}).setdefault(goal, {})[name] = found
    return made


def curve_figures(found: Curves) -> Figures:
    """The contract's {norm: {attack: {goal: {eps: {value, ci95, n}}}}}."""
    return {
        norm: {
            attack: {
                goal: {eps: share(fooled) for eps, fooled in by_eps.items()}
                for goal, by_eps in by_goal.items()
            }
            for attack, by_goal in by_attack.items()
        }
        for norm, by_attack in found.items()
    }


def minimal(field: Field) -> Figures:
    """The median length that a move needs, of each norm and goal; ``null`` if half need more."""
    made: Figures = {"pairs": {}}
    for norm in NORMS:
        for goal in GOALS:
            trials = field.some(goal, field.plan.minimal)

            def measure(generator: torch.Generator, norm: Any = norm, trials: Any = trials) -> Any:
                lengths = minimal_distortion(
                    field.model.face, trials, norm, generator, bisections=field.plan.bisections
                )
                return [None if one == float("inf") else one for one in lengths.tolist()]

            lengths = field.cells.of(f"minimal {norm} {goal}", measure)
            known = torch.tensor([float("inf") if one is None else one for one in lengths])
            made.setdefault(norm, {})[goal] = median(known)
            made["pairs"][goal] = len(trials)
    return made


def masked(field: Field) -> Figures:
    """What is worn: the share of pairs fooled in most of the looks that ``Jitter`` makes."""
    made: Figures = {}
    for place, mask in PLACES.items():
        for goal in GOALS:
            trials = field.some(goal, field.plan.masked)

            def measure(
                generator: torch.Generator, trials: Trials = trials, mask: Any = mask
            ) -> str:
                size = trials.pixels.shape[-1]
                attack = worn(mask(size), steps=2 * field.plan.steps, draws=2)
                face, parts = field.model.face, []
                for part in trials.batches(16):
                    # Under a mask the budget's norm steers the steps, its eps does not count.
                    pixels = attack(face, part, Budget("linf", 1.0), generator)
                    parts.append(lasting(face, part, pixels, generator) > 0.5)
                return packed(torch.cat(parts)) if parts else ""

            found = field.cells.of(f"masked {place} {goal}", measure)
            made.setdefault(place, {})[goal] = share(unpacked(found))
    return made


def transferred(
    field: Field, others: Mapping[str, Contender]
) -> tuple[Figures, list[masking.Check]]:
    """Pictures made on each other model, and on this one, shown to this one and to the others."""
    models = [field.model, *others.values()]
    table: Figures = {"norm": TRANSFER.norm, "eps": TRANSFER.eps, "attacks": {}}
    checks = []
    for attack, does in field.plan.travelling().items():
        told: Figures = {}
        for goal in GOALS:
            made = _matrix(field, models, attack, does, goal)
            for source, target in ((s, t) for s in made for t in made[s]):
                cell = told.setdefault(source, {}).setdefault(target, {})
                cell[goal] = share(unpacked(made[source][target]))
            checks += _ordered(made, field.model.name, goal) if attack == "pgd" else []
        table["attacks"][attack] = told
    return table, checks


def signals(field: Field) -> Figures:
    """How well two signals tell attacked pictures from honest ones, and from the adaptive ones."""
    attacks: dict[str, Attack] = {
        "pgd": Pgd(steps=field.plan.steps),
        "adaptive": Unsuspicious(steps=2 * field.plan.steps),
    }
    made: Figures = {"eps": SIGNAL.eps, "norm": SIGNAL.norm, "success": {}}
    for name, attack in attacks.items():

        def measure(generator: torch.Generator, attack: Attack = attack) -> Any:
            return _suspicion(field, attack, generator)

        found = field.cells.of(f"signals {name}", measure, "signals")
        made["success"][name] = share(unpacked(found["fooled"]))
        for view in SIGNALS:
            honest, attacked = found["honest"][view], found["attacked"][view]
            told = separation(honest, attacked) if len(honest) and len(attacked) else None
            made.setdefault(view, {})[name] = told and {
                "auc": round(told[0], 4),
                "tpr_at_fpr_5e-2": round(told[1], 4),
                "honest": len(honest),
                "attacked": len(attacked),
            }
    return made


def checks(field: Field, found: Curves) -> list[masking.Check]:
    """What has to hold where gradients are honest: over the curves, and of attacks run for it."""
    told = []
    for norm, by_attack in found.items():
        for goal in GOALS:
            for strong, weak in ORDER:
                if strong not in by_attack:  # only queries were made in this norm
                    continue
                won, tried = (_everywhere(by_attack[name][goal]) for name in (strong, weak))
                check = masking.not_beaten(strong, won, weak, tried)
                where = f"{check.name} ({norm}, {goal})"
                told.append(masking.Check(where, check.held, check.detail))
    for goal in GOALS:
        told += _probed(field, goal)
    return told


def _everywhere(by_eps: Mapping[str, masking.Outcomes]) -> masking.Outcomes:
    """The outcomes at all budgets in one row."""
    return np.concatenate(list(by_eps.values()))


def _probed(field: Field, goal: Goal) -> list[masking.Check]:
    trials = field.some(goal, field.plan.probed)

    def measure(generator: torch.Generator) -> Any:
        probe = masking.Probe(steps=field.plan.steps, queries=field.plan.queries)
        ran = probe.run(field.model.face, trials, generator)
        slope = masking.has_gradients(field.model.face, trials, generator)
        told = [slope.name, slope.held, slope.detail]
        return {"slope": told, **{name: packed(one) for name, one in ran.items()}}

    ran = dict(field.cells.of(f"probe {goal}", measure))
    slope = masking.Check(*ran.pop("slope"))
    ordered = masking.probed({name: unpacked(one) for name, one in ran.items()})
    return [
        masking.Check(f"{check.name} ({goal}, probe)", check.held, check.detail)
        for check in (slope, *ordered)
    ]


def _cell(
    field: Field, name: tuple[str, str, str, str], trials: Trials, attack: Attack, budget: Budget
) -> masking.Outcomes:
    def measure(generator: torch.Generator) -> str:
        return packed(masking.outcomes(field.model.face, trials, attack, budget, generator))

    chance = " ".join(name[1:])  # attacks of one budget start from the same points
    return unpacked(field.cells.of(" ".join(name), measure, chance))


def _matrix(
    field: Field, models: list[Contender], attack: str, does: Attack, goal: Goal
) -> dict[str, dict[str, str]]:
    """Source, target: outcomes of the rows that the target decides correctly."""

    def measure(generator: torch.Generator) -> Any:
        couples, _ = field.attacked[goal].first(field.plan.transferred)
        table = transfer(couples, models, models, Made(does, TRANSFER, generator))
        return {
            source: {target: packed(one.outcomes) for target, one in row.items()}
            for source, row in table.items()
        }

    made: dict[str, dict[str, str]] = field.cells.of(f"transfer {attack} {goal}", measure)
    return made


def _ordered(made: Mapping[str, Mapping[str, str]], model: str, goal: Goal) -> list[masking.Check]:
    """White box >= transfer >= noise, on the pictures of one attack."""
    white, noise = unpacked(made[model][model]), unpacked(made[NOISE][model])
    told = []
    for source in made:
        if source in (model, NOISE):
            continue
        there = unpacked(made[source][model])
        told.append(masking.not_beaten("white box", white, f"from {source}", there))
        told.append(masking.not_beaten(f"from {source}", there, NOISE, noise))
    told.append(masking.not_beaten("white box", white, NOISE, noise))
    return [masking.Check(f"{one.name} ({goal})", one.held, one.detail) for one in told]


def _suspicion(field: Field, attack: Attack, generator: torch.Generator) -> Any:
    """Scores of honest pictures and of those of them that, attacked, fooled the model."""
    face = field.model.face
    fooled: list[bool] = []
    scores: dict[str, dict[str, list[float]]] = {
        kind: {view: [] for view in SIGNALS} for kind in ("honest", "attacked")
    }
    for goal in GOALS:
        for part in field.some(goal, field.plan.signals).batches(16):
            pixels = attack(face, part, SIGNAL, generator)
            done = part.fooled(face, pixels)
            fooled += done.tolist()
            for kind, shown in (("honest", part.pixels), ("attacked", pixels[done])):
                for view, through in SIGNALS.items():
                    scores[kind][view] += _scores(face, shown, through)
    return {"fooled": packed(np.array(fooled, np.bool_)), **scores}


def _scores(face: Any, shown: Tensor, through: Any) -> list[float]:
    if not len(shown):
        return []
    with torch.no_grad():
        told: list[float] = inconsistency(face, shown, through).tolist()
    return [round(one, 6) for one in told]
