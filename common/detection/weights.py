"""A detector's weights in a safetensors file, named by their hash in ``detector.toml`` beside it.

Written folded; read with the checks of every other network: names, shapes, finite numbers, no
BatchNorm, nothing that runs.
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from common.config import load
from common.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from common.detection.network import DetectorNetwork
    from common.models.onnx_graph import Graph

NAME = "detector.toml"
SHIPPED = Path(__file__).parent / "weights"  # trained on invented people by the command in there
_SIDE = 64  # pixels of the picture the network is traced with; it takes any


@dataclass(frozen=True, kw_only=True, slots=True)
class DetectorManifest:
    """What must be known to run a detector. One ``[detector]`` table.

    ``threshold`` is the score from which a face is told, ``certain`` that from which there is no
    doubt: those with one false alarm in ten pictures, and in a hundred, of held-out scenes.
    """

    file: str
    sha256: str  # of the file
    licence: str
    width: float = 1.0
    threshold: float = 0.5
    certain: float = 0.7

    def __post_init__(self) -> None:
        if Path(self.file).name != self.file or self.file in ("", ".", ".."):
            raise ConfigError("file must be the name of a file beside the manifest")
        if len(self.sha256) != 64 or set(self.sha256) - set("0123456789abcdef"):
            raise ConfigError("sha256 must be 64 lower-case hexadecimal digits")
        if not 0 < self.threshold <= self.certain < 1:
            raise ConfigError("threshold and certain must lie in (0, 1), in that order")
        if not 0.05 <= self.width <= 4:
            raise ConfigError("width must be in [0.05, 4]")

    def to_toml(self) -> str:
        """The text of a ``detector.toml``."""
        told = dataclasses.asdict(self)
        return "[detector]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in told.items())


def save_detector(
    folder: Path, model: "DetectorNetwork", manifest: DetectorManifest
) -> DetectorManifest:
    """Writes ``model`` folded, and ``manifest`` with its hash, into ``folder``; returns that."""
    import safetensors.torch

    from common.models.fold import fold_batchnorm, refuse_batch_dependence
    from common.models.safetensors_import import write_whole

    folded = fold_batchnorm(model)
    refuse_batch_dependence(folded)
    data = safetensors.torch.save(
        {k: v.detach().contiguous() for k, v in folded.state_dict().items()}
    )
    manifest = replace(manifest, sha256=hashlib.sha256(data).hexdigest(), width=model.width)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / manifest.file, data)
    write_whole(folder / NAME, manifest.to_toml().encode())
    return manifest


def read_detector(source: Path) -> tuple["Graph", DetectorManifest]:
    """The network in the folder ``source``, or beside the weights ``source``, ready to be run.

    Raises ``ModelError`` for a file that is not what its manifest says.
    """
    import torch

    from common.detection.network import DetectorNetwork
    from common.models.onnx_export import export_graph
    from common.models.safetensors_import import parse_into

    folder = source if source.is_dir() else source.parent
    if not (folder / NAME).is_file():
        raise ModelError(
            f"{source}: a detector needs its {NAME} beside it; "
            "`mascaron-admin detector train --out FOLDER` makes both"
        )
    manifest = load(DetectorManifest, folder / NAME, "detector")
    try:
        data = (folder / manifest.file).read_bytes()
    except OSError as error:
        raise ModelError(f"{folder / manifest.file}: cannot be read ({error.strerror})") from None
    if hashlib.sha256(data).hexdigest() != manifest.sha256:
        raise ModelError(f"{folder / manifest.file}: not the file that {NAME} names")
    with torch.device("meta"):
        model = DetectorNetwork(manifest.width)
    return export_graph(parse_into(data, model, str(folder / manifest.file)), _SIDE), manifest
