"""The laboratory. ``from simulations import run`` measures a scenario from a program."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulations.api import Result
    from simulations.scenario import Scenario

__all__ = ["run"]

_Path = str | Path


def run(
    scenario: "str | Scenario",
    *,
    faces: _Path | None = None,
    public: _Path | None = None,
    trunk: _Path | None = None,
    out: _Path | None = None,
    **settings: Any,
) -> "Result":
    """Measures ``scenario`` (a name, a TOML file or a ``Scenario``) as ``mascaron-lab run`` does.

    ``faces`` and ``public`` are packs or folders; without them people are invented. ``trunk`` is
    an embedder; without it, the starter. ``out`` keeps pieces and summary, and a second call with
    the same settings goes on there. ``settings`` are any fields of the scenario (``sites=8,
    seeds=3, epsilon=8.0``) and the options of the command: ``cache``, ``aligned``, ``detector``,
    ``keep_going``, ``train_folds``, ``choose_folds``, ``report_folds``, ``cross_fit``,
    ``entropy``, ``threads``.
    ``progress(what, done, total)`` is called as work goes on.

    >>> result = run("demo", seeds=2)  # doctest: +SKIP
    >>> result.gain("private", 8.0).value  # doctest: +SKIP

    Raises the errors of ``common.errors``: ``ScenarioError`` or ``ConfigError`` before anything
    runs.
    """
    from simulations.api import measure

    progress = settings.pop("progress", None)
    told = {"faces": faces, "public": public, "trunk": trunk, **settings}
    return measure(scenario, None if out is None else Path(out), told, progress)
