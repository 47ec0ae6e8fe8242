"""A scenario: which sites there are, what cameras they look through, and what is compared.

TOML files in ``simulations/scenarios``; the command line may override what its options name.
"""

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path

from common.config import build, read_toml
from common.errors import ScenarioError
from common.faces.cameras import RANDOMISED, Camera, load_cameras
from common.privacy.plan import SHIPPED_OBJECTIVES, is_objective
from simulations.settings import Combining, Dealing, Estimating

SCENARIOS = Path(__file__).parent / "scenarios"
CAMERAS = Path(__file__).parent / "cameras"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")  # also the folder of its results
_RANGES = {
    "sites": (1, 10_000),
    "views": (1, 1000),
    "seeds": (1, 1000),
    "simulated_views": (1, 1000),
    "simulated_cameras": (1, 1000),
    "public_steps": (0, 1_000_000),
    "panel": (0, 1_000_000),
    "gradient_rounds": (1, 1000),
    "report_pictures": (2, 1_000_000),
    "draws": (50, 100_000),
    "people": (2, 1_000_000),
    "judged": (1, 10_000),
}


def _least(holds: bool, what: str) -> None:
    if not holds:
        raise ScenarioError(what)


@dataclass(frozen=True, kw_only=True, slots=True)
class Invented:
    """How many synthetic people there are where no others are given."""

    people: int = 160
    public: int = 80
    pictures: int = 5  # of each of them

    def __post_init__(self) -> None:
        for key in ("people", "public", "pictures"):
            least = 2 if key == "pictures" else 8  # eight folds
            _least(getattr(self, key) >= least, f"{key} must be at least {least}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Scenario(Dealing, Combining, Estimating):
    """One experiment. Site s looks through camera s modulo the number of cameras.

    ``cameras`` and ``public_cameras`` name files in ``simulations/cameras`` (or paths);
    ``"none"`` takes pictures as they are, with the sites and camera types the pack declares.
    Every public picture is shot ``views`` times through the randomised camera and
    ``simulated_views`` times through some of ``simulated_cameras`` fixed ones drawn from it.
    ``judged`` sites at most, spread evenly over all, are evaluated. With ``one_camera`` each person
    is seen through one camera only, so that thousands are quickly prepared. ``draws`` is the size
    of the bootstrap.
    """

    name: str
    sites: int
    cameras: str = "four.toml"
    public_cameras: str = "randomised.toml"
    views: int = 8
    simulated_views: int = 4
    simulated_cameras: int = 32
    public_steps: int = 600  # of tuning the tail on public people
    delta: float = 1e-4
    epsilon: tuple[float, ...] = (8.0, 2.0)
    seeds: int = 5
    panel: int = 10  # volunteers a site who agree to be public inside the federation
    gradient_share: float = 0.0  # of the budget, spent on DP-SGD after the moments
    gradient_rounds: int = 20
    objective: str = "contrast"  # of the gradients; or a plug-in, package.module:name
    report_pictures: int = 8  # at most so many pictures of a report person count
    draws: int = 400
    judged: int = 10_000
    one_camera: bool = False
    invented: Invented = Invented()
    upper_bound: bool = True  # whether to measure that arm, the slowest

    def __post_init__(self) -> None:
        _least(bool(_NAME.fullmatch(self.name)), "name must be letters, digits, '-' and '_'")
        for key, (least, most) in _RANGES.items():
            value = getattr(self, key)
            told = f"{key} must be in [{least}, {most}], got {value}"
            _least(value is None or least <= value <= most, told)
        _least(0 < self.delta < 1e-2, f"delta must be in (0, 0.01), got {self.delta}")
        _least(bool(self.epsilon), "epsilon must name at least one value")
        _least(0 <= self.gradient_share < 1, "gradient_share must be in [0, 1)")
        _check_objective(self.objective, self.gradient_share)
        self.check_dealing(self.cameras != "none" and not self.one_camera)
        self.check_combining(self.gradient_share > 0)
        self.check_estimating()
        for epsilon in self.epsilon:
            _least(0 < epsilon <= 50, f"epsilon must be in (0, 50], got {epsilon}")

    def camera_list(self) -> tuple[Camera, ...]:
        """The cameras of the sites; empty for pictures taken as they are."""
        return () if self.cameras == "none" else load_cameras(_find(self.cameras))

    def public_camera(self) -> Camera:
        """The domain randomisation of public pictures."""
        return load_cameras(_find(self.public_cameras))[0]


def load_scenario(name: str) -> Scenario:
    """The scenario called ``name``, or in the TOML file of that path."""
    path = Path(name) if name.endswith(".toml") else SCENARIOS / f"{name}.toml"
    if name.endswith(".toml") and not path.is_file():
        raise ScenarioError(f"no scenario file {name}")
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in SCENARIOS.glob("*.toml")))
        raise ScenarioError(f"no scenario {name!r}; there are: {known}, or a file NAME.toml")
    table = read_toml(path)
    if "axes" in table or "point" in table:
        raise ScenarioError(f"{path} is a sweep, not a scenario: use `mascaron-lab sweep`")
    return build(Scenario, table, str(path))


def override(scenario: Scenario, **changes: object) -> Scenario:
    """``scenario`` with every change that is not None."""
    given = {key: value for key, value in changes.items() if value is not None}
    return dataclasses.replace(scenario, **given)  # type: ignore[arg-type]


def _check_objective(name: str, share: float) -> None:
    known = ", ".join(SHIPPED_OBJECTIVES)
    _least(is_objective(name), f"no objective {name!r}; there are {known}, package.module:name")
    used = share > 0 or name == SHIPPED_OBJECTIVES[0]
    _least(used, f"objective {name!r} is used by gradients: set gradient_share above 0")


def _find(name: str) -> Path:
    for path in (Path(name), CAMERAS / name, RANDOMISED.parent / name):
        if path.is_file():
            return path
    known = ", ".join(sorted((*(p.name for p in CAMERAS.glob("*.toml")), RANDOMISED.name)))
    raise ScenarioError(f"no cameras {name!r}; there are: {known}")
