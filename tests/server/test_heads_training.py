import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from common.errors import ConfigError, DataSetError
from common.faces.store import save_pack
from common.heads.head import PictureLabels
from common.heads.heads import Heads
from common.heads.heads_file import read_heads
from common.heads.joint import HeadTraining
from common.heads.labelled import labelled
from common.models.tail import Tail
from server.cli import main
from server.commands.heads import parse_kinds, parse_weights
from server.heads import HeadsRequest, Pupils, train_public
from simulations.benchmarks.quality import STARTER
from tests.small_heads import Letters, labelled_faces

PEOPLE, PICTURES, DIM = 60, 4, 8
QUICK = HeadTraining(learning_rate=0.2, steps=60, decays=(1e-4,), patience=60)


def pupils(seed: int = 0) -> Pupils:
    """People whose features tell two attributes and an age; a third attribute is too rare."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(PEOPLE), PICTURES)
    own = rng.standard_normal((PEOPLE, DIM))[person]
    features = (own + 0.3 * rng.standard_normal(own.shape)).astype(np.float32)
    truth = np.stack([own[:, 0] > 0, own[:, 1] > 0.5, person == 0], axis=1).astype(np.int8)
    truth[rng.random(truth.shape) < 0.1] = -1
    return Pupils(
        trunk="a" * 64,
        features=features * 5 + 3,
        person=person,
        names=("glasses", "hat", "bald"),
        labels=PictureLabels(
            attributes=torch.from_numpy(truth),
            age=torch.from_numpy((45 + 12 * own[:, 2]).astype(np.float32)),
        ),
    )


@pytest.fixture(scope="module")
def trained() -> tuple[Heads, dict[str, object]]:
    tail = Tail(np.eye(4, DIM, dtype=np.float32), np.zeros(4, np.float32))
    return train_public(pupils(), HeadsRequest(training=QUICK), tail)


def test_heads_tell_people_who_taught_them_nothing(
    trained: tuple[Heads, dict[str, object]],
) -> None:
    made, figures = trained
    judged = figures["judged"]
    assert judged["attributes"]["auc"] > 0.85  # type: ignore[index]
    assert judged["age"]["mean_absolute_error"] < 8  # type: ignore[index]
    assert 0.6 < judged["age"]["within_range"] <= 1  # type: ignore[index]
    assert figures["people"] == [36, 12, 12]
    assert made.match is not None and made.match.slope > 0


def test_an_attribute_too_rare_to_teach_is_left_out(
    trained: tuple[Heads, dict[str, object]],
) -> None:
    assert trained[0].read(pupils().features[:2]).names == ("glasses", "hat")


def test_weights_are_those_of_uncertainty_unless_they_are_given() -> None:
    one = HeadsRequest(kinds=("age",), training=QUICK)
    made, figures = train_public(pupils(), one)
    loss = 1 / made.weights["age"]
    assert 0.05 < loss < 1 and made.match is None
    fixed = HeadsRequest(kinds=("age",), training=QUICK, weights={"age": 0.25})
    assert train_public(pupils(), fixed)[0].weights == {"age": 0.25}
    assert figures["judged"]["age"]["pictures"] == 12 * PICTURES


def test_words_and_gender_are_trained_where_they_are_asked_for() -> None:
    faces = labelled_faces()
    kinds = ("gender", "words")
    told = labelled(faces, kinds, Letters())
    features = np.random.default_rng(1).standard_normal((len(faces), DIM)).astype(np.float32)
    given = Pupils(
        trunk="a" * 64,
        features=features,
        person=faces.person,
        labels=told.labels,
        names=told.names,
    )
    asked = HeadsRequest(kinds=kinds, training=QUICK)
    made, figures = train_public(given, asked, encoder=Letters())
    assert made.kinds == ("gender", "words")
    assert set(figures["judged"]["gender"]["each"]) == {"gender"}
    with pytest.raises(ConfigError, match="text encoder"):
        train_public(given, asked)


def test_people_of_whom_too_little_is_said_are_refused() -> None:
    given = pupils()
    few = Pupils(
        trunk=given.trunk,
        features=given.features[:20],
        person=given.person[:20],
        labels=given.labels.of(slice(20)),
        names=given.names,
    )
    with pytest.raises(DataSetError, match="ten public people"):
        train_public(few, HeadsRequest(training=QUICK))
    silent = Pupils(
        trunk=given.trunk,
        features=given.features,
        person=given.person,
        labels=PictureLabels(attributes=torch.full((PEOPLE * PICTURES, 3), -1, dtype=torch.int8)),
        names=given.names,
    )
    with pytest.raises(DataSetError, match="5 pictures"):
        train_public(silent, HeadsRequest(kinds=("attributes",), training=QUICK))
    with pytest.raises(DataSetError, match="age head"):
        train_public(silent, HeadsRequest(kinds=("age",), training=QUICK))


def test_kinds_and_weights_are_read_as_they_are_typed() -> None:
    assert parse_kinds("attributes, age") == ("attributes", "age")
    assert parse_weights("age=0.5, attributes=2") == {"age": 0.5, "attributes": 2.0}
    assert parse_weights("") == {}
    for wrong in ("age", "age=", "age=x"):
        with pytest.raises(ConfigError, match="kind=number"):
            parse_weights(wrong)
    for kinds in ((), ("race",), ("age", "age")):
        with pytest.raises(ConfigError, match="--heads"):
            HeadsRequest(kinds=kinds)
    with pytest.raises(ConfigError, match="--weights"):
        HeadsRequest(weights={"age": 1.0})


def test_the_command_writes_heads_and_says_how_right_they_are(tmp_path: Path) -> None:
    save_pack(tmp_path / "public.npz", labelled_faces(people=20, pictures=2))
    out = tmp_path / "new" / "x.heads.safetensors"
    words = ["heads", "train", "--trunk", str(STARTER), "--out", str(out)]
    done = CliRunner().invoke(main, [*words, "--faces", str(tmp_path / "public.npz")])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["kinds"] == ["attributes", "age"]
    assert told["columns_refused"] == {"race": 1, "religion": 1}
    assert "Pale" not in done.output
    assert read_heads(out).trunk == told["trunk"]
    again = CliRunner().invoke(main, words)
    assert again.exit_code == 1 and str(out) in again.output
