"""DICOM and NIfTI in a real viewer, opened and saved as a user does."""

import errno
from pathlib import Path

import nibabel
import numpy as np
import pytest
from napari.layers import Image, Labels, Layer
from napari.utils.notifications import notification_manager
from qtpy.QtWidgets import QFileDialog

from napari_medt.engine.formats.picture import PATIENT, Patient
from napari_medt.errors import ImageError
from napari_medt.gui.formats import SaveError, get_reader, read, write_labels
from tests.engine.formats.conftest import PERSON, oblique, write_slice  # noqa: F401
from tests.engine.formats.test_nifti import MARK, marked, save, turned

PLUGIN = "napari-medt"
AFFINE = turned((2, 0, 1), (-1, 1, -1), (0.7, 0.8, 1.2), (0.1, -0.2, 0.3), (-90, 40, 12))


@pytest.fixture
def exam(tmp_path, oblique):  # noqa: F811
    """Folder with a series of three oblique slices without suffixes."""
    folder = tmp_path / "exam"
    folder.mkdir()
    for index, name in enumerate(("b", "c", "a")):
        write_slice(
            folder / name,
            np.full((6, 8), 1000 + index),
            SeriesInstanceUID="1.2.3",
            ImageOrientationPatient=oblique[:, :2].T.ravel().tolist(),
            ImagePositionPatient=(index * 3 * oblique[:, 2]).tolist(),
            PixelSpacing=[0.5, 0.6],
            WindowCenter=1000,
            WindowWidth=101,
        )
    return folder


def test_dicom_folder_opens_with_its_geometry(viewer, exam):
    [layer] = viewer.open(exam, plugin=PLUGIN)
    assert layer.data[:, 0, 0].tolist() == [1000, 1001, 1002]
    assert layer.scale == pytest.approx((3, 0.5, 0.6))
    assert [str(unit) for unit in layer.units] == ["millimeter"] * 3
    assert layer.axis_labels == ("z", "y", "x")
    assert layer.contrast_limits == [949.5, 1049.5]
    assert layer.name == "CT Thorax"
    assert PERSON.split("^")[1] not in repr((layer.metadata, layer.source))


def test_unevenly_spaced_slices_are_told(viewer, exam, tmp_path):
    notification_manager.records.clear()
    viewer.open(exam, plugin=PLUGIN)
    assert not notification_manager.records
    positions = {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "PixelSpacing": [1, 1]}
    for z in (0, 1, 104):
        about = positions | {"SeriesInstanceUID": "1.2", "ImagePositionPatient": [0, 0, z]}
        write_slice(tmp_path / f"{z}.dcm", np.full((6, 8), z), **about)
    viewer.open([tmp_path / f"{z}.dcm" for z in (0, 1, 104)], stack=True, plugin=PLUGIN)
    [told] = notification_manager.records
    assert told.message.startswith("CT Thorax: the slices are unevenly spaced")


def test_monochrome1_is_shown_in_reverse(tmp_path):
    pixels = np.arange(48).reshape(6, 8)
    path = write_slice(tmp_path / "chest.dcm", pixels, PhotometricInterpretation="MONOCHROME1")
    [(array, options, kind)] = read(str(path))
    layer = Layer.create(array, options, kind)
    assert layer.colormap.name == "gray_r"
    assert np.array_equal(layer.data, pixels)


def test_a_model_sees_monochrome1_as_it_is_shown(hands, viewer, widget, batches, blobs, tmp_path):
    pixels = 255 - blobs.astype(int)
    path = write_slice(tmp_path / "chest.dcm", pixels, PhotometricInterpretation="MONOCHROME1")
    viewer.open(str(path), plugin=PLUGIN)
    assert hands.click_segment_and_wait().data.max() == 20


def test_several_files_are_one_series(exam):
    paths = [str(path) for path in sorted(exam.iterdir())]
    [(array, *_)] = get_reader(paths)(paths)
    assert array[:, 0, 0].tolist() == [1000, 1001, 1002]


def test_labels_of_a_nifti_image_go_back_to_its_grid(viewer, tmp_path):
    """Drawn in a new layer, saved with File > Save."""
    path = save(tmp_path / "scan.nii.gz", marked(), AFFINE)
    [image] = viewer.open(path, plugin=PLUGIN)
    viewer._new_labels()
    labels = viewer.layers[-1]
    labels.data[image.data == 7] = 1
    [written] = labels.save(str(tmp_path / "mask.nii.gz"), plugin=PLUGIN)
    back = nibabel.load(written)
    assert np.allclose(back.affine, AFFINE, atol=1e-4)
    assert np.argwhere(np.asarray(back.dataobj)).tolist() == [list(MARK)]


def test_a_cropped_labels_layer_keeps_its_place(viewer, tmp_path):
    [image] = viewer.open(save(tmp_path / "scan.nii", marked(), AFFINE), plugin=PLUGIN)
    crop = (slice(1, 6), slice(0, 4), slice(1, 4))
    start = np.multiply([part.start for part in crop], image.scale)
    labels = viewer.add_labels(
        (image.data[crop] == 7).astype(int),
        scale=image.scale,
        translate=image.translate + start,
        units=image.units,
        metadata=dict(image.metadata),
    )
    assert labels.data.any()
    [written] = labels.save(str(tmp_path / "mask.nii"), plugin=PLUGIN)
    back = nibabel.load(written)
    [found] = np.argwhere(np.asarray(back.dataobj))
    assert np.allclose(back.affine @ (*found, 1), AFFINE @ (*MARK, 1), atol=1e-3)


def test_a_mask_knows_the_patient_of_its_image(hands, viewer, widget, batches, blobs):
    patient = Patient(np.diag([2.0, 1, 1, 1])).to_dict()
    viewer.add_image(blobs, metadata={PATIENT: patient, "other": 1})
    mask = hands.click_segment_and_wait()
    assert mask.metadata[PATIENT] == patient
    assert "other" not in mask.metadata


def test_a_mask_of_a_photo_is_no_part_of_a_patient(hands, viewer, widget, batches, blobs, tmp_path):
    """Though a volume is in the viewer, too."""
    viewer.open(save(tmp_path / "scan.nii", marked(), AFFINE), plugin=PLUGIN)
    viewer.layers.selection.active = viewer.add_image(blobs, name="photo")
    mask = hands.click_segment_and_wait()
    [written] = mask.save(str(tmp_path / "mask.nii"), plugin=PLUGIN)
    assert np.allclose(np.abs(nibabel.load(written).affine), np.eye(4))


def test_the_axis_for_channels_is_not_saved(hands, viewer, widget, batches, blobs, tmp_path):
    viewer.add_image(np.stack([np.stack([blobs] * 2)] * 3), scale=(4, 1, 2, 2), units="mm")
    mask = hands.click_segment_and_wait()
    assert mask.data.shape == (3, 1, *blobs.shape)
    [written] = write_labels(str(tmp_path / "mask.nii"), *mask.as_layer_data_tuple()[:2])
    back = nibabel.load(written)
    assert back.shape == (*blobs.shape[::-1], 3)
    assert back.header.get_zooms() == pytest.approx((2, 2, 4))


def test_micrometres_are_saved_as_millimetres(tmp_path):
    labels = Labels(np.ones((4, 6), int), scale=(500, 250), units=("um", "um"))
    [written] = write_labels(str(tmp_path / "mask.nii"), *labels.as_layer_data_tuple()[:2])
    assert nibabel.load(written).header.get_zooms() == pytest.approx((0.25, 0.5, 1))


@pytest.mark.parametrize(("unit", "distance"), [("mm", 2), ("um", 0.002), ("pixel", 0.002)])
def test_slices_have_a_unit_of_their_own(tmp_path, unit, distance):
    """One that is no length counts as that of rows and columns."""
    about = {"scale": (2, 0.5, 0.5), "translate": (6, 0, 0), "units": (unit, "um", "um")}
    labels = Labels(np.ones((3, 4, 6), int), **about)
    [written] = write_labels(str(tmp_path / "mask.nii"), *labels.as_layer_data_tuple()[:2])
    back = nibabel.load(written)
    assert back.header.get_zooms() == pytest.approx((0.0005, 0.0005, distance))
    assert back.affine[2, 3] == pytest.approx(3 * distance)


@pytest.mark.parametrize(("unit", "claimed"), [("pixel", "unknown"), ("mm", "mm")])
def test_labels_of_no_patient_claim_none_even_when_saved_again(tmp_path, unit, claimed):
    """Nor millimetres, where the size of a pixel is not known."""
    labels = Labels(np.ones((3, 4, 6), int), scale=(2, 0.5, 0.4), units=unit)
    data = labels.as_layer_data_tuple()[:2]
    for name in ("a.nii", "b.nii"):
        [written] = write_labels(str(tmp_path / name), *data)
        header = nibabel.load(written).header
        assert header.get_xyzt_units()[0] == claimed
        assert header.get_zooms() == pytest.approx((0.4, 0.5, 2))
        assert header["sform_code"] == header["qform_code"] == 2
        [(array, options, _)] = read(written)
        assert options["scale"] == pytest.approx((2, 0.5, 0.4))
        assert options["units"] == (unit,) * 3
        about = {key: value for key, value in options.items() if key != "rgb"}
        data = Labels(array, **about).as_layer_data_tuple()[:2]


@pytest.mark.parametrize(
    "about",
    [
        {"axis_labels": ("t", "y", "x"), "units": ("pixel", "mm", "mm")},
        {"axis_labels": ("Time", "y", "x"), "units": ("s", "mm", "mm")},
        {"units": ("ms", "mm", "mm")},
    ],
)
def test_times_of_a_slice_are_no_slices(tmp_path, about):
    data = np.arange(3 * 4 * 6).reshape(3, 4, 6)
    labels = Labels(data, scale=(40, 2, 3), translate=(7, 5, 4), **about)
    [written] = write_labels(str(tmp_path / "mask.nii"), *labels.as_layer_data_tuple()[:2])
    back = nibabel.load(written)
    assert np.array_equal(np.asarray(back.dataobj), data.T[:, :, np.newaxis])
    assert back.header.get_zooms()[:3] == pytest.approx((3, 2, 1))
    assert np.abs(back.affine[:3, 3]) == pytest.approx((4, 5, 0))


@pytest.mark.parametrize("shape", [(5, 3, 6, 8), (5, 6, 8)])
@pytest.mark.parametrize(("step", "unit"), [(2.5, "s"), (2500, "ms")])
def test_saved_times_are_as_far_apart_as_those_of_the_image(tmp_path, shape, step, unit):
    axes = {"axis_labels": tuple("tzyx") if len(shape) == 4 else tuple("tyx")}
    scale, units = (step, *(1,) * (len(shape) - 1)), (unit, *("mm",) * (len(shape) - 1))
    labels = Labels(np.ones(shape, int), scale=scale, units=units, **axes)
    [written] = write_labels(str(tmp_path / "mask.nii"), *labels.as_layer_data_tuple()[:2])
    [(data, options, kind)] = read(written)
    assert (data.shape, kind) == (shape, "labels")
    assert options["scale"][0] == pytest.approx(2.5)
    assert options["units"][0] == "s"


@pytest.mark.parametrize(
    ("data", "about", "sentence"),
    [
        (np.ones((4, 6), int), {"rotate": 30}, "are rotated or sheared: undo that"),
        (np.ones((1, 1, 2, 4, 6), int), {}, "with 5 axes cannot be written as NIfTI"),
        ([np.ones((40, 60), int), np.ones((20, 30), int)], {}, "use the file they were opened"),
    ],
)
def test_what_cannot_be_saved_is_said(viewer, tmp_path, monkeypatch, data, about, sentence):
    """Also in a script, where napari makes of every ValueError that there is no writer."""
    viewer.add_labels(data, **about)
    path = str(tmp_path / "a.nii.gz")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (path, "MedT NIfTI"))
    with pytest.raises(SaveError, match=sentence):
        viewer.window._qt_viewer._save_layers_dialog()
    with pytest.raises(SaveError, match=sentence):
        viewer.layers.save(path)
    assert not list(tmp_path.iterdir())


def test_the_file_type_has_the_name_that_the_readme_tells(viewer, tmp_path, monkeypatch):
    """What is typed without a suffix gets that of the type, and nothing is replaced unasked."""
    layer = viewer.add_labels(np.ones((4, 6), int), name="mask")
    offered = []

    def answer(*_, filter, **__):  # as Qt calls it
        offered[:] = filter.split(";;")
        [chosen] = [kind for kind in offered if kind.startswith("MedT NIfTI (")]
        return str(tmp_path / "scan - mask"), chosen

    monkeypatch.setattr(QFileDialog, "getSaveFileName", answer)
    viewer.window._qt_viewer._save_layers_dialog(selected=True)
    [file] = tmp_path.iterdir()
    assert file.name == "scan - mask.nii.gz"
    assert "*MedT NIfTI*" in Path(__file__).parents[2].joinpath("README.md").read_text("utf-8")
    layer.data = layer.data * 2
    with pytest.raises(SaveError, match=r"There is a file scan - mask\.nii\.gz already"):
        viewer.window._qt_viewer._save_layers_dialog(selected=True)
    assert np.asarray(nibabel.load(file).dataobj).max() == 1


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("mask.tif", "mask.tif.nii.gz"),
        ("patient 1.2", "patient 1.2.nii.gz"),
        ("mask.nii", "mask.nii"),
        ("MASK.NII.GZ", "MASK.NII.GZ"),
    ],
)
def test_a_file_is_what_its_suffix_says(tmp_path, name, file):
    labels = Labels(np.ones((4, 6), int)).as_layer_data_tuple()
    assert write_labels(str(tmp_path / name), *labels[:2]) == [str(tmp_path / file)]
    assert [path.name for path in tmp_path.iterdir()] == [file]
    assert np.asarray(nibabel.load(tmp_path / file).dataobj).all()


def test_a_file_that_cannot_be_written_is_said_in_one_sentence(viewer, tmp_path, monkeypatch):
    layer = viewer.add_labels(np.ones((4, 6), int))
    chosen = tmp_path / "nowhere" / "mask.nii"
    with pytest.raises(SaveError) as caught:
        layer.save(str(chosen), plugin=PLUGIN)
    assert str(caught.value).startswith(f"{chosen} cannot be read or written (")
    assert str(caught.value).endswith("): choose another folder or name.")

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device", ".medt-0123")

    monkeypatch.setattr("napari_medt.gui.formats.write_nifti", full)
    with pytest.raises(SaveError, match="The disk is full"):
        layer.save(str(tmp_path / "mask.nii"), plugin=PLUGIN)


@pytest.mark.parametrize("name", ["scan - mask.nii.gz", "scan.labels.nii"])
def test_a_saved_mask_opens_again_as_one(viewer, widget, tmp_path, name):
    """To be corrected further, and saved under the same name; it is nothing to segment."""
    [image] = viewer.open(save(tmp_path / "scan.nii.gz", marked(), AFFINE), plugin=PLUGIN)
    viewer._new_labels()
    viewer.layers[-1].data = np.where(image.data == 7, 300, 0)
    path = tmp_path / name
    viewer.layers[-1].save(str(path), plugin=PLUGIN)
    viewer.layers.pop()

    [mask] = viewer.open(path, plugin=PLUGIN)
    assert isinstance(mask, Labels)
    assert np.array_equal(mask.data == 300, image.data == 7)
    for about in ("scale", "translate", "units", "axis_labels"):
        assert tuple(getattr(mask, about)) == tuple(getattr(image, about))
    assert mask.metadata == image.metadata
    assert widget.image.image is image
    assert widget.image.count() == 1

    where = tuple(np.argwhere(image.data == 7)[0])
    mask.fill(where, 5)
    mask.save(str(path), plugin=PLUGIN)
    back = nibabel.load(path)
    assert np.allclose(back.affine, AFFINE, atol=1e-4)
    assert np.asarray(back.dataobj)[MARK] == 5


@pytest.mark.parametrize(
    ("name", "kind", "opened"),
    [
        ("scan.nii", np.uint8, Image),
        ("scan.labels.nii", np.uint8, Labels),
        ("scan.labels.nii.gz", np.int16, Labels),
        ("scan.labels.nii", np.float32, Image),
    ],
)
def test_labels_of_other_programs_are_known_by_their_name(viewer, tmp_path, name, kind, opened):
    values = marked().astype(kind)
    [layer] = viewer.open(save(tmp_path / name, values, AFFINE), plugin=PLUGIN)
    assert type(layer) is opened
    assert layer.data.dtype == (np.int32 if opened is Labels else kind)
    if opened is Labels:
        layer.selected_label = 256  # however few the file had


def test_images_that_disagree_about_the_patient(viewer, tmp_path):
    for index, affine in enumerate((AFFINE, np.eye(4))):
        viewer.open(save(tmp_path / f"{index}.nii", marked(), affine), plugin=PLUGIN)
    viewer._new_labels()
    with pytest.raises(SaveError, match="differently"):
        write_labels(str(tmp_path / "a.nii"), *viewer.layers[-1].as_layer_data_tuple()[:2])


def test_folders_without_dicom_are_left_to_other_readers(tmp_path, exam):
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.txt").write_text("nothing")
    assert get_reader(str(other)) is None
    assert get_reader(str(exam)) is not None


def test_a_damaged_file_is_said_in_one_sentence(viewer, tmp_path):
    (tmp_path / "scan.nii").write_bytes(b"nothing of the kind")
    with pytest.raises(ImageError, match=r"scan\.nii is not a NIfTI file"):
        viewer.open(tmp_path / "scan.nii", plugin=PLUGIN)
