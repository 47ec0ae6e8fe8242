"""Ideas of who operates the door, or reads its log: tails that bite, rates of nothing, rows."""

import json
import math
import struct
from collections.abc import Iterator

import numpy as np
from safetensors.numpy import save

from common.models.tail_file import TRUNK
from common.models.trunk import load_trunk
from tests.hostile.callers import Haul, attack, mouth
from tests.hostile.doorstep import Doorstep
from tests.small_home import STARTER


@attack("INVALID_REQUEST", "MODEL_INVALID", "RELEASE_REFUSED", "RESOURCE_EXHAUSTED")
def stages_tails_that_bite(site: Doorstep, haul: Haul) -> None:
    with mouth(site, haul, "operating") as operator:
        before = operator("Status").active
        for content in _tails():
            if operator("StageRelease", tail=content) is not None:
                operator("UnstageRelease")
        after = operator("Status")
    assert (after.active, after.staged, after.calibrated) == (before, "", True)


@attack("RELEASE_REFUSED")
def goes_where_no_release_is(site: Doorstep, haul: Haul) -> None:
    with mouth(site, haul, "operating") as operator:
        for method in ("PromoteRelease", "RollbackRelease", "UnstageRelease"):
            assert operator(method) is None


@attack("INVALID_REQUEST", "INSUFFICIENT_CALIBRATION")
def asks_for_rates_of_nothing(site: Doorstep, haul: Haul) -> None:
    """Who is missing is a number of people, whatever was asked for; no threshold is told."""
    rates = (5e-324, 1e-300, 1e-18, 1e-9, -1.0, 0.26, 1.0, math.inf, math.nan)
    with mouth(site, haul, "operating") as operator:
        for rate in rates:
            assert operator("Calibrate", fmr=rate, fpir=0.2) is None, rate
            assert operator("Calibrate", fmr=0.1, fpir=rate) is None, rate
            assert operator("Calibrate", fpir=rate) is None, rate


@attack("INVALID_REQUEST")
def asks_for_pages_of_any_size(site: Doorstep, haul: Haul) -> None:
    with mouth(site, haul, "auditor") as auditor:
        for most in (0, 1001, 2**32 - 1):
            assert auditor("AuditRows", most=most) is None
        assert auditor("AuditRows", after=2**64 - 1, most=1) is None
        assert len(auditor("AuditRows", after=2**62, most=1000).rows) == 0


@attack()
def reads_every_row_there_is(site: Doorstep, haul: Haul) -> None:
    """Tags and words: nobody's id, name, picture or caller in any spelling; looking is a row."""
    before = site.kinds()["audit"]
    with mouth(site, haul, "auditor") as auditor:
        told = auditor("AuditRows", most=1000)
        assert auditor("AuditHead").index >= len(told.rows)
    content = told.SerializeToString()
    assert not any(person in content or person.hex().encode() in content for person in site.people)
    assert not any(f'"{name}"'.encode() in content for name in site.tokens)
    assert site.kinds()["audit"] == before + 1


@attack("INVALID_REQUEST", told=("name",))
def lists_by_any_page(site: Doorstep, haul: Haul) -> None:
    with mouth(site, haul, "operating") as operator:
        for after in (b"short", bytes(17), bytes(60_000)):
            assert operator("List", most=1, after=after) is None
        for most in (0, 10_001, 2**32 - 1):
            assert operator("List", most=most) is None
        assert len(operator("List", most=10_000, after=b"\xff" * 16).people) == 0
        assert len(operator("List", most=1).people) == 1


def _tails() -> Iterator[bytes]:
    trunk, tail = load_trunk(STARTER)
    size, known = trunk.feature_dim, {TRUNK: trunk.hash}

    def file(weight: np.ndarray, bias: np.ndarray, **words: str) -> bytes:
        return save({"tail.weight": weight, "tail.bias": bias}, metadata=words or known)

    def drawn(rows: int = 8, columns: int = size) -> np.ndarray:
        rng = np.random.default_rng(rows)
        return rng.standard_normal((rows, columns)).astype(np.float32)

    zero = np.zeros(8, np.float32)
    yield from (b"", b"\0" * 8, b"\xff" * 64, struct.pack("<Q", 2**63) + b"{}" * 50)
    for wrong in (math.nan, math.inf, -math.inf):
        spoilt = drawn()
        spoilt[3, 3] = wrong
        yield file(spoilt, zero)
    yield file(drawn() * np.float32(1e38), zero)
    yield file(drawn() * np.float32(1e-44), zero)  # denormal
    yield file(np.zeros((8, size), np.float32), zero)
    yield file(np.zeros((8, size), np.float32), np.ones(8, np.float32))  # everybody is one point
    yield file(drawn(8, size + 1), zero)
    yield file(drawn(), np.zeros(9, np.float32))
    yield file(np.zeros((0, size), np.float32), np.zeros(0, np.float32))
    yield file(drawn()[0], zero)
    yield file(drawn()[None], zero)
    yield file(drawn().astype(np.float64), zero)
    yield file(drawn().astype(np.float16), zero)
    yield file(drawn(20_000), np.zeros(20_000, np.float32))
    yield file(drawn(), zero, trunk="a" * 64)
    yield file(drawn(), zero, trunk="\x1b[2J" * 16)
    yield file(drawn(), zero, other="x")
    yield save({"tail.weight": drawn()}, metadata=known)
    yield save({"tail.weight": drawn(), "tail.bias": zero, "more": zero}, metadata=known)
    yield file(tail.weight, tail.bias)[:-5]
    yield file(tail.weight, tail.bias)  # decides already
    yield from _headers(trunk.hash)
    yield bytes(21 * 2**20)


def _headers(trunk: str) -> Iterator[bytes]:
    """Sound JSON before the numbers, and lies in it."""
    numbers = bytes(4096)
    for kind, shape, ends in (
        ("F32", [2**32, 2**32], [0, 4096]),
        ("F32", [-1, 8], [0, 32]),
        ("F32", [8, 128], [4096, 0]),
        ("BF16", [8, 256], [0, 4096]),
        ("F8_E4M3", [8, 512], [0, 4096]),
        ("X", [1], [0, 4]),
        ("F32", "8", [0, 4096]),
    ):
        one = {"dtype": kind, "shape": shape, "data_offsets": ends}
        two = {"dtype": "F32", "shape": [8], "data_offsets": [4064, 4096]}
        table = {"__metadata__": {TRUNK: trunk}, "tail.weight": one, "tail.bias": two}
        yield _packed(json.dumps(table).encode(), numbers)
    yield _packed(b"[" * 100_000, numbers)
    yield _packed(b'{"a":' * 20_000, numbers)
    yield _packed(b'{"__metadata__":[1],"tail.weight":1}', numbers)
    yield _packed(b"\xff\xfe{}", numbers)


def _packed(header: bytes, numbers: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header + numbers
