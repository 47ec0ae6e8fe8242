"""How this site's pictures are compared, with the learnt weights that `site.toml` names.

Weights belong to one trunk: those of another are refused when the door opens, before anybody is
compared. Their hash is part of what a release decides by (``measures``).
"""

from collections.abc import Sequence
from pathlib import Path

from client.door.measures import Likeness
from client.door.rules import DoorRules
from common.errors import ConfigError
from common.matching.learnt import Learnt
from common.matching.set_file import read_set
from common.models.trunk import Trunk


def likeness_of(rules: DoorRules, trunks: Sequence[Trunk]) -> Likeness:
    """What ``rules`` choose; of ``trunks`` the site's is first, and the old one last.

    ``ConfigError`` for weights of another trunk, ``ModelError`` for what is no file of weights.
    """
    named = (("pooling_weights", trunks[0]), ("old_pooling_weights", trunks[-1]))
    paths = (rules.pooling_weights, rules.old_pooling_weights)
    weights = tuple(
        _read(path, name, trunk)
        for path, (name, trunk) in zip(paths, named, strict=True)
        if path is not None
    )
    return Likeness(distance=rules.distance, pooling=rules.pooling, weights=weights)


def _read(path: Path, name: str, trunk: Trunk) -> Learnt:
    made = read_set(path)
    if (made.trunk, made.feature_dim) != (trunk.hash, trunk.feature_dim):
        raise ConfigError(
            f"{name}: {path} has weights for another trunk: train some on this one with "
            "`mascaron-admin pooling train`, or choose another pooling"
        )
    return made
