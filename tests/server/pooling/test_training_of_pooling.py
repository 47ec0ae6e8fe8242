"""Weights of pictures from public people: judged on others, and told where too few can be."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console

from common.errors import ConfigError, DataSetError
from common.faces.store import save_pack
from common.matching.pooling import pooled
from common.matching.set_file import parse_set, read_set
from common.matching.set_learning import Frames
from common.metrics.verification import Floats
from common.models.cache import FeatureCache
from common.models.tail import Tail
from common.models.trunk import Trunk, load_trunk
from server.cli import main
from server.commands.progress import Started, bars_of
from server.pooling.frames import Seeing
from server.pooling.judging import Pool, by_mean, by_quality, compared
from server.pooling.training import PoolingRequest, train_pooling
from simulations.benchmarks.quality import STARTER
from tests.small_pooling import squares

TAIL = Tail(np.eye(11, dtype=np.float32)[1:], np.zeros(10, np.float32))


def frames(people: int, pictures: int = 8) -> Frames:
    """State 0 shows a person, state 1 nobody; only the first feature tells which."""
    rng = np.random.default_rng(2)
    who = rng.standard_normal((people, 1, 1, 10)).repeat(pictures, axis=1)
    shown = np.concatenate([who, np.zeros_like(who)], axis=2)
    shown = shown + rng.standard_normal(shown.shape)
    state = np.broadcast_to(np.array([-1.0, 1.0])[None, None, :, None], (*shown.shape[:3], 1))
    features = np.concatenate([state, shown], axis=3).reshape(-1, 2, 11).astype(np.float32)
    quality = np.full(features.shape[:2], 0.5, np.float32)
    return Frames(features=features, quality=quality, person=np.repeat(np.arange(people), pictures))


def test_a_way_to_pool_that_knows_the_spoilt_frames_gains_where_there_are_some() -> None:
    def knowing(features: Floats, quality: Floats, rows: Floats) -> Floats:
        return pooled(rows, np.where(features[:, 0] < 0, 1.0, 0.01))

    ways: dict[str, Pool] = {"mean": by_mean, "knowing": knowing}
    shown = frames(40)
    rows = {
        mixed: {r["way"]: r for r in compared(shown, TAIL, ways, (4, 3), mixed=mixed)}
        for mixed in (False, True)
    }
    assert rows[False]["knowing"]["over_mean@0.01"] == pytest.approx(0, abs=1e-6)
    assert rows[True]["mean"]["over_mean@0.01"] == 0
    low, high = rows[True]["knowing"]["over_mean_ci@0.01"]
    assert 0 < low < rows[True]["knowing"]["over_mean@0.01"] < high
    assert rows[True]["mean"]["people"] == 40


def test_people_who_are_too_few_are_not_judged() -> None:
    ways: dict[str, Pool] = {"quality": by_quality}
    assert compared(frames(1), TAIL, ways, (2, 1), mixed=False) == []
    assert compared(frames(20, 3), TAIL, ways, (2, 1), mixed=True) == []
    (row,) = compared(frames(2), TAIL, ways, (2, 1), mixed=True)
    assert row["people"] == 2 and row["tar@0.001"] is None


def test_what_was_learnt_gains_over_quality_on_people_who_taught_nothing() -> None:
    asked = PoolingRequest(steps=80, size=8, template=4)
    content, told = train_pooling(frames(100), TAIL, "ab" * 32, asked)
    learnt = parse_set(content, "there")
    assert (learnt.kind, learnt.trunk, learnt.name) == ("attention", "ab" * 32, told["sha256"])
    assert told["people"] == [70, 30]
    rows = {row["way"]: row for row in told["judged"]["mixed"]}
    assert set(rows) == {"mean", "quality", "learnt"}
    assert rows["learnt"]["over_quality_ci@0.01"][0] > 0
    assert train_pooling(frames(100), TAIL, "ab" * 32, asked)[0] == content
    other = PoolingRequest(steps=80, size=8, template=4, seed=1)
    assert train_pooling(frames(100), TAIL, "ab" * 32, other)[0] != content


def test_who_teaches_does_not_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, given = PoolingRequest(steps=1, size=2, template=2), frames(30)
    found: list[set[int]] = []
    for place in ("learn_weights", "compared"):
        real = getattr(__import__("server.pooling.training", fromlist=[place]), place)

        def noted(*words: object, _real: object = real, **more: object) -> object:
            shown = next(word for word in words if isinstance(word, Frames))
            found.append(set(shown.person.tolist()))
            return _real(*words, **more)  # type: ignore[operator]

        monkeypatch.setattr(f"server.pooling.training.{place}", noted)
    train_pooling(given, TAIL, "ab" * 32, asked)
    taught, *judged = found
    assert len(judged) == 2 and all(not taught & people for people in judged)
    assert taught | judged[0] == set(range(30))


def test_too_few_people_and_an_unknown_kind_are_refused() -> None:
    with pytest.raises(DataSetError, match="at least 10 public people"):
        train_pooling(frames(9), TAIL, "ab" * 32, PoolingRequest())
    with pytest.raises(DataSetError, match="two pictures"):
        train_pooling(frames(40, 1), TAIL, "ab" * 32, PoolingRequest())
    with pytest.raises(ConfigError, match="--kind"):
        PoolingRequest(kind="mean")  # type: ignore[arg-type]


def test_a_picture_is_seen_as_a_door_sees_it_and_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faces, (trunk, _) = squares(3, 10, 5), load_trunk(STARTER)
    with bars_of(Console(stderr=True)) as bars:
        seeing = Seeing(trunk=trunk, cache=FeatureCache(tmp_path), progress=Started(bars), states=2)
        made = seeing.frames(faces)
        crops = faces.crops(range(8))
        both = trunk.features(crops) + trunk.features(np.ascontiguousarray(crops[:, :, ::-1]))
        assert made.features.shape == (24, 3, trunk.feature_dim), "at most eight of a person"
        assert np.allclose(made.features[:8, 0], both / 2, atol=1e-4)
        assert not np.allclose(made.features[:, 0], made.features[:, 1], atol=1e-2)
        assert made.quality.shape == (24, 3) and (made.quality > 0).all()
        monkeypatch.setattr(Trunk, "features", None)
        again = seeing.frames(faces)
    assert np.array_equal(again.features, made.features)
    assert np.array_equal(again.quality, made.quality)


def test_the_command_writes_weights_and_says_what_they_gain(tmp_path: Path) -> None:
    save_pack(tmp_path / "public.npz", squares(12, 4, 5))
    out, kept = tmp_path / "new" / "x.pooling.safetensors", tmp_path / "kept"
    words = ["pooling", "train", "--trunk", str(STARTER), "--out", str(out), "--steps", "3"]
    words += ["--faces", str(tmp_path / "public.npz"), "--template", "2", "--cache", str(kept)]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    learnt = read_set(out)
    assert (told["trunk"], told["sha256"]) == (learnt.trunk, learnt.name)
    assert learnt.trunk == load_trunk(STARTER)[0].hash and learnt.kind == told["kind"]
    assert told["people"] == [8, 4] and set(told["judged"]) == {"clean", "mixed"}
    again = CliRunner().invoke(main, words)
    assert again.exit_code == 1 and str(out) in again.output


def test_invented_people_teach_where_nobody_is_named(tmp_path: Path) -> None:
    out = tmp_path / "x.pooling.safetensors"
    words = ["pooling", "train", "--trunk", str(STARTER), "--out", str(out), "--steps", "1"]
    words += ["--people", "10", "--pictures", "2", "--kind", "recurrent"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["judged"] == {"clean": [], "mixed": []}, "nobody has six pictures"
    assert read_set(out).kind == "recurrent"
