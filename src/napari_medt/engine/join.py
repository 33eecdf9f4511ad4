"""Which parts of a watershed are one object: neighbours are joined by a rule learned from examples.

A watershed that finds every notch also cuts single objects. What sets a cut apart from a border
between two objects was learned from training images: see ``benchmarks/joining.py``.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects
from scipy.spatial import ConvexHull

Pair = tuple[int, int]  # two labels, the smaller one first
Box = tuple[slice, slice]
Traits = tuple[float, float, float, float, float]  # of two labels, as Rule lists them


@dataclass(frozen=True)
class Rule:
    """What speaks for two parts being one object: the weight of each of their traits.

    Attributes
    ----------
    size : float
        Of the logarithm of their area together, in objects of typical size.
    solid : float
        Of the solidity they have together.
    parts : float
        Of the solidity they have apart.
    core : float
        Of the mean probability of core along their border, from 0 to 1.
    balance : float
        Of the logarithm of the smaller area, as a share of the larger one.
    bias : float
        Of all parts.
    """

    size: float
    solid: float
    parts: float
    core: float
    balance: float
    bias: float

    def score(self, traits: Traits) -> float:
        """Weigh what speaks for two parts being one object; above 0 they are."""
        weights = (self.size, self.solid, self.parts, self.core, self.balance)
        return self.bias + sum(map(operator.mul, weights, traits))


# Learned by benchmarks/joining.py from the training images of both nuclei models.
LEARNED = Rule(size=-2.04, solid=8.68, parts=-19.79, core=8.71, balance=-0.74, bias=9.04)
# The size trait where the typical size is not known: the mean over pairs.
USUAL_SIZE = 0.7


@dataclass(frozen=True)
class Part:
    """A label.

    Attributes
    ----------
    box : tuple of slice
        Where it is.
    area : int
        Its pixels.
    solidity : float
        See :func:`solidity`.
    """

    box: Box
    area: int
    solidity: float


@dataclass(frozen=True)
class Border:
    """Where two labels touch.

    Attributes
    ----------
    length : int
        In pairs of pixels.
    core : float
        Sum over them of the probability of core, of each pair's lower one.
    """

    length: int = 0
    core: float = 0.0


class Parts:
    """Labels ``(H, W)`` and what is known of them while they are joined; changes them.

    Parameters
    ----------
    labels : array of int32
        ``(H, W)``, 0 for background.
    core : array of float32
        ``(H, W)``: probability that a pixel is in the inner part of an object.
    typical : float
        Area of a typical object in pixels; 0 if that is not known.
    """

    def __init__(self, labels: NDArray[np.int32], core: NDArray[np.float32], typical: float):
        self.labels, self.typical = labels, typical
        boxes = enumerate(find_objects(labels), 1)
        self.parts = {number: self._look(number, box) for number, box in boxes if box}
        self.borders = find_borders(labels, core)

    def _look(self, number: int, box: Box) -> Part:
        mask = self.labels[box] == number
        return Part(box, int(np.count_nonzero(mask)), solidity(mask))

    def pairs(self) -> Iterator[Pair]:
        """All labels that touch."""
        for first, neighbours in self.borders.items():
            yield from ((first, second) for second in neighbours if first < second)

    def traits(self, pair: Pair) -> Traits:
        """Measure two touching labels, in the order of :class:`Rule`."""
        first, second = (self.parts[number] for number in pair)
        border = self.borders[pair[0]][pair[1]]
        within = self.labels[around(first.box, second.box)]
        area, small = first.area + second.area, min(first.area, second.area)
        return (
            math.log(area / self.typical) if self.typical else USUAL_SIZE,
            solidity((within == pair[0]) | (within == pair[1])),
            (first.area * first.solidity + second.area * second.solidity) / area,
            border.core / border.length,
            math.log(small / (area - small)),
        )

    def join(self, pair: Pair) -> None:
        """Make a pair one part, with the number of the first."""
        first, second = pair
        box = around(self.parts[first].box, self.parts.pop(second).box)
        within = self.labels[box]
        within[within == second] = first
        self.parts[first] = self._look(first, box)
        for other, border in self.borders.pop(second).items():
            del self.borders[other][second]
            if other != first:
                kept = self.borders[first].get(other, Border())
                both = Border(kept.length + border.length, kept.core + border.core)
                self.borders[first][other] = self.borders[other][first] = both


def join_parts(
    labels: NDArray[np.int32], core: NDArray[np.float32], typical: float = 0.0
) -> NDArray[np.int32]:
    """Join touching labels that are parts of one object, those first for which most speaks.

    Parameters
    ----------
    labels : array of int32
        ``(H, W)``, from a watershed.
    core : array of float32
        ``(H, W)``: probability that a pixel is in the inner part of an object.
    typical : float
        Area of a typical object in pixels; 0 if that is not known.

    Returns
    -------
    array of int32
        A copy, of which some labels are gone.
    """
    parts = Parts(labels.copy(), core, typical)
    scores: dict[Pair, float] = {}
    while True:
        scores |= {p: LEARNED.score(parts.traits(p)) for p in parts.pairs() if p not in scores}
        joined = best_of_both(scores)
        if not joined:
            return parts.labels
        for pair in joined:
            parts.join(pair)
        changed = {number for pair in joined for number in pair}
        scores = {pair: score for pair, score in scores.items() if changed.isdisjoint(pair)}


def best_of_both(scores: Mapping[Pair, float]) -> list[Pair]:
    """Pairs above 0 that are the best pair of both their labels, so that no two share a label."""
    best: dict[int, tuple[float, Pair]] = {}
    for pair, score in scores.items():
        for number in pair:
            best[number] = max(best.get(number, (score, pair)), (score, pair))
    return [
        pair
        for pair, score in scores.items()
        if score > 0 and best[pair[0]][1] == best[pair[1]][1] == pair
    ]


def find_borders(
    labels: NDArray[np.int32], core: NDArray[np.float32]
) -> dict[int, dict[int, Border]]:
    """Find where labels touch, at the edges of pixels; a border is found from both its sides."""
    sums: dict[Pair, list[float]] = {}
    for one, other in (np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:]):
        first, second = labels[one], labels[other]
        apart = (first != second) & (first > 0) & (second > 0)
        low = np.minimum(first, second)[apart].tolist()
        high = np.maximum(first, second)[apart].tolist()
        for pair, value in zip(
            zip(low, high, strict=True),
            np.minimum(core[one], core[other])[apart].tolist(),
            strict=True,
        ):
            sums.setdefault(pair, []).append(value)
    borders: dict[int, dict[int, Border]] = {}
    for (low, high), values in sums.items():
        border = Border(len(values), sum(values))
        borders.setdefault(low, {})[high] = border
        borders.setdefault(high, {})[low] = border
    return borders


def around(one: Box, other: Box) -> Box:
    """The smallest box that holds both."""
    rows, columns = (
        slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(one, other, strict=True)
    )
    return rows, columns


def solidity(mask: NDArray[np.bool_]) -> float:
    """Area of a mask as a share of its convex hull's, both of whole pixels."""
    rows = np.flatnonzero(mask.any(axis=1))
    left = mask.argmax(axis=1)[rows]
    right = mask.shape[1] - mask[:, ::-1].argmax(axis=1)[rows]
    corners = [(edge, side) for edge in (rows, rows + 1) for side in (left, right)]
    points = np.concatenate([np.stack(corner, axis=1) for corner in corners])
    return float(mask.sum() / ConvexHull(points).volume)  # in 2-D, its area
