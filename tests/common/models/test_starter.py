"""The trunk that comes with the project: trained by its own command on invented people."""

from pathlib import Path

from common.metrics.verification import tar_at_far
from common.models.fold import refuse_batch_dependence
from common.models.trunk import load_trunk
from common.synthetic.generate import synthetic_faces

STARTER = Path(__file__).parents[3] / "simulations" / "starter"
UNSEEN = 7002  # a seed that its training (7001) never used


def test_the_starter_trunk_is_small_whole_and_free_of_anyones_face() -> None:
    assert sum(file.stat().st_size for file in STARTER.iterdir()) <= 4 << 20
    trunk, tail = load_trunk(STARTER)
    assert (trunk.feature_dim, tail.embedding_dim) == (192, 128)
    assert "synthetic people only" in trunk.manifest.licence
    refuse_batch_dependence(trunk.module)


def test_the_starter_trunk_tells_people_apart_that_it_never_saw() -> None:
    faces = synthetic_faces(24, 4, seed=UNSEEN)
    trunk, tail = load_trunk(STARTER)
    crops = faces.crops(range(len(faces)))
    learned = tar_at_far(tail.embed(trunk.features(crops)), faces.person, (1e-2,))[1e-2]
    pixels = crops.reshape(len(crops), 14, 8, 14, 8, 3).mean((2, 4)).reshape(len(crops), -1)
    plain = tar_at_far(pixels - pixels.mean(0), faces.person, (1e-2,))[1e-2]
    assert learned is not None and plain is not None
    assert learned > plain + 0.2
