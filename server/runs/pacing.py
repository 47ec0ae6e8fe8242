"""How far a run's heads step where nobody said: as far as the noise of its plan lets them.

A head moves by what is left of its own part of a noised sum, and a step too long makes noise of
what public people taught it. The noise is public: from it follows how much it will shake what a
head says (its logits) by the end of the run, for each unit of the learning rate. ``LEVEL`` is how
much it may, ``FASTEST`` how far each row of a head moves in a round at most where there is little
noise; both were chosen on development people (docs/heads.md). Nothing here looks at anybody.
"""

import dataclasses
import math

from common.privacy.heads import WORDS, HeadTerms
from common.privacy.plan import GradientMechanism, PrivacyPlan
from server.runs.meaning import noise_in_clips

GAIN = 4.0  # how much longer features are to heads that learn in private than to a file's
LEVEL = 0.3  # deviation of a logit
FASTEST = 1.2  # in clips


def paced(plan: PrivacyPlan) -> PrivacyPlan:
    """``plan`` with a learning rate for each head that has none of its own.

    Noise is counted as in the smallest average that is certain: of the honest sites where it is
    shared, of the cohort where all are pooled, else of one site.
    """
    sites = plan.honest_sites
    if plan.noise != "distributed" and plan.pooling == "all":
        sites = plan.cohort
    return dataclasses.replace(
        plan,
        mechanisms=tuple(
            _paced(m, noise_in_clips(plan, m, sites))
            if isinstance(m, GradientMechanism) and m.heads
            else m
            for m in plan.mechanisms
        ),
    )


def _paced(mechanism: GradientMechanism, noise: float) -> GradientMechanism:
    steps = mechanism.steps_per_round
    shaken = noise * GAIN * math.sqrt(steps * mechanism.rounds)

    def rate(head: HeadTerms) -> float:
        rows = math.sqrt(len(head.names) or head.size or 1)
        many = rows if head.kind == WORDS else 1.0  # it says one thing by all of them
        level = LEVEL / (shaken * many) if shaken > 0 else math.inf
        return float(f"{min(level, FASTEST * rows / steps) / mechanism.clip:.3g}")

    heads = tuple(
        head if head.learning_rate else dataclasses.replace(head, learning_rate=rate(head))
        for head in mechanism.heads
    )
    return dataclasses.replace(mechanism, heads=heads)
