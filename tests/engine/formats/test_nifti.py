from itertools import permutations, product

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nibabel.orientations import io_orientation, ornt2axcodes

from napari_medt.engine.formats.nifti import TO_LPS, read_nifti, write_nifti
from napari_medt.engine.formats.picture import NOWHERE
from napari_medt.errors import ImageError

SHAPE = (4, 5, 6)
MARK = (1, 3, 2)
# Every way to store a volume: which axis leads where, and whether backwards.
TURNS = [(order, signs) for order in permutations(range(3)) for signs in product((1, -1), repeat=3)]


def turned(order, signs, spacing=(1, 1, 1), angles=(0, 0, 0), origin=(0, 0, 0)):
    """Affine of a volume stored in a given order and direction, then turned about all axes."""
    affine = np.zeros((4, 4))
    for axis, (leads, sign) in enumerate(zip(order, signs, strict=True)):
        affine[leads, axis] = sign
    rotation = nibabel.eulerangles.euler2mat(*angles)
    affine[:3, :3] = rotation @ affine[:3, :3] * spacing
    affine[:, 3] = (*origin, 1)
    return affine


def marked(dtype=np.int16):
    values = np.zeros(SHAPE, dtype)
    values[MARK] = 7
    return values


def save(path, values, affine):
    nibabel.save(nibabel.Nifti1Image(values, affine), path)
    return path


@given(
    turn=st.sampled_from(TURNS),
    spacing=st.tuples(*[st.floats(0.2, 5)] * 3),
    angles=st.tuples(*[st.floats(-0.7, 0.7)] * 3),
    origin=st.tuples(*[st.floats(-200, 200)] * 3),
)
def test_a_marked_voxel_keeps_its_place_there_and_back(
    tmp_path_factory, turn, spacing, angles, origin
):
    folder = tmp_path_factory.mktemp("nifti", numbered=True)
    affine = turned(*turn, spacing, angles, origin)
    picture = read_nifti(save(folder / "in.nii", marked(), affine))
    place = TO_LPS @ affine @ (*MARK, 1)
    found = np.argwhere(picture.array == 7)[0]
    assert np.allclose(picture.affine @ (*found[::-1], 1), place, atol=1e-3)

    labels = (picture.array > 0).astype(np.int32)
    write_nifti(folder / "out.nii", labels, picture.affine, picture.patient.orientation)
    written = nibabel.load(folder / "out.nii")
    again = np.argwhere(np.asarray(written.dataobj))[0]
    assert np.allclose(TO_LPS @ written.affine @ (*again, 1), place, atol=1e-3)


@pytest.mark.parametrize("turn", TURNS)
def test_labels_get_the_grid_of_their_image(tmp_path, turn):
    affine = turned(*turn, (0.7, 0.8, 1.2), (0.1, -0.2, 0.3), (-90, 40, 12))
    picture = read_nifti(save(tmp_path / "in.nii.gz", marked(), affine))
    labels = (picture.array > 0).astype(np.int32)
    write_nifti(tmp_path / "out.nii.gz", labels, picture.affine, picture.patient.orientation)
    written = nibabel.load(tmp_path / "out.nii.gz")
    assert np.allclose(written.affine, affine, atol=1e-4)
    assert np.array_equal(np.asarray(written.dataobj), marked() > 0)
    assert written.get_data_dtype() == np.uint8
    assert written.header.get_xyzt_units()[0] == "mm"
    assert np.allclose(written.get_qform(), affine, atol=1e-3)


@pytest.mark.parametrize("turn", TURNS)
def test_volumes_are_seen_as_a_radiologist_expects(tmp_path, turn):
    """Rows lead to the back, columns to the patient's left, slices to the head."""
    picture = read_nifti(save(tmp_path / "in.nii", marked(), turned(*turn)))
    assert picture.axes == "zyx"
    assert np.allclose(picture.affine[:3, :3], np.eye(3))


@pytest.mark.parametrize(
    ("coarse", "codes"), [(0, ("P", "I", "L")), (1, ("L", "I", "P")), (2, ("L", "P", "S"))]
)
@pytest.mark.parametrize("how", ["spacing", "single"])
def test_thick_slices_are_seen_in_their_own_plane(tmp_path, coarse, codes, how):
    spacing, shape = [1.0] * 3, [8, 8, 8]
    if how == "spacing":
        spacing[coarse] = 5.0
    else:
        shape[coarse] = 1
    affine = turned((0, 1, 2), (1, 1, 1), spacing)
    picture = read_nifti(save(tmp_path / "in.nii", np.zeros(shape, np.uint8), affine))
    assert picture.axes == ("zyx" if how == "spacing" else "yx")
    assert ornt2axcodes(io_orientation(TO_LPS @ picture.affine)) == codes


def test_one_slice_goes_back_to_its_place(tmp_path):
    affine = turned((1, 0, 2), (-1, 1, 1), (0.5, 0.6, 4), (0.1, 0.2, 0.1), (-10, 20, 77))
    values = np.arange(30, dtype=np.int16).reshape(5, 6, 1)
    picture = read_nifti(save(tmp_path / "in.nii", values, affine))
    write_nifti(tmp_path / "out.nii", picture.array, picture.affine, picture.patient.orientation)
    written = nibabel.load(tmp_path / "out.nii")
    assert np.allclose(written.affine, affine, atol=1e-4)
    assert np.array_equal(np.asarray(written.dataobj), values)


def test_time_comes_first_in_seconds(tmp_path):
    values = np.random.default_rng(0).integers(0, 99, (*SHAPE, 3), np.int16)
    image = nibabel.Nifti1Image(values, np.diag([-2, -2, 3, 1]))
    image.header.set_xyzt_units("mm", "msec")
    image.header["pixdim"][4] = 2500
    nibabel.save(image, tmp_path / "in.nii")
    picture = read_nifti(tmp_path / "in.nii")
    assert picture.axes == "tzyx"
    assert picture.scale == (2.5, 3, 2, 2)
    assert picture.units == ("s", "mm", "mm", "mm")
    assert np.array_equal(picture.array[1], values[..., 1].T)


def test_micrometres_become_millimetres(tmp_path):
    image = nibabel.Nifti1Image(marked(), np.diag([-500, -500, 800, 1]))
    image.header.set_xyzt_units("micron")
    nibabel.save(image, tmp_path / "in.nii")
    assert read_nifti(tmp_path / "in.nii").scale == pytest.approx((0.8, 0.5, 0.5))


def test_scaled_values_are_real_ones(tmp_path):
    image = nibabel.Nifti1Image(marked(), np.eye(4))
    image.header.set_slope_inter(0.5, -10)
    nibabel.save(image, tmp_path / "in.nii")
    picture = read_nifti(tmp_path / "in.nii")
    assert picture.array.dtype == np.float32
    assert (picture.array.min(), picture.array.max()) == (-10, -6.5)


def test_colours_stay_colours(tmp_path):
    colours = np.random.default_rng(0).integers(0, 255, (*SHAPE, 3), np.uint8)
    stored = np.ascontiguousarray(colours).view([("R", "u1"), ("G", "u1"), ("B", "u1")])[..., 0]
    picture = read_nifti(save(tmp_path / "in.nii", stored, np.diag([-1, -1, 1, 1])))
    assert picture.axes == "zyxs"
    assert np.array_equal(picture.array, colours.transpose(2, 1, 0, 3))


def test_labels_say_that_they_are(tmp_path):
    """In the file's header, for other programs, too."""
    write_nifti(tmp_path / "out.nii", np.ones((2, 3, 4), int), np.eye(4))
    assert nibabel.load(tmp_path / "out.nii").header.get_intent()[0] == "label"
    assert read_nifti(tmp_path / "out.nii").labels
    assert not read_nifti(save(tmp_path / "in.nii", marked(), np.eye(4))).labels
    named = read_nifti(save(tmp_path / "IN.labels.NII.GZ", marked(), np.eye(4)))
    assert (named.name, named.labels) == ("IN.labels", True)


def test_labels_take_the_smallest_type_that_holds_them(tmp_path):
    for highest, dtype in ((255, np.uint8), (256, np.uint16), (70_000, np.int32)):
        write_nifti(tmp_path / "out.nii", np.full((2, 3, 4), highest), np.eye(4))
        written = nibabel.load(tmp_path / "out.nii")
        assert written.get_data_dtype() == dtype
        assert np.asarray(written.dataobj).max() == highest


def test_what_cannot_be_read_is_said_in_one_sentence(tmp_path):
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(b"\x1f\x8b no gzip")
    whole = save(tmp_path / "whole.nii", np.zeros((20, 20, 20)), np.eye(4)).read_bytes()
    short = tmp_path / "short.nii"
    short.write_bytes(whole[: len(whole) // 2])
    flat = tmp_path / "flat.nii"
    flat.write_bytes(whole[:312] + bytes(16) + whole[328:])  # the affine's last row
    waves = save(tmp_path / "waves.nii", marked(np.complex64), np.eye(4))
    cases = {broken: "broken.nii.gz is not", short: "short.nii is not", flat: "affine"}
    for path, words in (cases | {waves: "complex", tmp_path / "none.nii": "no file"}).items():
        with pytest.raises(ImageError, match=words):
            read_nifti(path)


@pytest.mark.parametrize(
    ("place", "value"), [(70, 99), (123, 255), (40, 200)], ids=["type", "units", "axes"]
)
def test_a_damaged_header_is_said_in_one_sentence(tmp_path, place, value):
    path = save(tmp_path / "a.nii", marked(), np.eye(4))
    data = bytearray(path.read_bytes())
    data[place] = value
    path.write_bytes(data)
    with pytest.raises(ImageError, match=r"a\.nii is not a NIfTI file that can be read"):
        read_nifti(path)


def test_labels_with_too_many_axes_are_refused(tmp_path):
    with pytest.raises(ImageError, match="5 axes"):
        write_nifti(tmp_path / "out.nii", np.zeros((1, 1, 1, 2, 2), int), np.eye(4))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("times", [0, 3])
def test_sheared_and_oblique_volumes_go_back_to_their_grid(tmp_path, times):
    """As a tilted gantry makes them; with times too."""
    affine = turned((2, 0, 1), (-1, 1, -1), (0.7, 0.8, 1.3), (0.3, -0.4, 0.2), (-90, 40, 12))
    affine[:3, 2] += 0.3 * affine[:3, 1]
    values = np.random.default_rng(0).integers(0, 9, SHAPE + (times,) * bool(times), np.int16)
    picture = read_nifti(save(tmp_path / "in.nii.gz", values, affine))
    assert picture.axes == "tzyx" if times else "zyx"
    write_nifti(tmp_path / "out.nii.gz", picture.array, picture.affine, picture.patient.orientation)
    written = nibabel.load(tmp_path / "out.nii.gz")
    assert np.array_equal(np.asarray(written.dataobj), values)
    assert np.allclose(written.affine, affine, atol=1e-4)


@pytest.mark.parametrize("askew", [0.0, 0.3])
def test_a_qform_is_left_out_where_it_would_be_false(tmp_path, askew):
    affine = turned((2, 0, 1), (-1, 1, -1), (0.7, 0.8, 1.3), (0.3, -0.4, 0.2), (-90, 40, 12))
    affine[:3, 2] += askew * affine[:3, 1]
    write_nifti(tmp_path / "out.nii", marked(), affine)
    written = nibabel.load(tmp_path / "out.nii")
    assert np.allclose(written.get_sform(), TO_LPS @ affine, atol=1e-4)
    assert int(written.header["qform_code"]) == (0 if askew else 1)
    if not askew:
        assert np.allclose(written.get_qform(), TO_LPS @ affine, atol=1e-3)


@pytest.mark.parametrize("code", range(5))
def test_labels_lie_in_the_space_of_their_image(tmp_path, code):
    """That of the scanner, of another image, of an atlas: as the file's codes say."""
    image = nibabel.Nifti1Image(marked(), np.eye(4))
    image.set_sform(np.eye(4), code=0)
    image.set_qform(np.eye(4), code=code)
    nibabel.save(image, tmp_path / "in.nii")
    picture = read_nifti(tmp_path / "in.nii")
    write_nifti(tmp_path / "out.nii", marked(), np.eye(4), space=picture.patient.space)
    header = nibabel.load(tmp_path / "out.nii").header
    assert header["sform_code"] == header["qform_code"] == (code or 2)


@pytest.mark.parametrize("spacing", [(0.4, 0.5, 2), (0.4, 5, 0.5), (1, 1, 1)])
def test_pixels_of_unknown_size_stay_so(tmp_path, spacing):
    values = np.arange(24).reshape(2, 3, 4)
    affine = np.diag([*spacing, 1])
    write_nifti(tmp_path / "out.nii", values, affine, space=NOWHERE, in_pixels=True)
    header = nibabel.load(tmp_path / "out.nii").header
    assert header.get_xyzt_units()[0] == "unknown"
    assert header["sform_code"] == header["qform_code"] == 2
    again = read_nifti(tmp_path / "out.nii")
    assert np.array_equal(again.array, values)
    assert again.scale == pytest.approx(spacing[::-1])
    assert again.units == ("pixel",) * 3
    assert again.patient.space == NOWHERE


def test_files_of_others_without_a_unit_are_in_millimetres(tmp_path):
    """As nibabel writes them, unless it is told one."""
    image = nibabel.Nifti1Image(marked(), np.diag([2, 2, 3, 1]))
    image.header.set_intent("label")
    nibabel.save(image, tmp_path / "in.nii")
    assert image.header.get_xyzt_units()[0] == "unknown"
    assert read_nifti(tmp_path / "in.nii").mm == {"z": 3, "y": 2, "x": 2}
