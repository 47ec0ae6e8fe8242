"""A calibration decides in three bands, comes back to the bit, and shows itself to nobody."""

import copy
import dataclasses
import json
import logging
import math
import pickle
import re
import stat
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.door.thresholds import Band, Calibration, Levels
from common.errors import ConfigError, NotReadyError

SCORES = st.floats(-1, 1, width=32)
RATE = st.floats(0, 1)


@st.composite
def levels(draw: st.DrawFn) -> Levels:
    near, match = sorted((draw(SCORES), draw(SCORES)))
    return Levels(
        match=match,
        near=near,
        rate=draw(RATE),
        bound=draw(RATE),
        own_bound=draw(RATE),
        comparisons=draw(st.integers(1, 10**9)),
        people=draw(st.integers(2, 10**6)),
    )


CALIBRATIONS = st.builds(
    Calibration,
    release=st.text("0123456789abcdef", min_size=64, max_size=64),
    trunk=st.text("0123456789abcdef", min_size=64, max_size=64),
    verify=levels(),
    search=st.one_of(st.none(), levels()),
    gallery=st.integers(1, 10**6),
    made=st.floats(0, 4e9),
    faces=st.text("0123456789abcdef", min_size=64, max_size=64),
)
LEVELS = Levels(
    match=0.4187234, near=0.3312983, rate=1e-3, bound=9e-4, own_bound=0.02, comparisons=9, people=4
)
CALIBRATION = Calibration(
    release="ab" * 32,
    trunk="cd" * 32,
    verify=LEVELS,
    search=dataclasses.replace(LEVELS, match=0.5571234, near=0.4729817),
    gallery=40,
    made=1.7e9,
    faces="ef" * 32,
)


@given(found=levels(), score=SCORES)
def test_a_score_is_a_match_from_the_upper_threshold_on(found: Levels, score: float) -> None:
    expected = Band.MATCH if score >= found.match else Band.NEAR
    assert found.decide(score) == (expected if score >= found.near else Band.NO)


@given(found=levels(), lower=SCORES, higher=SCORES)
def test_a_higher_score_never_has_a_lower_band(found: Levels, lower: float, higher: float) -> None:
    order = [Band.NO, Band.NEAR, Band.MATCH]
    bands = [order.index(found.decide(score)) for score in sorted((lower, higher))]
    assert bands[0] <= bands[1]


def test_thresholds_are_compared_as_float32() -> None:
    single = float(np.float32(0.1))
    found = dataclasses.replace(LEVELS, match=single, near=single)
    assert found.decide(0.1) == Band.MATCH  # below it in float64, the same in float32
    assert found.decide(float(np.nextafter(np.float32(0.1), np.float32(0)))) == Band.NO


def test_what_is_no_number_is_no_match() -> None:
    assert CALIBRATION.decide(math.nan) == CALIBRATION.decide(-math.inf) == Band.NO


def test_searches_have_thresholds_of_their_own_or_are_refused() -> None:
    assert CALIBRATION.decide(0.5) == Band.MATCH
    assert CALIBRATION.decide_search(0.5) == Band.NEAR
    with pytest.raises(NotReadyError):
        dataclasses.replace(CALIBRATION, search=None).decide_search(0.9)


def test_a_gallery_outgrows_its_calibration_where_the_bound_would_pass_the_rate() -> None:
    assert not CALIBRATION.outgrown(40)
    assert not CALIBRATION.outgrown(44)  # 9e-4 x 44 / 40 is below 1e-3
    assert CALIBRATION.outgrown(45)
    assert not dataclasses.replace(CALIBRATION, search=None).outgrown(10**6)


@given(calibration=CALIBRATIONS, scores=st.lists(SCORES, max_size=20))
def test_what_is_read_back_decides_the_same_to_the_bit(
    tmp_path_factory: pytest.TempPathFactory, calibration: Calibration, scores: list[float]
) -> None:
    path = tmp_path_factory.mktemp("kept") / "calibration.json"
    calibration.store(path)
    found = Calibration.load(path)
    assert found == calibration
    for level in (calibration.verify.match, calibration.verify.near, *scores):
        for score in (level, float(np.nextafter(np.float32(level), np.float32(-2)))):
            assert found.decide(score) == calibration.decide(score)


def test_the_file_is_the_agents_alone(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    assert Calibration.load(path) is None
    CALIBRATION.store(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"release": 3},
        {"gallery": 1.5},
        {"gallery": True},
        {"made": math.nan},
        {"more": 1},
        {"verify": None},
        {"verify": {"match": 0.4187234}},
        {"verify": {**dataclasses.asdict(LEVELS), "near": 0.5}},
        {"verify": {**dataclasses.asdict(LEVELS), "match": "0.4187234"}},
        {"verify": {**dataclasses.asdict(LEVELS), "match": math.inf}},
        {"search": {**dataclasses.asdict(LEVELS), "bound": 1.4187234}},
        {"search": 0},
    ],
)
def test_a_file_that_is_no_calibration_is_refused_and_not_quoted(
    tmp_path: Path, change: dict[str, object]
) -> None:
    path = tmp_path / "calibration.json"
    CALIBRATION.store(path)
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | change), "utf-8")
    with pytest.raises(ConfigError, match="calibrate again") as refused:
        Calibration.load(path)
    assert "4187" not in str(refused.value)
    assert refused.value.__cause__ is None


@given(content=st.one_of(st.binary(max_size=60), st.sampled_from([b"3", b'"x"', b"[]", b"{}"])))
def test_bytes_that_are_no_calibration_are_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("broken") / "calibration.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError):
        Calibration.load(path)


def test_nothing_of_it_is_shown(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("client").warning("%s %r %s", CALIBRATION, [CALIBRATION], CALIBRATION.verify)
    told = f"{CALIBRATION} {CALIBRATION!r} {CALIBRATION.search!r} {caplog.text}"
    with pytest.raises(ConfigError) as refused:
        dataclasses.replace(LEVELS, near=0.9)
    told = re.sub("0x[0-9a-f]+|py:[0-9]+", "", told + str(refused.value))  # of memory, of the line
    for secret in ("0.4", "4187", "3312", "5571", "4729", "0009", "9e-4", "efef", "40"):
        assert secret not in told


def test_it_does_not_travel() -> None:
    with pytest.raises(TypeError, match="stays"):
        pickle.dumps(CALIBRATION)
    with pytest.raises(TypeError, match="stays"):
        copy.deepcopy(CALIBRATION)
