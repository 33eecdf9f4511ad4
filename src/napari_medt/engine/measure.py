"""Measure the labels of an image, in numbers and words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_medt.engine.axes import axes_of
from napari_medt.engine.ellipse import Sides, circumference
from napari_medt.engine.formats.picture import Picture
from napari_medt.engine.record import BatchSettings
from napari_medt.engine.summary import Measurements
from napari_medt.errors import ImageError
from napari_medt.models.card import ModelCard


def measure(
    labels: NDArray, picture: Picture, card: ModelCard, settings: BatchSettings
) -> Measurements:
    """Measure the labels of an image.

    Parameters
    ----------
    labels : array of int
        Shaped as the image's axes less the channels.
    picture : Picture
        The image, upright.
    card : ModelCard
        Says whether labels are objects, and what else to report.
    settings : BatchSettings
        How the image was segmented, and perhaps the side of a pixel.

    Returns
    -------
    Measurements
        Areas in pixels, percent and, where the size of a pixel is known, square millimetres;
        volumes in cubic millimetres, but not of unevenly spaced slices; a circumference in
        millimetres or pixels.

    Raises
    ------
    ImageError
        If the labels have another shape.
    """
    axes, sizes = axes_of(picture), dict(picture.mm)
    if labels.shape != axes.labels_shape:
        raise ImageError("The labels have another shape than the image.")
    if settings.mm_per_pixel is not None:
        sizes |= dict.fromkeys("yx", settings.mm_per_pixel)
    mask = labels > 0
    pixels = int(np.count_nonzero(mask))
    # A single slice in a stack of its own is a plane.
    letters = [
        picture.axes[axis]
        for axis, length in zip(axes.kept, labels.shape, strict=True)
        if length > 1 or picture.axes[axis] in "yx"
    ]
    size = math.prod(sizes.get(letter, math.nan) for letter in letters)
    if letters in (["z", "y", "x"], ["y", "x"]):
        size *= uprightness(picture, letters)
    extent = None if math.isnan(size) else pixels * size
    taken_for = axes.describe(rgb=picture.rgb, channel=settings.channel)
    if uneven := picture.uneven and "z" in letters:
        taken_for += ", unevenly spaced: no volume"
    measured = Measurements(
        taken_for=taken_for,
        objects=int(np.count_nonzero(np.unique(labels))) if card.splits_objects else None,
        area_percent=100 * pixels / labels.size,
        area_pixels=pixels,
        area_mm2=extent if letters == ["y", "x"] else None,
        volume_mm3=extent if letters == ["z", "y", "x"] and not uneven else None,
    )
    if card.report != "circumference" or letters != ["y", "x"]:
        return measured
    mask = mask.reshape(mask.shape[-2:])
    askew = picture.patient is not None and picture.patient.askew
    sides = (sizes["y"], sizes["x"]) if {"y", "x"} <= sizes.keys() and not askew else None
    return with_circumference(measured, mask, sides, card.report_scale)


def uprightness(picture: Picture, letters: Sequence[str]) -> float:
    """Volume or area of a voxel as a share of its sides' product: below 1 where axes are askew.

    The slices of a CT with a tilted gantry are shifted, and seen across they are askew.

    Parameters
    ----------
    picture : Picture
        The image.
    letters : sequence of str
        The axes of the volume or area.
    """
    if picture.patient is None:
        return 1.0
    directions = picture.patient.affine[:3, ["xyz".index(letter) for letter in letters]]
    return math.sqrt(abs(np.linalg.det(directions.T @ directions)))


def circumference_in_words(
    mask: NDArray[np.bool_], mm_per_pixel: float | Sides | None, scale: float = 1.0
) -> str:
    """Say how long the circumference of a mask is, in pixels if their size is not known.

    Parameters
    ----------
    mask, mm_per_pixel
        As for :func:`napari_medt.engine.ellipse.circumference`; None if the size of a pixel is not
        known.
    scale : float
        The card's `report_scale`.
    """
    measured = with_circumference(Measurements(), mask, mm_per_pixel, scale)
    return measured.circumference_in_words() or "no outline to measure"


def with_circumference(
    measured: Measurements,
    mask: NDArray[np.bool_],
    mm_per_pixel: float | Sides | None,
    scale: float,
) -> Measurements:
    """Add the circumference of a mask, if it has one, in millimetres or else in pixels."""
    length = circumference(mask, mm_per_pixel or 1.0)
    if length is None:
        return measured
    if mm_per_pixel is None:
        return replace(measured, circumference_pixels=length * scale)
    return replace(measured, circumference_mm=length * scale)
