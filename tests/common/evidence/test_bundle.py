"""One release, one sequence of bytes: whatever else is there is refused."""

import dataclasses
import io
import tarfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from common.errors import ConfigError, MascaronError, ReleaseError, SignatureError
from common.evidence import bundle
from common.evidence.bundle import (
    MANIFEST,
    SIGNATURE,
    TAIL,
    File,
    Release,
    Verdict,
    parse_release,
    read_release,
    with_verdict,
)
from common.evidence.container import pack, unpack
from common.models.tail import BIAS, WEIGHT
from common.models.tail_file import tail_bytes
from common.trust.keys import SigningKey, encode
from tests.small_evidence import FEDERATION, GRID, PNG, REPORT, TRUNK, release, sections, tail

KEY = SigningKey.generate()
SIGNED = release().sign(KEY)
CONTENT = SIGNED.to_bytes()


def read(content: bytes, digest: str = SIGNED.digest, key: SigningKey = KEY) -> Release:
    return read_release(content, key.public, FEDERATION, digest)


def test_a_release_comes_back_as_it_was() -> None:
    back = read(CONTENT)
    assert back.digest == SIGNED.digest
    assert back.tail.hash == tail().hash
    assert back.sections == sections(tail())
    assert (back.files["report.html"], back.files[GRID], back.pictures) == (REPORT, PNG, (GRID,))
    assert back.to_bytes() == CONTENT


def test_the_same_release_has_the_same_bytes_and_any_tar_reads_them() -> None:
    assert release().sign(KEY).to_bytes() == CONTENT
    with tarfile.open(fileobj=io.BytesIO(CONTENT)) as archive:
        names = archive.getnames()
        assert names[:2] == [MANIFEST, SIGNATURE]
        assert names[2:] == sorted(SIGNED.files)


def test_signing_changes_no_name() -> None:
    assert release().digest == SIGNED.digest
    assert not release().signature
    assert parse_release(release().to_bytes()).digest == SIGNED.digest


def test_a_verdict_is_part_of_what_is_signed() -> None:
    judged = with_verdict(SIGNED, [Verdict(gate="tar", held=True, detail="0.9")])
    assert judged.digest != SIGNED.digest
    assert not judged.signature
    assert parse_release(judged.to_bytes()).manifest.verdict[0].gate == "tar"


@given(data=st.data())
def test_any_flipped_bit_is_refused(data: st.DataObject) -> None:
    content = bytearray(CONTENT)
    at = data.draw(st.integers(0, len(content) - 1), label="at")
    content[at] ^= 1 << data.draw(st.integers(0, 7), label="bit")
    with pytest.raises(MascaronError):
        read(bytes(content))


def test_a_byte_that_is_changed_anywhere_is_refused() -> None:
    for at in range(0, len(CONTENT), 61):  # some here; all of them in the slow suite
        content = CONTENT[:at] + bytes([CONTENT[at] ^ 0x41]) + CONTENT[at + 1 :]
        with pytest.raises((ReleaseError, SignatureError)):
            read(content)


@pytest.mark.slow
def test_every_single_byte_that_is_changed_is_refused() -> None:
    for at in range(len(CONTENT)):
        content = CONTENT[:at] + bytes([CONTENT[at] ^ 0x41]) + CONTENT[at + 1 :]
        with pytest.raises((ReleaseError, SignatureError)):
            read(content)


@given(at=st.integers(0, len(CONTENT) - 1))
def test_a_release_that_is_cut_off_is_refused(at: int) -> None:
    with pytest.raises(ReleaseError):
        read(CONTENT[:at])


@given(more=st.binary(min_size=1, max_size=2000))
def test_a_release_with_something_behind_it_is_refused(more: bytes) -> None:
    for content in (CONTENT + more, more + CONTENT, CONTENT + bytes(len(more))):
        with pytest.raises(ReleaseError):
            read(content)


@given(content=st.binary(max_size=3000))
def test_any_other_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(ReleaseError):
        parse_release(content)


def members() -> dict[str, bytes]:
    return unpack(CONTENT, bundle.cap_of, 200)


def swapped(name: str, content: bytes) -> dict[str, bytes]:
    return {**members(), name: content}


def dropped(name: str) -> dict[str, bytes]:
    return {key: value for key, value in members().items() if key != name}


BETTER = sections(tail(1))["fairness"].to_json().encode()
CHANGES: dict[str, Callable[[], dict[str, bytes]]] = {
    "another tail": lambda: swapped(TAIL, tail_bytes(tail(1), TRUNK)),
    "a tail of another trunk": lambda: swapped(TAIL, tail_bytes(tail(), "b" * 64)),
    "another section": lambda: swapped("fairness.json", BETTER),
    "another picture": lambda: swapped(GRID, PNG + b"x"),
    "another report": lambda: swapped("report.html", b"all is well"),
    "a section left out": lambda: dropped("robustness.json"),
    "the tail left out": lambda: dropped(TAIL),
    "no manifest": lambda: dropped(MANIFEST),
    "a picture more": lambda: {**members(), "more.png": PNG},
    "another order": lambda: dict(sorted(members().items(), reverse=True)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_was_swapped_added_dropped_or_moved_is_refused(change: str) -> None:
    with pytest.raises(ReleaseError):
        read(pack(CHANGES[change]()))


def test_a_release_is_only_what_was_asked_for_of_whom_and_signed_by_the_centre() -> None:
    with pytest.raises(ReleaseError, match="asked for"):
        read(CONTENT, "0" * 64)
    with pytest.raises(SignatureError):
        read(CONTENT, key=SigningKey.generate())
    with pytest.raises(SignatureError, match="not signed"):
        read(release().to_bytes())
    with pytest.raises(ReleaseError, match="another federation"):
        read_release(CONTENT, KEY.public, "a" * 64, SIGNED.digest)
    other = KEY.sign("charter", SIGNED.manifest.to_json().encode())
    with pytest.raises(SignatureError):
        read(dataclasses.replace(SIGNED, signature=encode(other)).to_bytes())


ODD = (
    "../tail",
    "/etc/x",
    "a/b.png",
    "tail",
    ".png",
    "A.png",
    "robustness.json/",
    "x" * 99 + ".png",
)


@pytest.mark.parametrize("name", ODD)
def test_a_name_that_no_release_holds_is_refused(name: str) -> None:
    with pytest.raises((ConfigError, ReleaseError)):
        File(name=name, sha256="0" * 64, size=1)
    with pytest.raises((ReleaseError, ValueError)):
        parse_release(pack({**members(), name: b"x"}))


def hostile_tar(**told: Any) -> bytes:
    about = tarfile.TarInfo(told.pop("name", "report.html"))
    for key, value in told.items():
        setattr(about, key, value)
    return about.tobuf(tarfile.GNU_FORMAT) + bytes(1024)


@pytest.mark.parametrize(
    "told",
    [
        {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"},
        {"type": tarfile.LNKTYPE, "linkname": "report.html"},
        {"type": tarfile.DIRTYPE},
        {"type": tarfile.CHRTYPE},
        {"mode": 0o4755},
        {"uid": 0, "uname": "root"},
        {"mtime": 1},
        {"size": 2**40},
    ],
)
def test_nothing_but_plain_files_is_unpacked(told: dict[str, Any]) -> None:
    with pytest.raises(ReleaseError):
        unpack(hostile_tar(**told), bundle.cap_of, 10)


def test_a_file_twice_or_too_many_or_too_large_is_refused() -> None:
    one = pack({"report.html": b"x"})
    for content, most in ((one[:1024] + one, 10), (one, 0)):
        with pytest.raises(ReleaseError):
            unpack(content, bundle.cap_of, most)
    with pytest.raises(ReleaseError):
        unpack(pack({SIGNATURE: bytes(257)}), bundle.cap_of, 10)


def test_a_manifest_has_one_spelling() -> None:
    text = SIGNED.manifest.to_json()
    for other in (text.replace(",", ", ", 1), text + " ", text[:-1] + ',"more":1}', "[]", ""):
        with pytest.raises(ReleaseError):
            parse_release(pack({**members(), MANIFEST: other.encode()}))


def test_a_picture_is_a_picture_and_a_section_is_of_its_kind() -> None:
    with pytest.raises(ReleaseError, match="PNG"):
        release(shown={"report.html": REPORT, GRID: b"GIF"})
    with pytest.raises(ReleaseError):
        release(shown={"report.html": REPORT, GRID: PNG, "fairness.json": b"{}"})
    good = sections(tail())
    swap = {"report.html": REPORT, "robustness.json": good["fairness"].to_json().encode()}
    with pytest.raises(ReleaseError, match="another kind"):
        release({"fairness": good["fairness"]}, shown=swap)
    with pytest.raises(ReleaseError, match="not a section"):
        release({}, shown={"report.html": REPORT, "robustness.json": b"[" * 100_000})


GOOD = tail().arrays()
ARRAYS: dict[str, dict[str, Any]] = {
    "more arrays": {**GOOD, "more": np.zeros(1, np.float32)},
    "fewer arrays": {WEIGHT: GOOD[WEIGHT]},
    "other names": {"weight": GOOD[WEIGHT], "bias": GOOD[BIAS]},
    "other types": {name: array.astype(np.float64) for name, array in GOOD.items()},
    "halves": {name: array.astype(np.float16) for name, array in GOOD.items()},
    "not a number": {**GOOD, BIAS: np.full(4, np.nan, np.float32)},
    "infinite": {**GOOD, WEIGHT: np.full((4, 6), np.inf, np.float32)},
    "shapes that do not fit": {**GOOD, BIAS: np.zeros(5, np.float32)},
    "a stack": {**GOOD, WEIGHT: np.zeros((4, 6, 1), np.float32)},
}


@pytest.mark.parametrize("change", ARRAYS)
def test_a_tail_off_the_schema_is_in_no_release(change: str) -> None:
    content = save(ARRAYS[change], metadata={"trunk": TRUNK})
    with pytest.raises(ReleaseError):
        release(shown={"report.html": REPORT, GRID: PNG, TAIL: content})
