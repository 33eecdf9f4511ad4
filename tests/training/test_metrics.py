"""Measures on masks whose agreement is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_medt.training.metrics import average_precision, dice, iou, object_iou

small_labels = arrays(np.int32, (6, 7), elements=st.integers(0, 4))
EMPTY = np.zeros((4, 4), bool)


def test_known_overlap():
    a, b = EMPTY.copy(), EMPTY.copy()
    a[0, :] = True  # 4 pixels
    b[0, 2:], b[1, :2] = True, True  # 4 pixels, 2 of them shared
    assert dice(a, b) == 0.5
    assert iou(a, b) == pytest.approx(2 / 6)


def test_empty_masks_agree():
    assert dice(EMPTY, EMPTY) == iou(EMPTY, EMPTY) == average_precision(EMPTY, EMPTY) == 1
    assert dice(EMPTY, ~EMPTY) == iou(EMPTY, ~EMPTY) == 0
    assert average_precision(EMPTY.astype(int), (~EMPTY).astype(int)) == 0


def test_average_precision_counts_objects():
    truth = np.zeros((10, 30), int)
    truth[:, :10], truth[:, 10:20], truth[:, 20:] = 1, 2, 3
    prediction = np.zeros_like(truth)
    prediction[:, :10] = 5  # right
    prediction[:, 10:14] = 9  # 0.4 of the second: wrong
    prediction[:4, 25:] = 7  # wrong
    assert average_precision(prediction, truth) == pytest.approx(1 / 5)


def test_half_an_object_is_not_a_match():
    truth = np.ones((2, 10), int)
    prediction = truth.copy()
    prediction[:, 5:] = 0
    assert average_precision(prediction, truth) == 0


@given(prediction=small_labels, truth=small_labels)
def test_measures_follow_their_definitions(prediction, truth):
    overlaps = object_iou(prediction, truth)
    numbers = [n for n in np.unique(prediction) if n], [n for n in np.unique(truth) if n]
    assert overlaps.shape == tuple(map(len, numbers))
    for row, p in enumerate(numbers[0]):
        for column, t in enumerate(numbers[1]):
            assert overlaps[row, column] == pytest.approx(iou(prediction == p, truth == t))
    assert average_precision(prediction, truth) == average_precision(truth, prediction)
    assert average_precision(truth, truth) == 1
