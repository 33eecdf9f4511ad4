"""Folders of images and labels: what is found in them, and how they are split."""

import csv
import os
import sys
import unicodedata

import imageio.v3 as imageio
import pytest
import tifffile

from napari_medt.errors import DataError
from napari_medt.training.samples import find_samples, find_splits
from tests.training.test_data import write_data


@pytest.mark.parametrize("layout", [("images", "labels"), ("img", "labelcol")])
def test_both_layouts_are_found(tmp_path, layout):
    samples = find_samples(write_data(tmp_path, 3, *layout))
    assert [sample.image.name for sample in samples] == ["0.png", "1.png", "2.png"]


def write_groups(folder, groups):
    """Write images of groups of three, and the index that says so."""
    write_data(folder, 3 * groups, size=25)
    with (folder / "index.csv").open("w", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(["id", "group"])
        writer.writerows([index, f"patient {index // 3}"] for index in range(3 * groups))
    return folder


def test_groups_stay_together_when_a_folder_is_split(tmp_path):
    training, validation = find_splits(write_groups(tmp_path, 4))
    assert len(training) == 9
    assert {s.group for s in training}.isdisjoint({s.group for s in validation})
    assert find_splits(tmp_path) == (training, validation)


def test_what_was_trained_on_is_not_validated_on_when_groups_are_added(tmp_path):
    trained, counts = set(), []
    for count in (2, 3, 5, 8, 20, 60):
        training, validation = find_splits(write_groups(tmp_path / str(count), count))
        trained |= {sample.group for sample in training}
        counts.append(len({sample.group for sample in validation}))
        assert trained.isdisjoint({sample.group for sample in validation})
    assert counts[0] == 1
    assert 3 <= counts[-1] <= 9


def test_a_group_that_is_trained_on_and_validated_is_refused(tmp_path):
    for part, names in (("train", "b,a,c"), ("val", "d,c,b")):
        write_data(tmp_path / part, 3)
        rows = [f"{number},{group}\n" for number, group in enumerate(names.split(","))]
        (tmp_path / part / "index.csv").write_text("id,group\n" + "".join(rows))
    with pytest.raises(DataError, match="group 'b' in both train/ and val/: move all images"):
        find_splits(tmp_path)
    (tmp_path / "val/index.csv").write_text("id,group\n0,d\n1,\n2,e\n3,a\n")
    assert [len(part) for part in find_splits(tmp_path)] == [3, 3]  # of a there is no image


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_accents_may_be_written_in_two_ways(tmp_path, form):
    """As in copies from a Mac."""
    other = {"NFC": "NFD", "NFD": "NFC"}[form]
    write_data(tmp_path, 1)
    for folder, kind in (("images", form), ("labels", other)):
        name = unicodedata.normalize(kind, "é.png")
        (tmp_path / folder / "0.png").rename(tmp_path / folder / name)
    index = unicodedata.normalize(other, "id,group\né,Zoé\n")
    (tmp_path / "index.csv").write_text(index, encoding="utf-8")
    [sample] = find_samples(tmp_path)
    assert sample.label.parent.name == "labels"
    assert unicodedata.normalize("NFC", sample.group) == "Zoé"


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are Unicode elsewhere")
def test_names_of_files_may_be_no_text(tmp_path):
    write_data(tmp_path, 2)
    for folder in ("images", "labels"):
        (tmp_path / folder / "0.png").rename(tmp_path / folder / os.fsdecode(b"M\xfcller.png"))
    assert [len(part) for part in find_splits(tmp_path)] == [1, 1]


def test_names_of_files_may_recur_in_validation(tmp_path):
    for part in ("train", "val"):
        write_data(tmp_path / part, 2)
    assert [len(part) for part in find_splits(tmp_path)] == [2, 2]
    for part in ("train", "val"):
        (tmp_path / part / "index.csv").write_text("id,mm_per_pixel\n0,0.1\n1,0.1\n")
    assert [len(part) for part in find_splits(tmp_path)] == [2, 2]


def test_folders_that_cannot_be_used(tmp_path):
    with pytest.raises(DataError, match="images/ and labels/"):
        find_samples(tmp_path)
    write_data(tmp_path / "a", 1)
    with pytest.raises(DataError, match="single image"):
        find_splits(tmp_path / "a")
    (tmp_path / "a/labels/0.png").unlink()
    with pytest.raises(DataError, match=r"0\.png has no labels"):
        find_samples(tmp_path / "a")
    (tmp_path / "a/images/0.png").unlink()
    with pytest.raises(DataError, match="no images"):
        find_samples(tmp_path / "a")


def test_images_of_the_same_stem_have_labels_of_their_own(tmp_path):
    write_data(tmp_path, 1)
    for folder in ("images", "labels"):
        tifffile.imwrite(tmp_path / folder / "0.tif", imageio.imread(tmp_path / folder / "0.png"))
    assert [s.label.name for s in find_samples(tmp_path)] == ["0.png", "0.tif"]
    (tmp_path / "labels" / "0.png").unlink()
    assert [s.label.name for s in find_samples(tmp_path)] == ["0.tif", "0.tif"]
