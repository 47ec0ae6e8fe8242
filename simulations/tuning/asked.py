"""What a search asks: a TOML file with a scenario, an epsilon, and a space of knobs."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from common.config import build, read_toml
from common.errors import ConfigError, ScenarioError
from common.wire import digest
from simulations.points import as_lists
from simulations.scenario import Scenario, load_scenario
from simulations.tuning.space import Space, read_space

SEARCHES = Path(__file__).parent / "searches"
MOST_TRIALS = 100_000

Noise = Literal["local", "distributed"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A search as its file asks for it. ``private``: it says that its people are."""

    name: str
    noise: Noise
    trials: int
    private: bool
    space: Space

    @property
    def scenario(self) -> Scenario:
        """The scenario as it is, with every knob where it stands by default."""
        return self.space.base

    @property
    def epsilon(self) -> float:
        """What one repetition costs one person; the same for every setting."""
        return self.scenario.epsilon[0]

    @property
    def identity(self) -> str:
        """Equal for searches whose trials may stand side by side."""
        return digest(repr((self.noise, self.space)))


@dataclass(frozen=True, kw_only=True, slots=True)
class _File:
    name: str
    scenario: str
    epsilon: float = 8.0
    noise: Noise = "local"
    trials: int = 20
    private: bool = False
    set: Any = field(default_factory=dict)
    space: Any = field(default_factory=dict)


def load_search(name: str) -> Asked:
    """The shipped search called ``name``, or the one in the TOML file of that path.

    A scenario that is a path is looked for beside the file first. Raises ``ConfigError`` or
    ``ScenarioError`` for anything that cannot be searched.
    """
    path = Path(name) if name.endswith(".toml") else SEARCHES / f"{name}.toml"
    if name.endswith(".toml") and not path.is_file():
        raise ScenarioError(f"no search file {name}")
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in SEARCHES.glob("*.toml")))
        raise ScenarioError(f"no search {name!r}; there are: {known}, or a file NAME.toml")
    told = build(_File, read_toml(path), str(path))
    if not isinstance(told.set, dict):
        raise ConfigError(f"{path} set: expected a table [set]")
    if not 1 <= told.trials <= MOST_TRIALS:
        raise ScenarioError(f"{path}: trials must be in [1, {MOST_TRIALS}], got {told.trials}")
    if "epsilon" in told.set:
        raise ScenarioError(f"{path} [set]: one epsilon is searched at; it stands above [set]")
    beside = path.parent / told.scenario
    base = load_scenario(str(beside) if beside.is_file() else told.scenario)
    table = {**dataclasses.asdict(base), **told.set, "epsilon": told.epsilon}
    table |= {"upper_bound": False, "panel": 0}  # arms that a search does not look at
    scenario = build(Scenario, as_lists(table), f"{path} [set]")
    if told.noise == "distributed" and not scenario.sums_only:
        raise ScenarioError(f'{path}: noise = "distributed" needs a strategy of sums and one step')
    return Asked(
        name=told.name,
        noise=told.noise,
        trials=told.trials,
        private=told.private,
        space=read_space(told.space, scenario, str(path)),
    )
