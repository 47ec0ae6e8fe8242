"""Invented people that are drawn once: the next who asks for them reads them from a folder."""

from collections.abc import Callable
from pathlib import Path

from common.errors import DataSetError
from common.faces.faceset import FaceSet
from common.faces.pack import load_pack
from common.faces.store import save_pack
from common.synthetic.generate import synthetic_faces


def kept_faces(
    folder: Path,
    people: int,
    pictures: int,
    seed: int,
    progress: Callable[[int], None] | None = None,
) -> FaceSet:
    """``synthetic_faces`` of these numbers out of ``folder``, where they are written if need be.

    The file appears whole or not at all. ``progress`` is told as it is there, and nothing where
    nobody is drawn. ``DataSetError`` where the folder takes no file.
    """
    path = folder / f"people-{seed}-{people}-{pictures}.npz"
    if not path.exists():
        made = synthetic_faces(people, pictures, seed, progress)
        part = path.with_name(f"part-{path.name}")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            save_pack(part, made)
            part.replace(path)
        except OSError as error:
            raise DataSetError(f"{folder}: cannot be written ({error.strerror})") from None
    return load_pack(path)
