"""Number the objects of a slide when all its blocks are done."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from napari_medt.engine.block import Run
from napari_medt.engine.files import write_whole
from napari_medt.engine.labelfile import LabelFile
from napari_medt.engine.progress import IsCancelled
from napari_medt.engine.stitch import (
    PROVISIONAL,
    BlockGrid,
    Strips,
    local_numbers,
    matching_labels,
    number_objects,
    read_strips,
)
from napari_medt.errors import Cancelled


def number_blocks(run: Run, sizes: Sequence[NDArray[np.int64]], cancelled: IsCancelled) -> int:
    """Give the objects of all blocks their numbers; done again after a stop, it ends the same.

    Parameters
    ----------
    run : Run
        A run whose blocks are all done.
    sizes : sequence of array
        Pixels of each block's labels 1, 2, ...
    cancelled : callable
        Asked before every block; true stops the numbering.

    Returns
    -------
    int
        How many objects there are.

    Raises
    ------
    Cancelled
        If `cancelled` said so.
    """
    labels = LabelFile.open(run.folder)
    numbers = stitch(run, sizes, labels)
    for index, block_numbers in enumerate(numbers):
        if cancelled():
            raise Cancelled
        if len(block_numbers):
            write_numbers(run.grid, index, block_numbers, labels)
        labels.refresh(run.grid.area(index))
    return max((int(block.max(initial=0)) for block in numbers), default=0)


def stitch(
    run: Run, sizes: Sequence[NDArray[np.int64]], labels: LabelFile
) -> list[NDArray[np.uint32]]:
    """Number every block's labels; kept in a file, since the labels are overwritten."""
    path = run.state / "numbers.npz"
    starts = np.cumsum([0, *map(len, sizes)])
    if not path.exists():
        # Read one by one: those of all blocks together may not fit into memory.
        strips = (read_strips(run.record_path(index)) for index in range(len(run.grid)))
        pairs = find_pairs(run.grid, run.halo, starts, strips, labels)
        numbers = number_objects(np.concatenate(sizes), pairs, run.settings.min_size)
        # If there are numbers by now, they count: ours may follow from labels replaced meanwhile.
        if not path.exists():
            write_whole(path, lambda beside: np.savez(beside, numbers=numbers))
    with np.load(path) as values:
        return np.split(values["numbers"], starts[1:-1])


def find_pairs(
    grid: BlockGrid,
    halo: int,
    starts: NDArray[np.int64],
    strips: Iterable[Strips],
    labels: LabelFile,
) -> NDArray[np.int64]:
    """Find labels of different blocks that are the same object.

    Parameters
    ----------
    grid, halo
        The blocks, and how far they look around.
    starts : array of int
        Where the labels of each block begin, all of them counted through from 0.
    strips : iterable of Strips
        Those of each block in turn.
    labels : LabelFile
        What blocks have written.

    Returns
    -------
    array of int64
        ``(N, 2)``: pairs of labels, counted through.
    """
    pairs = [np.empty((0, 2), np.int64)]
    for index, kept in enumerate(strips):
        for strip, area, other in zip(
            kept, grid.strips(index, halo), grid.neighbours(index), strict=True
        ):
            if strip.any():
                written = local_numbers(labels.read(area), grid, other)
                pairs.append(matching_labels(strip, written) - 1 + [starts[index], starts[other]])
    return np.concatenate(pairs)


def write_numbers(
    grid: BlockGrid, index: int, numbers: NDArray[np.uint32], labels: LabelFile
) -> None:
    """Replace a block's provisional labels by their numbers; leave those that have theirs."""
    area = grid.area(index)
    written = labels.read(area)
    local = local_numbers(written, grid, index)
    final = np.concatenate([np.zeros(1, np.uint32), numbers])[local]
    labels.write(area, np.where(written >= PROVISIONAL, final, written))
