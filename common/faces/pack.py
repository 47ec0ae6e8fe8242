"""Packs: a whole data set of aligned faces in one ``.npz``, read without trusting it.

Layout: ``jpeg`` (a uint8 blob), ``offsets`` (N+1,), ``person`` (N,), and optionally ``picture``,
``fold``, ``site``, ``camera_type``, ``landmarks``, ``attributes`` (N, A) booleans, or 1, 0 and -1
where nobody said, with ``attribute_names`` (A,), ``age`` or NaN, and ``description``. Other arrays
are left unread. Nothing is unpickled; every mistake is a ``DataSetError`` naming the file and the
array.
"""

import warnings
import zipfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import DataSetError
from common.faces.crops import EncodedCrops, Indices
from common.faces.faceset import REPORT_SITE, FaceSet, shown
from common.faces.labels import OLDEST
from common.faces.splits import check_one_site

Array = NDArray[Any]

MAX_BYTES = 16 * 2**30  # of all arrays read, once unpacked

_REQUIRED = ("jpeg", "offsets", "person")


def load_pack(path: Path) -> FaceSet:
    """The faces in the pack at ``path``; its pictures stay compressed until asked for."""
    arrays = read_arrays(path, _REQUIRED, (*_COLUMNS, "attribute_names"))
    try:
        return _faces(arrays, path.name)
    except DataSetError as error:
        raise DataSetError(f"{path}: {error}") from None


def _faces(arrays: Mapping[str, Array], source: str) -> FaceSet:
    blob, offsets = arrays["jpeg"], arrays["offsets"]
    if blob.dtype != np.uint8 or blob.ndim != 1:
        raise DataSetError(f"jpeg: expected uint8 (bytes,), got {blob.dtype} {blob.shape}")
    offsets = _integers("offsets", offsets)
    if len(offsets) < 2:
        raise DataSetError("offsets: the pack holds no pictures")
    if offsets[0] < 0 or offsets[-1] > len(blob) or (np.diff(offsets) <= 0).any():
        raise DataSetError("offsets: must ascend within the jpeg array")
    columns: dict[str, Any] = {}
    for key, convert in _COLUMNS.items():
        if key in arrays:
            if arrays[key].shape[:1] != (len(offsets) - 1,):
                raise DataSetError(f"{key}: expected {len(offsets) - 1} entries, as offsets says")
            columns[key] = convert(key, arrays[key])
    if "attributes" in columns:
        given = arrays.get("attribute_names", np.zeros(0, np.str_))
        columns["attribute_names"] = _texts("attribute_names", given)
    person, names = _people(arrays["person"], len(offsets) - 1)
    if "fold" in columns:
        _check_folds(person, columns["fold"])
    if "site" in columns:
        check_one_site(person, columns["site"])
    crops = EncodedCrops(blob, offsets[:-1], offsets[1:], source)
    return FaceSet(source=crops, person=person, names=names, **columns)


def read_arrays(
    path: Path, required: Collection[str], optional: Collection[str]
) -> dict[str, Array]:
    """The arrays ``required`` and, where they are there, ``optional`` of the pack at ``path``.

    ``DataSetError`` naming the file where one is missing, damaged or anything but plain numbers
    and texts.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {i.filename: i.file_size for i in archive.infolist()}
            wanted = [k for k in (*required, *optional) if f"{k}.npy" in sizes]
            missing = [k for k in required if k not in wanted]
            if missing:
                raise DataSetError(f"{path}: no array {', '.join(map(repr, missing))}")
            if sum(sizes[f"{k}.npy"] for k in wanted) > MAX_BYTES:
                raise DataSetError(f"{path}: larger than {MAX_BYTES} bytes once unpacked")
            return {key: _array(archive, key, path) for key in wanted}
    except OSError as error:
        raise DataSetError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (zipfile.BadZipFile, NotImplementedError, ValueError, RuntimeError, EOFError) as error:
        raise DataSetError(f"{path}: not a pack ({type(error).__name__})") from None


def _array(archive: zipfile.ZipFile, key: str, path: Path) -> Array:
    """One array; its header is checked against the bytes there are before memory is taken."""
    try:
        with archive.open(f"{key}.npy") as file:
            shape, _, dtype = _header(file)
            at = file.tell()
        if dtype.hasobject:
            raise DataSetError(f"{path}: {key}: holds Python objects, which are never loaded")
        size = dtype.itemsize
        for length in shape:
            size *= length
        if at + size != archive.getinfo(f"{key}.npy").file_size:
            raise DataSetError(f"{path}: {key}: truncated or damaged")
        with archive.open(f"{key}.npy") as file:
            return np.asarray(np.lib.format.read_array(file, allow_pickle=False))
    except DataSetError:
        raise
    except Exception as error:  # zlib, zipfile and numpy raise a dozen kinds over damaged bytes
        raise DataSetError(
            f"{path}: {key}: not a readable array ({type(error).__name__})"
        ) from None


def _header(file: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[version]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return read(file)


def _people(values: Array, length: int) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Ids 0..P-1 in the order of the sorted names, and the names; ints are names like any other."""
    if values.ndim != 1 or values.dtype.kind not in "Uiu":
        raise DataSetError(f"person: expected strings or integers (N,), got {_kind(values)}")
    if len(values) != length:
        raise DataSetError(f"person: expected {length} entries, as offsets says")
    names, person = np.unique(values, return_inverse=True)
    return person.reshape(-1).astype(np.int64), tuple(str(n) for n in names)


def _integers(key: str, values: Array) -> Indices:
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise DataSetError(f"{key}: expected integers (N,), got {_kind(values)}")
    if len(values) and int(values.max()) > np.iinfo(np.int64).max:
        raise DataSetError(f"{key}: a number is out of range")
    return values.astype(np.int64)


def _folds(key: str, values: Array) -> NDArray[np.int8]:
    folds = _integers(key, values)
    if ((folds < 0) | (folds > 127)).any():
        raise DataSetError(f"{key}: folds must lie in 0..127")
    return folds.astype(np.int8)


def _sites(key: str, values: Array) -> Indices:
    sites = _integers(key, values)
    if (sites < REPORT_SITE).any():
        raise DataSetError(f"{key}: sites count from 0; -1 marks a report person")
    return sites


def _texts(key: str, values: Array) -> tuple[str, ...]:
    if values.ndim != 1 or values.dtype.kind not in "Uiu":
        raise DataSetError(f"{key}: expected strings (N,), got {_kind(values)}")
    return tuple(map(str, values.tolist()))


def _landmarks(key: str, values: Array) -> NDArray[np.float32]:
    if values.shape[1:] != (5, 2) or values.dtype.kind != "f" or not np.isfinite(values).all():
        raise DataSetError(f"{key}: expected finite floats (N, 5, 2), got {_kind(values)}")
    return values.astype(np.float32)


def _shown(_: str, values: Array) -> NDArray[np.int8]:
    try:
        return shown(values)
    except DataSetError as error:
        raise DataSetError(f"{error}, got {_kind(values)}") from None


def _years(key: str, values: Array) -> NDArray[np.float32]:
    if values.ndim != 1 or values.dtype.kind not in "fiu":
        raise DataSetError(f"{key}: expected numbers (N,), NaN where missing, got {_kind(values)}")
    if ((values < 0) | (values > OLDEST)).any():
        raise DataSetError(f"{key}: years are from 0 to {OLDEST}, NaN where missing")
    return values.astype(np.float32)


def _check_folds(person: Indices, fold: NDArray[np.int8]) -> None:
    """A person is in one fold only."""
    pairs = np.unique(np.stack([person, fold.astype(np.int64)]), axis=1)
    if pairs.shape[1] > len(np.unique(person)):
        raise DataSetError("fold: someone is in two folds")


def _kind(values: Array) -> str:
    return f"{values.dtype} {values.shape}"


_COLUMNS: dict[str, Callable[[str, Array], Any]] = {
    "picture": _texts,
    "fold": _folds,
    "site": _sites,
    "camera_type": _texts,
    "landmarks": _landmarks,
    "attributes": _shown,
    "age": _years,
    "description": _texts,
}
