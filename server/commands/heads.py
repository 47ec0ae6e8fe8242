"""`mascaron-admin heads train`: heads on a frozen trunk, from public or invented people."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from common.errors import ConfigError
from common.outputs import check_file, check_folder
from server.commands.progress import Started, bars_of
from server.commands.public import public_faces

SEED = 9300  # of invented people


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainRequest:
    """What ``mascaron-admin heads train`` may be told; ``faces`` are public people or nobody."""

    trunk: Path
    faces: Path | None = None
    heads: str = "attributes,age"
    weights: str = ""
    people: int = 400
    pictures: int = 4
    encoder: str = "built-in"
    cache: Path | None = None
    seed: int = 0


def train_command(out: Path, **options: Any) -> dict[str, Any]:
    """Trains heads into the file ``out`` and returns how right they are on people who judge.

    ``ConfigError`` for heads or weights there are none of, ``DataSetError`` for faces that say
    nothing of use.
    """
    asked = TrainRequest(**options)
    check_file(out, new=True)
    if asked.cache is not None:
        check_folder(asked.cache, "--cache")
    kinds, weights = parse_kinds(asked.heads), parse_weights(asked.weights)
    from common.heads.heads_file import heads_bytes
    from common.heads.labelled import labelled
    from common.models.cache import FeatureCache
    from common.models.safetensors_import import write_whole
    from common.models.studio import Lens, Studio
    from common.models.trunk import load_trunk
    from common.text.encoding import open_encoder
    from server.heads import HeadsRequest, Pupils, train_public

    request = HeadsRequest(kinds=kinds, weights=weights, seed=asked.seed)
    encoder = open_encoder(asked.encoder) if "words" in kinds else None
    trunk, tail = load_trunk(asked.trunk)
    with bars_of(Console(stderr=True)) as bars, TemporaryDirectory() as scratch:
        faces = public_faces(asked.faces, (asked.people, asked.pictures), SEED, bars)
        told = labelled(faces, kinds, encoder)
        studio = Studio(trunk, FeatureCache(asked.cache or Path(scratch)), Started(bars))
        features = studio.shoot(faces, Lens(), "features")
    pupils = Pupils(
        trunk=trunk.hash,
        features=features,
        person=faces.person,
        labels=told.labels,
        names=told.names,
    )
    made, figures = train_public(pupils, request, tail, encoder)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(out, heads_bytes(made))
    return {
        "heads": str(out),
        "kinds": list(made.kinds),
        "trunk": made.trunk,
        "columns_refused": told.refused,
        "columns_unknown": told.unknown,
        **figures,
    }


def parse_kinds(text: str) -> tuple[str, ...]:
    """``attributes,age`` as a tuple."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def parse_weights(text: str) -> dict[str, float]:
    """``age=0.5,attributes=2`` by kind; empty for nothing. ``ConfigError`` for anything else."""
    found: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        kind, sign, number = part.partition("=")
        try:
            found[kind.strip()] = float(number)
        except ValueError:
            sign = ""
        if not sign:
            raise ConfigError("--weights: expected kind=number, parted by commas")
    return found
