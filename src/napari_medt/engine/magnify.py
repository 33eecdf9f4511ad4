"""Show the network objects at the size it knows: how much to magnify an image.

A small network learns objects of one size far better than of every size. Training shows it each
image at the magnification at which a typical object has the card's `object_size`; for a new image
that magnification follows from the objects that a first look finds.

The first look is taken at several resolutions, because the network breaks up objects that are far
too large for it, and merges or misses those that are too small. It is most certain of its mask
where it segments them well, and there the diameter halves with the resolution.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from napari_medt.engine.labels import foreground, to_labels
from napari_medt.engine.resample import Plane, Resizing
from napari_medt.models.card import ModelCard

MIN_MAGNIFICATION, MAX_MAGNIFICATION = 1 / 16, 2.5
STEPS_PER_DOUBLING = 4  # magnifications are rounded: a little more or less makes no difference
LOOKS = 5  # each at half the resolution of the one before
LOOK = 512  # side in pixels of the part of an image that the first two looks take
WIDEST = 2048  # of the one that later looks take
SMALLEST = 32  # side in pixels of what is worth another look
ALIKE = 0.45  # tolerance, in doublings, where a diameter should halve with the resolution
FEW = 8  # objects: with so few, the doubt is twice that with very many


@dataclass(frozen=True)
class Look:
    """What one look found.

    Attributes
    ----------
    diameter : float
        Typical diameter of objects, in pixels of its resolution; 0 without objects.
    doubt : float
        How little to trust it, from 0 to infinity (without objects): how unsure the network is of
        its mask, as a share of the mask, and more where it found few objects.
    """

    diameter: float
    doubt: float

    @classmethod
    def at(cls, probabilities: NDArray[np.float32], card: ModelCard) -> Look:
        """Look at class probabilities ``(classes, H, W)``."""
        labels = to_labels(probabilities, card)
        count = int(labels.max(initial=0))
        if not count:
            return cls(0.0, math.inf)
        inside = foreground(probabilities)
        unsure = float(np.minimum(inside, 1 - inside).mean() / inside.mean())
        return cls(typical_diameter(labels), unsure * (1 + FEW / count))


def typical_diameter(labels: NDArray[np.integer]) -> float:
    """Median diameter in pixels of labelled objects, each taken as a disk; 0 without objects."""
    areas = np.bincount(labels.ravel())[1:]
    areas = areas[areas > 0]
    return float(np.median(np.sqrt(areas * 4 / np.pi))) if len(areas) else 0.0


def magnification_for(diameter: float, object_size: float) -> float:
    """Magnification at which objects of `diameter` pixels have about `object_size` pixels.

    Parameters
    ----------
    diameter : float
        Typical diameter in the image, in pixels; 0 if unknown.
    object_size : float
        Diameter the network was trained for, in pixels; 0 for any.

    Returns
    -------
    float
        From `MIN_MAGNIFICATION` to `MAX_MAGNIFICATION`; 1 where either is 0.
    """
    if not (diameter and object_size):
        return 1.0
    doublings = math.log2(np.clip(object_size / diameter, MIN_MAGNIFICATION, MAX_MAGNIFICATION))
    rounded: float = 2 ** (round(doublings * STEPS_PER_DOUBLING) / STEPS_PER_DOUBLING)
    return float(np.clip(rounded, MIN_MAGNIFICATION, MAX_MAGNIFICATION))


def find_magnification(
    plane: Plane,
    small: NDArray[np.float32],
    card: ModelCard,
    predict: Callable[[NDArray[np.float32]], NDArray[np.float32]],
) -> float:
    """Find the magnification for an image by a first look at parts of it.

    Parameters
    ----------
    plane : Plane
        The prepared image.
    small : array of float32
        ``(h, w, C)``: the same, or a small copy of a large one, to choose where to look.
    card : ModelCard
        With the object size the network knows.
    predict : callable
        Class probabilities ``(classes, H, W)`` of pixels ``(H, W, C)``, not magnified.

    Returns
    -------
    float
        1 for models that take objects of any size.
    """
    size = card.input.object_size
    if not size:
        return 1.0
    looks = [Look.at(predict(field), card) for field in fields(plane, small)]
    return magnification_for(trusted_diameter(looks, size), size)


def fields(plane: Plane, small: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """Read the part of an image that each look takes, ``(h, w, C)``: the finest first."""
    last_side = 0
    for halvings in range(LOOKS):
        side = min(WIDEST, LOOK * max(1, 2 ** (halvings - 1)))
        if side != last_side:  # two looks may take the same part
            field = plane.read(first_look(small, plane.height, plane.width, side))
            last_side = side
        resizing = Resizing.by(0.5**halvings, *field.shape[:2])
        rows, columns = (slice(0, axis.resized) for axis in (resizing.rows, resizing.columns))
        if halvings and min(rows.stop, columns.stop) < SMALLEST:
            return
        yield resizing.apply(field, (rows, columns)) if halvings else field


def trusted_diameter(looks: Sequence[Look], object_size: float) -> float:
    """Choose the diameter of objects from looks at successive resolutions.

    Parameters
    ----------
    looks : sequence of Look
        Each at half the resolution of the one before.
    object_size : float
        Diameter that the network knows.

    Returns
    -------
    float
        In pixels of the first resolution. Considered are the least doubtful look and its neighbours
        as long as each diameter is about half the one before; of these looks, the one whose
        diameter is nearest to `object_size` counts.
    """
    runs = [[0]]
    for index, (finer, coarser) in enumerate(pairwise(looks), 1):
        if halved(finer.diameter, coarser.diameter):
            runs[-1].append(index)
        else:
            runs.append([index])
    least_doubtful = min(range(len(looks)), key=lambda index: looks[index].doubt)
    [run] = [run for run in runs if least_doubtful in run]
    best = min(run, key=lambda index: abs(math.log((looks[index].diameter or 1) / object_size)))
    return looks[best].diameter * 2**best


def halved(finer: float, coarser: float) -> bool:
    """Whether one diameter is about half of another; not where either is 0, for none found."""
    return bool(finer and coarser) and abs(math.log2(finer / coarser) - 1) <= ALIKE


def first_look(
    pixels: NDArray[np.float32], height: int, width: int, most: int = LOOK
) -> tuple[slice, slice]:
    """Choose the part of an image for a look, of at most `most` pixels a side.

    Parameters
    ----------
    pixels : array of float32
        ``(h, w, C)``: the image, or a small copy of a large one.
    height, width : int
        Of the image, in pixels.
    most : int
        Greatest side of the part, in pixels.

    Returns
    -------
    tuple of slice
        Rows and columns in the middle; of a large image, whose middle may be empty, those with the
        most contrast.
    """
    step = height / len(pixels)
    centre = (height // 2, width // 2)
    if max(pixels.shape[:2]) < max(height, width):
        side = max(1, int(most / step))
        gray = pixels.mean(axis=2)
        spread = uniform_filter(gray**2, side) - uniform_filter(gray, side) ** 2
        row, column = np.unravel_index(spread.argmax(), spread.shape)
        centre = (int(row * step), int(column * step))
    top, left = (
        max(0, min(place - most // 2, length - most))
        for place, length in zip(centre, (height, width), strict=True)
    )
    return slice(top, min(height, top + most)), slice(left, min(width, left + most))
