import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_medt.engine.mix import Channel, Mix
from napari_medt.engine.region import box_region, outline_region
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


def test_channels_are_mixed_as_they_are_shown():
    first, second = np.random.default_rng(0).integers(0, 100, (2, 3, 8, 9))
    mix = Mix([Channel(first, (0, 100), (0, 0, 1)), Channel(second, (20, 60), (0, 1, 0))])
    assert mix.shape == (3, 8, 9, 3)
    plane = mix[1]
    assert plane[..., 2] == pytest.approx(first[1] / 100)
    assert plane[..., 1] == pytest.approx(np.clip((second[1] - 20) / 40, 0, 1))
    assert not plane[..., 0].any()
