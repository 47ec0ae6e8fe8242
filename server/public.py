"""What public people decide before a run: the tail it starts from, its coordinates, its radii.

The laboratory and a real federation open a run with the same lines. Everything here is made of
pictures that are public already, so nothing here costs anybody privacy.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.errors import DataSetError
from common.faces.cameras import RANDOMISED, Camera, load_cameras, narrowed
from common.faces.faceset import FaceSet
from common.heads.tuning import TuningOptions
from common.models.studio import Features, Lens, Studio
from common.models.tail import Tail
from common.moments.names import FRAME_BIAS, FRAME_WEIGHT
from common.moments.reference import PublicViews, Reference, make_reference
from server.tuning import tune_public

WATCHED = 100  # public people by whom the centre sees how a gradient phase goes


@dataclass(frozen=True, kw_only=True, slots=True)
class PublicCameras:
    """Through what the public pictures are seen: ``camera`` draws anew for every picture.

    ``views`` times each through the randomised camera itself, ``simulated_views`` times through
    some of ``simulated_cameras`` fixed ones drawn from it.
    """

    camera: Camera
    views: int = 8
    simulated_views: int = 4
    simulated_cameras: int = 32


def randomised() -> Camera:
    """The camera whose ranges cover those we know."""
    return load_cameras(RANDOMISED)[0]


def shoot_public(public: FaceSet, how: PublicCameras, studio: Studio) -> PublicViews:
    """Every public picture through the cameras of ``how``; ``DataSetError`` for one person only."""
    if len(public.people) < 2:
        raise DataSetError("the public faces need at least two people")
    base, views = how.camera, how.views
    wide = [
        studio.shoot(public, Lens(cameras=(base,), view=v), f"public people, view {v + 1}/{views}")
        for v in range(views)
    ]
    fixed = tuple(narrowed(base, number) for number in range(how.simulated_cameras))
    rng = np.random.default_rng([base.seed, len(fixed)])
    count = min(how.simulated_views, len(fixed))
    seen = np.stack([rng.permutation(len(fixed))[:count] for _ in range(len(public))])
    simulated = [
        studio.shoot(
            public, Lens(cameras=fixed, chosen=seen[:, u]), f"simulated cameras {u + 1}/{count}"
        )
        for u in range(count)
    ]
    return PublicViews(
        randomised=np.stack(wide, axis=1),
        simulated=np.stack(simulated, axis=1),
        camera=seen,
        person=public.person,
    )


@dataclass(frozen=True, eq=False)
class Opening:
    """What a run starts from: the tail tuned on public people, and their statistics."""

    tail: Tail
    reference: Reference

    @property
    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """The shared arrays that every pool begins with: tail and frame."""
        frame = self.reference.frame
        return {**self.tail.arrays(), FRAME_WEIGHT: frame.weight, FRAME_BIAS: frame.bias}


def open_tail(tail: Tail, views: PublicViews, steps: int) -> Opening:
    """``tail`` after at most ``steps`` on public people, and their statistics; repeatable."""
    options, rng = TuningOptions(steps=steps), np.random.default_rng(0)
    tuned = tune_public(tail, views.randomised, views.person, options, rng)
    return Opening(tuned, make_reference(tuned, views))


def watched(views: PublicViews) -> tuple[Features, NDArray[np.int64]]:
    """Features (W, D) and person (W,) of the public people that a gradient phase is watched by."""
    few = np.isin(views.person, np.unique(views.person)[:WATCHED])
    return views.randomised[few, 0], views.person[few]
