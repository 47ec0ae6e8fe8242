"""The settings of a scenario that say who goes where and how releases become one tail."""

from dataclasses import dataclass, replace
from typing import Literal

from common.errors import ConfigError, ScenarioError
from common.moments.reference import MEAN_SHARE, OWN_SHRINK, RIDGE, Reference
from server.mechanisms import CLIP, RATE
from server.strategies.choice import StrategyChoice

Partition = Literal["equal", "dirichlet", "camera", "attribute"]


@dataclass(frozen=True, kw_only=True)
class Dealing:
    """How people are dealt to the sites (see ``partition``).

    ``people`` a site get a seat where it is given; otherwise all are dealt. ``alpha`` is the
    concentration of what is drawn: small is uneven, large is even. ``attribute`` names the
    attribute by which ``partition = "attribute"`` groups people.
    """

    people: int | None = None  # at every site
    partition: Partition = "equal"
    alpha: float = 0.5
    attribute: str = ""

    def check_dealing(self, every_camera: bool) -> None:
        """Raises ``ScenarioError`` for settings that contradict each other.

        ``every_camera``: whether every picture is seen through every camera.
        """
        if not 0 < self.alpha <= 1e6:
            raise ScenarioError(f"alpha must be in (0, 1e6], got {self.alpha}")
        if bool(self.attribute) != (self.partition == "attribute"):
            raise ScenarioError('attribute names what partition = "attribute" groups people by')
        drawn = self.partition == "dirichlet" or (self.partition == "camera" and every_camera)
        if self.people is not None and drawn:
            raise ScenarioError(
                f'partition = "{self.partition}" draws how many people a site has, so people '
                "cannot say it too: leave one of them out"
            )


@dataclass(frozen=True, kw_only=True)
class Combining:
    """How releases of sites become one: the centre's strategy, its numbers, and the pools.

    ``malicious``, ``selected``, ``trim``, ``server_rate`` and ``tau`` are those of
    ``StrategyChoice``, each read by the strategies it belongs to. ``learning_rate`` is that of a
    step at a site, ``gradient_clip`` the clip norm of a person's gradient, ``gradient_rate`` the
    probability with which a step draws each person. ``proximal`` is the mu of fedprox, read by it
    alone; it pulls from the second of the ``local_steps`` of a round on, so fedprox needs two.
    """

    strategy: str = "fedavg"
    malicious: int = 1
    selected: int | None = None
    trim: float = 0.2
    server_rate: float = 1e-3
    tau: float = 1e-3
    proximal: float = 0.0
    learning_rate: float = 0.003
    gradient_clip: float = CLIP
    gradient_rate: float = RATE
    local_steps: int = 1
    pooling: Literal["camera_type", "all"] = "camera_type"
    secure_sums: bool = False  # whether shared noise goes through the whole protocol: slower

    @property
    def sums_only(self) -> bool:
        """Whether the centre needs no more than sums over sites: what shared noise asks for."""
        return not self.choice.robust and self.local_steps == 1

    @property
    def choice(self) -> StrategyChoice:
        """The strategy as the charter names it; ``ConfigError`` if it makes no sense."""
        return StrategyChoice(
            name=self.strategy,
            malicious=self.malicious,
            selected=self.selected,
            trim=self.trim,
            server_rate=self.server_rate,
            tau=self.tau,
        )

    def check_combining(self, gradients: bool) -> None:
        """Raises ``ScenarioError`` for a strategy that would do nothing or has bad numbers."""
        try:
            choice = self.choice
        except ConfigError as error:
            raise ScenarioError(str(error)) from None
        if (choice.adaptive or self.strategy == "fedprox") and not gradients:
            raise ScenarioError(f"{self.strategy} acts on gradients: set gradient_share above 0")
        if not 0 < self.learning_rate <= 10:
            raise ScenarioError(f"learning_rate must be in (0, 10], got {self.learning_rate}")
        if not 0 < self.gradient_clip <= 1000:
            raise ScenarioError(f"gradient_clip must be in (0, 1000], got {self.gradient_clip}")
        if not 0 < self.gradient_rate <= 1:
            raise ScenarioError(f"gradient_rate must be in (0, 1], got {self.gradient_rate}")
        if self.strategy == "fedprox" and not 0 < self.proximal * self.learning_rate <= 1:
            most = 1 / self.learning_rate
            raise ScenarioError(f"fedprox needs proximal in (0, {most:.0f}], got {self.proximal}")
        if not 1 <= self.local_steps <= 1000:
            raise ScenarioError(f"local_steps must be in [1, 1000], got {self.local_steps}")
        if self.strategy == "fedprox" and self.local_steps == 1:
            raise ScenarioError("fedprox at one step a round is fedavg: set local_steps above 1")


@dataclass(frozen=True, kw_only=True)
class Estimating:
    """What every arm with moments makes of them, own people's moments included.

    ``ridge``, ``mean_share``, ``own_shrink`` and ``scatter_clip`` are constants of a trunk, chosen
    on public or development people: a large ridge leaves directions as they are, and then the mean
    deserves the larger share; where cameras move faces far, a site's own mean should soon be
    believed.
    With ``own_tuning`` a site's own part, in every arm, begins with tuning the tail on its people.
    """

    ridge: float = RIDGE  # of the whitening, in mean eigenvalues
    mean_share: float = MEAN_SHARE  # of the moments' budget, spent on the mean
    own_shrink: float = OWN_SHRINK  # people whose mean counts as much as not centring at all
    scatter_clip: float = 1.0  # clip norm of a scatter, in that which public people suggest
    own_tuning: bool = True

    def trusting(self, reference: Reference) -> Reference:
        """``reference`` with the constants of this scenario."""
        radius = reference.radius * self.scatter_clip
        return replace(reference, ridge=self.ridge, own_shrink=self.own_shrink, radius=radius)

    def check_estimating(self) -> None:
        """Raises ``ScenarioError`` for a number outside its range."""
        if not 0 < self.ridge <= 1e6:
            raise ScenarioError(f"ridge must be in (0, 1e6], got {self.ridge}")
        if not 0 < self.own_shrink <= 1e6:
            raise ScenarioError(f"own_shrink must be in (0, 1e6], got {self.own_shrink}")
        if not 0 < self.scatter_clip <= 1e3:
            raise ScenarioError(f"scatter_clip must be in (0, 1000], got {self.scatter_clip}")
        if not 0 < self.mean_share < 1:
            raise ScenarioError(f"mean_share must be in (0, 1), got {self.mean_share}")
