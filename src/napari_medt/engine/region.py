"""The part of an image that is segmented: which planes, and which region of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medt.engine.axes import Axes, Frame
from napari_medt.engine.tiles import size_of
from napari_medt.errors import ImageError

MAX_PIXELS = 100_000_000  # in the bounding box of shapes, whose mask is held in memory


@dataclass(frozen=True, eq=False)
class Region:
    """A part of a plane: a box of pixels, and perhaps a shape within it.

    Attributes
    ----------
    rows, columns : slice
        The box, within the plane and not empty.
    inside : array of bool, optional
        ``(rows, columns)`` of the box: its pixels that belong to the region; None for all.
    """

    rows: slice
    columns: slice
    inside: NDArray[np.bool_] | None = None

    @property
    def box(self) -> tuple[slice, slice]:
        """Index of the box in a plane."""
        return self.rows, self.columns

    def clear_outside(self, labels: NDArray[np.int32]) -> NDArray[np.int32]:
        """Set labels ``(rows, columns)`` of the box to 0 outside the region."""
        return labels if self.inside is None else np.where(self.inside, labels, 0)


@dataclass(frozen=True, eq=False)
class Scope:
    """The part of an image that is segmented: planes, channel, region.

    Attributes
    ----------
    axes : Axes
        What the image's axes are.
    frames : tuple of Frame
        Which planes.
    channel : int or None
        Which channel; None for the first three as colours.
    region : Region, optional
        Which part of every plane; by default all.
    """

    axes: Axes
    frames: tuple[Frame, ...]
    channel: int | None = 0
    region: Region | None = None

    @classmethod
    def everything(cls, axes: Axes, channel: int | None = 0) -> Scope:
        """All planes, as a whole."""
        return cls(axes, tuple(axes.frames()), channel)

    @property
    def all_planes(self) -> bool:
        """Whether no plane of the image is left out."""
        return len(self.frames) == len(self.axes.frames())

    @property
    def complete(self) -> bool:
        """Whether nothing of the image is left out."""
        return self.region is None and self.all_planes

    @property
    def inside(self) -> NDArray[np.bool_] | None:
        """Which pixels of every part ``(rows, columns)`` are segmented; None for all."""
        return None if self.region is None else self.region.inside

    def parts(self) -> list[tuple[Any, ...]]:
        """Index of every part of the labels that is segmented: a box in each plane."""
        box = (slice(None), slice(None)) if self.region is None else self.region.box
        return [(*frame, *box) for frame in self.frames]


def box_region(low: NDArray, high: NDArray, shape: tuple[int, int]) -> Region:
    """Return the part of a plane between two corners.

    Parameters
    ----------
    low, high : array
        ``(2,)``: row and column, in pixels.
    shape : tuple of int
        Height and width of the plane.

    Returns
    -------
    Region
        All pixels that the part touches; each extends half a pixel around its centre.

    Raises
    ------
    ImageError
        If no pixel of the plane lies between them.
    """
    first = np.clip(np.floor(np.asarray(low) + 0.5), 0, shape).astype(int)
    last = np.clip(np.ceil(np.asarray(high) + 0.5), 0, shape).astype(int)
    if (first >= last).any():
        raise ImageError("The region does not touch the image: move it, or choose the whole image.")
    rows, columns = zip(first.tolist(), last.tolist(), strict=True)  # plain, for provenance as JSON
    return Region(slice(*rows), slice(*columns))


def outline_region(outlines: Sequence[NDArray], shape: tuple[int, int]) -> Region:
    """Return the region inside one or more outlines.

    Parameters
    ----------
    outlines : sequence of array
        Each ``(N, 2)``: rows and columns of vertices, in pixels.
    shape : tuple of int
        Height and width of the plane.

    Returns
    -------
    Region
        The pixels inside, or on, any of the outlines.

    Raises
    ------
    ImageError
        If no pixel of the plane lies inside, or the outlines span too many.
    """
    touch = "The shapes do not touch the image: draw them on it."
    vertices = np.concatenate(outlines)
    try:
        box = box_region(vertices.min(axis=0), vertices.max(axis=0), shape)
    except ImageError:
        raise ImageError(touch) from None
    corner, size = (box.rows.start, box.columns.start), size_of(box.box)
    if size[0] * size[1] > MAX_PIXELS:
        raise ImageError(
            f"The shapes span {size[0]} x {size[1]} pixels, too many to segment at once: draw them "
            "smaller or closer together."
        )
    inside = np.zeros(size, bool)
    for outline in outlines:
        fill(outline - corner, inside)
    if not inside.any():
        raise ImageError(touch)
    return Region(box.rows, box.columns, inside)


def fill(outline: NDArray, inside: NDArray[np.bool_]) -> None:
    """Set the pixels ``(rows, columns)`` inside an outline, and those on it, to True."""
    first = np.clip(np.floor(outline.min(axis=0)), 0, inside.shape).astype(int)
    last = np.clip(np.floor(outline.max(axis=0)) + 1, 0, inside.shape).astype(int)
    part = inside[first[0] : last[0], first[1] : last[1]]
    if part.size:
        part |= filled(outline - first, part.shape)


def filled(outline: NDArray, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return what lies inside an outline or on it, row by row.

    A pixel is inside if an odd number of edges lies left of it. scikit-image asks that for every
    pixel and edge, which takes seconds for a freehand outline.
    """
    height, width = shape
    passed = np.zeros((height, width + 1), bool)  # the first pixels right of an odd number of edges
    on: list[tuple[NDArray, ...]] = []
    for ends in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        (top, left), (bottom, right) = sorted(map(tuple, ends))
        rows = np.arange(max(np.ceil(top), 0), min(np.floor(bottom) + 1, height)).astype(int)
        if top == bottom:
            columns = np.arange(max(np.ceil(left), 0), min(np.floor(right) + 1, width)).astype(int)
            on.append(np.ix_(rows, columns))
            continue
        # Rounded, since many edges pass right through pixels.
        edge = np.round(left + (rows - top) * ((right - left) / (bottom - top)), 9)
        columns = np.clip(np.ceil(edge), 0, width).astype(int)
        above = rows < bottom  # where two edges meet, one of them counts
        passed[rows[above], columns[above]] ^= True
        exact = (columns == edge) & (columns < width)
        on.append((rows[exact], columns[exact]))
    inside = np.logical_xor.accumulate(passed, axis=1)[:, :width]
    for pixels in on:
        inside[pixels] = True
    return inside
