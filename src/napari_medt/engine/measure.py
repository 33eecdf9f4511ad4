"""Sizes of what was found: the ellipse around it, and its circumference."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import EllipseModel, find_contours, label

KEPT = 0.9  # of the points of an outline, in the second fit of an ellipse
ALIKE = 0.6  # IoU from which an ellipse may stand for the part it was fitted to


@dataclass(frozen=True)
class Ellipse:
    """An ellipse in pixels.

    Attributes
    ----------
    centre : tuple of float
        Row and column; whole numbers are pixel centres.
    semi_axes : tuple of float
        Half its length and half its width, the longer first.
    angle : float
        From the direction of the rows to the long axis, towards the columns, in radians.
    """

    centre: tuple[float, float]
    semi_axes: tuple[float, float]
    angle: float = 0.0

    @property
    def perimeter(self) -> float:
        """Length of its outline by Ramanujan's second approximation, here exact to 1e-6."""
        a, b = self.semi_axes
        h = ((a - b) / (a + b)) ** 2
        return math.pi * (a + b) * (1 + 3 * h / (10 + math.sqrt(4 - 3 * h)))

    def filled(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """Mark the pixels of an image of `shape` whose centres lie within the ellipse."""
        rows, columns = np.ogrid[: shape[0], : shape[1]]
        y, x = rows - self.centre[0], columns - self.centre[1]
        cosine, sine = math.cos(self.angle), math.sin(self.angle)
        a, b = self.semi_axes
        inside: NDArray[np.bool_] = ((y * cosine + x * sine) / a) ** 2 + (
            (x * cosine - y * sine) / b
        ) ** 2 <= 1
        return inside


def fitted_ellipse(mask: NDArray[np.bool_]) -> Ellipse | None:
    """Fit an ellipse to the outline of the largest connected part of a mask.

    The outline runs half-way between pixels inside and outside, so that a filled ellipse gives
    back its own size. Where the part is cut off by the image's border there is no outline, and the
    ellipse goes on beyond it. A second fit leaves out the points farthest from the first one, so
    that a bulge of the mask does not stretch the ellipse.

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
    points = np.concatenate(outline)
    ellipse = fit(points)
    if ellipse is None:
        return None
    distance = ellipse.residuals(points)
    ellipse = fit(points[distance <= np.quantile(distance, KEPT)]) or ellipse
    row, column = ellipse.center
    axes, angle = ellipse.axis_lengths, ellipse.theta
    if axes[0] < axes[1]:
        axes, angle = axes[::-1], angle + math.pi / 2
    if not math.isfinite(angle):  # of a circle
        angle = 0.0
    return Ellipse((float(row), float(column)), (float(axes[0]), float(axes[1])), float(angle))


def fit(points: NDArray[np.float64]) -> EllipseModel | None:
    """Fit an ellipse to points ``(n, 2)``; None if there is none, as along a straight line."""
    with np.errstate(all="ignore"):  # the angle of a circle is 0 / 0
        model = EllipseModel.from_estimate(points)
    return model if model and np.all(np.isfinite(model.axis_lengths)) else None


def as_ellipse(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Draw the ellipse fitted to a mask; where none fits well, its largest part without holes."""
    part = largest_part(mask)
    ellipse = fitted_ellipse(part)
    if ellipse is None:
        return part
    drawn = ellipse.filled(mask.shape)
    alike = (drawn & part).sum() >= ALIKE * (drawn | part).sum()
    return drawn if alike else part


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
