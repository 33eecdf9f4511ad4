"""Measures of agreement between a predicted and a true segmentation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def dice(prediction: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Dice coefficient 2 |A and B| / (|A| + |B|) of two masks; 1 when both are empty."""
    total = int(prediction.sum()) + int(truth.sum())
    return 2 * int((prediction & truth).sum()) / total if total else 1.0


def iou(prediction: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Intersection over union of two masks; 1 when both are empty."""
    union = int((prediction | truth).sum())
    return int((prediction & truth).sum()) / union if union else 1.0


def average_precision(
    prediction: NDArray[np.integer], truth: NDArray[np.integer], threshold: float = 0.5
) -> float:
    """Average precision TP / (TP + FP + FN) of labelled objects.

    Parameters
    ----------
    prediction, truth : array of int
        ``(H, W)``, one positive label per object, 0 for background.
    threshold : float
        A predicted object is true when its IoU with a true one is above this; from 0.5 on each
        object matches at most one.

    Returns
    -------
    float
        In [0, 1]; 1 when there are no objects in either.
    """
    overlaps = object_iou(prediction, truth)
    matched = int((overlaps > threshold).sum())
    objects = sum(overlaps.shape)
    return matched / (objects - matched) if objects else 1.0


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
