"""Show the network objects at the size it knows: how much to magnify an image.

A small network learns objects of one size far better than of every size. Training shows it each
image at the magnification at which a typical object has the card's `object_size`; for a new image
that magnification follows from the objects that a first look finds.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from napari_medt.engine.image import sample, sample_step
from napari_medt.engine.labels import to_labels
from napari_medt.models.card import ModelCard

LEAST, GREATEST = 0.75, 2.5
STEPS_PER_DOUBLING = 4  # magnifications are rounded: a little more or less makes no difference
LOOK = 512  # side in pixels of the part of an image that the first look takes


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
        From `LEAST` to `GREATEST`; 1 where either is 0.
    """
    if not (diameter and object_size):
        return 1.0
    doublings = math.log2(np.clip(object_size / diameter, LEAST, GREATEST))
    rounded: float = 2 ** (round(doublings * STEPS_PER_DOUBLING) / STEPS_PER_DOUBLING)
    return float(np.clip(rounded, LEAST, GREATEST))


def find_magnification(
    plane: NDArray[np.float32],
    card: ModelCard,
    predict: Callable[[NDArray[np.float32]], NDArray[np.float32]],
) -> float:
    """Find the magnification for an image by a first look at a part of it.

    Parameters
    ----------
    plane : array of float32
        ``(H, W, C)``, the prepared image.
    card : ModelCard
        With the object size the network knows.
    predict : callable
        Class probabilities ``(classes, H, W)`` of a plane at its own resolution.

    Returns
    -------
    float
        1 for models that take objects of any size.
    """
    if not card.input.object_size:
        return 1.0
    field = plane[first_look(sample(plane), *plane.shape[:2])]
    labels = to_labels(predict(field), card)
    return magnification_for(typical_diameter(labels), card.input.object_size)


def first_look(pixels: NDArray[np.float32], height: int, width: int) -> tuple[slice, slice]:
    """Choose the part of an image for the first look, at most `LOOK` pixels a side.

    Parameters
    ----------
    pixels : array of float32
        ``(h, w, C)``: the image, or every n-th row and column of a large one; see
        :func:`napari_medt.engine.image.sample_step`.
    height, width : int
        Of the image.

    Returns
    -------
    tuple of slice
        Rows and columns in the middle; of a large image, whose middle may be empty, those with the
        most contrast.
    """
    step = sample_step(height, width)
    centre = (height // 2, width // 2)
    if step > 1:
        side = max(1, LOOK // step)
        gray = pixels.mean(axis=2)
        spread = uniform_filter(gray**2, side) - uniform_filter(gray, side) ** 2
        row, column = np.unravel_index(spread.argmax(), spread.shape)
        centre = (int(row) * step, int(column) * step)
    top, left = (
        max(0, min(place - LOOK // 2, length - LOOK))
        for place, length in zip(centre, (height, width), strict=True)
    )
    return slice(top, min(height, top + LOOK)), slice(left, min(width, left + LOOK))
