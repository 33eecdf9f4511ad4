"""Many images: any format, a failure stops no other, a table of all."""

import errno
import os
import sys
from unittest.mock import Mock

import imageio.v3 as imageio
import nibabel
import numpy as np
import pytest
import tifffile

from napari_medt.engine import batch
from napari_medt.engine.batch import Batch
from napari_medt.engine.formats.nifti import write_nifti
from napari_medt.engine.inputs import find_items
from napari_medt.engine.progress import STEPS
from napari_medt.engine.record import BatchSettings
from napari_medt.engine.summary import failures, in_words
from napari_medt.errors import Cancelled, DataError, ModelError
from tests.engine.conftest import ONE, SHAPE, STACK, TWO, run, statuses, table
from tests.engine.formats.conftest import PERSON, write_slice
from tests.engine.standin import CORE_VALUE, Painted, standin


def test_labels_and_a_table_of_what_was_found(inputs, out, model):
    results = run(inputs, out, model)
    assert statuses(results) == {"one": "done", "two": "done"}
    assert tifffile.imread(out / "two.labels.tif").max() == 2
    row = table(out)["two.png"]
    assert (row["status"], row["objects"], row["labels"]) == ("done", "2", "two.labels.tif")
    assert int(row["area_pixels"]) == np.count_nonzero(TWO)
    assert float(row["area_percent"]) == pytest.approx(100 * np.mean(TWO > 0))
    assert row["area_mm2"] == row["circumference_mm"] == row["error"] == ""
    assert row["taken_for"] == "48 x 64"
    assert in_words(results) == "2 of 2 images segmented."


def test_failures_do_not_stop_the_rest(inputs, out, model, monkeypatch, caplog):
    (inputs / "broken.png").write_bytes(b"not an image")
    (inputs / "broken.nii.gz").write_bytes(b"not an image")
    imageio.imwrite(inputs / "flat.png", np.zeros(SHAPE, np.uint8))
    with pytest.raises(DataError, match="named 'broken'"):
        run(inputs, out, model)
    (inputs / "broken.nii.gz").rename(inputs / "damaged.nii.gz")
    measure = batch.measure

    def defect(labels, *more):
        if labels.max() == 1:
            raise KeyError("surprise")
        return measure(labels, *more)

    monkeypatch.setattr(batch, "measure", defect)
    results = run(inputs, out, model)
    assert [name for name, status in statuses(results).items() if status == "done"] == ["two"]
    assert failures(results) == [
        "broken.png is not an image that can be read.",
        "damaged.nii.gz is not a NIfTI file that can be read.",
        "flat.png: Every pixel of the image has the same value (0): there is nothing to segment.",
        "one.png: this should not have happened, please report it: 'surprise'",
    ]
    assert table(out)["broken.png"]["status"] == "failed"
    assert table(out)["flat.png"]["error"].startswith("Every pixel")
    assert in_words(results) == "1 of 5 images segmented, 4 failed."
    assert "surprise" in caplog.text


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")]
)
def test_an_image_too_large_for_the_memory_is_no_defect(inputs, out, model, monkeypatch, error):
    monkeypatch.setattr(batch, "measure", Mock(side_effect=error))
    assert set(failures(run(inputs, out, model))) == {
        f"{name}.png: it is too large for the memory: split or crop it." for name in ("one", "two")
    }


def test_a_full_disk_is_no_fault_of_the_image(inputs, out, model, monkeypatch):
    full = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(batch, "write_labels", Mock(side_effect=full))
    told = failures(run(inputs, out, model))
    assert told[0] == "one.png: The disk is full: make room on it, and try again."


def test_cancel_keeps_what_is_done_and_says_so(inputs, out, model):
    told = []

    def progress(done, total):
        told.append((done, total))

    job = Batch(model, out, device="cpu")
    with pytest.raises(Cancelled):
        job.run(find_items([inputs]), progress, lambda: bool(told) and told[-1][0] >= STEPS)
    assert told == sorted(told)
    assert told[-1] == (STEPS, 2 * STEPS)
    assert (out / "one.labels.tif").exists()
    assert not (out / "two.labels.tif").exists()
    assert [row["status"] for row in table(out).values()] == ["done", "not reached"]
    assert statuses(run(inputs, out, model)) == {"one": "skipped", "two": "done"}


def test_a_summary_that_is_open_elsewhere(inputs, out, model, monkeypatch):
    """Windows replaces no file that is open."""
    monkeypatch.setattr(os, "replace", Mock(side_effect=PermissionError(13, "denied")))
    with pytest.raises(DataError, match="close it"):
        run(inputs, out, model)
    assert not list(out.glob("*.tif"))


def test_mistakes(inputs, out, tmp_path):
    axial = standin(Painted())
    object.__setattr__(axial.card.network, "architecture", "axialunet")
    with pytest.raises(ModelError, match="single branch"):
        run(inputs, out, axial, BatchSettings("patch"))
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be made"):
        run(inputs, tmp_path / "file" / "x", standin(Painted()))


def test_tiff_stack_with_sizes(tmp_path, out, model):
    path = tmp_path / "stack.tif"
    options = {"axes": "ZYX", "spacing": 2, "unit": "um"}
    tifffile.imwrite(path, STACK, imagej=True, resolution=(2, 2), metadata=options)
    [result] = run(path, out, model)
    labels = tifffile.imread(out / "stack.labels.tif")
    assert labels.shape == STACK.shape
    assert result.measured.objects == 8
    assert result.measured.taken_for == "7 slices of 48 x 64"
    voxel = 0.5 * 0.5 * 2 * 1e-9
    assert result.measured.volume_mm3 == pytest.approx(np.count_nonzero(STACK) * voxel)
    assert result.measured.area_mm2 is None
    [result] = run(path, out, model, BatchSettings(link=True), probability=True)
    assert (result.status, result.measured.objects) == ("done", 2)
    assert tifffile.imread(out / "stack.probability.tif").shape == STACK.shape


def test_unnamed_axes_are_guessed_as_in_the_widget(tmp_path, out, model):
    tifffile.imwrite(tmp_path / "pages.tif", STACK, photometric="minisblack")
    tifffile.imwrite(tmp_path / "channels.tif", STACK[-2:], photometric="minisblack")
    tifffile.imwrite(tmp_path / "line.tif", np.arange(50, dtype=np.uint8))
    results = {result.item.name: result for result in run(tmp_path, out, model)}
    assert results["pages"].measured.taken_for == "7 slices of 48 x 64"
    assert results["channels"].measured.taken_for == "48 x 64, 2 channels: using channel 1"
    assert results["channels"].measured.objects == 1


def test_another_channel(tmp_path, out, model):
    tifffile.imwrite(tmp_path / "a.tif", np.stack([ONE, TWO]), photometric="minisblack")
    tifffile.imwrite(tmp_path / "b.tif", ONE)
    results = {r.item.name: r for r in run(tmp_path, out, model, BatchSettings(channel=1))}
    assert results["a"].measured.taken_for == "48 x 64, 2 channels: using channel 2"
    assert (results["a"].measured.objects, results["b"].measured.objects) == (2, 1)
    results = {r.item.name: r for r in run(tmp_path, out, model, BatchSettings(channel=2))}
    assert results["a"].error == "The image has no channel 3: choose one of 2."
    assert results["b"].status == "done"


def test_a_channel_that_was_asked_for_is_taken_of_colours_and_missed_in_gray(tmp_path, out, model):
    colours = np.stack([ONE, TWO, np.zeros_like(ONE)], axis=-1)
    imageio.imwrite(tmp_path / "colours.png", colours)
    imageio.imwrite(tmp_path / "gray.png", ONE)
    run(tmp_path, out, model)
    for channel, objects in [(0, 1), (1, 2)]:
        given = BatchSettings(channel=channel, channel_given=True)
        results = {r.item.name: r for r in run(tmp_path, out, model, given)}
        assert (results["colours"].status, results["colours"].measured.objects) == ("done", objects)
        told = f"48 x 64, 3 channels: using channel {channel + 1}"
        assert results["colours"].measured.taken_for == told
        assert tifffile.imread(out / "colours.labels.tif").shape == ONE.shape
    assert results["gray"].error == "The image has no channel 2: choose one of 1."


def test_samples_behind_rows_and_columns(tmp_path, out, model):
    both = np.stack([TWO, ONE], axis=-1)
    tifffile.imwrite(tmp_path / "two.tif", both, photometric="minisblack", planarconfig="contig")
    [result] = run(tmp_path, out, model)
    assert result.measured.objects == 2
    assert tifffile.imread(out / "two.labels.tif").shape == SHAPE


def test_labels_are_not_segmented(tmp_path, out, model):
    (tmp_path / "in").mkdir()
    write_nifti(tmp_path / "in" / "corrected.nii.gz", STACK.astype(np.int32), np.eye(4))
    [result] = run(tmp_path / "in", out, model)
    assert result.error == "The file holds labels, not an image: choose the original image."


def write_series(folder, uid, planes, **values):
    folder.mkdir(parents=True, exist_ok=True)
    for number, plane in enumerate(planes):
        place = {"ImagePositionPatient": [0, 0, 3 * number], "ImageOrientationPatient": [1, 0, 0]}
        place["ImageOrientationPatient"] += [0, 1, 0]
        attributes = {"PixelSpacing": [0.5, 0.5], "InstanceNumber": number + 1, **place, **values}
        write_slice(folder / f"{uid}.{number}", plane, SeriesInstanceUID=uid, **attributes)


def test_dicom_series_in_folders(tmp_path, out, monkeypatch):
    model = standin(Painted(), intensity="percentile", low=0, high=100)
    monkeypatch.setattr(
        "napari_medt.engine.image.intensity_limits", lambda pixels, rule: (0.0, 255.0)
    )
    folder = tmp_path / "study"
    write_series(folder / "ct", "1.2.3", STACK)
    write_series(folder / "scouts", "1.2.4", [TWO])
    write_series(folder / "scouts", "1.2.5", [ONE])
    write_series(folder, "1.2.6", STACK)
    (folder / "notes.txt").write_text("nothing to segment")
    (folder / "bad.dcm").write_bytes(b"nothing")
    results = {result.item.name: result for result in run(folder, out, model)}
    assert {name: result.status for name, result in results.items()} == {
        "study": "done",
        "ct": "done",
        "scouts-1.2.4.0": "done",
        "scouts-1.2.5.0": "done",
        "bad": "failed",
    }
    assert results["bad"].problem == "bad.dcm is not a DICOM file."
    written = nibabel.load(out / "ct.labels.nii.gz")
    assert written.shape == (64, 48, 7)
    assert np.allclose(nibabel.affines.voxel_sizes(written.affine), (0.5, 0.5, 3))
    assert results["ct"].measured.volume_mm3 == pytest.approx(np.count_nonzero(STACK) * 0.75)
    assert results["scouts-1.2.4.0"].measured.area_mm2 == pytest.approx(np.count_nonzero(TWO) / 4)
    files = [path for path in out.rglob("*") if path.suffix in (".json", ".csv")]
    assert not any(PERSON in path.read_text() for path in files)


def test_a_series_that_lacks_a_slice_has_no_volume_and_says_why(tmp_path, out, model, caplog):
    write_series(tmp_path / "ct", "1.2.3", STACK)
    (tmp_path / "ct" / "1.2.3.3").unlink()
    run(tmp_path, out, model)
    assert "ct: the slices are unevenly spaced" in caplog.text
    row = table(out)["ct"]
    assert (row["status"], row["volume_mm3"]) == ("done", "")
    assert row["taken_for"] == "6 slices of 48 x 64, unevenly spaced: no volume"


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are Unicode elsewhere")
def test_names_that_are_no_text_cost_no_run(inputs, out, model):
    """As old archives have them: in another encoding than the system's."""
    (inputs / "one.png").rename(inputs / os.fsdecode(b"M\xfcller.png"))
    name = os.fsdecode(b"M\xfcller")
    assert statuses(run(inputs, out, model)) == {name: "done", "two": "done"}
    assert (out / f"{name}.labels.tif").exists()
    assert r"M\udcfcller.png" in table(out)
    assert statuses(run(inputs, out, model)) == {name: "skipped", "two": "skipped"}


def test_the_volume_of_tilted_slices(tmp_path, out, model):
    """As a CT with a tilted gantry has them: shifted against each other along their rows."""
    affine = np.array([[-0.5, 0, 0, 0], [0, -0.5, 2, 0], [0, 0, 3, 0], [0, 0, 0, 1.0]])
    nibabel.save(nibabel.Nifti1Image(STACK.T, affine), tmp_path / "head.nii.gz")
    [result] = run(tmp_path, out, model)
    assert result.measured.volume_mm3 == pytest.approx(np.count_nonzero(STACK) * 0.5 * 0.5 * 3)


@pytest.mark.parametrize(("thickness", "volume"), [(None, None), (3, 0.75)])
def test_frames_of_unknown_distance_have_no_volume(tmp_path, out, model, thickness, volume):
    values = {"NumberOfFrames": len(STACK), "PixelSpacing": [0.5, 0.5], "SliceThickness": thickness}
    [result] = run(write_slice(tmp_path / "a.dcm", STACK, **values), out, model)
    expected = volume and pytest.approx(result.measured.area_pixels * volume)
    assert (result.status, result.measured.volume_mm3) == ("done", expected)


def test_circumference_in_the_files_own_millimetres(tmp_path, out):
    model = standin(Painted())
    object.__setattr__(model.card, "report", "circumference")
    rows, columns = np.ogrid[:48, :64]
    disk = (np.hypot(rows - 24, columns - 30) < 15) * np.uint8(CORE_VALUE)
    options = {"imagej": True, "metadata": {"unit": "um"}}
    tifffile.imwrite(tmp_path / "a.tif", disk, resolution=(2, 2), **options)
    tifffile.imwrite(tmp_path / "b.tif", disk)
    a, b = (result.measured for result in run(tmp_path, out, model))
    assert a.circumference_mm == pytest.approx(np.pi * 30 / 2000, rel=0.03)
    assert a.circumference_in_words() == "circumference 0.0 mm"
    assert b.circumference_pixels == pytest.approx(np.pi * 30, rel=0.03)
    tifffile.imwrite(tmp_path / "a.tif", disk, resolution=(2, 4), **options)
    a, _ = (result.measured for result in run(tmp_path, out, model))
    assert a.circumference_pixels is None
    assert a.circumference_mm == pytest.approx(9.69 * 7.5 / 2000, rel=0.03), "of an ellipse 1 : 2"
    given = run(tmp_path, out, model, BatchSettings(mm_per_pixel=0.1))
    assert {result.status for result in given} == {"done"}
    assert given[1].measured.circumference_mm == pytest.approx(np.pi * 3, rel=0.03)


def test_images_of_nothing_fail_with_a_sentence(tmp_path, out, model):
    values = {
        "empty": np.zeros((5, 0, 3), np.int16),
        "lost": np.full((5, 6, 3), np.nan, np.float32),
        "point": np.zeros((1, 1, 1), np.int16),
        "timeless": np.zeros((5, 6, 3, 0), np.int16),
    }
    for name, array in values.items():
        nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), tmp_path / f"{name}.nii")
    wanted = ["0 x 5 pixels", "contains NaN", "1 x 1 pixels", "0 times x 3 slices"]
    for problem, words in zip(failures(run(tmp_path, out, model)), wanted, strict=True):
        assert words in problem
        assert "should not have happened" not in problem
