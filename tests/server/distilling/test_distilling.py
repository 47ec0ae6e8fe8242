"""Networks taught by others, on pictures of nobody, at toy sizes."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F  # noqa: N812

from common.errors import ConfigError, DataSetError, RunError
from common.faces.crops import StoredCrops
from common.faces.faceset import FaceSet
from common.models.cache import FeatureCache
from common.models.pruning import PruneOptions
from common.models.registry import build
from common.models.safetensors_import import save_trunk
from common.models.trunk import load_trunk
from server.distilling.judging import part
from server.distilling.objective import teaching_loss
from server.distilling.options import DistilOptions, Progress
from server.distilling.pruned import PruneWork, prune_trunk
from server.distilling.pupils import PupilWork, distil_trunk
from server.distilling.standing import FILE
from server.distilling.teaching import Lesson, teach
from server.distilling.views import Views, said_by

SHORT = DistilOptions(steps=4, batch=3, views=2, keep_every=2)
PRUNING = PruneOptions(keep=0.7, rounds=1, block=1, pictures=4)


class StopError(Exception):
    """Somebody pulled the plug."""


def quiet(progress: Progress) -> None:
    """Nobody looks."""


def stopping_after(step: int) -> Callable[[Progress], None]:
    def report(progress: Progress) -> None:
        if progress.what == "teaching" and progress.done == step + 1:
            raise StopError

    return report


@pytest.fixture(scope="module")
def faces() -> FaceSet:
    rng = np.random.default_rng(3)
    small = rng.integers(0, 255, (10, 14, 14, 3)).astype(np.uint8)
    crops = small.repeat(8, axis=1).repeat(8, axis=2)
    names = tuple(map(str, range(5)))
    return FaceSet(source=StoredCrops(crops), person=np.repeat(np.arange(5), 2), names=names)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teacher")
    save_trunk(folder, build("tiny", 8, width=0.25), "anyone may")
    return folder


def test_views_are_the_same_whoever_looks_first_and_the_first_is_the_picture(
    faces: FaceSet,
) -> None:
    views = Views(faces, SHORT)
    forwards = [views.crop(row) for row in range(6)]
    backwards = [views.crop(row) for row in reversed(range(6))][::-1]
    assert np.array_equal(forwards, backwards)
    assert np.array_equal(views.crop(4), faces.crop(2))
    assert not np.array_equal(views.crop(5), faces.crop(2))
    other = Views(faces, dataclasses.replace(SHORT, seed=1))
    assert not np.array_equal(views.crop(5), other.crop(5))


def test_every_view_is_shown_once_before_any_is_shown_again(faces: FaceSet) -> None:
    views = Views(faces, dataclasses.replace(SHORT, batch=4))
    first = np.concatenate([views.batch(step) for step in range(5)])
    second = np.concatenate([views.batch(step) for step in range(5, 10)])
    assert sorted(first) == sorted(second) == list(range(20))
    assert not np.array_equal(first, second)


def test_the_teacher_is_asked_once_and_what_it_said_is_remembered(
    faces: FaceSet, teacher: Path, tmp_path: Path
) -> None:
    trunk, tail = load_trunk(teacher)
    views = Views(faces, SHORT)
    fresh = said_by(trunk, tail, views, quiet)
    cache = FeatureCache(tmp_path)
    kept = said_by(trunk, tail, views, quiet, cache)
    again = said_by(trunk, tail, views, quiet, cache)
    assert np.array_equal(fresh, kept)
    assert np.array_equal(kept, again)
    assert len(list(tmp_path.iterdir())) == SHORT.views
    assert np.allclose(np.linalg.norm(fresh, axis=1), 1, atol=1e-5)
    alone = tail.embed(trunk.features(views.crops([3])))[0]
    assert np.allclose(alone / np.linalg.norm(alone), fresh[3], atol=1e-5)


def test_who_says_what_the_teacher_says_loses_nothing_whatever_the_length() -> None:
    wanted = F.normalize(torch.randn((5, 3), generator=torch.Generator().manual_seed(1)))
    assert float(teaching_loss(7 * wanted, wanted, 5.0)) == pytest.approx(0, abs=1e-6)
    turned = wanted.flip(1)  # everybody turned alike: relations are kept, directions are not
    assert float(teaching_loss(turned, wanted, 5.0)) == pytest.approx(
        float(teaching_loss(turned, wanted, 0.0)), abs=1e-5
    )
    assert float(teaching_loss(turned, wanted, 0.0)) > 0.1


def test_a_pupil_comes_to_say_what_the_teacher_says(faces: FaceSet) -> None:
    def plain(seed: int) -> nn.Sequential:
        torch.manual_seed(seed)
        return nn.Sequential(nn.AvgPool2d(16), nn.Flatten(), nn.Linear(147, 6))

    def look(crops: NDArray[np.uint8]) -> torch.Tensor:
        return torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 127.5 - 1

    options = dataclasses.replace(SHORT, steps=80, batch=8, learning_rate=0.02)
    views = Views(faces, options)
    with torch.no_grad():
        said = F.normalize(plain(1)(look(views.crops(range(len(views)))))).numpy()
    losses: list[float] = []

    def report(progress: Progress) -> None:
        losses.append(progress.loss or 0.0)

    teach(plain(2), Lesson(views, look, said), options, report)
    assert np.mean(losses[-10:]) < 0.1 * np.mean(losses[:3])


def test_a_pruned_trunk_is_smaller_and_another_before_and_after_it_is_taught(
    faces: FaceSet, teacher: Path, tmp_path: Path
) -> None:
    raw = PruneWork(pruning=PRUNING, teaching=None)
    before = prune_trunk(teacher, faces, tmp_path / "raw", raw, quiet)
    work = PruneWork(pruning=PRUNING, teaching=dataclasses.replace(SHORT, steps=1))
    after = prune_trunk(teacher, faces, tmp_path / "taught", work, quiet)
    assert after.multiplications == before.multiplications < after.multiplications_before
    assert len({before.trunk, after.trunk, load_trunk(teacher)[0].hash}) == 3


def test_a_trunk_that_was_framed_is_blind_to_the_edges_before_and_after_it_is_taught(
    faces: FaceSet, teacher: Path, tmp_path: Path
) -> None:
    pruning = PruneOptions(keep=1, frame=(0, 16, 0, 16), pictures=4)
    raw = PruneWork(pruning=pruning, teaching=None)
    before = prune_trunk(teacher, faces, tmp_path / "raw", raw, quiet)
    work = PruneWork(pruning=pruning, teaching=dataclasses.replace(SHORT, steps=1))
    after = prune_trunk(teacher, faces, tmp_path / "taught", work, quiet)
    assert after.multiplications == before.multiplications < after.multiplications_before
    assert before.trunk != after.trunk
    crops = faces.crops(range(2))
    edges = crops.copy()
    edges[:, :, :16] = edges[:, :, -16:] = 0
    trunk, _ = load_trunk(tmp_path / "taught")
    assert np.array_equal(trunk.features(crops), trunk.features(edges))
    inside = crops.copy()
    inside[:, 50:60, 50:60] = 0
    assert not np.array_equal(trunk.features(crops), trunk.features(inside))


def test_a_network_pruned_in_another_way_is_not_taken_up(
    faces: FaceSet, teacher: Path, tmp_path: Path
) -> None:
    kept = PruneWork(pruning=PRUNING, teaching=None, checkpoint=tmp_path / "standing")
    first = prune_trunk(teacher, faces, tmp_path / "first", kept, quiet)
    (file,) = (tmp_path / "standing").iterdir()
    written = file.stat().st_mtime_ns
    again = prune_trunk(teacher, faces, tmp_path / "again", kept, quiet)
    assert again.trunk == first.trunk
    assert file.stat().st_mtime_ns == written
    less = dataclasses.replace(kept, pruning=dataclasses.replace(PRUNING, keep=0.5))
    other = prune_trunk(teacher, faces, tmp_path / "other", less, quiet)
    assert other.multiplications < first.multiplications


def test_invented_people_are_shown_besides_and_never_judge(faces: FaceSet) -> None:
    more = dataclasses.replace(faces, names=tuple("abcde"))
    parted = part(faces, 0.4, 0, more)
    alone = part(faces, 0.4, 0)
    assert np.array_equal(parted.judges.person, alone.judges.person)
    assert len(parted.shown) == len(alone.shown) + len(more)
    assert len(parted.shown.people) == 3 + 5


def test_keeping_all_channels_gives_the_same_embeddings(
    faces: FaceSet, teacher: Path, tmp_path: Path
) -> None:
    work = PruneWork(pruning=PruneOptions(keep=1), teaching=SHORT)
    made = prune_trunk(teacher, faces, tmp_path, work, quiet)
    assert made.multiplications == made.multiplications_before
    crops = faces.crops(range(3))
    (old, old_tail), (new, new_tail) = load_trunk(teacher), load_trunk(tmp_path)
    assert np.allclose(
        old_tail.embed(old.features(crops)), new_tail.embed(new.features(crops)), atol=1e-4
    )


def test_pruning_that_was_stopped_ends_with_the_same_bytes(
    faces: FaceSet, teacher: Path, tmp_path: Path
) -> None:
    whole = PruneWork(pruning=PRUNING, teaching=SHORT)
    prune_trunk(teacher, faces, tmp_path / "whole", whole, quiet)
    kept = dataclasses.replace(whole, checkpoint=tmp_path / "standing")
    with pytest.raises(StopError):
        prune_trunk(teacher, faces, tmp_path / "stopped", kept, stopping_after(2))
    assert not (tmp_path / "stopped").exists()
    prune_trunk(teacher, faces, tmp_path / "stopped", kept, quiet)
    made, again = ((tmp_path / at / "trunk.onnx").read_bytes() for at in ("whole", "stopped"))
    assert made == again


def test_a_pupil_of_the_registry_that_was_stopped_ends_with_the_same_bytes(
    faces: FaceSet, teacher: Path, tmp_path: Path
) -> None:
    whole = PupilWork(architecture="tiny", width=0.25, teaching=SHORT)
    made = distil_trunk(teacher, faces, tmp_path / "whole", whole, quiet)
    assert made.manifest.licence == "anyone may"
    assert made.manifest.architecture == "tiny"
    assert made.judges == 1
    assert made.tar_after is None  # one person makes no impostors
    kept = dataclasses.replace(whole, checkpoint=tmp_path / "standing")
    with pytest.raises(StopError):
        distil_trunk(teacher, faces, tmp_path / "stopped", kept, stopping_after(2))
    distil_trunk(teacher, faces, tmp_path / "stopped", kept, quiet)
    names = (tmp_path / at / "trunk.safetensors" for at in ("whole", "stopped"))
    assert len({name.read_bytes() for name in names}) == 1


def test_a_standing_of_another_training_is_refused_and_so_is_a_damaged_one(
    faces: FaceSet, teacher: Path, tmp_path: Path
) -> None:
    work = PupilWork(width=0.25, teaching=SHORT, checkpoint=tmp_path / "standing")
    distil_trunk(teacher, faces, tmp_path / "one", work, quiet)
    other = dataclasses.replace(work, width=0.3)
    with pytest.raises(RunError, match=r"another training \(width"):
        distil_trunk(teacher, faces, tmp_path / "two", other, quiet)
    (tmp_path / "standing" / FILE).write_bytes(b"nothing")
    with pytest.raises(RunError, match="not the standing"):
        distil_trunk(teacher, faces, tmp_path / "two", work, quiet)


def test_too_few_people_and_impossible_options_are_told(faces: FaceSet) -> None:
    with pytest.raises(DataSetError, match="too few"):
        part(faces.of_people([0]), 0.5, 0)
    with pytest.raises(ConfigError, match="augment"):
        DistilOptions(augment=("upside down",))
    with pytest.raises(ConfigError, match="batch"):
        DistilOptions(batch=1)
