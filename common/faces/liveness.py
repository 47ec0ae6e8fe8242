"""The place where a detector of photographs, screens and masks is plugged in.

This project brings none: presentation attack detection (ISO/IEC 30107-1) is bought or built for a
camera. What is fixed here is how its word is asked for, and that silence can be made to refuse.
"""

import logging
from typing import Protocol

from common.errors import ConfigError, PadError
from common.faces.detect import Face
from common.faces.pictures import Picture
from common.plugged import imported

log = logging.getLogger(__name__)


class Liveness(Protocol):
    """Whatever tells living people from pictures of them."""

    def live(self, picture: Picture, face: Face) -> bool | None:
        """Whether ``face`` in ``picture`` (H, W, 3) is alive; ``None`` where it cannot tell."""


class NoLiveness:
    """Cannot tell, ever."""

    def live(self, picture: Picture, face: Face) -> bool | None:
        return None


def plugged_in(name: str) -> Liveness:
    """The detector that ``name`` (``package.module:name``) makes when it is called with nothing.

    ``ConfigError`` if it cannot be made, or has no method ``live``.
    """
    make = imported(name, "liveness")
    try:
        made = make()
    except Exception as error:  # foreign code
        raise ConfigError(f"liveness {name!r} cannot be made: {type(error).__name__}") from error
    if not callable(getattr(made, "live", None)):
        raise ConfigError(f"liveness {name!r} has no method live(picture, face)")
    detector: Liveness = made
    return detector


class LivenessCheck:
    """Asks ``liveness`` and refuses whom it takes for a picture of somebody.

    With ``fail_closed`` it refuses as well where ``liveness`` cannot tell.

    Guarantee: asked before a feature exists, so that nothing is computed of whom it refuses. A
    detector that breaks refuses, always: else a picture that breaks it would open the door.
    Raises ``ConfigError`` where there is nobody to ask and silence would refuse everyone.
    """

    def __init__(self, liveness: Liveness | None = None, *, fail_closed: bool = False) -> None:
        self._liveness = liveness or NoLiveness()
        self._fail_closed = fail_closed
        if fail_closed and isinstance(self._liveness, NoLiveness):
            raise ConfigError(
                "liveness: fail_closed without a detector refuses everyone; plug one in or leave "
                "fail_closed out"
            )

    def check(self, picture: Picture, face: Face) -> None:
        """Raises ``PadError`` unless ``face`` may pass."""
        try:
            told = self._liveness.live(picture, face)
        except Exception as error:  # foreign code, whose words may name anything
            log.warning("the liveness detector failed: %s", type(error).__name__)
            raise PadError("the liveness detector failed") from None
        if told is True or (told is None and not self._fail_closed):
            return
        raise PadError("not taken for a living person" if told is False else "nobody can tell life")
