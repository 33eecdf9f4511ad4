"""Needless splits are undone, real ones stay."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_medt.engine.join import join_parts, solidity, touching

SURE = np.ones((40, 60), np.float32)  # core everywhere


def disk(shape, centre, radius):
    y, x = np.ogrid[: shape[0], : shape[1]]
    return (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2


def test_a_disk_cut_in_two_is_one_again():
    whole = disk((40, 60), (20, 20), 12)
    labels = np.where(whole, 1, 0).astype(np.int32)
    labels[:, 20:][whole[:, 20:]] = 2
    assert np.array_equal(join_parts(labels, SURE) > 0, whole)
    assert len(np.unique(join_parts(labels, SURE))) == 2
    assert labels.max() == 2  # the input is as it was


def test_four_quarters_too():
    whole = disk((40, 60), (20, 20), 14)
    labels = np.zeros((40, 60), np.int32)
    for number, part in enumerate(np.ndindex(2, 2), 1):
        quarter = tuple(slice(20 * i, 20 * i + 20) for i in part)
        labels[quarter] = number * whole[quarter]
    assert len(np.unique(join_parts(labels, SURE))) == 2


def test_two_touching_disks_stay_two():
    labels = disk((40, 60), (20, 18), 12) * 1
    labels[disk((40, 60), (20, 42), 12)] = 2
    assert np.array_equal(join_parts(labels.astype(np.int32), SURE), labels)


def test_a_line_that_leaves_the_cores_stays():
    labels = np.ones((40, 60), np.int32)
    labels[:, 30:] = 2
    core = SURE.copy()
    core[:, 29:31] = 0.4
    assert np.array_equal(join_parts(labels, core), labels)
    assert (join_parts(labels, SURE) == 1).all()


def test_objects_apart_are_left_alone():
    labels = np.zeros((40, 60), np.int32)
    labels[:, :10], labels[:, 12:] = 1, 2
    assert touching(labels, SURE) == []
    assert np.array_equal(join_parts(labels, SURE), labels)


@given(height=st.integers(1, 20), width=st.integers(1, 20))
def test_a_rectangle_is_convex(height, width):
    mask = np.zeros((height + 2, width + 2), bool)
    mask[1:-1, 1:-1] = True
    assert solidity(mask) == pytest.approx(1)


def test_an_l_is_not():
    mask = np.zeros((20, 20), bool)
    mask[:, :5] = mask[15:] = True
    assert solidity(mask) < 0.65
