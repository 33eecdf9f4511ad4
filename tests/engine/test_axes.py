import dask.array
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_medt.engine.axes import Axes, guess_axes
from napari_medt.errors import ImageError


@pytest.mark.parametrize(
    ("shape", "names", "words"),
    [
        ((512, 512), (), "512 x 512"),
        ((12, 512, 512), (), "12 slices of 512 x 512"),
        ((3, 512, 512), (), "512 x 512, 3 channels: using channel 1"),
        ((12, 3, 512, 512), (), "12 slices of 512 x 512, 3 channels: using channel 1"),
        ((3, 12, 512, 512), (), "12 slices of 512 x 512, 3 channels: using channel 1"),
        ((20, 12, 64, 48), (), "20 times x 12 slices of 64 x 48"),
        ((20, 12, 2, 64, 48), (), "20 times x 12 slices of 64 x 48, 2 channels: using channel 1"),
        ((3, 64, 48), ("z", "y", "x"), "3 slices of 64 x 48"),
        ((30, 64, 48), ("c", "y", "x"), "64 x 48, 30 channels: using channel 1"),
        ((7, 64, 48), ("Time", "Y", "X"), "7 times of 64 x 48"),
        ((1, 64, 48), (), "1 slice of 64 x 48"),
    ],
)
def test_the_guess_in_words(shape, names, words):
    assert guess_axes(shape, names).describe() == words


def test_colour_and_combined_channels_in_words():
    assert guess_axes((64, 48)).describe(rgb=True) == "64 x 48, in colour"
    assert guess_axes((3, 64, 48)).describe(channel=None).endswith("the first three as colours")


def test_the_user_knows_better():
    axes = guess_axes((3, 64, 48)).with_channels(None)
    assert axes.describe() == "3 slices of 64 x 48"
    axes = guess_axes((9, 12, 3, 64, 48)).with_channels(0)
    assert axes.roles == ("channel", "time", "slice", "row", "column")
    named = guess_axes((3, 5, 7, 64, 48), "cztyx")
    assert named.with_channels(None).roles == ("position", "slice", "time", "row", "column")
    assert named.with_channels(1).roles == ("slice", "channel", "time", "row", "column")


@given(
    shape=st.lists(st.integers(1, 4), min_size=2, max_size=6).map(tuple),
    colour=st.booleans(),
    lazy=st.booleans(),
)
def test_planes_make_up_the_image(shape, colour, lazy):
    """Every pixel of a channel is in exactly one plane, in its place."""
    data = np.arange(np.prod(shape) * (3 if colour else 1)).reshape(shape + (3,) * colour)
    axes = guess_axes(shape)
    source = dask.array.from_array(data) if lazy else data
    for channel in range(axes.channels):
        whole = np.empty(axes.labels_shape + (3,) * colour, data.dtype)
        for frame in axes.frames():
            whole[frame] = axes.plane(source, frame, channel)
        wanted = data if axes.channel_axis is None else data.take(channel, axes.channel_axis)
        assert np.array_equal(whole, wanted)


def test_channels_become_colours():
    data = np.random.default_rng(0).random((5, 2, 4, 6))
    axes = Axes(data.shape, ("slice", "channel", "row", "column"))
    plane = axes.plane(data, (3,), None)
    assert np.array_equal(plane[..., :2], np.moveaxis(data[3], 0, 2))
    assert not plane[..., 2].any()


@given(position=st.tuples(*[st.floats(-5, 20)] * 4))
def test_the_plane_that_is_shown(position):
    axes = guess_axes((6, 2, 64, 48))
    if not -0.5 <= position[0] < 5.5:
        with pytest.raises(ImageError, match="beyond the planes"):
            axes.frame_at(position)
        return
    assert abs(axes.frame_at(position)[0] - position[0]) <= 0.5
