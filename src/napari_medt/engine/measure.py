"""What labels tell of an image, in numbers and words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_medt.engine.ellipse import circumference
from napari_medt.engine.summary import Found


def circumference_in_words(
    mask: NDArray[np.bool_], mm_per_pixel: float | None, scale: float = 1.0
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
    length = circumference(mask, scale * (mm_per_pixel or 1.0))
    found = Found(circumference_mm=length) if mm_per_pixel else Found(circumference_pixels=length)
    return found.circumference_in_words() or "no outline to measure"
