from functools import partial
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom import uid
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.pixels.processing import apply_rescale

from napari_medt.engine.formats.dicom import find_dicom, is_dicom_folder, read_dicom
from napari_medt.engine.formats.nifti import read_nifti, write_nifti
from napari_medt.engine.formats.picture import Patient
from napari_medt.errors import ImageError
from tests.engine.formats.conftest import PERSON, write_slice

SHAPE = (5, 6, 7)  # slices, rows, columns
SPACING = (0.5, 0.7)  # between rows, between columns
GAP = 2.5
ORIGIN = np.array([-30.0, 12.0, 105.0])


def shipped(name):
    return Path(get_testdata_file(name, download=False))


def read_one(*paths):
    [picture] = read_dicom(paths)
    return picture


@pytest.fixture
def stored():
    return np.random.default_rng(0).integers(0, 4096, SHAPE)


def write_series(folder, stored, directions, seed=1, **values):
    """Write a series, its file names in an order that tells nothing."""
    folder.mkdir(exist_ok=True)
    names = np.random.default_rng(seed).permutation(len(stored))
    series = pydicom.uid.generate_uid()
    for index, (name, pixels) in enumerate(zip(names, stored, strict=True)):
        position = ORIGIN + index * GAP * directions[:, 2]
        fixed = {
            "SeriesInstanceUID": series,
            "ImageOrientationPatient": directions[:, :2].T.ravel().tolist(),
            "ImagePositionPatient": position.tolist(),
            "PixelSpacing": list(SPACING),
            "RescaleSlope": 1,
            "RescaleIntercept": -1024,
        }
        write_slice(folder / f"{name:03}", pixels, **(fixed | values))
    return folder


@pytest.fixture
def series(tmp_path, stored, oblique):
    return write_series(tmp_path / "series", stored, oblique)


def test_series_is_sorted_along_its_normal_in_real_units(series, stored):
    picture = read_one(*find_dicom(series))
    assert picture.axes == "zyx"
    assert picture.array.dtype == np.int16
    assert np.array_equal(picture.array, stored - 1024)


def test_every_voxel_keeps_its_place_in_the_patient(series, oblique):
    picture = read_one(*find_dicom(series))
    assert picture.scale == pytest.approx((GAP, *SPACING))
    assert picture.units == ("mm",) * 3
    column, row, slice_ = 6, 2, 4
    expected = ORIGIN + oblique @ (column * SPACING[1], row * SPACING[0], slice_ * GAP)
    assert picture.affine @ (column, row, slice_, 1) == pytest.approx([*expected, 1])


def test_the_way_to_the_patient_survives_as_plain_values(series):
    patient = read_one(*find_dicom(series)).patient
    again = Patient.from_dict(patient.to_dict())
    assert np.array_equal(again.affine, patient.affine)
    assert again.orientation == patient.orientation


def test_an_axial_series_lies_in_patient_coordinates(tmp_path, stored):
    series = write_series(tmp_path / "axial", stored, np.eye(3))
    assert read_one(*find_dicom(series)).translate == pytest.approx(ORIGIN[::-1])


def test_sagittal_slices_go_from_right_to_left_as_in_nifti(tmp_path, stored):
    sagittal = np.array([[0, 0, -1], [1, 0, 0], [0, -1, 0]])
    picture = read_one(*find_dicom(write_series(tmp_path / "a", stored, sagittal)))
    assert np.array_equal(picture.array, stored[::-1] - 1024)
    assert picture.affine @ (0, 0, 4, 1) == pytest.approx([*ORIGIN, 1])
    write_nifti(tmp_path / "a.nii", picture.array, picture.affine)
    again = read_nifti(tmp_path / "a.nii")
    assert np.array_equal(again.array, picture.array)
    assert np.allclose(again.affine, picture.affine)


def test_one_slice_lies_where_it_lies_in_its_series(series, stored):
    whole = read_one(*find_dicom(series))
    path = next(
        p for p in series.iterdir() if np.array_equal(pydicom.dcmread(p).pixel_array, stored[3])
    )
    single = read_one(path)
    assert single.axes == "yx"
    assert single.affine @ (4, 5, 0, 1) == pytest.approx(whole.affine @ (4, 5, 3, 1))


def test_nothing_names_the_patient(series):
    picture = read_one(*find_dicom(series))
    assert picture.name == "CT Thorax"
    assert PERSON.split("^")[1] not in repr(picture)


def test_series_of_a_folder_stay_apart(tmp_path, stored, oblique):
    write_series(tmp_path / "a", stored, oblique)
    write_series(tmp_path / "b", stored[:3], oblique)
    (tmp_path / "notes.txt").write_text("no image")
    sizes = sorted(len(picture.array) for picture in read_dicom(find_dicom(tmp_path)))
    assert sizes == [3, 5]


def test_an_overview_of_another_orientation_is_an_image_of_its_own(tmp_path, stored):
    uid = pydicom.uid.generate_uid()
    write_series(tmp_path / "a", stored, np.eye(3), SeriesInstanceUID=uid)
    sagittal = np.array([[0, 0, 1], [1, 0, 0], [0, -1, 0]])
    write_series(tmp_path / "a" / "overview", stored[:1], sagittal, SeriesInstanceUID=uid)
    axes = sorted(picture.axes for picture in read_dicom(find_dicom(tmp_path)))
    assert axes == ["yx", "zyx"]


def test_places_seen_more_than_once_are_times(tmp_path, stored):
    uid = pydicom.uid.generate_uid()
    folder = tmp_path / "perfusion"
    for time in range(2):
        part = write_series(
            tmp_path / str(time),
            stored + time,
            np.eye(3),
            seed=time,
            SeriesInstanceUID=uid,
            InstanceNumber=time,
        )
        folder.mkdir(exist_ok=True)
        for path in part.iterdir():
            path.rename(folder / f"{time}-{path.name}")
    picture = read_one(*find_dicom(folder))
    assert picture.axes == "tzyx"
    assert np.array_equal(picture.array, np.stack([stored, stored + 1]) - 1024)
    assert picture.scale[1:] == pytest.approx((GAP, *SPACING))


def test_a_gap_in_the_series_is_told(tmp_path, stored):
    series = write_series(tmp_path / "a", stored, np.eye(3))
    assert not read_one(*find_dicom(series)).uneven
    gone = min(
        series.iterdir(), key=lambda p: abs(pydicom.dcmread(p).ImagePositionPatient[2] - 107.5)
    )
    gone.unlink()
    assert read_one(*find_dicom(series)).uneven


def test_window_becomes_the_limits_of_what_is_shown(tmp_path, stored):
    path = write_slice(tmp_path / "a", stored[0], WindowCenter=[40, 500], WindowWidth=[400, 1500])
    assert read_one(path).window == (-160, 239)


def test_monochrome1_is_shown_inverted_and_keeps_its_values(tmp_path, stored):
    path = write_slice(tmp_path / "a", stored[0], PhotometricInterpretation="MONOCHROME1")
    picture = read_one(path)
    assert picture.inverted
    assert np.array_equal(picture.array, stored[0])
    shown = picture.shown.astype(int)
    assert np.array_equal(np.diff(shown), -np.diff(stored[0].astype(int)))
    assert picture.shown.dtype == picture.array.dtype


def test_slope_and_intercept_may_differ_between_slices(tmp_path, stored):
    for index, slope in enumerate((0.5, 2.0)):
        write_slice(
            tmp_path / f"{index}",
            stored[index],
            SeriesInstanceUID="1.2",
            RescaleSlope=slope,
            RescaleIntercept=0,
            InstanceNumber=index,
        )
    picture = read_one(*find_dicom(tmp_path))
    assert picture.array.dtype == np.float32
    assert np.allclose(picture.array, [0.5 * stored[0], 2 * stored[1]])
    assert picture.patient is None
    assert picture.units == ("pixel",) * 3


def test_detector_spacing_serves_where_there_is_no_other(tmp_path, stored):
    path = write_slice(tmp_path / "a", stored[0], ImagerPixelSpacing=[0.1, 0.2])
    assert read_one(path).scale == (0.1, 0.2)


def test_what_the_detector_sees_larger_is_measured_in_the_patient(tmp_path, stored):
    more = {"ImagerPixelSpacing": [0.3, 0.6], "EstimatedRadiographicMagnificationFactor": 1.5}
    path = write_slice(tmp_path / "a", stored[0], **more)
    assert read_one(path).scale == pytest.approx((0.2, 0.4))
    path = write_slice(tmp_path / "b", stored[0], PixelSpacing=[0.1, 0.1], **more)
    assert read_one(path).scale == (0.1, 0.1)


def region(delta):
    """Region of an ultrasound image with pixels of that many centimetres."""
    item = pydicom.Dataset()
    item.RegionSpatialFormat = 1
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = 3
    item.PhysicalDeltaX = item.PhysicalDeltaY = delta
    return item


@pytest.mark.parametrize(
    ("values", "known"),
    [
        ({"PixelSpacing": [0, 0]}, None),
        ({"PixelSpacing": [0, 0.2]}, None),
        ({"PixelSpacing": [0, 0], "ImagerPixelSpacing": [0.2, 0.2]}, 0.2),
        ({"SequenceOfUltrasoundRegions": [region(0.0)]}, None),
        ({"SequenceOfUltrasoundRegions": [region(0.02)]}, 0.2),
        ({"SequenceOfUltrasoundRegions": [region(0.02), region(0.0)]}, None),
    ],
)
def test_a_size_of_zero_is_unknown(tmp_path, stored, values, known):
    picture = read_one(write_slice(tmp_path / "a", stored[0], **values))
    assert np.array_equal(picture.array, stored[0])
    assert picture.mm == ({"y": known, "x": known} if known else {})


@pytest.mark.parametrize("depth", [8, 10, 12, 16])
def test_deep_colours_keep_their_brightness(tmp_path, depth):
    colours = np.array([[[0, 1, 2]], [[128, 254, 255]]]) << (depth - 8)
    more = {"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3, "PlanarConfiguration": 0}
    more |= {"BitsStored": depth, "HighBit": depth - 1, "Rows": 2, "Columns": 1}
    picture = read_one(write_slice(tmp_path / "a", colours, **more))
    assert np.array_equal(picture.array, colours >> (depth - 8))


def test_enhanced_multi_frame(tmp_path, stored, oblique):
    """Geometry and rescaling per frame; the frames of the file are in reverse order."""

    def item(**values):
        data = pydicom.Dataset()
        for name, value in values.items():
            setattr(data, name, value)
        return data

    frames = [
        item(
            PlanePositionSequence=[
                item(ImagePositionPatient=(ORIGIN + i * GAP * oblique[:, 2]).tolist())
            ],
            PixelValueTransformationSequence=[item(RescaleSlope=1, RescaleIntercept=-i)],
        )
        for i in reversed(range(len(stored)))
    ]
    shared = item(
        PixelMeasuresSequence=[item(PixelSpacing=list(SPACING))],
        PlaneOrientationSequence=[item(ImageOrientationPatient=oblique[:, :2].T.ravel().tolist())],
        FrameVOILUTSequence=[item(WindowCenter=100, WindowWidth=200)],
    )
    path = write_slice(
        tmp_path / "a",
        stored[::-1],
        NumberOfFrames=len(stored),
        PerFrameFunctionalGroupsSequence=frames,
        SharedFunctionalGroupsSequence=[shared],
    )
    picture = read_one(path)
    assert np.array_equal(picture.array, stored - np.arange(5)[:, None, None])
    assert picture.scale == pytest.approx((GAP, *SPACING))
    assert picture.window == (0, 199)
    expected = ORIGIN + oblique @ (0, 0, 2 * GAP)
    assert picture.affine @ (0, 0, 2, 1) == pytest.approx([*expected, 1])


def test_shipped_ct_is_in_hounsfield_units():
    picture = read_one(shipped("CT_small.dcm"))
    assert (picture.array.dtype, picture.array.min(), picture.array.max()) == (np.int16, -896, 1167)
    assert picture.scale == pytest.approx((0.661468, 0.661468))


def test_shipped_mr_reads_alike_in_every_encoding():
    plain = read_one(shipped("MR_small.dcm")).array
    for kind in ("RLE", "bigendian", "implicit", "jp2klossless"):
        assert np.array_equal(read_one(shipped(f"MR_small_{kind}.dcm")).array, plain)


def test_shipped_ultrasound_cine_has_time_and_millimetres():
    picture = read_one(shipped("examples_ybr_color.dcm"))
    assert (picture.axes, picture.array.shape) == ("tyxs", (30, 240, 320, 3))
    assert picture.scale == pytest.approx((1 / 30, 0.51, 0.51), rel=0.01)
    assert picture.units == ("s", "mm", "mm")


@pytest.mark.parametrize(
    "values",
    [
        {"FrameTimeVector": [0, 30, 50, 30, 50], "FrameIncrementPointer": 0x00181065},
        {"CineRate": 25},
        {"RecommendedDisplayFrameRate": 25},
        {"FrameTime": 40, "CineRate": 10},
    ],
)
def test_frames_are_times_however_their_distance_is_told(tmp_path, stored, values):
    more = {"NumberOfFrames": 5, "PixelSpacing": list(SPACING), **values}
    picture = read_one(write_slice(tmp_path / "a", stored, **more))
    assert picture.axes == "tyx"
    assert picture.scale == pytest.approx((0.04, *SPACING))
    assert picture.units == ("s", "mm", "mm")


def test_slices_of_unknown_distance_have_no_millimetres(tmp_path, stored):
    more = {"NumberOfFrames": 5, "PixelSpacing": list(SPACING)}
    picture = read_one(write_slice(tmp_path / "a", stored, **more))
    assert (picture.axes, picture.units) == ("zyx", ("pixel", "mm", "mm"))
    assert set(picture.mm) == {"y", "x"}
    for keyword in ("SpacingBetweenSlices", "SliceThickness"):
        picture = read_one(write_slice(tmp_path / "a", stored, **more, **{keyword: 3}))
        assert picture.mm["z"] == 3


@pytest.mark.parametrize(
    "name",
    [
        "examples_palette.dcm",
        "examples_rgb_color.dcm",
        "SC_ybr_full_422_uncompressed.dcm",
        "SC_rgb_rle_16bit.dcm",
    ],
)
def test_shipped_colours_become_rgb(name):
    picture = read_one(shipped(name))
    assert picture.rgb
    assert picture.array.dtype == np.uint8
    assert picture.array.shape[-1] == 3


def test_ybr_bands_have_their_colours():
    """The test image of pydicom has a red band on top."""
    picture = read_one(shipped("SC_ybr_full_422_uncompressed.dcm"))
    red, green, blue = picture.array[5, 50].astype(int)
    assert red > 200
    assert max(green, blue) < 60


def test_shipped_dose_takes_its_slices_from_the_offsets():
    picture = read_one(shipped("rtdose.dcm"))
    assert picture.array.shape == (15, 10, 10)
    assert picture.scale == pytest.approx((5, 10, 10))


def test_shipped_jpeg_ls_is_what_it_was_before():
    plain, compressed = map(shipped, ("MR_small.dcm", "MR_small_jpeg_ls_lossless.dcm"))
    assert np.array_equal(read_one(compressed).array, read_one(plain).array)


def test_shipped_jpeg_of_12_bits():
    array = read_one(shipped("JPEG-lossy.dcm")).array
    assert array.shape == (1024, 256)
    assert 255 < array.max() < 4096


@pytest.mark.parametrize("name", ["SC_rgb_jls_lossy_line.dcm", "SC_rgb_jls_lossy_sample.dcm"])
def test_shipped_jpeg_ls_in_colour(name):
    """The test image of pydicom has a red band on top."""
    assert read_one(shipped(name)).array[5, 50].tolist() == [255, 0, 0]


@pytest.mark.parametrize(
    ("syntax", "encode"),
    [
        (uid.JPEGLossless, imagecodecs.ljpeg_encode),
        (uid.JPEGLosslessSV1, imagecodecs.ljpeg_encode),
        (uid.JPEGLSLossless, imagecodecs.jpegls_encode),
        (uid.HTJ2KLossless, partial(imagecodecs.jpeg2k_encode, level=0, codecformat="j2k")),
    ],
)
def test_lossless_jpeg_gives_back_every_value(tmp_path, stored, syntax, encode):
    path = write_slice(tmp_path / "a", stored[0])
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate([encode(stored[0].astype(np.uint16))])
    dataset.save_as(tmp_path / "b")
    assert np.array_equal(read_one(tmp_path / "b").array, read_one(path).array)


def test_a_film_that_is_compressed_is_refused(tmp_path, stored):
    path = write_slice(tmp_path / "a", stored[0])
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = uid.MPEG4HP41
    dataset.PixelData = encapsulate([bytes(100)])
    dataset.save_as(path)
    with pytest.raises(ImageError, match="without compression"):
        read_one(path)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("MR_truncated.dcm", "damaged"),
        ("rtplan.dcm", "holds no DICOM image"),
        ("no_meta.dcm", "not a DICOM file"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_sentence(name, words):
    with pytest.raises(ImageError, match=words) as raised:
        read_dicom([shipped(name)])
    message = str(raised.value)
    assert name in message
    assert message.count(". ") == 0


def test_a_file_that_is_not_there():
    with pytest.raises(ImageError, match="no file"):
        read_dicom([shipped("MR_small.dcm").with_name("nowhere.dcm")])


def test_whole_slides_are_sent_elsewhere(tmp_path, stored):
    path = write_slice(tmp_path / "a", stored, NumberOfFrames=5, TotalPixelMatrixColumns=35)
    with pytest.raises(ImageError, match="whole slide"):
        read_dicom([path])


def test_a_folder_is_dicom_by_its_content(series, tmp_path):
    assert is_dicom_folder(tmp_path)
    assert not is_dicom_folder(tmp_path / "nowhere")
    other = tmp_path / "other.zarr"
    other.mkdir()
    for index in range(3):
        (other / f"{index}.dcm").write_bytes(b"chunk" * 50)
    assert not is_dicom_folder(other)


@pytest.mark.filterwarnings("ignore:::pydicom")
def test_every_shipped_file_opens_or_is_said_in_one_sentence():
    """All that pydicom ships."""
    opened, refused = 0, []
    for path in sorted(shipped("CT_small.dcm").parent.rglob("*")):
        if not path.is_file():
            continue
        try:
            [picture] = read_dicom([path])
        except ImageError as error:
            refused.append(str(error))
            continue
        opened += 1
        assert picture.array.ndim == len(picture.axes)
        header = pydicom.dcmread(path, stop_before_pixels=True)
        place = [picture.axes.index(axis) for axis in "yx"]
        assert [picture.array.shape[axis] for axis in place] == [header.Rows, header.Columns]
    assert opened > 50
    assert all(words.endswith(".") and "\n" not in words for words in refused)


def test_a_series_of_shipped_slices_is_as_pydicom_reads_them(tmp_path):
    """Slices of a real scanner, at places of their own, in a folder with other files."""
    uid, wanted = pydicom.uid.generate_uid(), []
    for index in range(4):
        data = pydicom.dcmread(shipped("CT_small.dcm"))
        data.SeriesInstanceUID, data.SOPInstanceUID = uid, pydicom.uid.generate_uid()
        data.InstanceNumber = 4 - index  # against the places
        data.ImagePositionPatient[2] = 10 + 5 * index
        data.WindowCenter, data.WindowWidth = 40, 400
        data.PixelData = np.roll(data.pixel_array, 10 * index, axis=1).tobytes()
        data.save_as(tmp_path / f"{(index * 3) % 4}.dcm")
        wanted.append(apply_rescale(data.pixel_array, data))
    (tmp_path / "report.txt").write_text("no image")
    picture = read_one(*find_dicom(tmp_path))
    assert picture.axes == "zyx"
    assert np.array_equal(picture.array, wanted)
    assert picture.scale == pytest.approx((5, 0.661468, 0.661468))
    assert picture.translate[0] == pytest.approx(10)
    assert picture.window == (-160, 239)


def cut_off(path):
    path.write_bytes(path.read_bytes()[:-40])


def emptied(path):
    path.write_bytes(b"")


def without_pixels(path):
    data = pydicom.dcmread(path)
    del data.PixelData
    data.save_as(path)


@pytest.mark.parametrize("damage", [cut_off, emptied, without_pixels])
def test_one_bad_slice_is_named(tmp_path, stored, damage):
    folder = write_series(tmp_path / "a", stored, np.eye(3))
    path = folder / "002"
    damage(path)
    with pytest.raises(ImageError, match="002") as raised:
        read_dicom(sorted(folder.iterdir()))
    assert str(raised.value).count(". ") == 0
    assert PERSON.split("^")[0] not in str(raised.value)
