"""From class probabilities to labels: threshold, object splitting, size filter."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import label
from skimage.morphology import reconstruction
from skimage.segmentation import relabel_sequential, watershed

from napari_medt.engine.ellipse import as_ellipse, largest_part
from napari_medt.engine.join import join_parts
from napari_medt.models.card import CORE, ModelCard

# For splitting, which should find every border: parts that it cuts needlessly are joined again.
SHAPE_WEIGHT = 0.3  # added to the probability of core, so that depth alone counts a little
SMOOTHING = 1.0  # pixels
PASS_DEPTH = 0.05  # by at least this share a pass between two objects is lower than both tops
LEAST_DEPTH = 1e-3  # pixels; keeps the logarithm of the background finite

# How far beyond a part of an image to look, so that objects at its border are seen whole: in
# pixels, or in diameters of the objects that the network knows.
HALO = 128
HALO_OBJECTS = 2


def foreground(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probability ``(H, W)`` that a pixel is anything but background (class 0)."""
    return np.clip(1 - probabilities[0], 0, 1)


def to_labels(
    probabilities: NDArray[np.float32],
    card: ModelCard,
    *,
    threshold: float | None = None,
    min_size: int | None = None,
    magnification: float = 0.0,
) -> NDArray[np.int32]:
    """Turn probabilities into labels.

    Models with a ``core`` class give one label per object: cores are the seeds of a watershed
    that fills the foreground, and its needless cuts are undone. Other models give one label per
    class, and where the card names a shape, only the one object of that shape.

    Parameters
    ----------
    probabilities : array of float32
        ``(classes, H, W)``.
    card : ModelCard
        Class names and default threshold and size.
    threshold : float, optional
        Foreground probability from which a pixel is labelled; by default the card's.
    min_size : int, optional
        Objects (or connected parts of a class) of fewer pixels are dropped; by default the card's.
    magnification : float
        How much larger the network saw the image, from which the size of objects follows; 0 if
        that is not known yet.

    Returns
    -------
    array of int32
        ``(H, W)``, 0 for background.
    """
    threshold = card.threshold if threshold is None else threshold
    min_size = card.min_size if min_size is None else min_size
    inside = foreground(probabilities)
    mask = inside >= threshold
    if card.splits_objects:
        core = probabilities[card.classes.index(CORE)]
        typical = typical_area(card.input.object_size, magnification)
        objects = join_parts(split_objects(mask, core), core, typical)
        return relabel_sequential(drop_small(objects, min_size))[0].astype(np.int32)
    if card.shape != "any":
        kept = drop_small(label(mask), min_size) > 0
        if card.shape == "single":
            return largest_part(kept).astype(np.int32)
        return as_ellipse(kept, inside - np.float32(threshold)).astype(np.int32)
    classes = np.where(mask, 1 + probabilities[1:].argmax(axis=0), 0).astype(np.int32)
    parts = drop_small(label(classes), min_size)
    return np.where(parts > 0, classes, 0)


def halo_of(card: ModelCard, magnification: float) -> int:
    """How far a part of an image looks around, in pixels, so that its labels are the whole's.

    Not at all where the mask is one object: that is looked for within the part.
    """
    if card.shape != "any":
        return 0
    if card.input.object_size:
        return math.ceil(HALO_OBJECTS * card.input.object_size / magnification)
    return HALO


def typical_area(object_size: float, magnification: float) -> float:
    """Area in pixels of an object of the size that the network knows; 0 if that is not known."""
    return math.pi / 4 * (object_size / magnification) ** 2 if magnification else 0.0


def split_objects(mask: NDArray[np.bool_], core: NDArray[np.float32]) -> NDArray[np.int32]:
    """Label the objects of `mask` ``(H, W)``, separating touching ones by cores and shape.

    Every object is a basin of one landscape: depth in the mask, weighted by how likely the inner
    part of an object is there. Two basins are two objects if the pass between them is lower than
    both by a share of their height, so that large and small objects are split alike.

    Parameters
    ----------
    mask : array of bool
        The foreground.
    core : array of float32
        Probability that a pixel is in the inner part of an object.

    Returns
    -------
    array of int32
        Every pixel of the mask has a label. A connected part without a basin is one object.
    """
    depth = ndimage.distance_transform_edt(mask) * (SHAPE_WEIGHT + core)
    height = np.log(np.maximum(ndimage.gaussian_filter(depth, SMOOTHING), LEAST_DEPTH))
    flooded = reconstruction(height - PASS_DEPTH, height)
    tops = mask & (height - flooded >= 0.999 * PASS_DEPTH)
    seeds = ndimage.label(tops, np.ones((3, 3)))[0]
    parts = ndimage.label(mask)[0]
    seedless = mask & ~np.isin(parts, np.unique(parts[tops]))
    seeds[seedless] = seeds.max() + parts[seedless]
    return watershed(-height, seeds, mask=mask).astype(np.int32)


def drop_small(labels: NDArray[np.integer], min_size: int) -> NDArray[np.integer]:
    """Set labels of fewer than `min_size` pixels to 0."""
    sizes = np.bincount(labels.ravel())
    small = sizes < min_size
    small[0] = False
    return np.where(small[labels], 0, labels)
