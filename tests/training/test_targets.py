"""Targets: cores apart, hard pixels marked, and whole images as smooth as at prediction."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import default_rng
from scipy import ndimage
from skimage.draw import disk
from skimage.transform import resize

from napari_medt.training.augment import AUGMENTATIONS, random_view
from napari_medt.training.targets import core_classes, hard_pixels, smooth_for


@pytest.mark.parametrize("radius", [1, 2, 4, 9, 20])
def test_touching_objects_have_separate_cores_however_small(radius):
    labels = np.zeros((60, 100), np.int32)
    labels[disk((30, 30), radius + 0.5, shape=labels.shape)] = 1
    neighbour = np.zeros_like(labels)
    neighbour[disk((30, 31 + 2 * radius), radius + 0.5, shape=labels.shape)] = 2
    labels[labels == 0] = neighbour[labels == 0]
    classes = core_classes(labels)
    assert np.array_equal(classes > 0, labels > 0)
    cores, count = ndimage.label(classes == 2)
    assert count == 2
    assert {labels[cores == n].max() for n in (1, 2)} == {1, 2}


def test_pixels_between_objects_and_about_small_ones_are_hard():
    labels = np.zeros((40, 60), np.int32)
    labels[5:35, 5:20], labels[5:35, 22:40] = 1, 2  # 2 pixels apart
    labels[18:21, 50:53] = 3
    hard = hard_pixels(labels, 5, small=20)
    assert hard[20, 20:22].all()
    assert not hard[20, 5:17].any()
    assert not hard[20, 25:47].any()
    assert hard[16:23, 48:55].all(), "a small object and 2 pixels about it"
    assert hard[:, 45:].sum() == 7 * 7
    assert not hard_pixels(labels, 5, small=9)[:, 45:].any()


@given(height=st.integers(20, 90), width=st.integers(20, 90), size=st.sampled_from([16, 32, 64]))
def test_views_of_whole_images_are_as_fine_as_what_prediction_shows(height, width, size):
    image = default_rng(height * width).random((height, width, 1), np.float32)
    target = np.zeros((height, width), np.uint8)
    still = AUGMENTATIONS["none"]
    view, _ = random_view(smooth_for(image, size), target, size, still, default_rng(0), whole=True)
    shown = resize(image, (size, size), order=1, anti_aliasing=True)
    assert np.abs(view - shown)[1:-1, 1:-1].max() < 1e-5
