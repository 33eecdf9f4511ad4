"""What is said of labels."""

from dataclasses import replace

import nibabel
import numpy as np
import pytest
import tifffile

from napari_medt.engine.axes import upright
from napari_medt.engine.formats.nifti import read_nifti
from napari_medt.engine.formats.picture import Picture
from napari_medt.engine.formats.plain import read_tiff
from napari_medt.engine.measure import circumference_in_words, measure
from napari_medt.engine.record import BatchSettings
from napari_medt.models.store import load_model
from tests.engine.test_ellipse import draw


def test_words():
    mask = draw((100, 130), (60, 60))
    assert circumference_in_words(mask, None) == "circumference 377 pixels"
    assert circumference_in_words(mask, 0.5).endswith(" mm")
    assert circumference_in_words(mask, 1, 0.5) == circumference_in_words(mask, 0.5)
    assert circumference_in_words(mask, (0.5, 0.5)) == circumference_in_words(mask, 0.5)
    assert circumference_in_words(mask & False, 0.5) == "no outline to measure"


def test_a_stack_of_one_slice_is_measured_as_a_plane(tmp_path):
    mask, card = draw((100, 130), (60, 60)), load_model("fetal-head").card
    found = []
    for image in mask, mask[None]:
        file = tmp_path / "head.tif"
        tifffile.imwrite(
            file, image * 255, photometric="minisblack", resolution=(50, 50), resolutionunit=3
        )
        found.append(measure(image, read_tiff(file), card, BatchSettings()))
    plane, stack = found
    assert stack.area_mm2 == plane.area_mm2 == pytest.approx(mask.sum() * 0.04)
    assert stack.circumference_mm == plane.circumference_mm > 0


def test_unevenly_spaced_slices_have_no_volume():
    """Not even where the user knows how large their pixels are."""
    labels, card = np.ones((3, 4, 5), int), load_model("fetal-head").card
    even = Picture(labels, "zyx", "", (3, 2, 2), (0, 0, 0), ("mm",) * 3)
    assert measure(labels, even, card, BatchSettings()).volume_mm3 == labels.size * 12
    for settings in (BatchSettings(), BatchSettings(mm_per_pixel=2)):
        measured = measure(labels, replace(even, uneven=True), card, settings)
        assert measured.volume_mm3 is None
        assert measured.area_pixels == labels.size
        assert "uneven" in measured.taken_for


def test_a_slice_that_is_askew(tmp_path):
    """As one across the slices of a tilted gantry: its pixels are rhomboids."""
    mask, card = draw((100, 130), (60, 60)), load_model("fetal-head").card
    found = []
    for tilt in (0, 3):
        affine = np.array([[0.5, tilt, 0, 0], [0, 4, 0, 0], [0, 0, 7, 0], [0, 0, 0, 1.0]])
        file = tmp_path / f"{tilt}.nii"
        nibabel.save(nibabel.Nifti1Image(mask.T[..., None].astype(np.uint8), affine), file)
        picture = upright(read_nifti(file))
        labels = picture.array.astype(int)
        found.append(measure(labels, picture, card, BatchSettings()))
    straight, askew = found
    assert askew.area_mm2 == pytest.approx(straight.area_mm2) == pytest.approx(mask.sum() * 2)
    assert straight.circumference_mm > 0
    assert askew.circumference_mm is None
    assert askew.circumference_pixels > 0
