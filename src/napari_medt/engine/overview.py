"""A first look at an image of any size: its intensities, and the resolution that fits the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_medt.engine.image import Limits, check_image, intensity_limits, prepare
from napari_medt.engine.magnify import MAX_MAGNIFICATION, first_look
from napari_medt.engine.segment import magnification_of
from napari_medt.engine.source import Level, Prepared
from napari_medt.errors import ImageError
from napari_medt.models.store import Model
from napari_medt.network.config import Branches

MIN_STATISTICS_PIXELS = 1_000_000  # of a resolution from which intensities are taken

# A resolution that the network would see reduced to this or less is passed over for a coarser one.
MIN_LEVEL_MAGNIFICATION = 0.75


@dataclass(frozen=True)
class Overview:
    """What has to be known of an image before any part of it is segmented.

    Attributes
    ----------
    level : int
        Which of its resolutions the network sees.
    magnification : float
        How much larger the network sees that resolution.
    limits : tuple of float
        Values that the network sees as 0 and 1.
    """

    level: int
    magnification: float
    limits: Limits


def look_over(
    levels: Sequence[Level],
    model: Model,
    branches: Branches = "both",
    *,
    level: int | None = None,
    magnification: float | None = None,
    device: str = "auto",
) -> Overview:
    """Look over an image.

    Parameters
    ----------
    levels : sequence of Level
        Its resolutions, the finest first.
    model, branches, device
        See :func:`napari_medt.segment`.
    level : int, optional
        Which resolution the network sees; by default the finest in which objects are not too large
        for the model.
    magnification : float, optional
        By default found by a look at a part of the image.

    Returns
    -------
    Overview
        The resolution that the network sees, its magnification, and the limits of intensity in the
        image's own values.

    Raises
    ------
    ImageError
        If there is no such level, or the image cannot be segmented.
    ModelError
        If the model does not have the branch, or its weights give no numbers.
    DeviceError
        If the device is not there.
    """
    if level is not None and not 0 <= level < len(levels):
        raise ImageError(
            f"The image has no resolution {level + 1}: choose one from 1 to {len(levels)}."
        )
    rule = model.card.input
    pixels = check_image(small_level(levels).sample())
    limits = intensity_limits(pixels, rule)
    if magnification is not None:
        return Overview(level or 0, magnification, limits)
    small = prepare(pixels, rule, limits)
    asked = Prepared(levels[level or 0], rule, limits)
    found = magnification_of(asked, small, model, branches, device)
    return Overview(*coarse_enough(levels, found) if level is None else (level, found), limits)


def coarse_enough(levels: Sequence[Level], magnification: float) -> tuple[int, float]:
    """Choose the finest resolution in which objects are not too large for the model.

    Parameters
    ----------
    levels : sequence of Level
        The finest first.
    magnification : float
        How much larger the network is to see the finest.

    Returns
    -------
    int, float
        Which resolution; how much larger the network is to see that one.
    """
    factors = [magnification * levels[0].width / level.width for level in levels]
    fit = (index for index, factor in enumerate(factors) if factor > MIN_LEVEL_MAGNIFICATION)
    chosen = next(fit, len(levels) - 1)
    return chosen, min(factors[chosen], MAX_MAGNIFICATION)


def typical_field(levels: Sequence[Level]) -> NDArray:
    """Read a small part of the finest resolution with much to see: ``(h, w)`` or ``(h, w, C)``.

    Raises
    ------
    ImageError
        If the image cannot be segmented or read.
    """
    small = check_image(small_level(levels).sample()).astype(np.float32)
    small = small.reshape(*small.shape[:2], -1)
    return levels[0].read(first_look(small, levels[0].height, levels[0].width))


def small_level(levels: Sequence[Level]) -> Level:
    """The coarsest resolution that still has enough pixels, or the finest one."""
    enough = [level for level in levels if level.height * level.width >= MIN_STATISTICS_PIXELS]
    return (enough or levels[:1])[-1]
