import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.errors import DataSetError, PictureError
from common.faces.pack import load_pack

Pack = Callable[..., Path]


def test_a_pack_holds_its_people_pictures_and_columns(pack: Pack) -> None:
    faces = load_pack(pack())
    assert repr(faces) == "FaceSet(18 pictures of 6 people)"
    assert faces.people.tolist() == list(range(6))
    assert faces.names == tuple(f"person-{i}" for i in range(6))
    assert faces.pictures_of(2).tolist() == [6, 7, 8]
    assert faces.crops([3, 1]).shape == (2, 112, 112, 3)
    assert faces.fold is not None
    assert faces.fold.dtype == np.int8
    assert faces.site is not None
    assert faces.site[-1] == -1
    assert faces.camera_type is not None
    assert faces.camera_type[:3] == ("door", "hall", "door")
    assert faces.picture is not None
    assert faces.landmarks is not None


def test_optional_arrays_may_be_absent_and_unknown_ones_present(pack: Pack) -> None:
    absent = dict.fromkeys(("picture", "fold", "site", "camera_type", "landmarks"))
    faces = load_pack(pack(**absent, gender=np.zeros(3)))
    assert faces.fold is None
    assert faces.site is None
    assert faces.camera_type is None


@pytest.mark.parametrize("kind", [np.int64, np.int32, np.uint8, np.str_])
def test_people_may_be_strings_or_integers(pack: Pack, kind: type) -> None:
    faces = load_pack(pack(person=np.repeat([30, 10, 20, 40, 50, 60], 3).astype(kind)))
    assert faces.names == ("10", "20", "30", "40", "50", "60")
    assert faces.person[:4].tolist() == [2, 2, 2, 0]


BAD: dict[str, dict[str, Any]] = {
    "no jpeg": {"jpeg": None},
    "no offsets": {"offsets": None},
    "no person": {"person": None},
    "jpeg of another type": {"jpeg": np.zeros(9, np.int8)},
    "jpeg of two dimensions": {"jpeg": np.zeros((9, 9), np.uint8)},
    "offsets beyond the jpeg": {"offsets": np.arange(19) * 10**9},
    "negative offsets": {"offsets": np.arange(19) - 5},
    "descending offsets": {"offsets": np.arange(19)[::-1].copy()},
    "repeated offsets": {"offsets": np.zeros(19, np.int64)},
    "huge offsets": {"offsets": np.full(19, 2**64 - 1, np.uint64)},
    "fractional offsets": {"offsets": np.arange(19) * 1.5},
    "offsets of no picture": {"offsets": np.zeros(1, np.int64)},
    "offsets of nothing": {"offsets": np.zeros(0, np.int64)},
    "scalar offsets": {"offsets": np.int64(3)},
    "too few person": {"person": np.arange(17)},
    "fractional person": {"person": np.arange(18.0)},
    "objects as person": {"person": np.array([object()] * 18)},
    "bytes as person": {"person": np.array([b"a"] * 18)},
    "a scalar person": {"person": np.str_("ada")},
    "too many fold": {"fold": np.zeros(19, np.int8)},
    "fractional fold": {"fold": np.zeros(18)},
    "a fold out of range": {"fold": np.full(18, 300)},
    "a person in two fold parts": {"fold": np.arange(18)},
    "a person at a site and reported": {"site": np.tile([0, 0, -1], 6)},
    "a person at two sites": {"site": np.tile([0, 0, 2], 6)},
    "a site below -1": {"site": np.full(18, -2)},
    "numbers as landmarks": {"landmarks": np.zeros((18, 10))},
    "undefined landmarks": {"landmarks": np.full((18, 5, 2), np.nan)},
    "floats as camera_type": {"camera_type": np.zeros(18)},
    "floats as attributes": {"attributes": np.zeros((18, 1))},
    "a two among attributes": {"attributes": np.full((18, 1), 2, np.int8)},
    "attributes in a row": {"attributes": np.zeros(18, np.bool_)},
    "an endless age": {"age": np.full(18, np.inf)},
    "an age that float32 cannot hold": {"age": np.full(18, 1e39)},
    "an age before birth": {"age": np.full(18, -5)},
    "an age that nobody has": {"age": np.full(18, 121, np.uint16)},
    "too few picture": {"picture": np.array(["a"])},
    "objects as picture": {"picture": np.array([None] * 18)},
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_pack_is_refused_by_file_and_array(pack: Pack, case: str) -> None:
    path = pack(**BAD[case])
    with pytest.raises(DataSetError, match=re.escape(str(path))) as refused:
        load_pack(path)
    assert next(iter(BAD[case])) in str(refused.value)
    assert "person-" not in str(refused.value)


def test_what_is_no_pack_at_all_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "text.npz"
    text.write_text("no archive")
    single = tmp_path / "single.npz"
    with single.open("wb") as file:
        np.save(file, np.zeros(3))
    for path in (text, single, tmp_path, tmp_path / "absent.npz"):
        with pytest.raises(DataSetError, match=re.escape(str(path))):
            load_pack(path)


def test_a_header_that_promises_more_than_the_file_holds_takes_no_memory(pack: Pack) -> None:
    path = pack()
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    header = members["jpeg.npy"][:128]
    shape = re.search(rb"\((\d+),\)", header)
    assert shape is not None
    lie = header.replace(shape.group(1), b"9" * len(shape.group(1)))
    members["jpeg.npy"] = lie + members["jpeg.npy"][128:]
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(DataSetError, match="jpeg: truncated"):
        load_pack(path)


def test_damaged_bytes_anywhere_are_refused_or_harmless(pack: Pack, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    original = pack(jpeg=np.zeros(2000, np.uint8), offsets=np.arange(19)).read_bytes()
    damaged = tmp_path / "damaged.npz"
    refused = 0
    for _ in range(300):
        data = bytearray(original)
        for at in rng.integers(0, len(data), 12):
            data[at] = rng.integers(256)
        damaged.write_bytes(data)
        try:
            load_pack(damaged)
        except DataSetError:
            refused += 1
    assert refused > 100


def test_a_broken_picture_inside_a_pack_is_named_by_its_ordinal(pack: Pack) -> None:
    path = pack()
    with np.load(path) as arrays:
        jpeg, offsets = arrays["jpeg"].copy(), arrays["offsets"]
    jpeg[offsets[5] : offsets[6]] = 0
    faces = load_pack(pack(jpeg=jpeg))
    assert faces.crop(4).shape == (112, 112, 3)
    with pytest.raises(PictureError, match=r"small\.npz: picture 5: "):
        faces.crop(5)
    part = faces.subset([2, 4, 5, 7]).subset([1, 2])
    with pytest.raises(PictureError, match=r"small\.npz: picture 5: "):
        part.crop(1)


def test_a_picture_of_another_size_is_refused_when_it_is_read(pack: Pack) -> None:
    from common.faces.pictures import encode

    data = np.frombuffer(encode(np.zeros((64, 48, 3), np.uint8)), np.uint8)
    only = {"person": np.array([1]), "jpeg": data, "offsets": np.array([0, len(data)])}
    rest = dict.fromkeys(("picture", "fold", "site", "camera_type", "landmarks"))
    with pytest.raises(PictureError, match="picture 0 is 48x64, not 112x112"):
        load_pack(pack(**only, **rest)).crop(0)


def test_the_real_packs_load_and_their_first_and_last_crops_decode(shared_data: Path) -> None:
    people = {"lfw_112.npz": 4560, "public_112.npz": 273}
    for name, count in people.items():
        faces = load_pack(shared_data / name)
        assert len(faces.people) == count
        assert 60 < faces.crops([0, len(faces) - 1]).mean() < 200


def test_real_arrays_that_are_no_identity_packs_are_refused(shared_data: Path) -> None:
    with pytest.raises(DataSetError, match="'person'"):
        load_pack(shared_data / "attributes_64.npz")
    with pytest.raises(DataSetError, match="'jpeg', 'offsets'"):
        load_pack(shared_data / "orl_92x112.npz")
