"""What the sample drawings share: noise, ellipses, numbering of objects."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.float64]
Image = NDArray[np.uint8]
Labels = NDArray[np.uint16]
Shape = tuple[int, int]
Point = Array | tuple[float, float]
Radii = tuple[float, float]

FAR = 9.0


def grid(shape: Shape) -> tuple[Array, Array]:
    """Row and column of every pixel, open so that they broadcast."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    return y.astype(float), x.astype(float)


def turned(y: Array, x: Array, centre: Point, angle: float) -> tuple[Array, Array]:
    """Coordinates along and across an axis through the centre."""
    cos, sin = np.cos(angle), np.sin(angle)
    y, x = y - centre[0], x - centre[1]
    return x * cos + y * sin, y * cos - x * sin


def ellipse(y: Array, x: Array, centre: Point, radii: Radii, angle: float) -> Array:
    """Distance from the centre in units of an ellipse: less than 1 inside."""
    u, v = turned(y, x, centre, angle)
    return np.asarray(np.hypot(u / radii[0], v / radii[1]))


def blob(
    rng: np.random.Generator,
    shape: Shape,
    centre: Point,
    radii: Radii,
    angle: float,
    *,
    wobble: float,
) -> Array:
    """Distance from the centre in units of a wobbly ellipse; `FAR` where it is far away."""
    reach = int(2 * max(radii)) + 1
    top, left = (int(value) - reach for value in centre)
    rows = slice(max(top, 0), max(top + 2 * reach, 0))
    columns = slice(max(left, 0), max(left + 2 * reach, 0))
    y, x = grid(shape)
    u, v = turned(y[rows], x[:, columns], centre, angle)
    u, v = u / radii[0], v / radii[1]
    turn = np.arctan2(v, u)
    outline = np.ones(turn.shape)
    for wave in range(2, 6):
        swing, start = rng.normal(0, 2 * wobble / wave), rng.uniform(0, 2 * np.pi)
        outline += swing * np.cos(wave * turn + start)
    distance = np.full(shape, FAR)
    distance[rows, columns] = np.minimum(np.hypot(u, v) / outline, FAR)
    return distance


def spot(shape: Shape, centre: Point, radius: float) -> Array:
    """Draw a Gaussian spot of height 1."""
    y, x = grid(shape)
    rows = np.exp(-((y - centre[0]) ** 2) / (2 * radius**2))
    columns = np.exp(-((x - centre[1]) ** 2) / (2 * radius**2))
    return np.asarray(rows * columns)


def band(values: Array, at: float, width: float) -> Array:
    """1 where the values are `at`, falling off to 0 within about two widths."""
    return np.asarray(np.exp(-(((values - at) / width) ** 2)))


def noise(rng: np.random.Generator, shape: Shape, sigma: float) -> Array:
    """Smooth noise with mean 0 and standard deviation 1."""
    rough = rng.normal(size=shape)
    smooth = ndimage.gaussian_filter(rough, sigma, mode="wrap")
    return np.asarray((smooth - smooth.mean()) / smooth.std())


def paint(labels: Labels, inside: NDArray[np.bool_]) -> bool:
    """Number a new object in place, unless much of it would lie on others."""
    free = inside & (labels == 0)
    if free.sum() < max(60, 0.88 * inside.sum()):
        return False
    labels[largest(free)] = labels.max() + 1
    return True


def largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep the largest connected part of a mask."""
    parts, _ = ndimage.label(mask)
    return np.asarray(parts == np.bincount(parts[mask]).argmax())


def to_bytes(values: Array) -> Image:
    """Round to 8 bits."""
    return np.clip(np.round(values), 0, 255).astype(np.uint8)
