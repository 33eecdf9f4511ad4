"""Parts of a resized image: the same numbers as resizing all of it and taking the part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_medt.engine.tiles import Area


class Plane(Protocol):
    """A prepared plane that is read part by part."""

    @property
    def height(self) -> int:
        """Pixels from top to bottom."""

    @property
    def width(self) -> int:
        """Pixels from left to right."""

    def read(self, area: Area) -> NDArray[np.float32]:
        """Read rows and columns: ``(h, w, C)`` in [0, 1]."""


@dataclass(frozen=True)
class ResizedAxis:
    """An axis of `length` pixels, shown with `resized` pixels.

    As :func:`skimage.transform.resize` does it: linear between the centres of pixels, mirrored
    beyond the ends, and if wanted blurred before shrinking.
    """

    length: int
    resized: int
    smooth: bool = True

    @property
    def blur(self) -> float:
        """Standard deviation of the blur, in pixels; 0 where nothing shrinks."""
        if not self.smooth:
            return 0.0
        return max(0.0, (self.length / self.resized - 1) / 2)

    def positions(self, part: slice) -> NDArray[np.float64]:
        """Where the resized pixels of a part lie, in pixels of the original."""
        centres = np.arange(part.start, part.stop) + 0.5
        positions = np.abs(centres * self.length / self.resized - 0.5)
        last = self.length - 1
        return np.clip(np.where(positions > last, 2 * last - positions, positions), 0, last)

    def needed(self, part: slice) -> slice:
        """Pixels of the original that a part is made from."""
        positions = self.positions(part)
        margin = int(4 * self.blur + 0.5)  # where SciPy cuts a blur off
        first, last = int(positions.min()) - margin, int(positions.max()) + 2 + margin
        return slice(max(0, first), min(self.length, last))

    def interpolate(
        self, pixels: NDArray[np.float32], axis: int, part: slice
    ) -> NDArray[np.float32]:
        """Make a part from the pixels it needs, along one axis of `pixels`."""
        positions = self.positions(part) - self.needed(part).start
        lower = positions.astype(int)
        upper = np.minimum(lower + 1, pixels.shape[axis] - 1)
        shape = [1] * pixels.ndim
        shape[axis] = -1
        weight = (positions - lower).astype(np.float32).reshape(shape)
        low = np.take(pixels, lower, axis)
        return low + weight * (np.take(pixels, upper, axis) - low)


@dataclass(frozen=True)
class Resizing:
    """How a plane is resized along its rows and its columns."""

    rows: ResizedAxis
    columns: ResizedAxis

    @classmethod
    def by(cls, magnification: float, height: int, width: int) -> Resizing:
        """Magnify a plane of `height` x `width` pixels, at least to one pixel a side."""
        return cls(
            *(
                ResizedAxis(length, max(1, round(length * magnification)))
                for length in (height, width)
            )
        )

    @property
    def back(self) -> Resizing:
        """The way back to the plane's own size, for probabilities: they are smooth already."""
        axes = (self.rows, self.columns)
        return Resizing(*(ResizedAxis(axis.resized, axis.length, smooth=False) for axis in axes))

    def needed(self, area: Area) -> Area:
        """The area of the original that an area of the resized plane is made from."""
        return self.rows.needed(area[0]), self.columns.needed(area[1])

    def apply(self, pixels: NDArray[np.float32], area: Area) -> NDArray[np.float32]:
        """Make an area ``(h, w, ...)`` of the resized plane from the pixels it needs."""
        blur = (self.rows.blur, self.columns.blur, *[0] * (pixels.ndim - 2))
        if any(blur):
            pixels = ndimage.gaussian_filter(pixels, blur, mode="mirror")
        pixels = self.rows.interpolate(pixels, 0, area[0])
        return self.columns.interpolate(pixels, 1, area[1])


@dataclass(frozen=True, eq=False)
class Resized:
    """A prepared plane at another size, made part by part."""

    plane: Plane
    resizing: Resizing

    @property
    def height(self) -> int:
        """Pixels from top to bottom."""
        return self.resizing.rows.resized

    @property
    def width(self) -> int:
        """Pixels from left to right."""
        return self.resizing.columns.resized

    def read(self, area: Area) -> NDArray[np.float32]:
        """Read rows and columns of the resized plane: ``(h, w, C)``."""
        return self.resizing.apply(self.plane.read(self.resizing.needed(area)), area)
