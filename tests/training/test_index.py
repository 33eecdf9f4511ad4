"""The index of a folder, as spreadsheets write it."""

import pytest

from napari_medt.errors import DataError
from napari_medt.training.samples import find_samples
from tests.training.test_data import write_data


def test_an_index_from_a_spreadsheet_is_read(tmp_path):
    """With the mark it puts in front; ids may have the suffix of the file."""
    write_data(tmp_path, 2)
    (tmp_path / "index.csv").write_text("id,group\n0,a\n1.png,a\n", encoding="utf-8-sig")
    assert [sample.group for sample in find_samples(tmp_path)] == ["a", "a"]


def test_stray_spaces_in_an_index_make_no_other_patient(tmp_path):
    write_data(tmp_path, 3)
    text = "id, group ,note\n0,patient 7 \n 1, patient 7,\n 2 ,patient 8\n2,patient 8\n,,\n"
    (tmp_path / "index.csv").write_text(text)
    assert [s.group for s in find_samples(tmp_path)] == ["patient 7", "patient 7", "patient 8"]


@pytest.mark.parametrize(
    ("text", "encoding", "reason"),
    [
        ("id;group\n0;a\n", "utf-8", "no column id"),
        ("id,group\n0,Müller\n", "latin-1", "not UTF-8"),
        ("id,patient\n0,a\n", "utf-8", "none of the columns group"),
        ("id,group\n0,a\n1,b\n0,b\n", "utf-8", r"different rows for id '0': keep one"),
        ("id,group\n1,a\n", "utf-8", r"0\.png is not in .*index\.csv: add a row"),
        ("id,group\n", "utf-8", r"0\.png is not in"),
    ],
)
def test_an_index_that_cannot_be_read_is_refused(tmp_path, text, encoding, reason):
    write_data(tmp_path, 1)
    (tmp_path / "index.csv").write_text(text, encoding=encoding)
    with pytest.raises(DataError, match=reason):
        find_samples(tmp_path)
