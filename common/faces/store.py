"""Writes a set of faces down: as a pack, or as a folder of aligned crops.

Leaks: everything about the people in the set; the files are as sensitive as the faces.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import DataSetError
from common.faces.crops import EncodedCrops
from common.faces.faceset import FaceSet
from common.faces.labels import Labels, write_labels
from common.faces.pictures import encode

_COLUMNS = ("fold", "site", "landmarks", "attributes", "age")
_TEXTS = ("picture", "camera_type", "description")


def save_pack(path: Path, faces: FaceSet) -> None:
    """Writes ``faces`` as one ``.npz`` that ``load_pack`` reads."""
    encoded = [_encoded(faces, i) for i in range(len(faces))]
    arrays: dict[str, NDArray[Any]] = {
        "jpeg": np.frombuffer(b"".join(encoded), np.uint8),
        "offsets": np.cumsum([0, *map(len, encoded)], dtype=np.int64),
        "person": np.array(faces.names, np.str_)[faces.person],
    }
    for key in (*_COLUMNS, *_TEXTS):
        values = getattr(faces, key)
        if values is not None:
            arrays[key] = np.asarray(values)
    if faces.attributes is not None:
        arrays["attribute_names"] = np.array(faces.attribute_names, np.str_)
    try:
        with path.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
    except OSError as error:
        raise DataSetError(f"{path}: cannot be written ({error.strerror})") from None


def save_folder(path: Path, faces: FaceSet) -> None:
    """Writes ``faces`` as ``<person>/<picture>``, with ``labels.csv`` if anything is labelled.

    Folds and sites are not kept: a folder has no place for them. ``DataSetError`` if ``path`` is
    there already and not empty, or if a name cannot be that of a folder.
    """
    pictures = _pictures(faces)
    try:
        if path.exists() and any(path.iterdir()):
            raise DataSetError(f"{path}: is not empty; nothing was written")
        for person in faces.people.tolist():
            (path / faces.names[person]).mkdir(parents=True)
        for i, picture in enumerate(pictures):
            (path / picture).write_bytes(_encoded(faces, i))
        labels = Labels(
            attributes=faces.attributes,
            attribute_names=faces.attribute_names,
            age=faces.age,
            description=faces.description,
        )
        if any(v is not None for v in (faces.attributes, faces.age, faces.description)):
            write_labels(path, pictures, labels)
    except OSError as error:
        raise DataSetError(f"{path}: cannot be written ({error.strerror})") from None


def _encoded(faces: FaceSet, index: int) -> bytes:
    """The picture as it was kept, so that nothing is compressed twice."""
    source = faces.source
    if isinstance(source, EncodedCrops):
        return source.blob[source.start[index] : source.stop[index]].tobytes()
    return encode(faces.crop(index))


def _pictures(faces: FaceSet) -> list[str]:
    files = faces.picture or tuple(f"{i:06}.jpg" for i in range(len(faces)))
    people = [faces.names[person] for person in faces.person.tolist()]
    bad = sum(_unsafe(name) for name in {*people, *files})
    if bad:
        raise DataSetError(f"{bad} names of people or pictures cannot be names of files")
    return [f"{person}/{file}" for person, file in zip(people, files, strict=True)]


def _unsafe(name: str) -> bool:
    """Whether a name would lead out of the folder, or nowhere."""
    return name.startswith(".") or not name or any(sign in name for sign in "/\\\0")
