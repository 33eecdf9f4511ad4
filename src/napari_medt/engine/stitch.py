"""Join the parts of objects that blocks have cut, and number all objects.

Blocks are labelled one by one, each with a halo of what lies around it::

    +-----------+-----------+        A block numbers its own pixels. What its labels look like in
    |   block   |  right    |        the halo of the right and the lower neighbour is kept as two
    |       ####|##strip    |        strips. Where a neighbour has written its own labels, strips
    |       ####|##         |        are compared with them: two labels that agree on most of the
    +-----------+-----------+        pixels there are the same object.
    |  strip below
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from napari_medt.engine.tiles import Area, widened, within

Strips = tuple[NDArray[np.uint32], NDArray[np.uint32]]  # of one block: right, below

AGREEMENT = 0.5  # intersection over union from which two labels in a strip are one object
PROVISIONAL = 2**31  # labels from here on are not stitched yet


@dataclass(frozen=True)
class BlockGrid:
    """Blocks of an image, fixed to its size: the last ones of a row or column may be smaller.

    Attributes
    ----------
    height, width : int
        Of the image.
    size : int
        Side of a block in pixels.
    """

    height: int
    width: int
    size: int

    @property
    def columns(self) -> int:
        """How many blocks lie side by side."""
        return -(-self.width // self.size)

    def __len__(self) -> int:
        """Count the blocks."""
        return -(-self.height // self.size) * self.columns

    def area(self, index: int, halo: int = 0) -> Area:
        """Rows and columns of a block, with what lies around it inside the image."""
        top, left = (self.size * place for place in divmod(index, self.columns))
        block = slice(top, top + self.size), slice(left, left + self.size)
        return widened(block, halo, self.height, self.width)

    def strips(self, index: int, halo: int) -> tuple[Area, Area]:
        """Where the halo of a block lies in its right and in its lower neighbour; may be empty."""
        rows, columns = self.area(index)
        tall, wide = self.area(index, min(halo, self.size))  # not what lies behind the neighbours
        return (rows, slice(columns.stop, wide.stop)), (slice(rows.stop, tall.stop), columns)

    def neighbours(self, index: int) -> tuple[int, int]:
        """The right and the lower neighbour of a block, if there are any there."""
        return index + 1, index + self.columns


@dataclass(frozen=True, eq=False)
class BlockRecord:
    """What is kept of a labelled block until all are stitched.

    Attributes
    ----------
    sizes : array of int64
        Pixels in the block of its labels 1, 2, ...
    right, below : array of uint32
        Its labels in the strips of :meth:`BlockGrid.strips`.
    tiles, blank : int
        Tiles that touch the block and its halo, and how many of them were blank.
    """

    sizes: NDArray[np.int64]
    right: NDArray[np.uint32]
    below: NDArray[np.uint32]
    tiles: int = 0
    blank: int = 0

    def save(self, path: Path) -> None:
        """Write the record as an NPZ file."""
        with path.open("wb") as file:
            np.savez_compressed(
                file,
                sizes=self.sizes,
                right=self.right,
                below=self.below,
                counts=np.array([self.tiles, self.blank]),
            )


def read_counts(path: Path) -> tuple[NDArray[np.int64], int, int]:
    """Read sizes, tiles and blank ones of a record; not its strips, which are far larger."""
    with np.load(path) as values:
        tiles, blank = values["counts"].tolist()
        return values["sizes"], tiles, blank


def read_strips(path: Path) -> Strips:
    """Read the right and the lower strip of a record."""
    with np.load(path) as values:
        return values["right"], values["below"]


def split_block(
    labels: NDArray[np.int32], grid: BlockGrid, index: int, halo: int
) -> tuple[NDArray[np.uint32], BlockRecord]:
    """Part the labels of a block and its halo into what is written and what is kept.

    Parameters
    ----------
    labels : array of int32
        Labels of ``grid.area(index, halo)``.

    Returns
    -------
    array of uint32
        ``(h, w)`` of the block, numbered 1, 2, ... without gaps.
    BlockRecord
        Sizes and strips by the same numbers.
    """
    seen = grid.area(index, halo)
    own = cut_block(labels, grid, index, halo)
    counts = np.bincount(own.ravel(), minlength=int(labels.max(initial=0)) + 1)
    counts[0] = 0
    numbers = np.where(counts > 0, np.cumsum(counts > 0), 0).astype(np.uint32)
    right, below = (numbers[labels[within(strip, seen)]] for strip in grid.strips(index, halo))
    return numbers[own], BlockRecord(counts[counts > 0], right, below)


def cut_block(
    labels: NDArray[np.int32], grid: BlockGrid, index: int, halo: int
) -> NDArray[np.int32]:
    """Take a block out of what was made of it and its halo."""
    return labels[within(grid.area(index), grid.area(index, halo))]


def provisional(grid: BlockGrid, index: int) -> tuple[int, int]:
    """First number that a block's labels have until they are stitched, and how many there are."""
    most = PROVISIONAL // len(grid)
    return PROVISIONAL + index * most, most


def local_numbers(written: NDArray[np.uint32], grid: BlockGrid, index: int) -> NDArray[np.uint32]:
    """Turn provisional labels back into a block's own 1, 2, ...; what is not provisional is 0."""
    first = np.uint32(provisional(grid, index)[0] - 1)
    return np.where(written > first, written - first, np.uint32(0))


def matching_labels(strip: NDArray[np.integer], written: NDArray[np.integer]) -> NDArray[np.int64]:
    """Pairs ``(N, 2)`` of labels that agree: one of a strip, and one written by the neighbour."""
    both = (strip > 0) & (written > 0)
    if not both.any():
        return np.empty((0, 2), np.int64)
    pairs = np.stack([strip[both], written[both]], axis=1).astype(np.int64)
    found, shared = np.unique(pairs, axis=0, return_counts=True)
    sizes = [
        dict(zip(*np.unique(side, return_counts=True), strict=True)) for side in (strip, written)
    ]
    union = [sizes[0][a] + sizes[1][b] for a, b in found] - shared
    return found[shared >= AGREEMENT * union]


def number_objects(
    sizes: NDArray[np.int64], pairs: NDArray[np.int64], min_size: int
) -> NDArray[np.uint32]:
    """Give every object its number.

    Parameters
    ----------
    sizes : array of int
        ``(M,)``: pixels of all labels of all blocks.
    pairs : array of int
        ``(N, 2)``: places in `sizes` of labels that are the same object.
    min_size : int
        Objects of fewer pixels get number 0.

    Returns
    -------
    array of uint32
        ``(M,)``: the number of the object that each label is of, 1, 2, ... without gaps.
    """
    if not len(sizes):
        return np.empty(0, np.uint32)
    links = coo_array((np.ones(len(pairs), bool), tuple(pairs.T)), shape=(len(sizes),) * 2)
    _, whole = connected_components(links, directed=False)
    kept = np.bincount(whole, weights=sizes) >= min_size
    return np.where(kept, np.cumsum(kept), 0).astype(np.uint32)[whole]
