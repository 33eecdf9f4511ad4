"""Descriptions tell images apart by what they show, not by how they were exposed."""

import numpy as np
import pytest

from napari_medt.engine.describe import FEATURES, WINDOW, describe, middle
from napari_medt.sample_data.generate import draw


@pytest.mark.parametrize("scaling", ["tiled", "whole"])
def test_exposure_and_bit_depth_do_not_count(scaling):
    image = np.random.default_rng(0).integers(0, 200, (90, 70)).astype(np.uint8)
    brighter = (image.astype(np.uint16) * 37 + 1000).astype(np.uint16)
    expected = describe(image, scaling)
    assert expected.shape == (len(FEATURES),)
    np.testing.assert_allclose(describe(brighter, scaling), expected, atol=1e-3)


def test_gray_saved_as_colour_is_gray():
    gray = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    colour = np.stack([gray] * 3, axis=2)
    np.testing.assert_allclose(describe(colour, "tiled"), describe(gray, "tiled"), atol=1e-5)


def test_colour_counts():
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    redder = image.copy()
    redder[..., 1] //= 2
    index = FEATURES.index("red less green")
    assert describe(redder, "tiled")[index] > describe(image, "tiled")[index] + 0.1


def test_size_of_structures_counts_where_images_are_tiled():
    fine = np.random.default_rng(0).random((64, 64), np.float32)
    coarse = np.kron(fine, np.ones((8, 8), np.float32))
    grain = FEATURES.index("grain")
    assert describe(fine, "tiled")[grain] > describe(coarse, "tiled")[grain] + 0.2


def test_middle_of_a_large_image():
    image = np.arange(1000 * 3).reshape(1000, 3)
    assert middle(image).shape == (WINDOW, 3)
    assert middle(image)[0, 0] == image[244, 0]


def test_samples_can_be_described():
    assert np.isfinite(describe(draw("fluorescence_nuclei")[0], "tiled")).all()
