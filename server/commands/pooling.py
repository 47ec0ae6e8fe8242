"""`mascaron-admin pooling train`: how several pictures of one person are weighed at a door."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from rich.console import Console

from common.outputs import check_file, check_folder
from server.commands.progress import Started, bars_of
from server.commands.public import public_faces

if TYPE_CHECKING:
    from common.matching.learnt import Kind

SEED = 9400  # of invented people


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainRequest:
    """What ``mascaron-admin pooling train`` may be told; ``faces`` are public people or nobody."""

    trunk: Path
    faces: Path | None = None
    kind: "Kind" = "attention"
    people: int = 300
    pictures: int = 6
    states: int = 1
    template: int = 3
    steps: int = 400
    size: int = 32
    cache: Path | None = None
    seed: int = 0


def train_command(out: Path, **options: Any) -> dict[str, Any]:
    """Trains weights into the file ``out`` and returns how they do on people who judge.

    ``DataSetError`` for faces of which too few can teach.
    """
    asked = TrainRequest(**options)
    check_file(out, new=True)
    if asked.cache is not None:
        check_folder(asked.cache, "--cache")
    from common.models.cache import FeatureCache
    from common.models.safetensors_import import write_whole
    from common.models.trunk import load_trunk
    from server.pooling.frames import Seeing
    from server.pooling.training import PoolingRequest, train_pooling

    told = {name: getattr(asked, name) for name in ("kind", "size", "steps", "template", "seed")}
    request = PoolingRequest(**told)
    trunk, tail = load_trunk(asked.trunk)
    with bars_of(Console(stderr=True)) as bars, TemporaryDirectory() as scratch:
        faces = public_faces(asked.faces, (asked.people, asked.pictures), SEED, bars)
        seeing = Seeing(
            trunk=trunk,
            cache=FeatureCache(asked.cache or Path(scratch)),
            progress=Started(bars),
            states=asked.states,
        )
        frames = seeing.frames(faces)
    content, figures = train_pooling(frames, tail, trunk.hash, request)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(out, content)
    return {"pooling": str(out), "kind": asked.kind, "trunk": trunk.hash, **figures}
