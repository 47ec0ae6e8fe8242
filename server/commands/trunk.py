"""`mascaron-admin trunk`: a trunk in 8-bit integers, and trunk and tail as one file."""

from pathlib import Path
from typing import Any

from common.models.manifest import NAME
from common.outputs import check_file, check_folder


def quantise_command(
    source: Path, public: Path, out: Path, *, aligned: bool, **options: Any
) -> dict[str, Any]:
    """Writes the trunk at ``source`` in int8 into ``out``; returns its hash and what it lost.

    Raises ``RunError`` when ``out`` has a trunk already or cannot be written, ``DegradedError``
    where it would tell public people apart less well than it may.
    """
    check_folder(out, foreign={NAME: "a trunk already"})
    from common.faces.load import load_usable
    from common.models.quantise import QuantiseOptions, quantise

    asked = QuantiseOptions(**options)
    faces, skipped = load_usable(public, aligned=aligned)
    made = quantise(source, faces, out, asked)
    return {
        "trunk": str(out / made.manifest.file),
        "hash": made.trunk,
        "sha256": made.manifest.sha256,
        "licence": made.manifest.licence,
        "layers_in_float32": made.kept,
        "fmr": asked.fmr,
        "tar_before": round(made.tar_before, 4),
        "tar_after": round(made.tar_after, 4),
        "judged_by_people": made.people,
        "skipped": skipped.total,
    }


def export_command(source: Path, out: Path) -> dict[str, Any]:
    """Writes the network at ``source`` as one ONNX file ``out``; returns its names and sizes."""
    check_file(out, new=True)
    import hashlib

    from common.models.safetensors_import import write_whole
    from common.models.trunk import load_trunk
    from common.models.whole import INPUT, OUTPUT, PARITY, export_whole

    trunk, tail = load_trunk(source)
    content = export_whole(trunk, tail)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(out, content)
    return {
        "file": str(out),
        "sha256": hashlib.sha256(content).hexdigest(),
        "input": INPUT,
        "output": OUTPUT,
        "embedding": tail.embedding_dim,
        "parity": PARITY,
    }
