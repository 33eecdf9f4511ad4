import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from skimage.measure import label

from napari_medt.engine.stack import link_slices


def balls(seed, count=6, shape=(16, 60, 60)):
    """Separate balls, numbered."""
    rng = np.random.default_rng(seed)
    grid = np.indices(shape)
    volume = np.zeros(shape, np.int32)
    for number in range(1, count + 1):
        centre = rng.uniform([3, 8, 8], [13, 52, 52])
        ball = sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True)) < rng.uniform(3, 6) ** 2
        near = np.pad(ball, 1)
        near = sum(np.roll(near, (s, r, c), (0, 1, 2)) for s, r, c in np.ndindex(3, 3, 3)) > 0
        if not volume[near[2:, 2:, 2:] | ball].any():
            volume[ball] = number
    return volume


def same(first, second):
    """Whether labels are the same up to their numbers."""
    pairs = np.unique(np.stack([first.ravel(), second.ravel()]), axis=1).T.tolist()
    return len({a for a, _ in pairs}) == len({b for _, b in pairs}) == len(pairs)


@given(seed=st.integers(0, 1000))
def test_objects_are_put_together_again(seed):
    volume = balls(seed)
    slices = np.stack([label(plane) for plane in volume]).astype(np.int32)
    linked = link_slices(slices)
    assert same(linked, volume)
    assert set(np.unique(linked)) == set(range(linked.max() + 1))


def test_a_branching_object_goes_on_in_its_larger_branch():
    slices = np.zeros((2, 10, 20), np.int32)
    slices[0, :, :] = 1
    slices[1, :, :12], slices[1, :, 14:] = 1, 2
    linked = link_slices(slices)
    assert linked[1, 0, 0] == linked[0, 0, 0]
    assert linked[1, 0, 19] not in (0, linked[0, 0, 0])


def test_a_small_overlap_is_another_object():
    slices = np.zeros((2, 10, 30), np.int32)
    slices[0, :, :12], slices[1, :, 10:22] = 1, 1
    assert link_slices(slices).max() == 2
