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
regions. An area of the image is made from exactly those tiles that touch it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Area = tuple[slice, slice]  # rows and columns of an image, with start and stop


def size_of(area: Area) -> tuple[int, int]:
    """Height and width of an area."""
    rows, columns = area
    return rows.stop - rows.start, columns.stop - columns.start


def pieces(part: slice, size: int) -> list[slice]:
    """Cut a part of an axis into pieces of a size; the last one may be shorter."""
    starts = range(part.start, part.stop, size)
    return [slice(start, min(start + size, part.stop)) for start in starts]


def widened(area: Area, halo: int, height: int, width: int) -> Area:
    """Return an area with what lies around it, inside an image of `height` x `width` pixels."""
    rows, columns = (
        slice(max(0, side.start - halo), min(length, side.stop + halo))
        for side, length in zip(area, (height, width), strict=True)
    )
    return rows, columns


def within(area: Area, outer: Area) -> Area:
    """Return where an area lies in one that holds it."""
    rows, columns = (
        slice(side.start - around.start, side.stop - around.start)
        for side, around in zip(area, outer, strict=True)
    )
    return rows, columns


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

    @property
    def whole(self) -> slice:
        """All pixels of the image."""
        return slice(0, self.length)

    def inside(self, index: int, area: slice) -> tuple[slice, slice]:
        """The part of a tile inside an area: as a slice of the area, and of the tile.

        Parameters
        ----------
        index : int
            Which tile; it touches the area.
        area : slice
            Pixels of the image.
        """
        start = self.start(index)
        first, last = max(area.start, start), min(area.stop, start + self.size)
        return slice(first - area.start, last - area.start), slice(first - start, last - start)

    def touching(self, area: slice) -> range:
        """Tiles that show pixels of an area."""
        first = (area.start - self.start(0) - self.size) // self.stride + 1
        last = -((self.start(0) - area.stop) // self.stride)
        return range(max(0, first), min(self.count, last))

    def seen(self, area: slice) -> slice:
        """Pixels of the image that the tiles touching an area show, from first to last."""
        tiles = self.touching(area)
        ends = [self.source(index) for index in tiles]
        return slice(min(int(end.min()) for end in ends), max(int(end.max()) for end in ends) + 1)

    def window(self) -> NDArray[np.float32]:
        """Blending weight of each pixel of a tile: one inside, squared-sine ramps at the ends.

        The ramps of neighbours add up to one as long as tiles overlap by at most half.
        """
        distance = np.minimum(np.arange(self.size), np.arange(self.size)[::-1])
        phase = np.clip((distance + 0.5) / max(self.overlap, 0.5), 0, 1)
        return np.sin(0.5 * np.pi * phase).astype(np.float32) ** 2

    def total_weight(self, area: slice) -> NDArray[np.float32]:
        """Sum over all tiles of their windows at each pixel of an area."""
        total = np.zeros(area.stop - area.start, np.float32)
        window = self.window()
        for index in self.touching(area):
            inside, tile = self.inside(index, area)
            total[inside] += window[tile]
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

    @property
    def whole(self) -> Area:
        """The whole image as an area."""
        return self.rows.whole, self.columns.whole

    def touching(self, area: Area) -> list[int]:
        """Tiles that show pixels of an area, in order."""
        rows, columns = self.rows.touching(area[0]), self.columns.touching(area[1])
        return [row * self.columns.count + column for row in rows for column in columns]

    def seen(self, area: Area) -> Area:
        """The part of the image that the tiles touching an area show."""
        return self.rows.seen(area[0]), self.columns.seen(area[1])

    def cut(self, image: NDArray, index: int, corner: tuple[int, int] = (0, 0)) -> NDArray:
        """Take a tile out of an image, or out of the part of it that begins at `corner`.

        Parameters
        ----------
        image : array
            ``(H, W, C)``.
        index : int
            Which tile, row by row.
        corner : tuple of int
            Where `image` begins in the whole image.

        Returns
        -------
        array
            ``(size, size, C)``.
        """
        row, column = divmod(index, self.columns.count)
        rows, columns = self.rows.source(row), self.columns.source(column)
        return image[np.ix_(rows - corner[0], columns - corner[1])]

    def add(
        self, total: NDArray[np.float32], index: int, tile: NDArray[np.float32], area: Area
    ) -> None:
        """Add a weighted tile to an area's running sum, in place.

        Parameters
        ----------
        total : array of float32
            ``(K, h, w)``.
        index : int
            Which tile, row by row; it touches the area.
        tile : array of float32
            ``(K, size, size)``.
        area : tuple of slice
            Rows and columns of the image.
        """
        row, column = divmod(index, self.columns.count)
        rows, tile_rows = self.rows.inside(row, area[0])
        columns, tile_columns = self.columns.inside(column, area[1])
        weight = np.outer(self.rows.window()[tile_rows], self.columns.window()[tile_columns])
        total[:, rows, columns] += weight * tile[:, tile_rows, tile_columns]

    def normalise(self, total: NDArray[np.float32], area: Area) -> NDArray[np.float32]:
        """Divide an area's finished sum ``(K, h, w)`` by the sum of weights, in place."""
        total /= self.rows.total_weight(area[0])[:, np.newaxis]
        total /= self.columns.total_weight(area[1])
        return total
