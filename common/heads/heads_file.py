"""Heads in a file, as they travel from who trained them to the sites that read faces with them.

safetensors: the arrays of every head and of the scaling; in the metadata one JSON text with the
hash of the trunk, what each head is, public weights and calibration. Read strictly: another name,
shape, type or field, or a head of something forbidden, and nothing of the file is used.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import ForbiddenError, ModelError
from common.heads.calibration import Platt
from common.heads.heads import Heads
from common.heads.kinds import head_of
from common.heads.scaling import CENTRE, SCALE, Scaling
from common.models.file_header import metadata

ENDING = ".heads.safetensors"
MOST = 64 * 2**20  # bytes of a file that is looked at
SCHEMA = 1
_TEXT = "heads"  # key of the metadata
_FIELDS = {"schema", "trunk", "heads", "weights", "calibration", "match"}


def heads_bytes(heads: Heads) -> bytes:
    """``heads`` as a file: the same heads, the same bytes."""
    from safetensors.numpy import save

    told = {
        "schema": SCHEMA,
        "trunk": heads.trunk,
        "heads": {head.kind: head.table() for head in heads.heads},
        "weights": heads.weights,
        "calibration": {kind: _line(line) for kind, line in heads.calibration.items()},
        "match": None if heads.match is None else _line(heads.match),
    }
    arrays = {**heads.arrays, **heads.scaling.arrays()}
    text = json.dumps(told, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return bytes(save(dict(sorted(arrays.items())), metadata={_TEXT: text}))


def parse_heads(content: bytes, where: str) -> Heads:
    """What ``heads_bytes`` made. ``where`` names the file in messages.

    ``ModelError`` for anything else; of what is written in the file nothing is repeated.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(content)
        told = json.loads(metadata(content)[_TEXT])
    except (SafetensorError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        raise ModelError(f"{where}: not a file of heads, or a truncated one") from None
    try:
        return _heads(arrays, told)
    except (ModelError, ForbiddenError) as error:
        raise ModelError(f"{where}: {error}") from None


def read_heads(path: Path) -> Heads:
    """The heads in the file at ``path``; ``ModelError`` if there are none."""
    try:
        if path.stat().st_size > MOST:
            raise ModelError(f"{path}: too large for heads")
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from None
    return parse_heads(content, str(path))


def _heads(arrays: Mapping[str, NDArray[Any]], told: Any) -> Heads:
    table = _table(told, "the description")
    if set(table) != _FIELDS or table["schema"] != SCHEMA:
        raise ModelError("the description is not one of this version")
    if any(array.dtype != np.float32 for array in arrays.values()):
        raise ModelError("arrays of heads are float32")
    if not {CENTRE, SCALE} <= set(arrays):
        raise ModelError("it does not say how heads see a feature")
    specs = _table(table["heads"], "heads")
    heads = tuple(head_of(kind, _table(spec, "a head")) for kind, spec in specs.items())
    lines = _table(table["calibration"], "calibration")
    return Heads(
        trunk=table["trunk"] if isinstance(table["trunk"], str) else "",
        heads=heads,
        scaling=Scaling(arrays[CENTRE], arrays[SCALE]),
        arrays={n: a for n, a in arrays.items() if n not in (CENTRE, SCALE)},
        weights={kind: _number(w) for kind, w in _table(table["weights"], "weights").items()},
        calibration={kind: _platt(line) for kind, line in lines.items()},
        match=None if table["match"] is None else _platt(table["match"]),
    )


def _line(line: Platt) -> dict[str, list[float]]:
    return {"slope": line.slope.tolist(), "offset": line.offset.tolist()}


def _platt(value: Any) -> Platt:
    table = _table(value, "a calibration")
    if set(table) != {"slope", "offset"} or not all(isinstance(v, list) for v in table.values()):
        raise ModelError("a calibration is slopes and offsets")
    slope, offset = ([_number(v) for v in table[name]] for name in ("slope", "offset"))
    return Platt(np.array(slope), np.array(offset))


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not abs(value) < 1e300:
        raise ModelError("expected a finite number")
    return float(value)


def _table(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ModelError(f"{what}: expected a table")
    return value
