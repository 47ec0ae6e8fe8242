"""A site's side of a secure sum: five answers in order, each given once, every one checked.

After Bonawitz et al. 2017 (CCS, figure 4, active adversary): keys, shares, vector, survivors,
opening. The centre relays everything and is believed in nothing; who may take part, how many must
and what was shown before come from the charter this site accepted, the roster its operator
pinned, and signatures of the other sites.
"""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from client.agent.attempts import Attempts
from client.agent.secrets import RoundSecrets
from common.errors import AggregationError, CohortError, NotReadyError, ReplayError, WireError
from common.secagg.messages import (
    Boxes,
    Cohort,
    Consent,
    Consents,
    Masked,
    Shares,
    SiteMessage,
    Survivors,
)
from common.secagg.phases import KEYS, PHASES, SHARES, SURVIVORS, VECTOR
from common.secagg.terms import LEAST_SITES, LIFE, AggregationTerms, Context
from common.trust.keys import PublicKey, SigningKey
from common.trust.roster import Roster

Steps = NDArray[np.int64]


@dataclass(slots=True, eq=False, repr=False)
class _Attempt:
    """What this site has been shown and has said in one attempt."""

    context: Context
    secrets: RoundSecrets
    cohort: tuple[str, ...] = ()
    dealers: tuple[str, ...] = ()
    survivors: Survivors | None = None
    view: bytes = b""
    said: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)  # phase: asked, answered
    touched: float = 0.0  # when it was last said something in


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Member:
    """Who this site is: its name, its key, the roster as pinned now, and its own minimum."""

    name: str
    key: SigningKey
    roster: Callable[[], Roster]
    least_sites: int = LEAST_SITES  # a stricter operator may refuse sums of fewer

    def __post_init__(self) -> None:
        if self.least_sites < LEAST_SITES:
            raise ValueError(f"a secure sum of fewer than {LEAST_SITES} sites hides nothing")


class SecureAggregation:
    """Answers the five phases of secure sums for one site.

    Guarantee: whatever the centre, the courier and at most ``colluders`` sites do together, all
    they learn of this site's vector is one sum of at least ``threshold`` sites it is part of, so
    with the noise of ``threshold - colluders`` honest ones: keys must be signed by members in the
    pinned roster for this very attempt; a peer's seed or its mask key is opened, never both; and
    only for the one list of survivors that ``threshold`` sites signed. A phase is answered once;
    the same request gets the same bytes, another one ``ReplayError``. Secrets are in memory only,
    until the opening, the run's next attempt, or ``expire``: then, as after a restart, this site
    has no more part in the attempt, and the attempt cannot be begun again.
    Leaks: that sum; which sites take part; refusals, which depend on messages, never on faces.
    Not promised: the centre, or a site that sends boxes which do not open, can stop a round, or
    choose whom it leaves out; a site can poison the sum with any vector; colluders who are more
    than ``colluders`` learn as much as the noise of the honest rest does not hide.
    """

    def __init__(
        self,
        member: Member,
        attempts: Attempts,
        random: Callable[[int], bytes] = os.urandom,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._member, self._attempts = member, attempts
        self._random, self._now = random, now
        self._live: dict[str, _Attempt] = {}  # one a run
        self._lock = threading.Lock()

    def answer(
        self, context: Context, phase: str, payload: bytes, release: Callable[[], Steps]
    ) -> bytes:
        """The site's signed message for ``phase`` of the attempt, given the centre's ``payload``.

        ``context`` is made by the agent from the charter it accepted; only run, round and attempt
        of it come from the request. ``release`` is called in phase ``vector`` alone, when all
        else is checked: it charges the ledger and returns the noised integers (K,), new ones for
        each call. Raises what it raises, and ``SignatureError``, ``CohortError``,
        ``AggregationError``, ``ReplayError``, ``NotReadyError``, ``WireError``.
        """
        if phase not in PHASES:
            raise WireError("a secure sum has no such phase")
        with self._lock:
            attempt = self._begun(context, payload) if phase == KEYS else self._found(context)
            if phase in attempt.said:
                asked, answered = attempt.said[phase]
                if asked != payload:
                    raise ReplayError(f"phase {phase} was answered for another request")
                return answered
            if PHASES[len(attempt.said)] != phase:
                raise NotReadyError(f"phase {phase} does not follow what was said before")
            message = self._message(attempt, phase, payload, release)
            answered = message.signed(
                self._member.name, self._member.key, context, attempt.view
            ).to_bytes()
            attempt.said[phase], attempt.touched = (payload, answered), self._now()
            return answered

    def check_terms(self, terms: AggregationTerms) -> None:
        """Raises ``CohortError`` for a threshold below what this site's policy asks for."""
        if terms.threshold < self._member.least_sites:
            raise CohortError(
                f"this site's policy asks for {self._member.least_sites} sites in a sum, the "
                f"charter for {terms.threshold}"
            )

    def expire(self, life: float = LIFE) -> None:
        """Forgets every attempt in which nothing was said for ``life`` seconds; all for 0.

        For whoever serves to call now and then, and at the end. Does nothing while a phase is
        being answered: what is at work is not abandoned, and nobody waits for it here.
        """
        if not self._lock.acquire(blocking=False):
            return
        try:
            oldest = self._now() - life
            for run in [run for run, live in self._live.items() if live.touched <= oldest]:
                self._live.pop(run).secrets.forget()
        finally:
            self._lock.release()

    def _begun(self, context: Context, payload: bytes) -> _Attempt:
        """The live attempt of ``context``, or a new one in place of the run's last."""
        if payload:
            raise WireError("the first phase carries nothing")
        live = self._live.get(context.run)
        if live is not None and live.context.digest == context.digest:
            return live
        peers, terms = self._peers(context), context.terms
        own = peers.get(self._member.name)
        if own is None or own != self._member.key.public:
            raise AggregationError("this site is not in the roster, or there by another key")
        terms.check_cohort(len(peers), "of the charter are in the pinned roster")
        self.check_terms(terms)
        self._attempts.begin(context.run, context.round, context.attempt)
        if live is not None:
            live.secrets.forget()
        secrets = RoundSecrets(self._member.name, context, self._random)
        self._live[context.run] = _Attempt(context, secrets, touched=self._now())
        return self._live[context.run]

    def _found(self, context: Context) -> _Attempt:
        live = self._live.get(context.run)
        if live is None or live.context.digest != context.digest:
            raise AggregationError(
                "this site holds no secrets of that attempt: it was restarted, went on to another, "
                "waited for too long, or reads another charter; the round needs a new attempt"
            )
        return live

    def _message(
        self, attempt: _Attempt, phase: str, payload: bytes, release: Callable[[], Steps]
    ) -> SiteMessage:
        if phase == KEYS:
            return attempt.secrets.keys()
        if phase == SHARES:
            return self._shares(attempt, Cohort.from_bytes(payload))
        if phase == VECTOR:
            return self._vector(attempt, Boxes.from_bytes(payload), release)
        if phase == SURVIVORS:
            return self._consent(attempt, Survivors.from_bytes(payload))
        return self._opening(attempt, Consents.from_bytes(payload))

    def _shares(self, attempt: _Attempt, cohort: Cohort) -> SiteMessage:
        context, peers = attempt.context, self._peers(attempt.context)
        _check_names(cohort.names, set(peers), "the cohort")
        context.terms.check_cohort(len(cohort.keys), "are in the cohort")
        shown = dict(zip(cohort.names, cohort.keys, strict=True))
        for name, keys in shown.items():
            keys.verify(name, peers[name], context)
        _check_names((self._member.name,), set(cohort.names), "this site")
        own, seen = attempt.secrets.keys(), shown[self._member.name]
        if (own.masks, own.shares) != (seen.masks, seen.shares):
            raise AggregationError("the cohort has other keys for this site than it made")
        every = [key for keys in cohort.keys for key in (keys.masks, keys.shares)]
        if len(set(every)) != len(every):
            raise AggregationError("two sites of the cohort have the same key")
        dealing = attempt.secrets.deal(cohort)
        attempt.cohort, attempt.view = cohort.names, cohort.view()
        return dealing

    def _vector(self, attempt: _Attempt, boxes: Boxes, release: Callable[[], Steps]) -> SiteMessage:
        terms = attempt.context.terms
        _check_names(boxes.dealers, set(attempt.cohort), "the dealers")
        _check_names((self._member.name,), set(boxes.dealers), "this site")
        terms.check_cohort(len(boxes.dealers), "have dealt shares")
        attempt.secrets.receive(boxes)
        steps = release()
        if steps.shape != (terms.size,) or steps.dtype != np.int64:
            raise AggregationError("the release is not of the size the plan implies")
        masked = Masked(attempt.secrets.masked(steps))
        attempt.dealers, attempt.view = boxes.dealers, boxes.view(attempt.view)
        return masked

    def _consent(self, attempt: _Attempt, survivors: Survivors) -> SiteMessage:
        alive, dead = set(survivors.alive), set(survivors.dead)
        if alive & dead:
            raise AggregationError("a site is listed both alive and dead")
        _check_names(survivors.alive, set(attempt.dealers), "the survivors")
        _check_names(survivors.dead, set(attempt.dealers), "the sites lost")
        if alive | dead != set(attempt.dealers):
            raise AggregationError("a site that dealt is listed neither alive nor dead")
        _check_names((self._member.name,), alive, "this site")
        attempt.context.terms.check_cohort(len(alive), "survived")
        attempt.survivors, attempt.view = survivors, survivors.view(attempt.view)
        return Consent()

    def _opening(self, attempt: _Attempt, consents: Consents) -> SiteMessage:
        context, survivors = attempt.context, attempt.survivors
        if survivors is None:
            raise NotReadyError("no survivors were signed")
        _check_names(consents.names, set(survivors.alive), "the signers")
        context.terms.check_cohort(len(consents.names), "signed the survivors")
        peers = self._peers(context)
        for name, consent in zip(consents.names, consents.consents, strict=True):
            if name not in peers:
                raise AggregationError("a signer has left the roster")
            consent.verify(name, peers[name], context, attempt.view)
        return Shares(attempt.secrets.opening(attempt.dealers, survivors))

    def _peers(self, context: Context) -> dict[str, PublicKey]:
        """The members of the charter that the pinned roster admits, with their keys."""
        roster = self._member.roster()
        if roster.federation != context.federation:
            raise AggregationError("the charter is of another federation than the roster")
        members = set(context.terms.members)
        return {s.name: PublicKey.of(s.identity) for s in roster.admitted if s.name in members}


def _check_names(names: tuple[str, ...], allowed: set[str], what: str) -> None:
    """Raises ``AggregationError`` unless ``names`` are sorted, each once, and all ``allowed``."""
    if tuple(sorted(set(names))) != names:
        raise AggregationError(f"{what}: names must be sorted and each there once")
    if not set(names) <= allowed:
        raise AggregationError(f"{what}: not among the sites that may be named here")
