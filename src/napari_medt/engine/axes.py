"""Which axis of an image means what, and the planes that follow from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_medt.engine.formats.picture import COLOUR, Picture
from napari_medt.errors import ImageError

Role = Literal["position", "time", "slice", "channel", "row", "column"]
Frame = tuple[int, ...]
Values = TypeVar("Values", bound=np.generic)

ROLES: dict[str, Role] = {
    "position": "position",
    "t": "time",
    "time": "time",
    "z": "slice",
    "slice": "slice",
    "depth": "slice",
    "c": "channel",
    "ch": "channel",
    "channel": "channel",
    "y": "row",
    "row": "row",
    "x": "column",
    "column": "column",
}
MOST_CHANNELS = 5  # a longer axis without a name is not taken for channels
COLOURS = 3


@dataclass(frozen=True)
class Axes:
    """The axes of an image, its colour axis left out.

    Attributes
    ----------
    shape : tuple of int
        Length of each axis; the last two are rows and columns.
    roles : tuple of str
        What each axis is; at most one is ``"channel"``.
    """

    shape: tuple[int, ...]
    roles: tuple[Role, ...]

    @property
    def channel_axis(self) -> int | None:
        """The axis of the channels, if there is one."""
        return self.roles.index("channel") if "channel" in self.roles else None

    @property
    def channels(self) -> int:
        """How many channels there are."""
        return 1 if self.channel_axis is None else self.shape[self.channel_axis]

    @property
    def channels_within(self) -> int | None:
        """The axis of the channels if other axes come before it.

        napari aligns layers by their last axes. Without the channel axis, those before it would
        shift by one, so labels to be shown keep it with length 1.
        """
        return self.channel_axis or None

    @property
    def kept(self) -> tuple[int, ...]:
        """The axes that labels have: all but the channels."""
        return tuple(axis for axis in range(len(self.shape)) if axis != self.channel_axis)

    @property
    def stacked(self) -> tuple[int, ...]:
        """The axes along which planes lie: all but channels, rows and columns."""
        return self.kept[:-2]

    @property
    def labels_shape(self) -> tuple[int, ...]:
        """Shape of the labels."""
        return tuple(self.shape[axis] for axis in self.kept)

    def aligned(self, values: NDArray[Values]) -> NDArray[Values]:
        """View labels, or values shaped as them, so that napari shows them beside the image."""
        axis = self.channels_within
        return values if axis is None else np.expand_dims(values, axis)

    def frames(self) -> list[Frame]:
        """List the index of every plane along the stacked axes; one empty index for a plane."""
        return list(product(*(range(self.shape[axis]) for axis in self.stacked)))

    def frame_at(self, position: Sequence[float]) -> Frame:
        """Return the plane at a position given in pixels along all axes.

        Raises
        ------
        ImageError
            If there is no such plane.
        """
        frame = tuple(int(np.rint(position[axis])) for axis in self.stacked)
        if frame not in self.frames():
            raise ImageError(
                "The view lies beyond the planes of the image: move the slider to one of them, or "
                "choose all planes."
            )
        return frame

    def plane(self, data: Any, frame: Frame, channel: int | None) -> Any:
        """Take one plane out of an image.

        Parameters
        ----------
        data : array or array-like
            Shaped as these axes, perhaps with a colour axis behind.
        frame : tuple of int
            From :meth:`frames`.
        channel : int or None
            Which channel; None takes the first three as red, green and blue. Ignored if there are
            no channels.

        Returns
        -------
        array-like
            ``(H, W)``, or with colours ``(H, W, 3)``; a lazy one stays lazy.
        """
        index: list[Any] = [slice(None)] * len(self.shape)
        for axis, place in zip(self.stacked, frame, strict=True):
            index[axis] = place
        if self.channel_axis is None:
            return data[tuple(index)]
        if channel is not None:
            index[self.channel_axis] = channel
            return data[tuple(index)]
        planes = []
        for number in range(min(COLOURS, self.channels)):
            index[self.channel_axis] = number
            planes.append(np.asarray(data[tuple(index)]))
        planes += [np.zeros_like(planes[0])] * (COLOURS - len(planes))
        return np.stack(planes, axis=-1)

    def with_channels(self, axis: int | None) -> Axes:
        """Return the same axes with other channels, or with none; times and positions stay."""
        names = [
            role if role in ("time", "position") and index != axis else ""
            for index, role in enumerate(self.roles)
        ]
        return guess_axes(self.shape, names, channel_axis=axis)

    def describe(self, *, rgb: bool = False, channel: int | None = 0) -> str:
        """Say in words how the axes are understood and which channel is used."""
        height, width = self.shape[-2:]
        counts = [count(self.shape[axis], self.roles[axis]) for axis in self.stacked]
        text = f"{height} x {width}"
        if counts:
            text = f"{' x '.join(counts)} of {text}"
        if rgb:
            return f"{text}, in colour"
        if self.channel_axis is None:
            return text
        used = f"channel {channel + 1}" if channel is not None else "the first three as colours"
        return f"{text}, {count(self.channels, 'channel')}: using {used}"


def count(number: int, noun: str) -> str:
    """Say how many: ``"1 slice"``, ``"12 slices"``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def guess_axes(
    shape: Sequence[int], names: Sequence[str] = (), channel_axis: int | None = -1
) -> Axes:
    """Guess what the axes of an image are.

    Known names decide. If no axis has one, the shortest axis of 2 to `MOST_CHANNELS` is taken for
    the channels. The remaining axes become slices, times and positions, from right to left.

    Parameters
    ----------
    shape : sequence of int
        Two or more lengths, the colour axis left out.
    names : sequence of str
        The axes' names; those that are not in :data:`ROLES` are ignored.
    channel_axis : int or None
        The channels' axis where it is known, None for none; -1 leaves it to the guess.
    """
    leading = len(shape) - 2
    known = [ROLES.get(str(name).lower()) for name in names] or [None] * len(shape)
    roles: list[Role | None] = [
        role if role not in ("row", "column") else None for role in known[:leading]
    ]
    named = any(known)
    if channel_axis == -1:
        short = [
            axis
            for axis in range(leading)
            if roles[axis] is None and 1 < shape[axis] <= MOST_CHANNELS
        ]
        guess = min(short, key=lambda axis: (shape[axis], -axis), default=None)
        channel_axis = None if named else guess
    if channel_axis is not None:
        roles[channel_axis] = "channel"
    left: list[Role] = ["slice", "time", "position"]
    left = [role for role in left if role not in roles]
    for axis in reversed(range(leading)):
        if roles[axis] is None:
            roles[axis] = left.pop(0) if left else "position"
    return Axes(tuple(shape), (*(role or "position" for role in roles), "row", "column"))


def upright(picture: Picture) -> Picture:
    """Move rows and columns behind the other axes, as :class:`Axes` needs them.

    Raises
    ------
    ImageError
        If there are no rows or no columns.
    """
    placed = picture.axes.removesuffix(COLOUR)
    if not {"y", "x"} <= set(placed):
        raise ImageError("The image has a single axis: an image of rows and columns is needed.")
    order = sorted(range(len(placed)), key=lambda axis: "yx".find(placed[axis]))
    colour = range(len(placed), picture.array.ndim)  # the last axis, if there are colours
    return replace(
        picture,
        array=picture.array.transpose([*order, *colour]),
        axes="".join(picture.axes[axis] for axis in (*order, *colour)),
        scale=tuple(picture.scale[axis] for axis in order),
        translate=tuple(picture.translate[axis] for axis in order),
        units=tuple(picture.units[axis] for axis in order),
    )


def with_colours_apart(picture: Picture) -> Picture:
    """Turn the colours of an upright picture into channels, red first; alpha is dropped.

    A picture that already has channels is returned unchanged.
    """
    if not picture.rgb or "c" in picture.axes:
        return picture
    return replace(
        picture,
        array=np.moveaxis(picture.array[..., :COLOURS], -1, 0),
        axes="c" + picture.axes.removesuffix(COLOUR),
        scale=(1.0, *picture.scale),
        translate=(0.0, *picture.translate),
        units=("pixel", *picture.units),
    )


def axes_of(picture: Picture) -> Axes:
    """Guess what the axes of an upright picture are, as the widget does for a layer."""
    letters = picture.axes.removesuffix(COLOUR)
    # Rows and columns are always named, which would keep the others from being guessed.
    names = ["" if letter in "yx" else letter for letter in letters]
    channels = None if picture.rgb else -1
    return guess_axes(picture.array.shape[: len(letters)], names, channel_axis=channels)


def check_channel(channel: int, channels: int) -> None:
    """Refuse a channel, counted from 0, that an image does not have.

    Raises
    ------
    ImageError
        If there is no such channel.
    """
    if not 0 <= channel < channels:
        raise ImageError(f"The image has no channel {channel + 1}: choose one of {channels}.")
