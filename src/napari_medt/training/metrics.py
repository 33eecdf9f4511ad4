"""Measures of agreement between a predicted and a true segmentation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.random import default_rng
from numpy.typing import NDArray

MATCHING_IOU = 0.5  # above this, an object matches at most one
CALIBRATION_BINS = 15
DRAWS = 2000  # of groups, for an interval
SEED = 0  # of these draws


def dice(prediction: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Dice coefficient 2 |A and B| / (|A| + |B|) of two masks; 1 when both are empty."""
    total = int(prediction.sum()) + int(truth.sum())
    return 2 * int((prediction & truth).sum()) / total if total else 1.0


def iou(prediction: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Intersection over union of two masks; 1 when both are empty."""
    union = int((prediction | truth).sum())
    return int((prediction & truth).sum()) / union if union else 1.0


def average_precision(prediction: NDArray[np.integer], truth: NDArray[np.integer]) -> float:
    """Average precision TP / (TP + FP + FN) of labelled objects.

    A predicted object is true when its IoU with a true one is above :data:`MATCHING_IOU`.

    Parameters
    ----------
    prediction, truth : array of int
        ``(H, W)``, one positive label per object, 0 for background.

    Returns
    -------
    float
        In [0, 1]; 1 when there are no objects in either.
    """
    overlaps = object_iou(prediction, truth)
    matched = int((overlaps > MATCHING_IOU).sum())
    objects = sum(overlaps.shape)
    return matched / (objects - matched) if objects else 1.0


def panoptic_quality(prediction: NDArray[np.integer], truth: NDArray[np.integer]) -> float:
    """Panoptic quality of labelled objects: summed IoU of the matches / (TP + FP / 2 + FN / 2).

    Parameters
    ----------
    prediction, truth
        As for :func:`average_precision`.

    Returns
    -------
    float
        In [0, 1]; 1 when there are no objects in either.

    References
    ----------
    Kirillov et al., Panoptic Segmentation, CVPR 2019.
    """
    overlaps = object_iou(prediction, truth)
    objects = sum(overlaps.shape)
    return 2 * float(overlaps[overlaps > MATCHING_IOU].sum()) / objects if objects else 1.0


def object_iou(prediction: NDArray[np.integer], truth: NDArray[np.integer]) -> NDArray[np.float64]:
    """IoU of every predicted object (rows) with every true one (columns), in label order."""
    _, p = np.unique(prediction, return_inverse=True)
    _, t = np.unique(truth, return_inverse=True)
    # A background pixel in front makes column and row 0 the background even where there is none.
    p = np.concatenate([[0], p.ravel() + (prediction.min() > 0)])
    t = np.concatenate([[0], t.ravel() + (truth.min() > 0)])
    counts = np.zeros((p.max() + 1, t.max() + 1), np.int64)
    np.add.at(counts, (p, t), 1)
    intersection = counts[1:, 1:]
    areas = counts[1:].sum(axis=1)[:, np.newaxis] + counts[:, 1:].sum(axis=0)
    return intersection / np.maximum(areas - intersection, 1)


def calibration_counts(
    probability: NDArray[np.floating], truth: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Count what the calibration error needs; counts of several images add up.

    Parameters
    ----------
    probability : array of float
        Probability of foreground, in [0, 1].
    truth : array of bool
        Of the same shape: where the foreground is.

    Returns
    -------
    array of float64
        ``(3, bins)``: pixels, their summed probability, and how many are foreground, in bins of
        equal width from 0 to 1.
    """
    values = probability.ravel().astype(np.float64)
    bins = np.minimum((values * CALIBRATION_BINS).astype(np.intp), CALIBRATION_BINS - 1)
    weights = (np.ones_like(values), values, truth.ravel())
    return np.stack([np.bincount(bins, weight, CALIBRATION_BINS) for weight in weights])


def expected_calibration_error(counts: NDArray[np.float64]) -> float:
    """Mean gap, over pixels, between the probability of foreground and how often it is there.

    Bins run over the probability itself, from 0 to 1. That is stricter than bins over the
    confidence in whichever class won, where too much and too little foreground can cancel.

    Parameters
    ----------
    counts : array of float64
        Sum of :func:`calibration_counts` over images.

    Returns
    -------
    float
        In [0, 1].

    References
    ----------
    Guo et al., On Calibration of Modern Neural Networks, ICML 2017.
    """
    pixels, probability, foreground = counts
    return float(np.abs(probability - foreground).sum() / pixels.sum())


def bootstrap_interval(values: Sequence[float], groups: Sequence[str]) -> tuple[float, float]:
    """95 % percentile interval of a mean over images, by drawing whole groups.

    Images of one patient or slide resemble each other; drawing single images would make the
    interval too narrow. Each of :data:`DRAWS` draws takes as many groups as there are, with
    replacement.

    Parameters
    ----------
    values : sequence of float
        One per image.
    groups : sequence of str
        Group of each image; with a single one the interval has no width.

    Returns
    -------
    tuple of float
        Low and high end.
    """
    _, group = np.unique(groups, return_inverse=True)
    images, sums = np.bincount(group), np.bincount(group, values)
    drawn = default_rng(SEED).integers(len(images), size=(DRAWS, len(images)))
    low, high = np.percentile(sums[drawn].sum(axis=1) / images[drawn].sum(axis=1), [2.5, 97.5])
    return float(low), float(high)
