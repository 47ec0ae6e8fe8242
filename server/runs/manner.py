"""How a run is to go: what the administrator says with each start, and no charter does."""

from dataclasses import dataclass

WAITING = 900.0  # seconds: a machine that starts again is back by then


@dataclass(frozen=True, kw_only=True, slots=True)
class Manner:
    """``resume`` after the last checkpoint; ``wait`` so many seconds for sites that are missing; go
    on without the pools ``without`` where none of their sites is left."""

    resume: bool = False
    wait: float = WAITING
    without: frozenset[str] = frozenset()
