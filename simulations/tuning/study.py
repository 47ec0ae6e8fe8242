"""The search itself: ask for a setting, pay, try it, keep what is best; stop and go on at any time.

Trials live in an Optuna study, one SQLite file in the folder of the search. What is drawn for the
next trial follows from the seed, its place and the settled trials before it, so that a search that
was killed goes on exactly as if it had not been.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from common.errors import BudgetError, RunError
from common.locks import locked
from common.privacy.selection import draw_runs
from common.wire import digest
from simulations.tuning.charging import Payment, Selected, new_study
from simulations.tuning.contest import Contest, Tails
from simulations.tuning.kept import Kept
from simulations.tuning.space import Setting

if TYPE_CHECKING:
    import optuna

STUDY, LOCK = "study.db", ".lock"
UNGUIDED = 6  # trials at random before a model of them says anything
COMPARED = 5  # whole trials before one is stopped for being behind their median

_ID, _MARK, _SEED, _TOTAL = "id", "search", "seed", "total"  # attributes of the study


@dataclass(frozen=True, kw_only=True, slots=True)
class How:
    """How settings are chosen: ``sampler`` tpe looks at earlier trials, random does not."""

    trials: int
    sampler: str = "tpe"
    seed: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """One trial: ``state`` is complete or pruned, ``score`` of the repetitions it had."""

    number: int
    setting: Setting
    score: float
    state: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What a search came to. ``ended`` is complete, or budget where that stopped it."""

    tried: tuple[Tried, ...]
    best: Tried | None  # None where a selection drew no run at all
    default: Tried | None  # None where the default setting was not tried
    ended: str
    tails: Mapping[int, Tails]  # of best and default


@dataclass(eq=False, kw_only=True)
class Study:
    """``contest`` searched as ``how`` says, paid by ``payment``, in ``folder``."""

    contest: Contest
    payment: Payment
    how: How
    folder: Path
    _kept: Kept = field(init=False)

    def __post_init__(self) -> None:
        self._kept = Kept(self.folder / "tails")

    def everything(self) -> Found:
        """Tries whatever is missing and returns all of it.

        Raises ``BudgetError`` where not even one trial could be paid, ``RunError`` for the folder
        of another search.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(self.folder / LOCK, "a search in this folder"):
            study = self._study
            self.payment.begin(study.user_attrs[_ID])
            total, ended = self._total(), "complete"
            self._forget_unfinished()
            for index in range(len(self._settled()), total):
                try:
                    self._try(index)
                except BudgetError:
                    ended = "budget"
                    if not self._complete():
                        raise
                    break
            return self._found(ended)

    def forget(self) -> None:
        """Removes every trial but for the tails of the best: they tell how many runs there were."""
        self._storage.remove_session()
        self._storage.engine.dispose()
        (self.folder / STUDY).unlink(missing_ok=True)
        self._kept.forget_numbers()

    @property
    def _selected(self) -> bool:
        return isinstance(self.payment, Selected)

    def _try(self, index: int) -> None:
        import optuna

        study = self._study
        study.sampler = self._sampler(index)
        waiting = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.WAITING,))
        if index == 0 and not self._selected and not waiting:
            study.enqueue_trial(dict(self.contest.asked.space.default))
        trial = study.ask(self.contest.asked.space.distributions())
        tails: list[Any] = []
        scores: list[float] = []
        for repetition, rehearsal in enumerate(self.contest.rehearsals(trial.params)):
            name = f"tune {study.user_attrs[_ID]} {trial.number}.{repetition}"
            try:
                if not repetition:
                    self.payment.afford(rehearsal.plan, self.contest.repetitions)
                self.payment.pay(name, rehearsal.plan)
            except BudgetError:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
                raise
            score, mine = rehearsal.run()
            scores.append(score)
            tails.append(mine)
            trial.report(float(np.mean(scores)), repetition)
            # A run that others may stop early is not independent of them.
            if not self._selected and trial.should_prune():
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                return
        self._kept.write(trial.number, tails)
        study.tell(trial, float(np.mean(scores)))
        self._kept.only(tried.number for tried in self._leading() if tried)

    def _found(self, ended: str) -> Found:
        best, default = self._leading()
        numbers = {tried.number for tried in (best, default) if tried}
        tails = {number: self._kept.read(number) for number in sorted(numbers)}
        tried = tuple(self._settled())
        return Found(tried=tried, best=best, default=default, ended=ended, tails=tails)

    def _leading(self) -> tuple[Tried | None, Tried | None]:
        """The best complete trial, the first of equals, and the default one."""
        whole = self._complete()
        best = max(whole, key=lambda tried: tried.score, default=None)
        return best, (whole[0] if whole and not self._selected else None)

    def _complete(self) -> list[Tried]:
        return [tried for tried in self._settled() if tried.state == "complete"]

    def _settled(self) -> list[Tried]:
        """Complete and pruned trials, in order; those that were killed or not paid are none."""
        from optuna.trial import TrialState

        trials = self._study.get_trials(
            deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)
        )
        return [
            Tried(
                number=trial.number,
                setting=dict(trial.params),
                score=float(trial.intermediate_values[max(trial.intermediate_values)]),
                state=trial.state.name.lower(),
            )
            for trial in trials
        ]

    def _forget_unfinished(self) -> None:
        """A trial that was killed is not gone on with; what it was charged stays charged."""
        from optuna.trial import TrialState

        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self._study.tell(trial.number, state=TrialState.FAIL)

    def _total(self) -> int:
        """How many trials there are to be; a selection draws that once, after it was charged."""
        if not isinstance(self.payment, Selected):
            return self.how.trials
        if _TOTAL not in self._study.user_attrs:
            from client.privacy.entropy import OsEntropy

            drawn = draw_runs(self.payment.runs, float(OsEntropy().uniform(1)[0]))
            self._study.set_user_attr(_TOTAL, drawn)
        return int(self._study.user_attrs[_TOTAL])

    def _sampler(self, index: int) -> "optuna.samplers.BaseSampler":
        import optuna

        begun = int(self._study.user_attrs[_SEED])
        seed = int(np.random.SeedSequence([begun, index]).generate_state(1)[0])
        if self.how.sampler == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=UNGUIDED)

    @cached_property
    def _storage(self) -> "optuna.storages.RDBStorage":
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        return optuna.storages.RDBStorage(f"sqlite:///{self.folder.absolute() / STUDY}")

    @cached_property
    def _study(self) -> "optuna.Study":
        """The study in the folder; ``RunError`` if it is of another search."""
        import optuna

        study = optuna.create_study(
            study_name="tune",
            storage=self._storage,
            direction="maximize",
            load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=COMPARED),
        )
        mark = self._mark
        if study.user_attrs.setdefault(_MARK, mark) != mark:
            raise RunError(
                f"{self.folder} holds another search: other knobs, settings, faces, folds, trunk, "
                "sampler or payment; choose another folder with --out"
            )
        if _ID not in study.user_attrs:
            study.set_user_attr(_MARK, mark)
            study.set_user_attr(_SEED, self.how.seed)
            study.set_user_attr(_ID, new_study())
        return study

    @property
    def _mark(self) -> str:
        asked, runs = self.contest.asked, getattr(self.payment, "runs", None)
        people = self.contest.laboratory.identity(asked.scenario)
        seed = None if self._selected else self.how.seed  # a selection's is drawn anew and secret
        return digest(asked.identity, people, repr((self.how.sampler, seed)), repr(runs))
