import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.draw import polygon2mask

from napari_medt.engine.region import box_region, fill, outline_region
from napari_medt.errors import ImageError

SHAPE = (40, 60)


@given(corners=st.tuples(*[st.integers(-60, 280)] * 4))
def test_a_box_has_the_pixels_it_touches(corners):
    """A pixel reaches half a pixel around its place; corners often lie right between two."""
    low, high = np.sort(np.array(corners).reshape(2, 2) / 4, axis=0)
    touched = [
        [place for place in range(length) if place + 0.5 > first and place - 0.5 < last]
        for first, last, length in zip(low, high, SHAPE, strict=True)
    ]
    if not all(touched):
        with pytest.raises(ImageError, match="does not touch"):
            box_region(low, high, SHAPE)
        return
    region = box_region(low, high, SHAPE)
    assert [list(range(part.start, part.stop)) for part in region.box] == touched


def test_nothing_in_the_region_is_a_sentence():
    with pytest.raises(ImageError, match="does not touch"):
        box_region(np.array([-20, -20]), np.array([-10, 30]), SHAPE)
    with pytest.raises(ImageError, match="do not touch"):
        outline_region([np.array([[50, 70], [50, 80], [60, 70]])], SHAPE)


def test_shapes_keep_what_is_in_them():
    corners = np.array([[0, 0], [0, 10], [10, 10], [10, 0]])
    region = outline_region([corners + 5, corners + np.array([25, 45])], SHAPE)
    assert region.box == (slice(5, 36), slice(5, 56))
    labels = region.clear_outside(np.ones(region.inside.shape, np.int32))
    assert labels[3, 3] == labels[22, 42] == 1
    assert labels[22, 3] == labels[3, 42] == 0
    assert labels.sum() == pytest.approx(2 * 100, abs=50)


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(3, 9))
def test_an_outline_is_filled_as_scikit_image_does(seed, count):
    outline = np.random.default_rng(seed).uniform(-20, 70, (count, 2))
    inside = np.zeros(SHAPE, bool)
    fill(outline, inside)
    assert np.array_equal(inside, polygon2mask(SHAPE, outline))


@pytest.mark.parametrize(
    "outline",
    [
        [[5, 6], [5, 20], [12, 20], [12, 6]],
        [[5, 6], [15, 16], [25, 6], [15, -4]],
        [[0, 0], [30, 0], [0, 30], [30, 30]],
        [[4.5, 6.5], [4.5, 20.5], [12.5, 20.5], [12.5, 6.5]],
    ],
)
def test_what_lies_on_an_outline_belongs_to_it(outline):
    inside = np.zeros(SHAPE, bool)
    fill(np.array(outline, float), inside)
    assert np.array_equal(inside, polygon2mask(SHAPE, np.array(outline)))


def test_a_large_freehand_outline_takes_no_time():
    angle = np.linspace(0, 2 * np.pi, 500, endpoint=False)
    radius = 1900 - 100 * (np.arange(500) % 2)
    outline = 2000 + radius[:, None] * np.column_stack([np.sin(angle), np.cos(angle)])
    start = time.perf_counter()
    region = outline_region([outline, outline / 2], (4000, 4000))
    assert time.perf_counter() - start < 3, "scikit-image takes half a minute"
    assert region.inside.mean() == pytest.approx(np.pi / 4, abs=0.06)


def test_shapes_over_too_many_pixels_are_a_sentence():
    corners = np.array([[0, 0], [0, 20_000], [20_000, 20_000]])
    with pytest.raises(ImageError, match="20000 x 20000 pixels, too many"):
        outline_region([corners], (20_000, 20_000))
