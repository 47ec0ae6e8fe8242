"""The networks this project can build by name, the same for the same seed.

They contain BatchNorm, which is right for training on public faces; ``fold_batchnorm`` removes it
before anything private is trained.
"""

import difflib
from collections.abc import Callable

import torch

from common.errors import ModelError
from common.models import iresnet, resnet
from common.models.densenet import densenet
from common.models.edge_attention import edge_attention
from common.models.embedder import Architecture, Embedder
from common.models.inception_resnet import inception_resnet
from common.models.mobilefacenet import mobilefacenet
from common.models.tiny import tiny
from common.models.vgg import vgg16

_MAKERS: dict[str, Callable[[Architecture], Embedder]] = {
    "mobilefacenet": mobilefacenet,
    **dict.fromkeys(iresnet.DEPTHS, iresnet.iresnet),
    "tiny": tiny,
    **dict.fromkeys(resnet.DEPTHS, resnet.resnet),
    "vgg16": vgg16,
    "inception_resnet_v1": inception_resnet,
    "densenet121": densenet,
    "edge_attention": edge_attention,
}

NAMES = tuple(_MAKERS)
"""Every architecture that ``build`` knows."""


def build(name: str, embedding: int = 128, seed: int = 0, width: float = 1.0) -> Embedder:
    """A freshly initialised network: (B, 3, 112, 112) -> (B, embedding).

    ``width`` scales the channels (the feature with them). The global random state is left as it
    was. Raises ``ModelError`` for an unknown name or an impossible size.
    """
    if name not in _MAKERS:
        near = difflib.get_close_matches(name, NAMES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(NAMES)}"
        raise ModelError(f"no architecture {name!r}; {hint}")
    if not 1 <= embedding <= 4096 or not 0.05 <= width <= 4:
        raise ModelError(f"embedding {embedding} or width {width} is out of range")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _MAKERS[name](Architecture(name, embedding, width))
