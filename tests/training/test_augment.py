"""Random views."""

import numpy as np
import pytest
from numpy.random import default_rng
from skimage.transform import resize

from napari_medt.training.augment import (
    AUGMENTATIONS,
    Augmentation,
    random_affine,
    random_view,
)

PICTURE = default_rng(0).random((90, 70, 3)).astype(np.float32)
TARGET = (PICTURE[..., 0] > 0.5).astype(np.uint8)


@pytest.mark.parametrize("name", AUGMENTATIONS)
@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("size", [32, 128])
def test_views_are_valid_network_input_and_repeatable(name, whole, size):
    augmentation = AUGMENTATIONS[name]
    view, seen = random_view(PICTURE, TARGET, size, augmentation, default_rng(1), whole=whole)
    assert view.shape == (size, size, 3)
    assert view.dtype == np.float32
    assert 0 <= view.min() <= view.max() <= 1
    assert seen.shape == (size, size)
    assert set(np.unique(seen)) <= {0, 1}
    again, _ = random_view(PICTURE, TARGET, size, augmentation, default_rng(1), whole=whole)
    assert np.array_equal(view, again)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_image_and_target_move_together(name):
    """Where an image is its own mask, every view of it still is, but for intensity."""
    blob = np.zeros((80, 80), np.uint8)
    blob[20:50, 30:60] = 1
    image = blob[..., np.newaxis].astype(np.float32) * 0.6 + 0.2
    for seed in range(5):
        view, seen = random_view(
            image, blob, 64, AUGMENTATIONS[name], default_rng(seed), whole=True
        )
        inside, outside = view[..., 0][seen == 1], view[..., 0][seen == 0]
        assert abs(inside.mean() - outside.mean()) > 0.15


def test_a_plain_crop_is_a_crop():
    y, x = np.mgrid[:90, :70].astype(np.float32)  # of a ramp, even between pixels
    image, lower = np.stack([y / 90, x / 70], axis=2), (y > 40).astype(np.uint8)
    view, seen = random_view(image, lower, 32, AUGMENTATIONS["none"], default_rng(3), whole=False)
    rows, columns = view[..., 0] * 90, view[..., 1] * 70
    np.testing.assert_allclose(np.diff(rows, axis=0), 1, atol=1e-4)
    np.testing.assert_allclose(np.diff(columns, axis=1), 1, atol=1e-4)
    assert np.array_equal(seen, rows > 40.5)


def test_a_whole_view_without_variation_is_the_resized_image():
    smooth = resize(PICTURE, (9, 7)).astype(np.float32)
    smooth = resize(smooth, (90, 70), order=1).astype(np.float32)
    view, _ = random_view(smooth, TARGET, 64, AUGMENTATIONS["none"], default_rng(0), whole=True)
    expected = resize(smooth, (64, 64), order=1)
    np.testing.assert_allclose(view, expected, atol=0.02)


def test_stretched_views_keep_their_area():
    augmentation = Augmentation(flip_columns=False, stretch=1.5)
    stretched = []
    for seed in range(20):
        matrix, offset = random_affine((90, 70), 64, augmentation, default_rng(seed), False, 2.0)
        assert np.linalg.det(matrix) == pytest.approx(1 / 4)
        assert (matrix[0, 1], matrix[1, 0]) == (0, 0)
        stretched.append(matrix[1, 1] / matrix[0, 0])
        centre = matrix @ np.full(2, 31.5) + offset
        assert (centre >= [15.5, 15.5]).all()
        assert (centre <= [73.5, 53.5]).all()
    assert 1 / 1.5 <= min(stretched) < 0.9
    assert 1.1 < max(stretched) <= 1.5
