"""Ellipses: fitted to an outline, settled on a map of probabilities, and how long they are."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.optimize import minimize
from scipy.special import expit
from skimage.measure import find_contours, label

Sides = tuple[float, float]  # height and width of a pixel

KEPT_SHARE = 0.9  # of the points of an outline, in the second fit of an ellipse
MAX_SEMI_AXIS = 1000  # in spreads of the points; a longer ellipse is a line plus rounding errors
SETTLING_PIXELS = 30  # per semi-axis, on which an ellipse settles; larger ones are subsampled
EDGE_WIDTH = 0.3  # pixels; how soft the edge of an ellipse is while it settles
MIN_IOU = 0.6  # IoU from which an ellipse may stand for the part it was fitted to


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

    def perimeter(self, height: float = 1.0, width: float = 1.0) -> float:
        """Length of its outline by Ramanujan's second approximation, here exact to 1e-6.

        `height` and `width` are those of a pixel.
        """
        cosine, sine = math.cos(self.angle), math.sin(self.angle)
        # Its semi-axes, as columns; where pixels are not square, it has other ones.
        own = np.array([[cosine, -sine], [sine, cosine]]) * self.semi_axes
        a, b = map(float, np.linalg.svd(np.diag([height, width]) @ own, compute_uv=False))
        h = ((a - b) / (a + b)) ** 2
        return math.pi * (a + b) * (1 + 3 * h / (10 + math.sqrt(4 - 3 * h)))

    def filled(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """Mark the pixels of an image of `shape` whose centres lie within the ellipse."""
        inside: NDArray[np.bool_] = self.radius(*np.ogrid[: shape[0], : shape[1]]) <= 1
        return inside

    def radius(self, rows: NDArray, columns: NDArray) -> NDArray[np.float64]:
        """Distance of points from the centre, relative to the outline's in that direction."""
        y, x = rows - self.centre[0], columns - self.centre[1]
        cosine, sine = math.cos(self.angle), math.sin(self.angle)
        a, b = self.semi_axes
        return np.hypot((y * cosine + x * sine) / a, (x * cosine - y * sine) / b)


def fit_to_outline(part: NDArray[np.bool_]) -> Ellipse | None:
    """Fit an ellipse to the outline of a connected part without holes.

    The outline runs half-way between pixels inside and outside, so that a filled ellipse gives
    back its own size. Where the part is cut off by the image's border there is no outline, and the
    ellipse goes on beyond it. A second fit leaves out the points farthest from the first one, so
    that a bulge of the part does not stretch the ellipse.

    Parameters
    ----------
    part : array of bool
        ``(H, W)``; may be empty.

    Returns
    -------
    Ellipse or None
        None when no ellipse fits.

    References
    ----------
    Halir, Flusser: Numerically stable direct least squares fitting of ellipses, WSCG 1998.
    """
    outline = find_contours(part.astype(np.float32), 0.5)
    if not outline:
        return None
    points = np.concatenate(outline)
    ellipse = fit(points)
    if ellipse is None:
        return None
    distance = np.abs(ellipse.radius(*points.T) - 1)
    return fit(points[distance <= np.quantile(distance, KEPT_SHARE)]) or ellipse


def fit(points: NDArray[np.float64]) -> Ellipse | None:
    """Fit an ellipse to points ``(n, 2)``; None if there is none, as along a straight line."""
    if len(points) < 5:
        return None
    origin, scale = points.mean(axis=0), points.std()
    with np.errstate(all="ignore"):  # where no ellipse fits, the result is not finite
        try:
            centre, semi_axes, angle = measure_conic(fit_conic(*((points - origin) / scale).T))
        except np.linalg.LinAlgError:
            return None
    if not np.all(semi_axes < MAX_SEMI_AXIS):  # nor NaN
        return None
    return from_numbers(np.array([*(origin + scale * centre), *(scale * semi_axes), angle]))


def fit_conic(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fit the ellipse ``ax² + bxy + cy² + dx + ey + f = 0`` to points by least squares.

    Of all conics with ``4ac - b² = 1``, which are ellipses, it is that with the least sum of
    squares, as Halir and Flusser compute it. In numpy, ``eig`` gives complex numbers or real ones
    depending on its version; what is asked for here is real.

    Returns
    -------
    array of float64
        ``a`` to ``f``, with ``a`` above 0.

    Raises
    ------
    numpy.linalg.LinAlgError
        If there is no such ellipse, or more than one.
    """
    quadratic = np.stack([x * x, x * y, y * y], axis=1)
    linear = np.stack([x, y, np.ones_like(x)], axis=1)
    # The linear terms that are best for given quadratic ones.
    best = -np.linalg.inv(linear.T @ linear) @ (linear.T @ quadratic)
    scatter = quadratic.T @ (quadratic + linear @ best)
    constrained = np.stack([scatter[2] / 2, -scatter[1], scatter[0] / 2])
    candidates = np.linalg.eig(constrained)[1].real
    a, b, c = candidates
    ellipses = candidates[:, 4 * a * c - b * b > 0]
    if ellipses.shape[1] != 1:
        raise np.linalg.LinAlgError("There is no single ellipse.")
    terms = ellipses[:, 0] * np.sign(ellipses[0, 0])
    return np.concatenate([terms, best @ terms])


def measure_conic(conic: NDArray[np.float64]) -> tuple[NDArray, NDArray, float]:
    """Centre, semi-axes (the longer first) and angle of the ellipse with terms ``a`` to ``f``."""
    a, b, c, *_, f = conic
    curved, slope = np.array([[2 * a, b], [b, 2 * c]]), conic[3:5]
    centre = np.linalg.solve(curved, -slope)
    curvatures, directions = np.linalg.eigh(curved)
    semi_axes = np.sqrt((-2 * f - slope @ centre) / curvatures)
    return centre, semi_axes, math.atan2(directions[1, 0], directions[0, 0]) % math.pi


def settle(ellipse: Ellipse, surplus: NDArray[np.float32]) -> Ellipse:
    """Move and stretch an ellipse until it fits the probabilities, not only their threshold.

    A thresholded outline treats every pixel as equally certain, so a doubtful bulge stretches the
    ellipse. Here each pixel counts by its probability less the threshold, and the ellipse near the
    first with the largest sum inside is returned.

    Parameters
    ----------
    ellipse : Ellipse
        To begin with.
    surplus : array of float32
        ``(H, W)``: probability that a pixel is inside, less the threshold.

    Returns
    -------
    Ellipse
        A local optimum, found by the simplex method.
    """
    size = math.sqrt(math.prod(ellipse.semi_axes))
    step = max(1, int(size / SETTLING_PIXELS))
    values = surplus[::step, ::step]
    rows, columns = (step * places for places in np.ogrid[: values.shape[0], : values.shape[1]])

    def missed(numbers: NDArray[np.float64]) -> float:
        """Loss of an ellipse, given as five numbers; the first one's area is the unit."""
        inside = expit((1 - from_numbers(numbers).radius(rows, columns)) * size / EDGE_WIDTH)
        return -float((inside * values).sum()) * step**2 / size**2

    first = np.array([*ellipse.centre, *ellipse.semi_axes, ellipse.angle])
    reach = np.diag([*[0.05 * size] * 4, 0.1])
    simplex = np.vstack([first, first + reach])
    found = minimize(
        missed,
        first,
        method="Nelder-Mead",
        options={"initial_simplex": simplex, "fatol": 1e-5, "xatol": 0.05},
    )
    return from_numbers(found.x)


def from_numbers(numbers: NDArray[np.float64]) -> Ellipse:
    """Ellipse from row, column, its two semi-axes (either may be the longer) and angle."""
    row, column, a, b, angle = map(float, numbers)
    a, b = abs(a), abs(b)
    if a < b:
        a, b, angle = b, a, angle + math.pi / 2
    return Ellipse((row, column), (a, b), angle)


def as_ellipse(mask: NDArray[np.bool_], surplus: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Draw the ellipse that fits a mask best; where none does, its largest part without holes.

    Parameters
    ----------
    mask : array of bool
        ``(H, W)``.
    surplus : array of float32
        ``(H, W)``: the probability that `mask` was made from, less the threshold.

    Returns
    -------
    array of bool
        ``(H, W)``.
    """
    part = largest_part(mask)
    ellipse = fit_to_outline(part)
    if ellipse is None:
        return part
    drawn = settle(ellipse, surplus).filled(mask.shape)
    alike = (drawn & part).sum() >= MIN_IOU * (drawn | part).sum()
    return drawn if alike else part


def circumference(mask: NDArray[np.bool_], mm_per_pixel: float | Sides = 1.0) -> float | None:
    """Circumference of the ellipse fitted to the largest connected part of a mask.

    Parameters
    ----------
    mask : array of bool
        ``(H, W)``, such as the outline of a head, filled.
    mm_per_pixel : float or tuple of float
        Side of a square pixel in millimetres, or height and width; 1 gives the circumference in
        pixels.

    Returns
    -------
    float or None
        In millimetres; None when there is no ellipse.
    """
    ellipse = fit_to_outline(largest_part(mask))
    return None if ellipse is None else ellipse.perimeter(*np.broadcast_to(mm_per_pixel, 2))


def largest_part(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep the largest connected part of a mask ``(H, W)``, its holes filled; may be empty."""
    parts = label(mask)
    sizes = np.bincount(parts.ravel())[1:]
    return ndimage.binary_fill_holes(parts == 1 + sizes.argmax()) if sizes.size else mask
