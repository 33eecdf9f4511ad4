"""Needless cuts are undone, real borders stay."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_medt.engine.join import Parts, best_of_both, join_parts, solidity

SHAPE = (40, 60)
SURE = np.ones(SHAPE, np.float32)  # core everywhere


def disk(centre, radius):
    y, x = np.ogrid[: SHAPE[0], : SHAPE[1]]
    return (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2


def core_of(*disks):
    """Core as a network sees it: the inner parts of objects."""
    return np.maximum.reduce([disk(centre, radius * 0.6) for centre, radius in disks]) * np.float32(
        1
    )


@st.composite
def pieces(draw):
    """Labels of a few pieces and a core, at random."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    height, width = draw(st.integers(1, 24)), draw(st.integers(1, 24))
    seeds = rng.random((draw(st.integers(1, 12)), 2)) * (height, width)
    y, x = np.mgrid[:height, :width]
    nearest = np.argmin([(y - a) ** 2 + (x - b) ** 2 for a, b in seeds], axis=0)
    labels = np.where(rng.random((height, width)) < 0.9, nearest + 1, 0).astype(np.int32)
    return labels, rng.random((height, width)).astype(np.float32)


@pytest.mark.parametrize("typical", [0, 450])
def test_a_disk_cut_in_two_is_one_again(typical):
    whole = disk((20, 20), 12)
    labels = np.where(whole, 1, 0).astype(np.int32)
    labels[:, 20:][whole[:, 20:]] = 2
    joined = join_parts(labels, core_of(((20, 20), 12)), typical)
    assert np.array_equal(joined, whole)
    assert labels.max() == 2  # the input is as it was


def test_four_quarters_too():
    whole = disk((20, 20), 14)
    labels = np.zeros(SHAPE, np.int32)
    for number, part in enumerate(np.ndindex(2, 2), 1):
        quarter = tuple(slice(20 * i, 20 * i + 20) for i in part)
        labels[quarter] = number * whole[quarter]
    joined = join_parts(labels, core_of(((20, 20), 14)), 600)
    assert len(np.unique(joined)) == 2


@pytest.mark.parametrize("typical", [0, 450])
def test_two_touching_disks_stay_two(typical):
    labels = disk((20, 18), 12) * 1
    labels[disk((20, 42), 12)] = 2
    core = core_of(((20, 18), 12), ((20, 42), 12))
    assert np.array_equal(join_parts(labels.astype(np.int32), core, typical), labels)


def test_a_line_that_leaves_the_cores_stays():
    labels = np.ones(SHAPE, np.int32)
    labels[:, 30:] = 2
    core = SURE.copy()
    core[:, 29:31] = 0.1
    assert np.array_equal(join_parts(labels, core, 1200), labels)
    assert (join_parts(labels, SURE, 1200) == 1).all()


def test_small_parts_are_joined_rather_than_large_ones():
    labels = np.ones(SHAPE, np.int32)
    labels[:, 30:] = 2
    core = np.full(SHAPE, 0.3, np.float32)
    assert join_parts(labels, core, typical=4800).max() == 1
    assert join_parts(labels, core, typical=600).max() == 2


def test_objects_apart_are_left_alone():
    labels = np.zeros(SHAPE, np.int32)
    labels[:, :10], labels[:, 12:] = 1, 2
    assert list(Parts(labels, SURE, 0).pairs()) == []
    assert np.array_equal(join_parts(labels, SURE), labels)


@given(pieces())
def test_joining_only_joins(drawn):
    labels, core = drawn
    joined = join_parts(labels, core, 20)
    assert np.array_equal(joined > 0, labels > 0)
    for number in np.unique(labels):
        assert len(np.unique(joined[labels == number])) == 1
    left = Parts(joined, core, 20)
    assert set(left.parts) <= set(np.unique(labels))


@given(pieces(), st.randoms(use_true_random=False))
def test_what_is_known_of_joined_parts_is_as_if_looked_at_anew(drawn, random):
    labels, core = drawn
    parts = Parts(labels, core, 20)
    for _ in range(4):
        if pairs := list(parts.pairs()):
            parts.join(random.choice(pairs))
    anew = Parts(labels, core, 20)
    assert {n: (p.area, p.solidity) for n, p in parts.parts.items()} == {
        n: (p.area, p.solidity) for n, p in anew.parts.items()
    }
    assert set(parts.pairs()) == set(anew.pairs())
    for pair in anew.pairs():
        assert parts.traits(pair) == pytest.approx(anew.traits(pair))


def test_the_best_of_a_chain_comes_first():
    assert best_of_both({(1, 2): 0.5, (2, 3): 0.9, (3, 4): 0.7, (5, 6): 0.1}) == [(2, 3), (5, 6)]
    assert best_of_both({(1, 2): -0.5}) == []
    assert best_of_both({(1, 2): 0.5, (2, 3): 0.5}) == [(2, 3)]


@given(height=st.integers(1, 20), width=st.integers(1, 20))
def test_a_rectangle_is_convex(height, width):
    mask = np.zeros((height + 2, width + 2), bool)
    mask[1:-1, 1:-1] = True
    assert solidity(mask) == pytest.approx(1)


def test_an_l_is_not():
    mask = np.zeros((20, 20), bool)
    mask[:, :5] = mask[15:] = True
    assert solidity(mask) < 0.65
