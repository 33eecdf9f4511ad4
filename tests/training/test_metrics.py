"""Measures on masks whose agreement is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_medt.training.metrics import (
    average_precision,
    bootstrap_interval,
    calibration_counts,
    dice,
    expected_calibration_error,
    iou,
    object_iou,
    panoptic_quality,
)

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
    assert panoptic_quality(prediction, truth) == pytest.approx(1 / (1 + 2 / 2 + 2 / 2))
    prediction[8:, :10] = 0  # still a match, of IoU 0.8
    assert panoptic_quality(prediction, truth) == pytest.approx(0.8 / 3)


def test_half_an_object_is_not_a_match():
    truth = np.ones((2, 10), int)
    prediction = truth.copy()
    prediction[:, 5:] = 0
    assert average_precision(prediction, truth) == panoptic_quality(prediction, truth) == 0


@given(prediction=small_labels, truth=small_labels)
def test_measures_follow_their_definitions(prediction, truth):
    overlaps = object_iou(prediction, truth)
    numbers = [n for n in np.unique(prediction) if n], [n for n in np.unique(truth) if n]
    assert overlaps.shape == tuple(map(len, numbers))
    for row, p in enumerate(numbers[0]):
        for column, t in enumerate(numbers[1]):
            assert overlaps[row, column] == pytest.approx(iou(prediction == p, truth == t))
    assert average_precision(prediction, truth) == average_precision(truth, prediction)
    assert average_precision(truth, truth) == panoptic_quality(truth, truth) == 1
    assert panoptic_quality(prediction, truth) == panoptic_quality(truth, prediction)


def test_calibration_error_of_known_probabilities():
    truth = np.arange(1000) < 700  # foreground in 70 % of the pixels
    for said, error in [(0.7, 0), (0.9, 0.2), (0.2, 0.5), (1.0, 0.3), (0.0, 0.7)]:
        counts = calibration_counts(np.full(1000, said, np.float32), truth)
        assert expected_calibration_error(counts) == pytest.approx(error, abs=1e-6)


def test_calibration_does_not_let_wrong_sides_cancel():
    # 0.9 where there is never foreground, 0.1 where there always is.
    truth = np.repeat([False, True], 50)
    counts = calibration_counts(np.where(truth, 0.1, 0.9), truth)
    assert expected_calibration_error(counts) == pytest.approx(0.9)


def test_calibration_counts_of_images_add_up():
    rng = np.random.default_rng(0)
    probability, truth = rng.random((2, 30, 40)), rng.random((2, 30, 40)) < 0.3
    together = calibration_counts(probability, truth)
    apart = sum(map(calibration_counts, probability, truth))
    assert np.allclose(together, apart)
    assert together[0].sum() == truth.size


def test_interval_narrows_with_the_number_of_groups_not_of_images():
    rng = np.random.default_rng(1)
    values = rng.normal(0.8, 0.1, 100)
    alone = bootstrap_interval(values, [str(i) for i in range(100)])
    # The textbook interval of the mean of 100 independent values.
    assert alone == pytest.approx(
        values.mean() + 1.96 * values.std() / 10 * np.array([-1, 1]), abs=0.003
    )
    assert alone == bootstrap_interval(values, [str(i) for i in range(100)])
    copies = bootstrap_interval(np.repeat(values, 4), np.repeat(np.arange(100), 4).astype(str))
    assert copies == pytest.approx(alone)
    assert bootstrap_interval([0.5, 0.7], ["one", "one"]) == pytest.approx((0.6, 0.6))
