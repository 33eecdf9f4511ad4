"""The tile grid: covers, blends to one, and depends on the image's size alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_medt.engine.tiles import TileAxis, TileGrid, widened, within

lengths = st.integers(1, 3000)
sizes = st.sampled_from([32, 64, 128])


@st.composite
def axes(draw):
    size = draw(sizes)
    return TileAxis(draw(lengths), size, draw(st.integers(0, size // 2)))


@given(axes())
def test_tiles_cover_the_axis(axis):
    covered = np.zeros(axis.length, int)
    for index in range(axis.count):
        image, tile = axis.inside(index, axis.whole)
        covered[image] += 1
        assert image.stop - image.start == tile.stop - tile.start > 0
    assert covered.min() >= 1


@given(axes())
def test_tiles_see_their_own_pixels_and_the_mirrored_image_beyond(axis):
    mirrored = np.pad(np.arange(axis.length), axis.size, mode="symmetric")
    for index in {0, axis.count // 2, axis.count - 1}:
        start = axis.start(index) + axis.size
        assert np.array_equal(axis.source(index), mirrored[start : start + axis.size])


@given(axes())
def test_windows_add_up_to_one_inside(axis):
    total = axis.total_weight(axis.whole)
    assert total.min() > 0
    if axis.count > 1:
        first = axis.inside(0, axis.whole)[0].stop
        last = axis.inside(axis.count - 1, axis.whole)[0].start
        middle = total[axis.overlap : max(axis.overlap, axis.length - axis.overlap)]
        assert first >= last or np.allclose(middle, 1, atol=1e-5)


@given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    overlap=st.integers(0, 16),
    classes=st.integers(1, 3),
)
def test_blending_the_tiles_of_an_image_gives_the_image(height, width, overlap, classes):
    rng = np.random.default_rng(height * 1000 + width)
    image = rng.random((height, width, classes), np.float32)
    grid = TileGrid.over(height, width, size=32, overlap=overlap)
    total = np.zeros((classes, height, width), np.float32)
    for index in range(len(grid)):
        grid.add(total, index, grid.cut(image, index).transpose(2, 0, 1), grid.whole)
    blended = grid.normalise(total, grid.whole)
    np.testing.assert_allclose(blended, image.transpose(2, 0, 1), atol=1e-5)


def test_an_image_of_one_tile_is_centred_in_it():
    axis = TileAxis(100, 128, 32)
    assert axis.count == 1
    assert axis.start(0) == -14


@pytest.mark.parametrize(("length", "count"), [(128, 1), (129, 2), (224, 2), (225, 3)])
def test_no_more_tiles_than_needed(length, count):
    assert TileAxis(length, 128, 32).count == count


@given(
    low=st.tuples(*[st.integers(0, 40)] * 2),
    size=st.tuples(*[st.integers(1, 40)] * 2),
    halo=st.integers(0, 50),
)
def test_an_area_is_found_again_in_what_lies_around_it(low, size, halo):
    image = np.random.default_rng(0).random((80, 80))
    area = slice(low[0], low[0] + size[0]), slice(low[1], low[1] + size[1])
    around = widened(area, halo, *image.shape)
    assert np.array_equal(image[around][within(area, around)], image[area])
    assert around[0].start == max(0, low[0] - halo)
    assert around[1].stop == min(80, low[1] + size[1] + halo)
