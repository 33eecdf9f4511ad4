"""Many images: any format, nothing done twice, no correction lost, a table of all."""

import codecs
import csv
import json
import os
import sys
from dataclasses import replace
from unittest.mock import Mock

import imageio.v3 as imageio
import nibabel
import numpy as np
import pytest
import tifffile

from napari_medt.engine import batch, predict, record
from napari_medt.engine.axes import upright
from napari_medt.engine.batch import Batch
from napari_medt.engine.formats.nifti import write_nifti
from napari_medt.engine.inputs import find_items, read_item
from napari_medt.engine.progress import STEPS
from napari_medt.engine.record import FOLDER, Settings
from napari_medt.engine.results import read_labels, write_labels
from napari_medt.engine.summary import failures, in_words
from napari_medt.errors import Cancelled, DataError, ModelError
from tests.engine.formats.conftest import PERSON, write_slice
from tests.engine.standin import CORE_VALUE, RIM_VALUE, Painted, standin

SHAPE = (48, 64)


def picture(*corners):
    """Squares of 12 pixels with a core."""
    image = np.zeros(SHAPE, np.uint8)
    for row, column in corners:
        image[row : row + 12, column : column + 12] = RIM_VALUE
        image[row + 2 : row + 10, column + 2 : column + 10] = CORE_VALUE
    return image


ONE, TWO = picture((4, 4)), picture((4, 4), (30, 40))
STACK = np.stack([ONE] * 6 + [TWO])  # long enough not to be taken for channels


@pytest.fixture
def inputs(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    imageio.imwrite(folder / "one.png", ONE)
    imageio.imwrite(folder / "two.png", TWO)
    return folder


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def model():
    return standin(Painted())


def run(inputs, out, model, settings=None, **options):
    job = Batch(model, out, settings or Settings(), device="cpu", **options)
    return job.run(find_items([inputs]))


def statuses(results):
    return {result.item.name: result.status for result in results}


def table(out):
    with (out / "summary.csv").open(encoding="utf-8-sig", newline="") as file:
        return {row["image"]: row for row in csv.DictReader(file)}


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


def test_a_second_run_does_only_what_is_new(inputs, out, model, monkeypatch):
    run(inputs, out, model)
    imageio.imwrite(inputs / "one.png", TWO)
    imageio.imwrite(inputs / "three.png", ONE)
    seen = []
    read = batch.read_item
    monkeypatch.setattr(batch, "read_item", lambda item: seen.append(item.name) or read(item))
    results = run(inputs, out, model)
    assert statuses(results) == {"one": "done", "two": "skipped", "three": "done"}
    assert seen == ["one", "three"]
    assert tifffile.imread(out / "one.labels.tif").max() == 2
    assert table(out)["two.png"]["objects"] == "2", "from the record"
    assert in_words(results) == "2 of 3 images segmented, 1 done before."
    assert set(statuses(run(inputs, out, model, again=True)).values()) == {"done"}


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


@pytest.mark.parametrize(
    "settings", [Settings("patch"), Settings(threshold=0.7), Settings(min_size=9)]
)
def test_other_settings_are_another_run(inputs, out, model, settings):
    run(inputs, out, model)
    assert set(statuses(run(inputs, out, model, settings)).values()) == {"done"}
    assert set(statuses(run(inputs, out, model, settings)).values()) == {"skipped"}


def test_another_model_is_another_run(inputs, out, model):
    run(inputs, out, model)
    object.__setattr__(model.card, "sha256", "1" * 64)
    assert set(statuses(run(inputs, out, model)).values()) == {"done"}
    object.__setattr__(model.card, "input", replace(model.card.input, overlap=0.5))
    assert set(statuses(run(inputs, out, model)).values()) == {"done"}
    assert set(statuses(run(inputs, out, model)).values()) == {"skipped"}


def test_another_version_is_another_run(inputs, out, model, monkeypatch):
    """It may make other labels; what somebody edited stays also then."""
    run(inputs, out, model)
    (out / "one.labels.tif").write_bytes(b"corrected")
    monkeypatch.setattr(record, "__version__", "99.0")
    assert statuses(run(inputs, out, model)) == {"one": "kept", "two": "done"}
    assert statuses(run(inputs, out, model)) == {"one": "kept", "two": "skipped"}
    assert (out / "one.labels.tif").read_bytes() == b"corrected"


def test_a_record_from_before_versions_were_noted_is_made_again(inputs, out, model):
    run(inputs, out, model)
    file = out / FOLDER / "one.json"
    values = json.loads(file.read_text())
    del values["made"]["version"]
    file.write_text(json.dumps(values))
    assert statuses(run(inputs, out, model)) == {"one": "done", "two": "skipped"}


def test_labels_that_are_gone_are_made_again(inputs, out, model):
    run(inputs, out, model)
    (out / "one.labels.tif").unlink()
    assert statuses(run(inputs, out, model)) == {"one": "done", "two": "skipped"}
    assert statuses(run(inputs, out, model, probability=True)) == {"one": "done", "two": "done"}
    assert tifffile.imread(out / "one.probability.tif").dtype == np.float32


def test_probabilities_are_those_of_the_labels_beside_them(inputs, out, model):
    run(inputs, out, model, probability=True)
    file = out / "one.probability.tif"
    assert set(statuses(run(inputs, out, model, probability=True)).values()) == {"skipped"}
    assert set(statuses(run(inputs, out, model)).values()) == {"skipped"}
    assert file.is_file()
    imageio.imwrite(inputs / "one.png", TWO)
    assert statuses(run(inputs, out, model)) == {"one": "done", "two": "skipped"}
    assert not file.exists()
    tifffile.imwrite(file, np.zeros(SHAPE, np.float32))  # of whatever else
    results = run(inputs, out, model, probability=True)
    assert statuses(results) == {"one": "done", "two": "skipped"}
    assert np.count_nonzero(tifffile.imread(file) > 0.5) == np.count_nonzero(TWO)


def test_a_record_from_before_probabilities_were_noted(inputs, out, model):
    run(inputs, out, model, probability=True)
    for name in ("one", "two"):
        file = out / FOLDER / f"{name}.json"
        values = json.loads(file.read_text())
        del values["probability"]
        file.write_text(json.dumps(values))
    assert set(statuses(run(inputs, out, model)).values()) == {"skipped"}
    assert set(statuses(run(inputs, out, model, probability=True)).values()) == {"done"}


@pytest.mark.parametrize("again", [False, True])
def test_corrected_labels_are_kept_and_measured(inputs, out, model, again):
    run(inputs, out, model)
    corrected = np.zeros(SHAPE, np.uint16)
    corrected[5, 5:10], corrected[9, 9] = 3, 8
    tifffile.imwrite(out / "one.labels.tif", corrected)
    results = run(inputs, out, model, Settings(threshold=0.7), again=again)
    assert statuses(results) == {"one": "kept", "two": "done"}
    assert np.array_equal(tifffile.imread(out / "one.labels.tif"), corrected)
    row = table(out)["one.png"]
    assert row["status"] == "kept, edited"
    assert (row["objects"], row["area_pixels"]) == ("2", "6")
    assert "1 kept as you edited them" in in_words(results)


@pytest.mark.parametrize("again", [False, True])
def test_labels_corrected_for_another_image_are_kept_but_not_measured(inputs, out, model, again):
    """It has the same name, or the image was changed; labels that nobody edited are replaced."""
    run(inputs, out, model)
    (out / "one.labels.tif").write_bytes(b"corrected")
    other = inputs.parent / "other"
    other.mkdir()
    imageio.imwrite(other / "one.png", TWO)
    imageio.imwrite(other / "two.png", ONE)
    results = run(other, out, model, again=again)
    assert statuses(results) == {"one": "failed", "two": "done"}
    assert (out / "one.labels.tif").read_bytes() == b"corrected"
    row = table(out)["one.png"]
    assert "one.labels.tif was corrected for another or a changed image" in row["error"]
    assert row["area_pixels"] == row["objects"] == ""
    assert statuses(run(inputs, out, model)) == {"one": "kept", "two": "done"}


def test_labels_from_elsewhere_and_broken_records_lose_nothing(inputs, out, model):
    out.mkdir()
    (out / "one.labels.tif").write_bytes(b"the work of a day")
    run(inputs, out, model)
    (out / FOLDER / "two.json").write_text("{")
    assert statuses(run(inputs, out, model)) == {"one": "kept", "two": "kept"}
    assert (out / "one.labels.tif").read_bytes() == b"the work of a day"
    assert table(out)["one.png"]["objects"] == ""


def test_a_correction_during_the_run_is_kept(inputs, out, model, monkeypatch):
    run(inputs, out, model)
    forward = predict.run

    def meanwhile(*arguments):
        (out / "one.labels.tif").write_bytes(b"corrected")
        return forward(*arguments)

    monkeypatch.setattr(predict, "run", meanwhile)
    assert statuses(run(inputs, out, model, again=True)) == {"one": "kept", "two": "done"}
    assert (out / "one.labels.tif").read_bytes() == b"corrected"


def test_a_kill_between_record_and_labels_is_no_correction(inputs, out, model, monkeypatch):
    run(inputs, out, model)
    before, none = (out / "one.labels.tif").read_bytes(), Settings(min_size=200)
    write = batch.write_record

    def killed(*arguments):
        write(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(batch, "write_record", killed)
        with pytest.raises(KeyboardInterrupt):
            run(inputs, out, model, none)
    assert (out / "one.labels.tif").read_bytes() == before
    assert set(statuses(run(inputs, out, model, none)).values()) == {"done"}
    assert not tifffile.imread(out / "one.labels.tif").any()


def test_labels_that_could_not_be_replaced_twice_are_no_correction(inputs, out, model, monkeypatch):
    run(inputs, out, model)
    others = [Settings(min_size=200), Settings(min_size=201), Settings(min_size=202)]
    write = batch.write_record

    def refused(*arguments):
        write(*arguments)
        raise PermissionError("open elsewhere")

    with monkeypatch.context() as patch:
        patch.setattr(batch, "write_record", refused)
        for settings in others[:2]:
            assert set(statuses(run(inputs, out, model, settings)).values()) == {"failed"}
    assert set(statuses(run(inputs, out, model, others[2])).values()) == {"done"}


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


def test_a_summary_that_is_open_elsewhere(inputs, out, model):
    (out / "summary.csv").mkdir(parents=True)
    with pytest.raises(DataError, match="close it"):
        run(inputs, out, model)
    assert not list(out.glob("*.tif"))


def test_mistakes(inputs, out, tmp_path):
    axial = standin(Painted())
    object.__setattr__(axial.card.network, "architecture", "axialunet")
    with pytest.raises(ModelError, match="single branch"):
        run(inputs, out, axial, Settings("patch"))
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
    assert result.found.objects == 8
    assert result.found.taken_for == "7 slices of 48 x 64"
    voxel = 0.5 * 0.5 * 2 * 1e-9
    assert result.found.volume_mm3 == pytest.approx(np.count_nonzero(STACK) * voxel)
    assert result.found.area_mm2 is None
    [result] = run(path, out, model, Settings(link=True), probability=True)
    assert (result.status, result.found.objects) == ("done", 2)
    assert tifffile.imread(out / "stack.probability.tif").shape == STACK.shape


@pytest.mark.parametrize("planar", [False, True])
def test_a_few_slices_are_no_colours(tmp_path, out, model, planar):
    """Neither when they are written nor, as napari saves labels again, when they are read."""
    path, stack = tmp_path / "stack.tif", np.stack([ONE, TWO, TWO])
    tifffile.imwrite(path, stack, imagej=True, metadata={"axes": "ZYX"})
    [result] = run(path, out, model, probability=True)
    assert (result.status, result.found.objects) == ("done", 5)
    for name in ("stack.labels.tif", "stack.probability.tif"):
        with tifffile.TiffFile(out / name) as file:
            assert [page.shape for page in file.pages] == [SHAPE] * 3
    edited = tifffile.imread(out / "stack.labels.tif")
    edited[2] = 0
    rgb = {"photometric": "rgb", "planarconfig": "separate"}
    options = rgb if planar else {"photometric": "minisblack"}
    tifffile.imwrite(out / "stack.labels.tif", edited, **options)
    [result] = run(path, out, model, again=True)
    assert (result.status, result.found.objects) == ("kept", 3)
    assert result.found.area_pixels == np.count_nonzero(edited)


def test_unnamed_axes_are_guessed_as_in_the_widget(tmp_path, out, model):
    tifffile.imwrite(tmp_path / "pages.tif", STACK, photometric="minisblack")
    tifffile.imwrite(tmp_path / "channels.tif", STACK[-2:], photometric="minisblack")
    tifffile.imwrite(tmp_path / "line.tif", np.arange(50, dtype=np.uint8))
    results = {result.item.name: result for result in run(tmp_path, out, model)}
    assert results["pages"].found.taken_for == "7 slices of 48 x 64"
    assert results["channels"].found.taken_for == "48 x 64, 2 channels: using channel 1"
    assert results["channels"].found.objects == 1


def test_another_channel(tmp_path, out, model):
    tifffile.imwrite(tmp_path / "a.tif", np.stack([ONE, TWO]), photometric="minisblack")
    tifffile.imwrite(tmp_path / "b.tif", ONE)
    results = {r.item.name: r for r in run(tmp_path, out, model, Settings(channel=1))}
    assert results["a"].found.taken_for == "48 x 64, 2 channels: using channel 2"
    assert (results["a"].found.objects, results["b"].found.objects) == (2, 1)
    results = {r.item.name: r for r in run(tmp_path, out, model, Settings(channel=2))}
    assert results["a"].error == "The image has no channel 3: choose one of 2."
    assert results["b"].status == "done"


def test_a_channel_that_was_asked_for_is_taken_of_colours_and_missed_in_gray(tmp_path, out, model):
    colours = np.stack([ONE, TWO, np.zeros_like(ONE)], axis=-1)
    imageio.imwrite(tmp_path / "colours.png", colours)
    imageio.imwrite(tmp_path / "gray.png", ONE)
    run(tmp_path, out, model)
    for channel, objects in [(0, 1), (1, 2)]:
        given = Settings(channel=channel, channel_given=True)
        results = {r.item.name: r for r in run(tmp_path, out, model, given)}
        assert (results["colours"].status, results["colours"].found.objects) == ("done", objects)
        told = f"48 x 64, 3 channels: using channel {channel + 1}"
        assert results["colours"].found.taken_for == told
        assert tifffile.imread(out / "colours.labels.tif").shape == ONE.shape
    assert results["gray"].error == "The image has no channel 2: choose one of 1."


def test_a_channel_that_was_not_asked_for_leaves_records_as_they_were(model):
    assert "channel_given" not in Settings().made_with(model.card)
    assert Settings(channel_given=True).made_with(model.card)["channel_given"]


def test_samples_behind_rows_and_columns(tmp_path, out, model):
    both = np.stack([TWO, ONE], axis=-1)
    tifffile.imwrite(tmp_path / "two.tif", both, photometric="minisblack", planarconfig="contig")
    [result] = run(tmp_path, out, model)
    assert result.found.objects == 2
    assert tifffile.imread(out / "two.labels.tif").shape == SHAPE


def test_labels_are_not_segmented(tmp_path, out, model):
    (tmp_path / "in").mkdir()
    write_nifti(tmp_path / "in" / "corrected.nii.gz", STACK.astype(np.int32), np.eye(4))
    [result] = run(tmp_path / "in", out, model)
    assert result.error == "The file holds labels, not an image: choose the original image."


def test_nifti_keeps_its_geometry(tmp_path, out, model):
    affine = np.array([[0, 0, 3, 5], [-0.5, 0, 0, 7], [0, -0.5, 0, 9], [0, 0, 0, 1.0]])
    nibabel.save(nibabel.Nifti1Image(STACK.T, affine), tmp_path / "head.nii.gz")
    [result] = run(tmp_path, out, model)
    assert result.labels == "head.labels.nii.gz"
    written = nibabel.load(out / "head.labels.nii.gz")
    assert np.allclose(written.affine, affine)
    assert np.array_equal(np.asarray(written.dataobj) > 0, STACK.T > 0)
    assert result.found.volume_mm3 == pytest.approx(np.count_nonzero(STACK) * 0.75)
    assert statuses(run(tmp_path, out, model)) == {"head": "skipped"}

    edited = np.asarray(written.dataobj).copy()
    edited[:] = 0
    edited[10:12, 10, 3] = 4
    nibabel.save(nibabel.Nifti1Image(edited, affine), out / "head.labels.nii.gz")
    [result] = run(tmp_path, out, model, again=True)
    assert (result.status, result.found.objects) == ("kept", 1)
    assert result.found.volume_mm3 == pytest.approx(2 * 0.75)


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
    assert results["ct"].found.volume_mm3 == pytest.approx(np.count_nonzero(STACK) * 0.75)
    assert results["scouts-1.2.4.0"].found.area_mm2 == pytest.approx(np.count_nonzero(TWO) / 4)
    files = [path for path in out.rglob("*") if path.suffix in (".json", ".csv")]
    assert not any(PERSON in path.read_text() for path in files)


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
    assert (kept.status, kept.found.objects) == ("kept", 8)
    assert kept.found.volume_mm3 == pytest.approx(np.count_nonzero(labels) * 0.25 * gap)


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are Unicode elsewhere")
def test_names_that_are_no_text_cost_no_run(inputs, out, model):
    """As old archives have them: in another encoding than the system's."""
    (inputs / "one.png").rename(inputs / os.fsdecode(b"M\xfcller.png"))
    name = os.fsdecode(b"M\xfcller")
    assert statuses(run(inputs, out, model)) == {name: "done", "two": "done"}
    assert (out / f"{name}.labels.tif").exists()
    assert r"M\udcfcller.png" in table(out)
    assert statuses(run(inputs, out, model)) == {name: "skipped", "two": "skipped"}


def test_times_in_nifti_keep_their_distance(tmp_path, out, model):
    image = nibabel.Nifti1Image(np.stack([STACK, STACK]).T, np.diag([0.5, 0.5, 2, 1]))
    image.header.set_xyzt_units("mm", "msec")
    image.header.set_zooms((0.5, 0.5, 2, 2500))
    nibabel.save(image, tmp_path / "beat.nii.gz")
    run(tmp_path, out, model)
    header = nibabel.load(out / "beat.labels.nii.gz").header
    assert header.get_zooms() == (0.5, 0.5, 2, 2.5)
    assert header.get_xyzt_units() == ("mm", "sec")


def test_the_volume_of_tilted_slices(tmp_path, out, model):
    """As a CT with a tilted gantry has them: shifted against each other along their rows."""
    affine = np.array([[-0.5, 0, 0, 0], [0, -0.5, 2, 0], [0, 0, 3, 0], [0, 0, 0, 1.0]])
    nibabel.save(nibabel.Nifti1Image(STACK.T, affine), tmp_path / "head.nii.gz")
    [result] = run(tmp_path, out, model)
    assert result.found.volume_mm3 == pytest.approx(np.count_nonzero(STACK) * 0.5 * 0.5 * 3)


@pytest.mark.parametrize(("thickness", "volume"), [(None, None), (3, 0.75)])
def test_frames_of_unknown_distance_have_no_volume(tmp_path, out, model, thickness, volume):
    values = {"NumberOfFrames": len(STACK), "PixelSpacing": [0.5, 0.5], "SliceThickness": thickness}
    [result] = run(write_slice(tmp_path / "a.dcm", STACK, **values), out, model)
    expected = volume and pytest.approx(result.found.area_pixels * volume)
    assert (result.status, result.found.volume_mm3) == ("done", expected)


def test_records_name_no_file_and_no_time(inputs, out, model):
    run(inputs, out, model)
    record = json.loads((out / FOLDER / "one.json").read_text())
    assert record["made"]["weights_sha256"] == model.card.sha256
    assert record["made"]["threshold"] == model.card.threshold
    assert str(inputs) not in json.dumps(record)


def test_circumference_in_the_files_own_millimetres(tmp_path, out):
    model = standin(Painted())
    object.__setattr__(model.card, "report", "circumference")
    rows, columns = np.ogrid[:48, :64]
    disk = (np.hypot(rows - 24, columns - 30) < 15) * np.uint8(CORE_VALUE)
    options = {"imagej": True, "metadata": {"unit": "um"}}
    tifffile.imwrite(tmp_path / "a.tif", disk, resolution=(2, 2), **options)
    tifffile.imwrite(tmp_path / "b.tif", disk)
    a, b = (result.found for result in run(tmp_path, out, model))
    assert a.circumference_mm == pytest.approx(np.pi * 30 / 2000, rel=0.03)
    assert a.circumference_in_words() == "circumference 0.0 mm"
    assert b.circumference_pixels == pytest.approx(np.pi * 30, rel=0.03)
    tifffile.imwrite(tmp_path / "a.tif", disk, resolution=(2, 4), **options)
    a, _ = (result.found for result in run(tmp_path, out, model))
    assert a.circumference_pixels is None
    assert a.circumference_mm == pytest.approx(9.69 * 7.5 / 2000, rel=0.03), "of an ellipse 1 : 2"
    given = run(tmp_path, out, model, Settings(mm_per_pixel=0.1))
    assert {result.status for result in given} == {"done"}
    assert given[1].found.circumference_mm == pytest.approx(np.pi * 3, rel=0.03)


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
