"""What a network is trained on: its input, as prediction prepares it, and the target."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

# Where the core of an object begins: distance to its edge, as a share of the greatest.
CORE_DEPTH = 0.45
# Added to the class of pixels that decide whether objects are found and told apart: those between
# objects that nearly touch, and small objects with their surroundings.
HARD = 128
HARD_WIDTH = 7  # pixels, at the size the network sees
SMALL = 0.2  # of the area of a typical object


def smooth_for(image: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Blur ``(H, W, C)`` as prediction does before it resizes to `size`: views only sample."""
    sigmas = [max(0.0, (side / size - 1) / 2) for side in image.shape[:2]]  # as scikit-image does
    return ndimage.gaussian_filter(image, (*sigmas, 0.0), mode="mirror")


def core_classes(labels: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Turn instance labels into classes: 0 background, 1 rim, 2 core.

    The core of an object is where it is deeper than a share of its greatest depth. So the cores of
    touching objects stay apart however small the objects are, which a boundary of fixed width does
    not ensure.

    Parameters
    ----------
    labels : array of int
        ``(H, W)``, one positive label per object, 0 for background.

    Returns
    -------
    array of uint8
        ``(H, W)``.
    """
    classes = (labels > 0).astype(np.uint8)
    for number, box in enumerate(ndimage.find_objects(labels), 1):
        if box is None:
            continue
        inside = np.pad(labels[box] == number, 1)
        depth = ndimage.distance_transform_edt(inside)[1:-1, 1:-1]
        classes[box][depth >= CORE_DEPTH * depth.max() + 0.5] = 2
        classes[box][depth == depth.max()] = 2
    return classes


def hard_pixels(labels: NDArray[np.integer], width: float, small: float) -> NDArray[np.uint8]:
    """Mark with 1 the pixels ``(H, W)`` that decide whether objects are found and told apart.

    A window of about `width` pixels around them holds two objects, or one of fewer than `small`
    pixels.
    """
    side = 2 * round(width / 2) + 1
    is_small = np.bincount(labels.ravel()) < small
    is_small[0] = False
    near_small = ndimage.maximum_filter(is_small[labels].astype(np.uint8), side)
    return near_small | contacts(labels, side)


def contacts(labels: NDArray[np.integer], side: int) -> NDArray[np.uint8]:
    """Mark with 1 the pixels ``(H, W)`` with two objects in a window of `side` pixels."""
    nothing = np.iinfo(labels.dtype).max
    greatest = ndimage.maximum_filter(labels, side)
    least = ndimage.minimum_filter(np.where(labels > 0, labels, nothing), side)
    return ((greatest > 0) & (least != greatest)).astype(np.uint8)
