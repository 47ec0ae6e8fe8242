"""The built-in encoder tells polarity apart, and neither other words nor another language."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from common.errors import ModelError, QueryError
from common.heads.heads import Readings
from common.text.encoder import (
    WEIGHTS,
    CompactEncoder,
    Network,
    built_in,
    codes,
    encoder_bytes,
    meaning_code,
    read_encoder,
)
from common.text.encoding import encoder_with, open_encoder, unit
from common.text.parsing import parse
from common.text.phrasing import Phrasing
from common.text.search import UNDERSTOOD, Searcher
from common.text.vocabulary import FEMALE, names
from server.text_encoder import TextTraining, draw_texts, train_encoder
from simulations.cli_text import text

TINY = TextTraining(texts=64, steps=3, batch=16)


@pytest.fixture(scope="module")
def encoder() -> CompactEncoder:
    return built_in()


def test_a_choice_with_a_gender_has_no_direction_and_the_rest_is_searched(
    encoder: CompactEncoder,
) -> None:
    searcher = Searcher(encoder)
    for query in ("a woman or someone with glasses", "女人或者戴眼镜"):
        for gender in (True, False):
            assert len(searcher.target(parse(query, gender=gender))) == 0
            assert len(searcher.target(parse(f"{query}, but no hat", gender=gender))) == 1


@pytest.mark.parametrize("note", [{}, [], 5, {"names": 5}, {"names": "glasses"}])
def test_a_file_that_names_no_vocabulary_is_no_encoder(note: object, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file(load_file(WEIGHTS), path, metadata={"text": json.dumps(note)})
    with pytest.raises(ModelError):
        read_encoder(path)


@given(seed=st.integers(0, 2**32 - 1))
def test_every_way_of_saying_it_is_read_back_to_what_was_meant(seed: int) -> None:
    phrased = Phrasing(np.random.default_rng(seed)).draw()
    query = parse(phrased.text)
    assert (query.wanted, query.age) == (phrased.attributes, phrased.age), phrased.text
    assert not query.remainder and not query.either


def test_other_words_and_languages_lie_near_and_the_contrary_does_not(
    encoder: CompactEncoder,
) -> None:
    phrasing = Phrasing(np.random.default_rng([99, 1]))
    meant = [meaning for _ in range(80) if (meaning := phrasing.meaning())[0]]
    said = [phrasing.say(*meaning, "en") for meaning in meant]
    again = [phrasing.say(*meaning, "en") for meaning in meant]
    other = [phrasing.say(*meaning, "zh") for meaning in meant]
    turned = [({n: not so for n, so in wanted.items()}, None) for wanted, _ in meant]
    contrary = [phrasing.say(*meaning, "en") for meaning in turned]
    base = encoder.encode(said)
    assert np.mean(np.sum(base * encoder.encode(again), axis=1)) > 0.85
    assert np.mean(np.sum(base * encoder.encode(other), axis=1)) > 0.85
    assert np.mean(np.sum(base * encoder.encode(contrary), axis=1)) < -0.5
    truth = unit(np.stack([meaning_code(*meaning) for meaning in meant]))
    assert np.mean(np.sum(base * truth, axis=1)) > 0.85


def test_no_glasses_is_the_contrary_of_glasses(encoder: CompactEncoder) -> None:
    having, lacking, words, chinese, beard = encoder.encode(
        ["glasses", "no glasses", "wearing spectacles", "\u6234\u773c\u955c", "a beard"]
    )
    assert having @ lacking < 0 < 0.5 < having @ words
    assert having @ chinese > 0.5
    assert abs(having @ beard) < 0.5


def test_a_slip_of_the_pen_is_understood_and_a_strange_word_is_not(encoder: CompactEncoder) -> None:
    slips = encoder.understood(["smilling", "freckels", "sunglases", "mustach"])
    strange = encoder.understood(["purple tentacles", "a dog in the park", "blue eyes", ""])
    assert strange.max() < UNDERSTOOD < slips.min()
    faces = Readings(words=encoder.encode(["not smiling", "freckles", "smiling"]))
    assert Searcher(encoder).rank(parse("smilling"), faces).order[0] == 2
    with pytest.raises(QueryError):
        Searcher(encoder).rank(parse("purple tentacles"), faces)


def test_vectors_are_unit_rows_whatever_stands_beside_them(encoder: CompactEncoder) -> None:
    texts = ["glasses", "a person of about forty with a beard, no hat", "bald"]
    together = encoder.encode(texts)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, rtol=1e-5)
    alone = np.concatenate([encoder.encode([one]) for one in texts])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert encoder.encode([]).shape == (0, encoder.size)


def test_a_meaning_has_no_gender_and_its_contrary_lies_opposite() -> None:
    base = codes() @ codes().T
    np.testing.assert_allclose(base, np.eye(len(names()) + 2), atol=1e-5)
    wanted = {"glasses": True, "hat": False}
    np.testing.assert_array_equal(
        meaning_code(wanted, None), meaning_code({FEMALE: True, **wanted}, None)
    )
    contrary = {name: not so for name, so in wanted.items()}
    np.testing.assert_allclose(meaning_code(wanted, None), -meaning_code(contrary, None), atol=1e-6)


def test_training_repeats_from_its_seed() -> None:
    first, again = (encoder_bytes(train_encoder(TINY), {}) for _ in range(2))
    assert first == again
    other = dataclasses.replace(TINY, seed=1)
    assert encoder_bytes(train_encoder(other), {}) != first
    assert draw_texts(TINY)[0] != draw_texts(other)[0]


def test_the_command_writes_weights_that_are_read_again(tmp_path: Path) -> None:
    out = tmp_path / "encoder.safetensors"
    words = ["train", "--out", str(out), "--texts", "64", "--steps", "2"]
    done = CliRunner().invoke(text, words)
    assert done.exit_code == 0, done.output
    assert read_encoder(out).hash in done.stdout


def test_weights_are_small_and_strange_ones_refused(tmp_path: Path) -> None:
    assert WEIGHTS.stat().st_size < 1_000_000
    broken = tmp_path / "encoder.safetensors"
    broken.write_bytes(WEIGHTS.read_bytes()[:-1])
    with pytest.raises(ModelError):
        read_encoder(broken)
    network = Network()
    broken.write_bytes(encoder_bytes(network, {"names": ["glasses"]}))
    with pytest.raises(ModelError, match="vocabulary"):
        read_encoder(broken)


def test_an_encoder_is_known_by_its_hash(encoder: CompactEncoder) -> None:
    assert encoder_with(encoder.hash) is encoder
    with pytest.raises(ModelError, match="words head"):
        encoder_with("0" * 64)
    with pytest.raises(ModelError):
        open_encoder("word2vec")
    assert open_encoder(str(WEIGHTS)).hash == encoder.hash
