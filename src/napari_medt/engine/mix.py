"""Layers that are channels of one image, seen together in their colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Channel:
    """One channel of a mixed image.

    Attributes
    ----------
    data : array-like
        The values; all channels have the same shape.
    limits : tuple of float
        Values shown as black and as full colour.
    colour : tuple of float
        Red, green and blue of full colour, in [0, 1].
    """

    data: Any
    limits: tuple[float, float]
    colour: tuple[float, float, float]


class Mix:
    """An image that adds channels up in their colours; read where it is indexed.

    Parameters
    ----------
    channels : sequence of Channel
        At least one.
    """

    def __init__(self, channels: Sequence[Channel]) -> None:
        self.channels = list(channels)
        self.shape = (*self.channels[0].data.shape, 3)

    def __getitem__(self, index: Any) -> NDArray[np.float32]:
        """Mix a part of the image: ``(..., 3)`` in [0, 1]. The colour axis is not indexed."""
        mixed: Any = 0.0
        for channel in self.channels:
            low, high = channel.limits
            values = np.asarray(channel.data[index], np.float32)
            values = np.clip((values - low) / max(high - low, 1e-12), 0, 1)
            mixed = mixed + values[..., np.newaxis] * np.asarray(channel.colour, np.float32)
        return np.clip(mixed, 0, 1)
