"""Public people for a command: those of a pack or folder, or invented ones."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import Progress as Bars

if TYPE_CHECKING:
    from common.faces.faceset import FaceSet


def public_faces(faces: Path | None, invented: tuple[int, int], seed: int, bars: Bars) -> "FaceSet":
    """The aligned pictures at ``faces``; where there is nothing, ``invented`` people and pictures
    of each. Raises as ``load_usable``."""
    if faces is not None:
        from common.faces.load import load_usable

        return load_usable(faces, aligned=True)[0]
    from common.synthetic.generate import synthetic_faces

    people, pictures = invented
    task = bars.add_task("inventing people", total=people * pictures)
    return synthetic_faces(people, pictures, seed, lambda done: bars.update(task, completed=done))
