"""An image too large to hold, read part by part: one plane, at one or more resolutions."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medt.engine.axes import Axes, Frame, check_channel
from napari_medt.engine.formats.picture import SAMPLES
from napari_medt.engine.image import Limits, check_finite, prepare, sample_step
from napari_medt.engine.tiles import Area, pieces
from napari_medt.errors import ImageError, UserError
from napari_medt.models.card import InputRule

READ_SIZE = 2048  # rows and columns read at a time where the whole image is needed
STRIP_ROWS = 256  # rows turned into floats at a time
FINGERPRINT_WINDOWS = 4  # per side, whose pixels go into a fingerprint


@contextmanager
def reading() -> Iterator[None]:
    """Turn any error from reading pixels of a damaged or vanished file into a sentence."""
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception as error:  # readers raise whatever their format makes them
        raise ImageError(
            "A part of the image cannot be read, so its file is damaged or gone: copy or export it "
            "again."
        ) from error


def read_plane(axes: Axes, data: Any, frame: Frame, channel: int | None) -> NDArray:
    """Read one plane of an image, perhaps a lazy one, as :meth:`Axes.plane` takes it.

    Raises
    ------
    ImageError
        If it cannot be read.
    """
    with reading():
        return np.asarray(axes.plane(data, frame, channel))


@dataclass(frozen=True, eq=False)
class Level:
    """One resolution of a plane.

    Attributes
    ----------
    array : array-like
        Anything that is sliced like a NumPy array: NumPy, Dask, Zarr.
    axes : str
        A letter for each of its axes: ``y`` and ``x``, ``c`` for channels, ``s`` for the samples of
        a colour, and others, which must have length 1.
    pixel_size : tuple of float
        Height and width of a pixel.
    translation : tuple of float
        Where the middle of the first pixel lies, down and to the right.
    unit : str
        Unit of `pixel_size` and `translation`: ``micrometer``, or empty if it is not known.
    channel : int, optional
        Which channel; None where there are none, or they are colours.
    """

    array: Any
    axes: str
    pixel_size: tuple[float, float] = (1.0, 1.0)
    translation: tuple[float, float] = (0.0, 0.0)
    unit: str = ""
    channel: int | None = None

    @property
    def height(self) -> int:
        """Pixels from top to bottom."""
        return int(self.array.shape[self.axes.index("y")])

    @property
    def width(self) -> int:
        """Pixels from left to right."""
        return int(self.array.shape[self.axes.index("x")])

    def read(self, area: Area) -> NDArray:
        """Read rows and columns: ``(h, w)``, or ``(h, w, 3|4)`` for colour.

        Raises
        ------
        ImageError
            If they cannot be read.
        """
        index = {"y": area[0], "x": area[1], "c": self.channel, "s": slice(None)}
        with reading():
            part = np.asarray(self.array[tuple(index.get(axis, 0) for axis in self.axes)])
        left = [axis for axis in self.axes if axis in "yxs"]
        return part.transpose([left.index(axis) for axis in "yxs" if axis in left])

    def sample(self) -> NDArray:
        """Take every n-th row and column, as :func:`napari_medt.engine.image.sample` does.

        Returns
        -------
        array
            ``(h, w)``, or ``(h, w, 3|4)`` for colour.
        """
        step = sample_step(self.height, self.width)
        band = READ_SIZE // step * step or step
        return np.concatenate(
            [
                np.concatenate(
                    [
                        self.read((rows, columns))[::step, ::step]
                        for columns in pieces(slice(0, self.width), band)
                    ],
                    axis=1,
                )
                for rows in pieces(slice(0, self.height), band)
            ]
        )

    def fingerprint(self) -> str:
        """Hash the size, the type and some windows of the pixels, to tell images apart."""
        sha = hashlib.sha256(f"{self.height} {self.width} {self.array.dtype}".encode())
        count = FINGERPRINT_WINDOWS
        for row in range(count):
            for column in range(count):
                top, left = row * self.height // count, column * self.width // count
                sha.update(self.read((slice(top, top + 16), slice(left, left + 16))).tobytes())
        return sha.hexdigest()


def level_of(array: Any, axes: str = "", *, channel: int | None = None) -> Level:
    """Take an array for a plane whose pixel size is not known.

    Parameters
    ----------
    array : array-like
        See :class:`Level`.
    axes : str
        See :class:`Level`; by default ``yx``, or ``yxs`` where there are three axes.
    channel : int, optional
        Which channel, or which colour; by default the first channel, but three or four of 8 bits
        are taken for colours.

    Raises
    ------
    ImageError
        If it is empty or more than one plane, or there is no such channel.
    """
    axes = axes or "yxs"[: len(array.shape)]
    if len(axes) != len(array.shape):
        raise ImageError(f"The image has {len(array.shape)} axes: save one plane of it.")
    if channel is None and "s" not in axes and array.dtype == np.uint8:
        axes = "".join(
            "s" if axis == "c" and length in SAMPLES else axis
            for axis, length in zip(axes, array.shape, strict=True)
        )
    if channel is not None and "c" not in axes:
        axes = axes.replace("s", "c")
    lengths = dict(zip(axes, array.shape, strict=True))
    if not {"y", "x"} <= lengths.keys() or len(lengths) != len(axes):
        raise ImageError("The image has no rows and columns that are named: convert it first.")
    if not lengths["y"] * lengths["x"]:
        raise ImageError(f"The image is {lengths['y']} x {lengths['x']} pixels: it is empty.")
    extra = {axis: length for axis, length in lengths.items() if axis not in "yxcs" and length > 1}
    if extra:
        names = " and ".join(f"{length} along {axis}" for axis, length in extra.items())
        raise ImageError(f"The image has more than one plane ({names}): save one plane of it.")
    check_channel(channel or 0, lengths.get("c", 1))
    return Level(array, axes, channel=(channel or 0) if "c" in axes else None)


def with_pixel_sizes(
    levels: Sequence[Level],
    size: tuple[float, float],
    unit: str,
    translation: tuple[float, float] = (0.0, 0.0),
) -> list[Level]:
    """Give levels, the finest first, their pixel sizes and their place.

    All cover the same area, so a coarser level, whose first pixel is larger, has its middle further
    inside: by half the difference of the sizes.

    Parameters
    ----------
    levels : sequence of Level
        At least one; all show the same.
    size : tuple of float
        Height and width of a pixel of the finest.
    unit : str
        See :class:`Level`.
    translation : tuple of float
        Of the finest.
    """
    finest, placed = levels[0], []
    for level in levels:
        height = size[0] * finest.height / level.height
        width = size[1] * finest.width / level.width
        first = translation[0] + (height - size[0]) / 2, translation[1] + (width - size[1]) / 2
        placed.append(replace(level, pixel_size=(height, width), translation=first, unit=unit))
    return placed


@dataclass(frozen=True, eq=False)
class Prepared:
    """A plane as the network's input, made part by part.

    Attributes
    ----------
    level : Level
        Where pixels come from.
    rule : InputRule
        The model's channels and intensity rule.
    limits : tuple of float
        Of the whole image.
    """

    level: Level
    rule: InputRule
    limits: Limits

    @property
    def height(self) -> int:
        """Pixels from top to bottom."""
        return self.level.height

    @property
    def width(self) -> int:
        """Pixels from left to right."""
        return self.level.width

    def read(self, area: Area) -> NDArray[np.float32]:
        """Read rows and columns: ``(h, w, C)`` in [0, 1].

        Raises
        ------
        ImageError
            If they contain NaN or infinite values.
        """
        raw = self.level.read(area)
        check_finite(raw)
        if raw.ndim == 3:
            raw = raw[..., :3]
        plane = np.empty((*raw.shape[:2], self.rule.count), np.float32)
        for rows in pieces(slice(0, len(raw)), STRIP_ROWS):  # to save memory
            plane[rows] = prepare(raw[rows], self.rule, self.limits)
        return plane
