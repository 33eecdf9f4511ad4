"""The tile grid: a pure function of the image's size, and the weights that blend its tiles.

Along one axis, with tile size S and overlap V (stride S - V)::

    image            |-------------------------------|
    tiles     |===========|
                      |===========|
                              |===========|
                                      |===========|
              ^offset     ^^^^ overlap: weights cross-fade and add up to one

The grid is centred on the image. What a tile sees beyond the border is the image mirrored. Because
the grid depends on nothing but the image's size, so does the result: not on batches, chunks or
regions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class TileAxis:
    """The tiles along one axis.

    Attributes
    ----------
    length : int
        Pixels of the image along this axis.
    size : int
        Pixels of a tile.
    overlap : int
        Pixels that neighbours share; fewer than `size`.
    """

    length: int
    size: int
    overlap: int

    @property
    def stride(self) -> int:
        """Pixels from one tile's start to the next one's."""
        return self.size - self.overlap

    @property
    def count(self) -> int:
        """How many tiles cover the axis."""
        return 1 + max(0, -(-(self.length - self.size) // self.stride))

    def start(self, index: int) -> int:
        """First pixel of a tile, in image coordinates; negative where it begins outside."""
        extent = self.size + (self.count - 1) * self.stride
        return index * self.stride - (extent - self.length) // 2

    def source(self, index: int) -> NDArray[np.intp]:
        """Which image pixel each pixel of the tile shows, mirrored at the borders."""
        position = np.arange(self.start(index), self.start(index) + self.size)
        position %= 2 * self.length
        return np.minimum(position, 2 * self.length - 1 - position)

    def inside(self, index: int) -> tuple[slice, slice]:
        """The part of a tile inside the image: as a slice of the image, and of the tile."""
        start = self.start(index)
        first, last = max(0, start), min(self.length, start + self.size)
        return slice(first, last), slice(first - start, last - start)

    def window(self) -> NDArray[np.float32]:
        """Blending weight of each pixel of a tile: one inside, squared-sine ramps at the ends.

        The ramps of neighbours add up to one as long as tiles overlap by at most half.
        """
        distance = np.minimum(np.arange(self.size), np.arange(self.size)[::-1])
        phase = np.clip((distance + 0.5) / max(self.overlap, 0.5), 0, 1)
        return np.sin(0.5 * np.pi * phase).astype(np.float32) ** 2

    def total_weight(self) -> NDArray[np.float32]:
        """Sum over all tiles of their windows at each pixel of the image."""
        total = np.zeros(self.length, np.float32)
        window = self.window()
        for index in range(self.count):
            image, tile = self.inside(index)
            total[image] += window[tile]
        return total


@dataclass(frozen=True)
class TileGrid:
    """Tiles over an image of ``(height, width)``: the product of two axes."""

    rows: TileAxis
    columns: TileAxis

    @classmethod
    def over(cls, height: int, width: int, *, size: int, overlap: int) -> TileGrid:
        """Cover an image of `height` x `width` pixels with square tiles."""
        return cls(TileAxis(height, size, overlap), TileAxis(width, size, overlap))

    def __len__(self) -> int:
        """Count the tiles."""
        return self.rows.count * self.columns.count

    def cut(self, image: NDArray, index: int) -> NDArray:
        """Take tile `index`, row by row, out of ``(H, W, C)``: ``(size, size, C)``."""
        row, column = divmod(index, self.columns.count)
        return image[np.ix_(self.rows.source(row), self.columns.source(column))]

    def add(self, total: NDArray[np.float32], index: int, tile: NDArray[np.float32]) -> None:
        """Add a weighted tile ``(K, size, size)`` to the running sum ``(K, H, W)`` in place."""
        row, column = divmod(index, self.columns.count)
        rows, tile_rows = self.rows.inside(row)
        columns, tile_columns = self.columns.inside(column)
        weight = np.outer(self.rows.window()[tile_rows], self.columns.window()[tile_columns])
        total[:, rows, columns] += weight * tile[:, tile_rows, tile_columns]

    def normalise(self, total: NDArray[np.float32]) -> NDArray[np.float32]:
        """Divide the finished sum ``(K, H, W)`` by the sum of weights, in place."""
        total /= self.rows.total_weight()[:, np.newaxis]
        total /= self.columns.total_weight()
        return total
