"""Objects that blocks cut are whole again, and numbered without gaps."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from napari_medt.engine.labels import to_labels
from napari_medt.engine.numbering import find_pairs
from napari_medt.engine.stitch import (
    BlockGrid,
    BlockRecord,
    matching_labels,
    number_objects,
    provisional,
    read_counts,
    read_strips,
    split_block,
)
from tests.engine.standin import CORE_VALUE, RIM_VALUE, Painted, same, standin

CARD = standin(Painted()).card


def painted_probabilities(image):
    return np.stack([image == 0, image == RIM_VALUE, image == CORE_VALUE]).astype(np.float32)


def drawn_probabilities(rng, height, width, count):
    """Draw ellipses as a network sees them: probability falls off from the core to the rim."""
    y, x = np.ogrid[:height, :width]
    core, inside = np.zeros((2, height, width))
    for _ in range(count):
        centre, (a, b) = rng.random(2) * (height, width), rng.uniform(3, 9, 2)
        distance = np.sqrt(((y - centre[0]) / a) ** 2 + ((x - centre[1]) / b) ** 2)
        if not (inside[distance < 1] > 0.5).any():
            inside = np.maximum(inside, expit(12 * (1 - distance)))
            core = np.maximum(core, expit(12 * (0.7 - distance)))
    # No two pixels of an edge are exactly alike: which object has one of those is left to chance.
    core *= 1 - 0.001 * rng.random(core.shape)
    return np.stack([1 - inside, inside - np.minimum(inside, core), core]).astype(np.float32)


def label_in_blocks(probabilities, size, halo, min_size=0):
    grid = BlockGrid(*probabilities.shape[1:], size)
    written, records = np.zeros(probabilities.shape[1:], np.uint32), []
    for index in range(len(grid)):
        labels = to_labels(probabilities[:, *grid.area(index, halo)], CARD, min_size=0)
        own, record = split_block(labels, grid, index, halo)
        written[grid.area(index)] = np.where(own, own + provisional(grid, index)[0] - 1, 0)
        records.append(record)
    labels = SimpleNamespace(read=lambda area: written[area])
    starts = np.cumsum([0, *(len(record.sizes) for record in records)])
    strips = [(record.right, record.below) for record in records]
    numbers = number_objects(
        np.concatenate([record.sizes for record in records]),
        find_pairs(grid, halo, starts, strips, labels),
        min_size,
    )
    result, start = np.zeros_like(written), 0
    for index, record in enumerate(records):
        area = grid.area(index)
        table = np.concatenate([[0], numbers[start : start + len(record.sizes)]])
        start += len(record.sizes)
        local = np.where(written[area], written[area] - (provisional(grid, index)[0] - 1), 0)
        result[area] = table[local]
    return result


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 150),
    width=st.integers(1, 150),
    size=st.sampled_from([24, 32, 48, 200]),
    count=st.integers(0, 60),
    min_size=st.sampled_from([0, 40]),
    seed=st.integers(0, 10**6),
)
def test_cut_objects_are_whole_again(height, width, size, count, min_size, seed):
    probabilities = drawn_probabilities(np.random.default_rng(seed), height, width, count)
    expected = to_labels(probabilities, CARD, min_size=min_size)
    found = label_in_blocks(probabilities, size, 40, min_size)
    assert set(np.unique(found)) | {0} == set(range(found.max() + 1))
    assert same(found, expected)


def test_objects_longer_than_the_halo_are_whole_too():
    image = np.zeros((60, 400), np.uint8)
    image[20:40, 10:390] = RIM_VALUE
    image[25:35, 15:385] = CORE_VALUE
    assert label_in_blocks(painted_probabilities(image), 50, 16).max() == 1


def test_touching_objects_stay_apart_across_blocks():
    image = np.zeros((40, 80), np.uint8)
    for left in (22, 40):  # they meet where the blocks do
        image[10:30, left : left + 18] = RIM_VALUE
        image[14:26, left + 4 : left + 14] = CORE_VALUE
    assert label_in_blocks(painted_probabilities(image), 40, 16).max() == 2


def test_labels_agree_from_half_of_their_pixels():
    strip = np.array([[1, 1, 1, 2, 2, 0]])
    assert matching_labels(strip, np.array([[7, 7, 0, 0, 9, 9]])).tolist() == [[1, 7]]
    assert matching_labels(strip, np.zeros_like(strip)).shape == (0, 2)


def test_numbers_follow_the_whole_size():
    sizes = np.array([3, 4, 9, 2])
    numbers = number_objects(sizes, np.array([[0, 1]]), 5)
    assert numbers.tolist() == [1, 1, 2, 0]
    assert number_objects(sizes[:0], np.empty((0, 2), int), 5).tolist() == []


def test_a_record_is_kept_on_disk(tmp_path):
    strips = np.ones((3, 2), np.uint32), np.zeros((0, 3), np.uint32)
    BlockRecord(np.array([5, 6]), *strips, tiles=9, blank=2).save(tmp_path / "a.npz")
    sizes, tiles, blank = read_counts(tmp_path / "a.npz")
    assert (sizes.tolist(), tiles, blank) == ([5, 6], 9, 2)
    right, below = read_strips(tmp_path / "a.npz")
    assert np.array_equal(right, strips[0])
    assert below.shape == (0, 3)


@pytest.mark.parametrize(("height", "width", "count"), [(1, 1, 1), (10, 10, 1), (11, 30, 6)])
def test_blocks_cover_the_image_once(height, width, count):
    grid = BlockGrid(height, width, 10)
    covered = np.zeros((height, width), int)
    for index in range(len(grid)):
        covered[grid.area(index)] += 1
    assert len(grid) == count
    assert (covered == 1).all()
