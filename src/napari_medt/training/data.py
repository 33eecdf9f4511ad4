"""Images and their labels, read into memory and checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_medt.engine.formats.plain import has_frames, read_image, read_palette_numbers
from napari_medt.engine.image import check_image, prepare
from napari_medt.engine.labels import typical_area
from napari_medt.engine.magnify import magnification_for, typical_diameter
from napari_medt.errors import DataError, ImageError
from napari_medt.models.card import InputRule
from napari_medt.training.samples import Sample
from napari_medt.training.targets import (
    HARD,
    HARD_WIDTH,
    SMALL,
    core_classes,
    hard_pixels,
    smooth_for,
)

LOSSY_SUFFIXES = (".jpg", ".jpeg")  # labels in them have other numbers along every edge
LARGEST_LABEL = np.iinfo(np.int32).max


@dataclass(frozen=True, eq=False)
class TrainingPair:
    """An image in memory with its target.

    Attributes
    ----------
    image : array of float16
        ``(H, W, C)``, the network's input. Half precision keeps large sets in memory; it is finer
        than 8-bit grey levels.
    target : array of uint8
        ``(H, W)`` class numbers, plus `HARD` where
        :func:`~napari_medt.training.targets.hard_pixels` says so.
    magnification : float
        At which its objects have the size the network is trained for.
    """

    image: NDArray[np.float16]
    target: NDArray[np.uint8]
    magnification: float = 1.0


def read_pair(
    sample: Sample, *, target: Literal["instances", "classes"], num_classes: int
) -> tuple[NDArray, NDArray[np.integer]]:
    """Read an image and its labels: ``(H, W[, 3])`` and ``(H, W)``.

    With two classes every label above 0 becomes 1.

    Raises
    ------
    DataError
        If they do not fit together, or the labels are colours, not whole numbers, negative or too
        high, or give separate objects one number; the message names the file.
    ImageError
        If a file cannot be read.
    """
    image, label = read_checked(sample.image), read_mask(sample.label)
    if label.shape != image.shape[:2]:
        raise DataError(
            f"{sample.label.name} is {label.shape[0]} x {label.shape[1]} pixels, its image "
            f"{image.shape[0]} x {image.shape[1]}."
        )
    if not (label.min() >= 0 and label.max() <= LARGEST_LABEL):  # nor is it NaN
        raise DataError(
            f"{sample.label.name} has labels from {label.min()} to {label.max()}: number them from "
            f"0 to at most {LARGEST_LABEL}."
        )
    if label.dtype.kind == "f" and (label % 1).any():  # as in probabilities
        raise DataError(
            f"{sample.label.name} has labels that are not whole numbers: save them as 0 where "
            "there is nothing, and 1 or more elsewhere."
        )
    if target == "instances":
        check_apart(label, sample.label.name)
        return image, numbered_closely(label).astype(np.int32)
    if num_classes == 2:
        return image, (label > 0).astype(np.uint8)
    if label.max() >= num_classes:
        raise DataError(
            f"{sample.label.name} has label {label.max()}, but there are {num_classes} classes."
        )
    return image, label.astype(np.min_scalar_type(num_classes - 1))


def check_apart(label: NDArray, name: str) -> None:
    """Refuse separate objects that all have one number, as in a mask of 0 and 255.

    They would be learned as one object, and no predicted object would match it. Two large pieces
    may be one object, though, and small ones may be splinters of drawing by hand.

    Raises
    ------
    DataError
        If there are more than two large pieces of one number; the message names the file.
    """
    inside = label > 0
    if label.max() != label.min(initial=label.max(), where=inside):
        return
    areas = np.bincount(ndimage.label(inside, np.ones((3, 3)))[0].ravel())[1:]
    alike = int((areas > areas.max(initial=0) / 4).sum())
    if alike > 2:
        raise DataError(
            f"{name} has {alike} separate objects of the same number: give each object a number of "
            "its own, or take labels for classes."
        )


def numbered_closely(label: NDArray) -> NDArray:
    """Renumber objects from 1 where numbers exceed the count of pixels, to save memory later."""
    if label.max() <= label.size:
        return label
    numbers, places = np.unique(label, return_inverse=True)
    return places.reshape(label.shape) + (numbers[0] > 0)


def read_checked(path: Path) -> NDArray:
    """Read an image that can be segmented: ``(H, W[, 3])``.

    Raises
    ------
    DataError
        If it cannot be segmented; the message names the file.
    ImageError
        If it cannot be read.
    """
    image = read_image(path)
    try:
        return check_image(image)
    except ImageError as error:
        raise DataError(f"{path.name}: {error}") from None


def read_mask(path: Path) -> NDArray:
    """Read labels as numbers ``(H, W)``: gray values, or those of a palette's colours.

    Raises
    ------
    DataError
        If they are colours without numbers, or JPEG.
    ImageError
        If the file cannot be read.
    """
    if path.suffix.lower() in LOSSY_SUFFIXES:
        raise DataError(
            f"{path.name} has labels as JPEG, which changes their values: save the original ones "
            "as PNG or TIFF."
        )
    mask = read_image(path, numbers=True)
    if mask.ndim != 3 or has_frames(mask):
        return mask
    numbers = read_palette_numbers(path)  # first: a palette's grays are not the labels
    if numbers is not None:
        return numbers
    colours = mask[..., :3]  # without transparency
    if np.array_equal(colours.min(axis=2), colours.max(axis=2)):  # gray, saved as RGB
        return mask[..., 0]
    raise DataError(
        f"{path.name} has labels in colours: save them in gray, with 0 where there is nothing."
    )


def read_training_pair(
    sample: Sample,
    rule: InputRule,
    size: int,
    *,
    target: Literal["instances", "classes"],
    num_classes: int,
) -> TrainingPair:
    """Read a sample for training a network with an input of `size` pixels a side.

    Raises
    ------
    DataError, ImageError
        As :func:`read_pair` does.
    """
    image, label = read_pair(sample, target=target, num_classes=num_classes)
    pixels = prepare(image, rule)
    if rule.scaling == "whole":
        pixels = smooth_for(pixels, size)
    half = pixels.astype(np.float16)
    if target == "classes":
        return TrainingPair(half, label.astype(np.uint8))
    magnification = magnification_for(typical_diameter(label), rule.object_size)
    small = SMALL * typical_area(rule.object_size, magnification)
    hard = hard_pixels(label, HARD_WIDTH / magnification, small)
    return TrainingPair(half, core_classes(label) + HARD * hard, magnification)
