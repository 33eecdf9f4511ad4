"""Sizes of what was found: the ellipse around it, and its circumference."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import EllipseModel, find_contours, label


@dataclass(frozen=True)
class Ellipse:
    """An ellipse in pixels.

    Attributes
    ----------
    centre : tuple of float
        Row and column; whole numbers are pixel centres.
    semi_axes : tuple of float
        Half its length and half its width, the longer first.
    """

    centre: tuple[float, float]
    semi_axes: tuple[float, float]

    @property
    def perimeter(self) -> float:
        """Length of its outline by Ramanujan's second approximation, here exact to 1e-6."""
        a, b = self.semi_axes
        h = ((a - b) / (a + b)) ** 2
        return math.pi * (a + b) * (1 + 3 * h / (10 + math.sqrt(4 - 3 * h)))


def fitted_ellipse(mask: NDArray[np.bool_]) -> Ellipse | None:
    """Fit an ellipse to the outline of the largest connected part of a mask.

    The outline runs half-way between pixels inside and outside, so that a filled ellipse gives
    back its own size. Where the part is cut off by the image's border there is no outline, and the
    ellipse goes on beyond it.

    Parameters
    ----------
    mask : array of bool
        ``(H, W)``.

    Returns
    -------
    Ellipse or None
        None when there is no part, or no ellipse fits its outline.

    References
    ----------
    Halir, Flusser: Numerically stable direct least squares fitting of ellipses, WSCG 1998.
    """
    outline = find_contours(largest_part(mask).astype(np.float32), 0.5)
    if not outline:
        return None
    with np.errstate(all="ignore"):  # the angle of a circle is 0 / 0, a straight outline has no fit
        model = EllipseModel.from_estimate(np.concatenate(outline))
    if not model or not np.all(np.isfinite(model.axis_lengths)):
        return None
    row, column = model.center
    long, short = sorted(model.axis_lengths, reverse=True)
    return Ellipse((float(row), float(column)), (float(long), float(short)))


def circumference(mask: NDArray[np.bool_], mm_per_pixel: float = 1.0) -> float | None:
    """Circumference of the ellipse fitted to a mask.

    Parameters
    ----------
    mask : array of bool
        ``(H, W)``, such as the outline of a head, filled.
    mm_per_pixel : float
        Side of a square pixel in millimetres; 1 gives the circumference in pixels.

    Returns
    -------
    float or None
        In millimetres; None when there is no ellipse.
    """
    ellipse = fitted_ellipse(mask)
    return None if ellipse is None else ellipse.perimeter * mm_per_pixel


def circumference_in_words(
    mask: NDArray[np.bool_], mm_per_pixel: float | None, scale: float = 1.0
) -> str:
    """Say how long the circumference of a mask is, in pixels if their size is not known.

    Parameters
    ----------
    mask, mm_per_pixel
        As for :func:`circumference`; None if the size of a pixel is not known.
    scale : float
        The card's `report_scale`.
    """
    length = circumference(mask, scale * (mm_per_pixel or 1.0))
    if length is None:
        return "no outline to measure"
    return (
        f"circumference {length:.1f} mm" if mm_per_pixel else f"circumference {length:.0f} pixels"
    )


def largest_part(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep the largest connected part of a mask ``(H, W)``, its holes filled; may be empty."""
    parts = label(mask)
    sizes = np.bincount(parts.ravel())[1:]
    return ndimage.binary_fill_holes(parts == 1 + sizes.argmax()) if sizes.size else mask
