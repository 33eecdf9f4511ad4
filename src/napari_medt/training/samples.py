"""Training folders: the samples in them, and which of these to validate on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from napari_medt.engine.formats.plain import find_images
from napari_medt.errors import DataError
from napari_medt.training.index import composed, read_index, read_size, row_of

VALIDATION_SHARE = 0.1  # of the groups, where a folder is to be split
LAYOUTS = (("images", "labels"), ("img", "labelcol"))  # ours, and the published code's


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


def find_samples(folder: Path) -> list[Sample]:
    """List the samples of a folder with ``images/`` and ``labels/`` (or ``img/``, ``labelcol/``).

    An ``index.csv`` with columns ``id`` and ``group`` names the groups; without it every image is
    a group of its own. Columns ``mm_per_pixel`` and ``head_circumference_mm`` give the size of
    heads. An id is the name of an image, with or without its suffix.

    Raises
    ------
    DataError
        If the folders are missing or empty, an image has no labels or is not in the index, or the
        index cannot be read, lacks columns, has different rows for an id, or has a size that is
        not a positive number.
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

    ``train/`` and ``val/`` are such folders already; a single folder is split by groups, about one
    in ten for validation. A hash of its name decides where a group goes, so that training images
    do not move to validation when images are added.

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
    """Hash a group's name into a number from 0 to 1, the same on every machine."""
    name = group.encode(errors="backslashreplace")  # names of files may hold any bytes
    return int.from_bytes(hashlib.sha256(name).digest()[:8]) / 2**64


def _named_groups(folder: Path, samples: list[Sample]) -> set[str]:
    """Groups of samples that an index names; other groups are file names, which may recur."""
    index = read_index(folder / "index.csv") or {}
    return {sample.group for sample in samples} & {row.get("group", "") for row in index.values()}
