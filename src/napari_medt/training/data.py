"""Training folders: images with labels of the same name, read into memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_medt.engine.formats.plain import (
    find_images,
    has_frames,
    read_image,
    read_palette_numbers,
)
from napari_medt.engine.image import check_image, prepare
from napari_medt.engine.labels import typical_area
from napari_medt.engine.magnify import magnification_for, typical_diameter
from napari_medt.errors import DataError, ImageError
from napari_medt.models.card import InputRule
from napari_medt.training.index import composed, read_index, read_size, row_of
from napari_medt.training.targets import (
    HARD,
    HARD_WIDTH,
    SMALL,
    core_classes,
    hard_pixels,
    smooth_for,
)

VALIDATION_SHARE = 0.1  # of the groups, where a folder is to be split
LAYOUTS = (("images", "labels"), ("img", "labelcol"))  # ours, and the published code's
LOSSY_SUFFIXES = (".jpg", ".jpeg")  # labels in them have other numbers along every edge
LARGEST_LABEL = np.iinfo(np.int32).max


@dataclass(frozen=True)
class Sample:
    """An image on disk with its labels.

    Attributes
    ----------
    image, label : Path
        The files.
    group : str
        Samples of one group (patient, slide) are never split between training and validation.
    mm_per_pixel : float or None
        Side of a pixel in millimetres, where known.
    circumference_mm : float or None
        True circumference of the object in millimetres, where it was measured.
    """

    image: Path
    label: Path
    group: str
    mm_per_pixel: float | None = None
    circumference_mm: float | None = None


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
        At which its objects have the size the network is to know.
    """

    image: NDArray[np.float16]
    target: NDArray[np.uint8]
    magnification: float = 1.0


def find_samples(folder: Path) -> list[Sample]:
    """List the samples of a folder with ``images/`` and ``labels/`` (or ``img/``, ``labelcol/``).

    An ``index.csv`` with columns ``id`` and ``group`` names the groups; without it every image is
    its own. Columns ``mm_per_pixel`` and ``head_circumference_mm`` give the size of heads. An id
    is the name of an image, with or without its suffix.

    Raises
    ------
    DataError
        If the folders are missing or empty, an image has no labels or is not in the index, or the
        index says nothing of use or holds a size that is not a positive number.
    """
    for images, labels in LAYOUTS:
        if (folder / images).is_dir() and (folder / labels).is_dir():
            break
    else:
        raise DataError(f"{folder} needs the folders images/ and labels/ (or img/ and labelcol/).")
    files = find_images(folder / labels)
    by_name = {composed(path.stem): path for path in files}
    by_name |= {composed(path.name): path for path in files}
    index = read_index(folder / "index.csv")
    samples = []
    for image in find_images(folder / images):
        label = by_name.get(composed(image.name)) or by_name.get(composed(image.stem))
        if label is None:
            raise DataError(f"{image.name} has no labels of the same name in {folder / labels}.")
        row = {} if index is None else row_of(image, index, folder)
        samples.append(
            Sample(
                image=image,
                label=label,
                group=row.get("group") or image.stem,
                mm_per_pixel=read_size(row, "mm_per_pixel"),
                circumference_mm=read_size(row, "head_circumference_mm"),
            )
        )
    if not samples:
        raise DataError(f"There are no images in {folder / images}.")
    return samples


def find_splits(folder: Path) -> tuple[list[Sample], list[Sample]]:
    """Find training and validation samples.

    ``train/`` and ``val/`` are taken as they are; a single folder is split by groups, about one in
    ten for validation. Its name alone decides where a group goes, so what was trained on is not
    validated on when images are added.

    Raises
    ------
    DataError
        If there is a single group, or ``train/`` and ``val/`` share one; see also
        :func:`find_samples`.
    """
    if (folder / "train").is_dir() and (folder / "val").is_dir():
        parts = find_samples(folder / "train"), find_samples(folder / "val")
        shared = _named_groups(folder / "train", parts[0]) & _named_groups(folder / "val", parts[1])
        if shared:
            raise DataError(
                f"{folder} has images of group {min(shared)!r} in both train/ and val/: move all "
                "images of a group into one of them."
            )
        return parts
    samples = find_samples(folder)
    groups = sorted({sample.group for sample in samples}, key=_place)
    if len(groups) < 2:
        raise DataError(f"{folder} has a single image or group: at least two are needed.")
    few = sum(_place(group) < VALIDATION_SHARE for group in groups)
    validation = set(groups[: min(max(1, few), len(groups) - 1)])
    return (
        [sample for sample in samples if sample.group not in validation],
        [sample for sample in samples if sample.group in validation],
    )


def _place(group: str) -> float:
    """A number from 0 to 1 that looks random, and is the same wherever and whenever."""
    name = group.encode(errors="backslashreplace")  # that of a file may be any bytes
    return int.from_bytes(hashlib.sha256(name).digest()[:8]) / 2**64


def read_pair(
    sample: Sample, *, target: Literal["instances", "classes"], num_classes: int
) -> tuple[NDArray, NDArray[np.integer]]:
    """Read an image and its labels: ``(H, W[, 3])`` and ``(H, W)``.

    With two classes every label above 0 becomes 1.

    Raises
    ------
    DataError
        If they do not fit together, or the labels are colours, no whole numbers or negative, or
        objects that are not told apart; the message names the file.
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
    if label.dtype.kind == "f" and (label % 1).any():  # as of probabilities
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
    """Refuse objects that all have one number, as in a mask of 0 and 255.

    They would be learned as one, and none would match those that are found. An object may lie in
    two pieces, though, and drawing by hand leaves splinters.

    Raises
    ------
    DataError
        That names the file.
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
    """Number objects from 1 where numbers are high, for what is done per number takes memory."""
    if label.max() <= label.size:
        return label
    numbers, places = np.unique(label, return_inverse=True)
    return places.reshape(label.shape) + (numbers[0] > 0)


def read_checked(path: Path) -> NDArray:
    """Read an image that can be segmented: ``(H, W[, 3])``.

    Raises
    ------
    DataError
        If it cannot be; the message names the file.
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
        If they are colours without numbers, or blurred by JPEG.
    """
    if path.suffix.lower() in LOSSY_SUFFIXES:
        raise DataError(
            f"{path.name} has labels as JPEG, which changes their values: save the original ones "
            "as PNG or TIFF."
        )
    mask = read_image(path, numbers=True)
    if mask.ndim != 3 or has_frames(mask):
        return mask
    numbers = read_palette_numbers(path)  # first: the colours may be gray and mean nothing
    if numbers is not None:
        return numbers
    colours = mask[..., :3]  # less what is transparent
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
    """Read a sample for training of a network that sees `size` pixels a side."""
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


def _named_groups(folder: Path, samples: list[Sample]) -> set[str]:
    """Groups of samples that an index names; others are names of files, which may recur."""
    index = read_index(folder / "index.csv") or {}
    return {sample.group for sample in samples} & {row.get("group", "") for row in index.values()}
