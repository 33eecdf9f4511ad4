"""Planes read part by part: the same pixels however they are stored, or one sentence."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_medt.engine import image as images
from napari_medt.engine import source
from napari_medt.engine.image import check_image, intensity_limits, prepare, sample
from napari_medt.engine.source import Prepared, level_of, with_pixel_sizes
from napari_medt.errors import ImageError
from napari_medt.models.card import InputRule
from tests.engine.lazy import stored

AXES = {"yx": (), "yxs": (4,), "cyx": (2,), "tczyx": (1, 2, 1), "syx": (3,)}


@settings(max_examples=30)
@given(
    data=st.data(),
    axes=st.sampled_from(list(AXES)),
    dtype=st.sampled_from([np.uint8, np.uint16, np.float32]),
    intensity=st.sampled_from(["percentile", "range"]),
    size=st.sampled_from([(1, 3000), (90, 61), (257, 130), (40, 1)]),
)
def test_parts_are_those_of_the_whole_plane(data, axes, dtype, intensity, size):
    """Also of images so large that statistics are of some of their pixels, read in bands."""
    lengths = dict(zip("yx", size, strict=True)) | dict(
        zip([axis for axis in axes if axis not in "yx"], AXES[axes], strict=True)
    )
    values = np.random.default_rng(0).random([lengths[axis] for axis in axes])
    values = values.astype(dtype) if dtype == np.float32 else (values * 255).astype(dtype)
    channel = lengths["c"] - 1 if "c" in axes else None
    level = level_of(data.draw(stored(values)), axes, channel=channel)
    behind = [axes.index(axis) for axis in "tczyxs" if axis in axes]
    whole = values.transpose(behind)
    while whole.ndim > 2 + ("s" in axes):
        whole = whole[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(images, "SAMPLE_PIXELS", 2000)
        patch.setattr(source, "READ_SIZE", 50)
        few = level.sample()
        assert np.array_equal(few, sample(whole))
    rule = InputRule(intensity=intensity, gamma=0.5)
    limits = intensity_limits(few, rule)
    area = tuple(slice(length // 3, max(1, 2 * length // 3)) for length in size)
    found = Prepared(level, rule, limits).read(area)
    expected = prepare(check_image(whole), rule, limits)[area]
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("array", "axes", "reason"),
    [
        (np.zeros((0, 5)), "", "0 x 5 pixels"),
        (np.zeros((5, 0, 3)), "", "5 x 0 pixels"),
        (np.zeros(7), "", "no rows and columns"),
        (np.zeros((2, 3, 4, 5)), "", "4 axes"),
        (np.zeros((3, 4, 5)), "zyx", r"more than one plane \(3 along z\)"),
        (np.zeros((3, 4, 5)), "cyy", "no rows and columns"),
    ],
)
def test_what_is_no_plane_is_said_at_once(array, axes, reason):
    with pytest.raises(ImageError, match=reason):
        level_of(array, axes)


def test_channels_that_are_not_there():
    with pytest.raises(ImageError, match="no channel 3: choose one of 2"):
        level_of(np.zeros((2, 4, 5)), "cyx", channel=2)


def test_a_channel_that_is_asked_for_is_no_colour():
    array = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
    everything = (slice(0, 4), slice(0, 5))
    colours = level_of(array, "cyx")
    assert np.array_equal(colours.read(everything), np.moveaxis(array, 0, -1))
    assert colours.channel is None
    for channel in range(3):
        level = level_of(array, "cyx", channel=channel)
        assert np.array_equal(level.read(everything), array[channel])
    assert level_of(array.astype(np.uint16), "cyx").channel == 0
    green = level_of(np.moveaxis(array, 0, -1), channel=1)
    assert np.array_equal(green.read(everything), array[1])


def test_levels_cover_the_same_area():
    """So the middle of a larger pixel lies further inside."""
    levels = [level_of(np.zeros((40 // step, 60 // step))) for step in (1, 2, 4)]
    placed = with_pixel_sizes(levels, (0.5, 0.4), "micrometer", (30, 10))
    for level in placed:
        first, size = np.array(level.translation), np.array(level.pixel_size)
        assert first - size / 2 == pytest.approx((29.75, 9.8))
        assert first + size * (level.height, level.width) - size / 2 == pytest.approx((49.75, 33.8))
