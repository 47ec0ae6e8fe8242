"""How arms and camera types are called and coloured: one name and one CSS class for each.

The colours themselves are variables in ``templates/style.css``, so that charts follow the theme.
Hues are those of Okabe & Ito (2008), which stay apart for colour-blind eyes; arms also differ in
their dashes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

CAMERA_COLOURS = 8
SPACE = "\N{NO-BREAK SPACE}"

ARMS: Mapping[str, tuple[str, str]] = {
    "base": ("as it came", "The embedder as it came, before anybody tuned it."),
    "public": ("public", "Tuned on people whose pictures are public; costs nobody anything."),
    "panel": (
        "volunteers",
        "A few volunteers of every site are public inside the federation, without noise.",
    ),
    "local": (
        "alone",
        "What a site can do alone: its tail tuned on its own people, and their statistics; nothing "
        "is ever released.",
    ),
    "private": (
        "joined, own noise",
        "Every site adds all the noise itself before anything leaves; nobody has to be trusted.",
    ),
    "private_secagg": (
        "joined, shared noise",
        "Sites add shares of one noise and only their sum is seen; honest sites are needed.",
    ),
    "nonprivate": ("joined, no noise", "The same shared part without any noise: no guarantee."),
    "upper_bound": (
        "all in one place",
        "Everybody's features in one place, no privacy at all: the most there is to gain.",
    ),
}
PRIVATE = ("private", "private_secagg")
LINES = ("local", "nonprivate", "upper_bound")  # drawn as levels to compare with


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm: its row name, and its epsilon as written in keys (``"none"``: no guarantee)."""

    name: str
    epsilon: str = ""

    @property
    def label(self) -> str:
        """What a reader calls it."""
        words = ARMS.get(self.name, (self.name.replace("_", " "), ""))[0]
        return f"{words}, ε{SPACE}{self.epsilon}" if self.private else words

    @property
    def words(self) -> str:
        """The label without the epsilon."""
        return ARMS.get(self.name, (self.name.replace("_", " "), ""))[0]

    @property
    def meaning(self) -> str:
        """One sentence, or nothing for an arm this version does not know."""
        return ARMS.get(self.name, ("", ""))[1]

    @property
    def private(self) -> bool:
        """Whether it spent some of a budget."""
        return self.epsilon not in ("", "0", "none")

    @property
    def css(self) -> str:
        """The class that sets its colour and dashes."""
        return f"arm-{self.name}" if self.name in ARMS else "arm-other"


def camera_css(number: int) -> str:
    """The class of the colour of camera type ``number``; they come again after eight."""
    return f"cam-{number % CAMERA_COLOURS}"
