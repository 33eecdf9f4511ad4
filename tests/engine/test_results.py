"""Labels lie on their image, also when saved again, and the table keeps what other runs found."""

import codecs
from pathlib import Path
from unittest.mock import Mock

import imageio.v3 as imageio
import nibabel
import numpy as np
import pytest
import tifffile

from napari_medt.engine import batch
from napari_medt.engine.axes import upright
from napari_medt.engine.inputs import find_items, read_item
from napari_medt.engine.results import read_labels, write_labels
from napari_medt.errors import DataError
from tests.engine.conftest import ONE, SHAPE, STACK, TWO, run, statuses, table
from tests.engine.formats.conftest import write_slice


def test_the_table_keeps_what_other_runs_wrote(inputs, out, model):
    run(inputs, out, model)
    before = table(out)
    imageio.imwrite(inputs.parent / "three.png", ONE)
    run(inputs.parent / "three.png", out, model)
    assert list(table(out)) == ["one.png", "two.png", "three.png"]
    assert table(out)["two.png"] == before["two.png"]
    (out / "one.labels.tif").unlink()
    tifffile.imwrite(out / "two.labels.tif", TWO)  # edited, so that its figures are not known
    for _ in range(2):
        run(inputs.parent / "three.png", out, model)
        assert list(table(out)) == ["three.png"]


def test_the_table_is_marked_as_utf_8_for_spreadsheets(inputs, out, model):
    """Excel otherwise takes it for the code page of the computer."""
    (inputs / "one.png").rename(inputs / "größe.png")
    run(inputs, out, model)
    assert (out / "summary.csv").read_bytes().startswith(codecs.BOM_UTF8 + b"image,")
    assert "größe.png" in table(out)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_the_table_may_have_been_saved_by_a_spreadsheet(inputs, out, model, encoding):
    run(inputs, out, model)
    text = (out / "summary.csv").read_text(encoding="utf-8-sig")
    (out / "summary.csv").write_text(text, encoding=encoding)
    imageio.imwrite(inputs.parent / "three.png", ONE)
    run(inputs.parent / "three.png", out, model)
    assert list(table(out)) == ["one.png", "two.png", "three.png"]


def test_the_table_may_have_semicolons_as_many_spreadsheets_save_it(inputs, out, model):
    run(inputs, out, model)
    text = (out / "summary.csv").read_text(encoding="utf-8-sig").replace(",", ";")
    (out / "summary.csv").write_text(text, encoding="utf-8-sig")
    imageio.imwrite(inputs.parent / "three.png", ONE)
    run(inputs.parent / "three.png", out, model)
    assert list(table(out)) == ["one.png", "two.png", "three.png"]


@pytest.mark.parametrize("text", ["patient,age\nA,70\n", 'image,status,labels\n"' + "x" * 200_000])
def test_a_table_that_is_not_ours_is_left(inputs, out, model, text):
    out.mkdir()
    (out / "summary.csv").write_text(text, newline="")
    with pytest.raises(DataError, match="not a table of a run before: move it away"):
        run(inputs, out, model)
    assert (out / "summary.csv").read_text() == text
    assert not (out / "one.labels.tif").exists()


def test_runs_at_the_same_time_share_a_table(inputs, out, model, monkeypatch):
    imageio.imwrite(inputs.parent / "three.png", ONE)
    read = batch.read_item

    def meanwhile(item):
        monkeypatch.setattr(batch, "read_item", read)
        run(inputs.parent / "three.png", out, model)
        return read(item)

    monkeypatch.setattr(batch, "read_item", meanwhile)
    run(inputs, out, model)
    assert set(table(out)) == {"one.png", "two.png", "three.png"}


@pytest.mark.parametrize("planar", [False, True])
def test_a_few_slices_are_no_colours(tmp_path, out, model, planar):
    """Neither when they are written nor, as napari saves labels again, when they are read."""
    path, stack = tmp_path / "stack.tif", np.stack([ONE, TWO, TWO])
    tifffile.imwrite(path, stack, imagej=True, metadata={"axes": "ZYX"})
    [result] = run(path, out, model, probability=True)
    assert (result.status, result.measured.objects) == ("done", 5)
    for name in ("stack.labels.tif", "stack.probability.tif"):
        with tifffile.TiffFile(out / name) as file:
            assert [page.shape for page in file.pages] == [SHAPE] * 3
    edited = tifffile.imread(out / "stack.labels.tif")
    edited[2] = 0
    rgb = {"photometric": "rgb", "planarconfig": "separate"}
    options = rgb if planar else {"photometric": "minisblack"}
    tifffile.imwrite(out / "stack.labels.tif", edited, **options)
    [result] = run(path, out, model, again=True)
    assert (result.status, result.measured.objects) == ("kept", 3)
    assert result.measured.area_pixels == np.count_nonzero(edited)


@pytest.mark.parametrize("axes", ["TCYX", "ZCYX", "TZCYX", ""])
@pytest.mark.parametrize("saved", [None, "shaped", "squeezed"])
def test_channels_within_a_stack_keep_an_axis(tmp_path, out, model, axes, saved):
    """napari aligns last axes: times would otherwise follow the slider of the channels."""
    planes = [[ONE, TWO], [TWO, ONE], [np.zeros_like(ONE), TWO]]
    stack = np.stack([planes] * 4) if axes == "TZCYX" else np.array(planes)
    path, channel = tmp_path / "stack.tif", stack.ndim - 3
    named = {"imagej": True, "metadata": {"axes": axes}} if axes else {}
    tifffile.imwrite(path, stack, photometric="minisblack", **named)
    [result] = run(path, out, model, probability=True)
    objects = 12 if axes == "TZCYX" else 3
    assert (result.status, result.measured.objects) == ("done", objects)
    for name in ("stack.labels.tif", "stack.probability.tif"):
        with tifffile.TiffFile(out / name) as file:
            [series] = file.series
            assert series.axes == (axes or "QCYX")
            found = series.asarray()
        assert found.shape == stack.take([0], channel).shape
        assert np.array_equal(found > 0.5, stack.take([0], channel) > 0)
    if saved is None:
        assert statuses(run(path, out, model, probability=True)) == {"stack": "skipped"}
        return
    edited = tifffile.imread(out / "stack.labels.tif")
    edited[0] = 0
    expected = np.count_nonzero(np.unique(edited))
    edited = edited.squeeze(channel) if saved == "squeezed" else edited
    tifffile.imwrite(out / "stack.labels.tif", edited, photometric="minisblack")
    for again in (False, True):
        [result] = run(path, out, model, again=again)
        assert (result.status, result.measured.objects) == ("kept", expected)
        assert result.measured.area_pixels == np.count_nonzero(edited)


def test_nifti_keeps_its_geometry(tmp_path, out, model):
    affine = np.array([[0, 0, 3, 5], [-0.5, 0, 0, 7], [0, -0.5, 0, 9], [0, 0, 0, 1.0]])
    nibabel.save(nibabel.Nifti1Image(STACK.T, affine), tmp_path / "head.nii.gz")
    [result] = run(tmp_path, out, model)
    assert result.labels == "head.labels.nii.gz"
    written = nibabel.load(out / "head.labels.nii.gz")
    assert np.allclose(written.affine, affine)
    assert np.array_equal(np.asarray(written.dataobj) > 0, STACK.T > 0)
    assert result.measured.volume_mm3 == pytest.approx(np.count_nonzero(STACK) * 0.75)
    assert statuses(run(tmp_path, out, model)) == {"head": "skipped"}

    edited = np.asarray(written.dataobj).copy()
    edited[:] = 0
    edited[10:12, 10, 3] = 4
    nibabel.save(nibabel.Nifti1Image(edited, affine), out / "head.labels.nii.gz")
    [result] = run(tmp_path, out, model, again=True)
    assert (result.status, result.measured.objects) == ("kept", 1)
    assert result.measured.volume_mm3 == pytest.approx(2 * 0.75)


@pytest.mark.parametrize(
    "orientation", [[0, 1, 0, 0, 0, -1], [1, 0, 0, 0, 0, -1], [0, 1, 0, 1, 0, 0]]
)
@pytest.mark.parametrize("gap", [0.5, 3])
def test_corrected_labels_of_a_series_lie_on_its_image(tmp_path, out, model, orientation, gap):
    """Sagittal, coronal, and axial lying on its side; of fine slices NIfTI is seen axially."""
    normal, folder = np.cross(orientation[:3], orientation[3:]), tmp_path / "s"
    folder.mkdir()
    for number, plane in enumerate(STACK):
        place = {"ImageOrientationPatient": orientation, "PixelSpacing": [0.5, 0.5]}
        place["ImagePositionPatient"] = (gap * number * normal).tolist()
        write_slice(folder / f"{number}", plane, SeriesInstanceUID="1.2", **place)
    [item] = find_items([folder])
    image = upright(read_item(item))
    run(folder, out, model)
    labels = np.random.default_rng(0).integers(0, 9, image.array.shape, np.int32)
    file = out / "s.labels.nii.gz"
    write_labels(file, labels, image, lambda beside: None)
    nibabel.save(nibabel.as_closest_canonical(nibabel.load(file)), file)  # as some programs do
    assert np.array_equal(read_labels(file, image), labels)
    [kept] = run(folder, out, model)
    assert (kept.status, kept.measured.objects) == ("kept", 8)
    assert kept.measured.volume_mm3 == pytest.approx(np.count_nonzero(labels) * 0.25 * gap)


def test_times_in_nifti_keep_their_distance(tmp_path, out, model):
    image = nibabel.Nifti1Image(np.stack([STACK, STACK]).T, np.diag([0.5, 0.5, 2, 1]))
    image.header.set_xyzt_units("mm", "msec")
    image.header.set_zooms((0.5, 0.5, 2, 2500))
    nibabel.save(image, tmp_path / "beat.nii.gz")
    run(tmp_path, out, model)
    header = nibabel.load(out / "beat.labels.nii.gz").header
    assert header.get_zooms() == (0.5, 0.5, 2, 2.5)
    assert header.get_xyzt_units() == ("mm", "sec")


def test_labels_lie_in_the_space_of_their_image(tmp_path, out, model):
    """Here an atlas, which is not the scanner."""
    image = nibabel.Nifti1Image(STACK.T, np.eye(4))
    image.set_sform(np.eye(4), code="mni")
    nibabel.save(image, tmp_path / "brain.nii.gz")
    run(tmp_path, out, model)
    assert nibabel.load(out / "brain.labels.nii.gz").header["sform_code"] == 4


def test_a_table_that_cannot_be_read_is_left(inputs, out, model, monkeypatch):
    """Its rows would be lost."""
    run(inputs, out, model)
    before = (out / "summary.csv").read_bytes()
    monkeypatch.setattr(Path, "read_text", Mock(side_effect=PermissionError(13, "No permission")))
    with pytest.raises(DataError, match="cannot be read"):
        run(inputs, out, model)
    assert (out / "summary.csv").read_bytes() == before
