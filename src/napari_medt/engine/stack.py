"""From labels slice by slice to objects in three dimensions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LEAST_OVERLAP = 0.5  # of the smaller of two outlines, to be the same object


def link_slices(slices: NDArray[np.int32]) -> NDArray[np.int32]:
    """Turn labels slice by slice into three-dimensional objects.

    Outlines in neighbouring slices are one object if each overlaps the other more than any other
    one, by at least half of the smaller.

    Parameters
    ----------
    slices : array of int32
        ``(Z, H, W)``, labels of each slice by itself, 0 for background.

    Returns
    -------
    array of int32
        ``(Z, H, W)``: objects 1, 2, ...
    """
    linked, last, before = np.zeros_like(slices), 0, np.zeros(1, np.int32)
    for index, labels in enumerate(slices):
        names = np.zeros(int(labels.max(initial=0)) + 1, np.int32)
        if index:
            for above, below in matches(slices[index - 1], labels):
                names[below] = before[above]
        new = np.setdiff1d(np.unique(labels), np.append(np.flatnonzero(names), 0))
        names[new] = last + 1 + np.arange(len(new))
        last += len(new)
        linked[index], before = names[labels], names
    return linked


def matches(first: NDArray[np.int32], second: NDArray[np.int32]) -> list[tuple[int, int]]:
    """Pair the labels of two slices ``(H, W)`` that overlap each other most, and enough."""
    both = (first > 0) & (second > 0)
    if not both.any():
        return []
    pairs, shared = np.unique(np.stack([first[both], second[both]]), axis=1, return_counts=True)
    areas = [np.bincount(labels.ravel()) for labels in (first, second)]
    smaller = np.minimum(areas[0][pairs[0]], areas[1][pairs[1]])
    best_of_first, best_of_second = np.zeros(first.max() + 1, int), np.zeros(second.max() + 1, int)
    np.maximum.at(best_of_first, pairs[0], shared)
    np.maximum.at(best_of_second, pairs[1], shared)
    mutual = (shared == best_of_first[pairs[0]]) & (shared == best_of_second[pairs[1]])
    kept = mutual & (shared >= LEAST_OVERLAP * smaller)
    found: dict[int, int] = {}
    taken: set[int] = set()
    for above, below in pairs[:, kept].T.tolist():  # of equals the first one counts
        if above not in found and below not in taken:
            found[above] = below
            taken.add(below)
    return list(found.items())
