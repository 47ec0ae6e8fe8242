from pathlib import Path

import numpy as np
import pytest

from common.errors import DataSetError
from common.faces.labels import MISSING, Labels, read_labels, write_labels

PICTURES = ["Ada/0.jpg", "Ada/1.jpg", "Bob/0.jpg"]


def labels() -> Labels:
    return Labels(
        attributes=np.array([[1, 0], [0, 0], [1, 1]], np.int8),
        attribute_names=("glasses", "beard"),
        age=np.array([31, 31.5, 70], np.float32),
        description=("One, two.", 'Says "hello".', "Öl"),
    )


def test_what_was_written_is_read_again_in_any_order(tmp_path: Path) -> None:
    write_labels(tmp_path, PICTURES, labels())
    found = read_labels(tmp_path, PICTURES[::-1])
    assert found is not None
    assert found.attributes is not None
    assert found.age is not None
    assert found.attribute_names == ("glasses", "beard")
    assert found.attributes.tolist() == [[1, 1], [0, 0], [1, 0]]
    assert found.age.tolist() == [70, 31.5, 31]
    assert found.description == ("Öl", 'Says "hello".', "One, two.")


def test_an_empty_cell_is_a_label_that_nobody_gave(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(
        "picture,beard,age,text\nAda/0.jpg, ,,\nBob/0.jpg,1,40,A.\n"
    )
    found = read_labels(tmp_path, ["Ada/0.jpg", "Bob/0.jpg"])
    assert found is not None and found.attributes is not None and found.age is not None
    assert found.attributes.tolist() == [[MISSING], [1]]
    assert found.age.tolist() == pytest.approx([np.nan, 40], nan_ok=True)
    assert found.description == ("", "A.")
    write_labels(tmp_path, ["Ada/0.jpg", "Bob/0.jpg"], found)
    again = read_labels(tmp_path, ["Ada/0.jpg", "Bob/0.jpg"])
    assert again is not None and again.attributes is not None and again.age is not None
    assert again.attributes.tolist() == found.attributes.tolist()
    assert np.array_equal(again.age, found.age, equal_nan=True)
    assert again.description == found.description


def test_columns_are_optional_and_so_is_the_file(tmp_path: Path) -> None:
    assert read_labels(tmp_path, PICTURES) is None
    (tmp_path / "labels.csv").write_text("picture\nAda/0.jpg\n")
    found = read_labels(tmp_path, PICTURES[:1])
    assert found is not None
    assert (found.attributes, found.age, found.description) == (None, None, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column 'picture'"),
        ("file,age\nAda/0.jpg,3\n", "no column 'picture'"),
        ("picture,age,age\nAda/0.jpg,3,3\n", "the same name"),
        ("picture,age\nBob/0.jpg,3\n", "no line for 1 of 1 pictures"),
        ("picture,age\nAda/0.jpg,old\n", "line 2, column 'age': expected a number"),
        ("picture,age\nAda/0.jpg,inf\n", "line 2, column 'age': expected a number"),
        ("picture,age\nAda/0.jpg,nan\n", "line 2, column 'age': expected a number"),
        ("picture,age\nAda/0.jpg,1e39\n", "line 2, column 'age': .* from 0 to 120"),
        ("picture,age\nAda/0.jpg,-1e39\n", "line 2, column 'age': .* from 0 to 120"),
        ("picture,age\nAda/0.jpg,-5\n", "line 2, column 'age': .* from 0 to 120"),
        ("picture,age\nAda/0.jpg,120.5\n", "line 2, column 'age': .* from 0 to 120"),
        ("picture,beard\nAda/0.jpg,yes\n", "line 2, column 'beard': expected 0, 1 or nothing"),
        ("picture,beard\nAda/0.jpg\n", "line 2: expected 2 entries"),
        ("picture,beard\nAda/0.jpg,1,1\n", "line 2: expected 2 entries"),
        ('picture,text\nAda/0.jpg,"open\n', "cannot be read"),
    ],
)
def test_a_mistake_is_named_by_its_line_and_never_by_a_person(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(DataSetError, match=message) as error:
        read_labels(tmp_path, ["Ada/0.jpg"])
    assert "Ada" not in str(error.value)


def test_the_youngest_and_the_oldest_are_read(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("picture,age\nAda/0.jpg,0\nBob/0.jpg,120\n")
    found = read_labels(tmp_path, ["Ada/0.jpg", "Bob/0.jpg"])
    assert found is not None and found.age is not None
    assert found.age.tolist() == [0, 120]


def test_a_table_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(b"picture\n\xff\xfe")
    with pytest.raises(DataSetError, match="cannot be read"):
        read_labels(tmp_path, [])
