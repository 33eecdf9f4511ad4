"""Undo needless splits: parts that together are as convex as a single object are one."""

from __future__ import annotations

from operator import itemgetter

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects
from scipy.spatial import ConvexHull

CONVEX = 0.93  # solidity from which touching parts are one; chosen on validation images
Box = tuple[slice, slice]


def join_parts(labels: NDArray[np.int32], core: NDArray[np.float32]) -> NDArray[np.int32]:
    """Join touching labels whose border runs through a core, if together they are convex.

    Where two objects touch there is a notch on either side of the line between them; a line
    without notches was drawn through one object. The most convex unions are joined first.

    Parameters
    ----------
    labels : array of int32
        ``(H, W)``, from a watershed.
    core : array of float32
        ``(H, W)``: probability that a pixel is in the inner part of an object.
    """
    labels = labels.copy()
    while unions := convex_unions(labels, core):
        joined: set[int] = set()
        for _, first, second, box in sorted(unions, key=itemgetter(0), reverse=True):
            if not joined & {first, second}:
                part = labels[box]
                part[part == second] = first
                joined |= {first, second}
    return labels


def convex_unions(
    labels: NDArray[np.int32], core: NDArray[np.float32]
) -> list[tuple[float, int, int, Box]]:
    """Solidity, labels and box of the pairs that are to be joined."""
    boxes, found = find_objects(labels), []
    for first, second in touching(labels, core):
        rows, columns = (
            slice(min(a.start, b.start), max(a.stop, b.stop))
            for a, b in zip(boxes[first - 1], boxes[second - 1], strict=True)
        )
        box = rows, columns
        part = labels[box]
        solid = solidity((part == first) | (part == second))
        if solid >= CONVEX:
            found.append((solid, first, second, box))
    return found


def touching(labels: NDArray[np.int32], core: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Pairs of labels with neighbouring pixels in a core, the smaller label first."""
    inner = np.where(core >= 0.5, labels, 0)
    pairs: set[tuple[int, int]] = set()
    for one, other in ((inner[:-1], inner[1:]), (inner[:, :-1], inner[:, 1:])):
        apart = (one != other) & (one > 0) & (other > 0)
        low, high = np.minimum(one, other)[apart], np.maximum(one, other)[apart]
        pairs.update(zip(low.tolist(), high.tolist(), strict=True))
    return sorted(pairs)


def solidity(mask: NDArray[np.bool_]) -> float:
    """Area of a mask as a share of its convex hull's, both of whole pixels."""
    rows = np.flatnonzero(mask.any(axis=1))
    left = mask.argmax(axis=1)[rows]
    right = mask.shape[1] - mask[:, ::-1].argmax(axis=1)[rows]
    corners = [(edge, side) for edge in (rows, rows + 1) for side in (left, right)]
    points = np.concatenate([np.stack(corner, axis=1) for corner in corners])
    return float(mask.sum() / ConvexHull(points).volume)  # in 2-D, its area
