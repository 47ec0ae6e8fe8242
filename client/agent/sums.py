"""A round's part in a secure sum: the charter says with whom, the ledger pays, masks go over it.

Every attempt that comes as far as a masked vector is a release of its own: it is charged, and its
noise is drawn anew. The centre may have opened an earlier one and said that it failed; a second
draw over the same people, paid for once, would halve the noise. So a round that fails after the
vectors is worth another attempt only where the run's promise or the budget has it left.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from client.agent import mechanisms
from client.agent.charters import check_start
from client.agent.facts import SiteFacts
from client.policy import SitePolicy
from client.privacy.account import Accepted
from client.privacy.entropy import Entropy
from client.privacy.ledger import Ledger
from common import wire
from common.errors import AggregationError, PlanError, ReplayError, WireError
from common.privacy.plan import Round
from common.secagg.phases import VECTOR
from common.secagg.terms import AggregationTerms, Context, terms_of
from common.trust.charter import shape_of

log = logging.getLogger(__name__)

MOST_ATTEMPTS = 2**31


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One phase of one attempt as it is asked for; ``arrays`` only where people are looked at."""

    run: str
    round: int
    attempt: int
    phase: str
    payload: bytes
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        """Names this very request."""
        return wire.digest(self.contents, str(self.attempt), self.phase, self.payload)

    @cached_property
    def contents(self) -> str:
        """Names what the round is computed from: the same in all its attempts."""
        return wire.digest(self.run, str(self.round), wire.dump(self.arrays))


class Sums:
    """Performs the phases of secure sums for one site.

    Guarantee: who is in a sum, how many must be, its size and its grid come from the charter this
    site accepted; of the request, only run, round, attempt and the shared arrays count. Nothing of
    a person leaves but under masks, after the ledger was charged for it and its bytes were stored.
    The guarantee to the people is that of ``SecureAggregation``: it rests on the honest sites that
    the plan counts on.
    Leaks: what ``SecureAggregation`` leaks; that an attempt could not be paid for.
    """

    def __init__(
        self, facts: SiteFacts, policy: SitePolicy, ledger: Ledger, entropy: Entropy
    ) -> None:
        self._facts, self._policy, self._ledger, self._entropy = facts, policy, ledger, entropy
        self._drawn: dict[str, str] = {}  # of a run, what its last vector was made of

    def answer(self, accepted: Accepted, asked: Asked) -> bytes:
        """This site's signed words in the phase of ``asked``.

        Raises what ``SecureAggregation.answer`` does, ``PlanError`` for a round that is not in the
        plan, ``BudgetError`` where the attempt cannot be paid for, and ``ReplayError`` for a
        vector that was made of other arrays.
        """
        aggregation, plan = self._facts.aggregation, accepted.plan
        if aggregation is None or not accepted.members or plan.noise != "distributed":
            raise AggregationError("this run's rounds are no secure sums at this site")
        if not 1 <= asked.round <= len(plan.rounds):
            raise PlanError(f"the plan has no round {asked.round}")
        if not 1 <= asked.attempt < MOST_ATTEMPTS:
            raise WireError("attempts are counted from 1")
        if asked.arrays and asked.phase != VECTOR:
            raise WireError("only one phase looks at people")
        current = plan.rounds[asked.round - 1]
        terms = self._terms(accepted, current)
        context = Context(
            federation=self._facts.membership.federation,
            charter=accepted.charter,
            run=asked.run,
            round=asked.round,
            attempt=asked.attempt,
            terms=terms,
        )
        drawn: list[int] = []

        def release() -> NDArray[np.int64]:
            steps = self._release(accepted, current, asked, terms)
            drawn.append(len(steps))
            self._drawn[asked.run] = asked.contents
            return steps

        said = aggregation.answer(context, asked.phase, asked.payload, release)
        if drawn:  # and not a repeat, whose bytes are stored
            self._ledger.masked(asked.run, asked.round, asked.contents, said)
            log.info("round %d: %d masked bytes released", asked.round, len(said))
        elif asked.phase == VECTOR and self._drawn.get(asked.run) != asked.contents:
            raise ReplayError("the vector of this attempt was made of other arrays")
        return said

    def _terms(self, accepted: Accepted, current: Round) -> AggregationTerms:
        shapes = {name: shape_of(digest) for name, digest in accepted.arrays.items()}
        size = mechanisms.size_of(current, shapes)
        return terms_of(accepted.plan, current.mechanism, accepted.members, size)

    def _release(
        self, accepted: Accepted, current: Round, asked: Asked, terms: AggregationTerms
    ) -> NDArray[np.int64]:
        """Checks the shared arrays, charges, and draws: in this order."""
        features = int(self._facts.negatives.shape[1])
        shared = mechanisms.check_request(current, asked.arrays, features)
        check_start(accepted, current, shared)
        entries = mechanisms.entries(current, shared, accepted.plan.people)
        for entry in entries:
            self._policy.check_tensor(entry.name)
        if sum(int(np.prod(entry.shape)) for entry in entries) != terms.size:
            raise WireError("the shared arrays are not of the size that the charter implies")
        people, negatives = self._facts.people.of(asked.run), self._facts.negatives
        self._ledger.reserve(asked.run, asked.round, asked.contents, current.event)
        how = mechanisms.SumTerms(terms.grid, self._entropy, self._facts.encoder)
        return mechanisms.steps(current, shared, people, negatives, how)
