"""A part of an image of any size, read and predicted without the rest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from napari_medt.engine.overview import look_over
from napari_medt.engine.progress import IsCancelled, Progress, never, silent
from napari_medt.engine.segment import (
    Prediction,
    check_branches,
    check_tiled,
    predict_box,
    with_fallback,
)
from napari_medt.engine.source import Level, Prepared
from napari_medt.engine.tiles import Area, size_of
from napari_medt.errors import ImageError
from napari_medt.models.store import Model
from napari_medt.network.config import Branches

MAX_PIXELS = 40_000_000  # pixels of a part: its probabilities and labels are held in memory


@dataclass(frozen=True, eq=False)
class Part:
    """What was predicted of a part.

    Attributes
    ----------
    prediction : Prediction
        At the resolution that fits the model.
    level : int
        That resolution.
    corner : tuple of int
        Where the part begins there, in pixels.
    step : float
        How many pixels of the finest resolution one of its pixels spans.
    """

    prediction: Prediction
    level: int
    corner: tuple[int, int]
    step: float


def predict_part(
    levels: Sequence[Level],
    area: Area,
    model: Model,
    branches: Branches = "both",
    *,
    device: str = "auto",
    progress: Progress = silent,
    cancelled: IsCancelled = never,
) -> Part:
    """Predict class probabilities of a part: those of the whole image there, up to rounding.

    Parameters
    ----------
    levels : sequence of Level
        The image's resolutions, the finest first.
    area : tuple of slice
        Rows and columns of the finest resolution.
    model : Model
        A model that sees images in tiles.
    branches, device, progress, cancelled
        See :func:`napari_medt.segment`.

    Returns
    -------
    Part
        Probabilities ``(classes, h, w)`` in pixels of the resolution that the network saw, with the
        place of that resolution and of the part in the image.

    Raises
    ------
    ImageError
        If the image cannot be segmented, or the part is too large.
    ModelError
        If the model looks at whole images, does not have the branch, or gives no numbers.
    DeviceError
        If the device is not there.
    Cancelled
        If `cancelled` said so.
    """
    check_branches(branches, model)
    check_tiled(model)
    overview = look_over(levels, model, branches, device=device)
    plane = Prepared(levels[overview.level], model.card.input, overview.limits)
    step = levels[0].width / plane.width
    rows, columns = (
        coarser(side, step, length)
        for side, length in zip(area, (plane.height, plane.width), strict=True)
    )
    size = size_of((rows, columns))
    if size[0] * size[1] > MAX_PIXELS:
        raise ImageError(
            f"This part of the image has {size[0]} x {size[1]} pixels, too many to correct by "
            "hand: zoom in, or segment the whole image into a file."
        )
    run = partial(
        predict_box,
        plane,
        (rows, columns),
        model,
        branches,
        overview.magnification,
        progress=progress,
        cancelled=cancelled,
    )
    found = with_fallback(run, device)
    return Part(found, overview.level, (rows.start, columns.start), step)


def coarser(side: slice, step: float, length: int) -> slice:
    """Find the pixels of a coarser resolution that cover those of the finest; at least one.

    Its `length` may have been rounded down: what lies beyond it is left to the last pixel.
    """
    first = min(int(side.start / step), length - 1)
    return slice(first, min(math.ceil(side.stop / step), length))
