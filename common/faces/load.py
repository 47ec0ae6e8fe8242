"""One door for faces: a pack if the path is a file, a folder of people if it is a folder."""

from collections.abc import Callable
from pathlib import Path

from common.errors import DataSetError, PictureError
from common.faces.faceset import FaceSet
from common.faces.folder import FolderOptions, Skipped, load_folder
from common.faces.pack import load_pack


def load_faces(
    path: Path,
    options: FolderOptions | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[FaceSet, Skipped]:
    """The faces at ``path``, and what was skipped.

    A pack's pictures are decoded when they are used, and a broken one stops the run then; with
    ``options.keep_going`` all are tried here instead, and the broken ones left out and counted.
    Raises ``DataSetError`` or ``PictureError``.
    """
    if path.is_dir():
        return load_folder(path, options, progress)
    if not path.exists():
        raise DataSetError(f"{path}: no such file or folder")
    faces = load_pack(path)
    if options is None or not options.keep_going:
        return faces, Skipped()
    sound = []
    for index in range(len(faces)):
        try:
            faces.crop(index)
            sound.append(index)
        except PictureError:
            pass
        if progress is not None:
            progress(index + 1, len(faces))
    if not sound:
        raise DataSetError(f"{path}: jpeg: all {len(faces)} pictures are broken")
    return faces.subset(sound), Skipped(broken=len(faces) - len(sound))


def load_usable(
    path: Path, *, aligned: bool, progress: Callable[[int, int], None] | None = None
) -> tuple[FaceSet, Skipped]:
    """What can be used at ``path``, in the one way in which centre and sites read faces.

    Both must come to the same digest of public faces, so neither may stop where the other skips.
    Raises ``DataSetError`` if nothing is left.
    """
    return load_faces(path, FolderOptions(aligned=aligned, keep_going=True), progress)
