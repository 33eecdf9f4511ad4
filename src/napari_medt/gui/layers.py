"""Read image layers, and find where their labels lie."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from numpy.typing import NDArray

from napari_medt.engine.axes import Axes, guess_axes
from napari_medt.engine.formats.picture import (
    INVERTED,
    PATIENT,
    Patient,
    are_perpendicular,
    inverted,
)
from napari_medt.engine.mix import Channel, Mix
from napari_medt.engine.pyramid import MICROMETRE
from napari_medt.engine.source import Level, level_of, with_pixel_sizes
from napari_medt.errors import ImageError
from napari_medt.gui.outcome import Place

if TYPE_CHECKING:
    from napari_medt.engine.ellipse import Sides

LARGEST = 40_000_000  # pixels of a plane that is held in memory as a whole, with its mask


def finest(layer: Image | Labels) -> Any:
    """Return the array, perhaps a lazy one, of a layer at full resolution."""
    return layer.data[0] if layer.multiscale else layer.data


def image_data(layer: Image) -> Any:
    """Return the array, perhaps a lazy one, of a layer at full resolution.

    Raises
    ------
    ImageError
        If its planes are too large to read as a whole.
    """
    height, width = plane_shape(layer)
    if layer.multiscale and height * width > LARGEST:
        raise ImageError(
            f"The image has {height} x {width} pixels at full resolution, too many to segment at "
            "once: crop it first."
        )
    return finest(layer)


def shown_data(layer: Image) -> Any:
    """Return the array of a layer, inverted if its file says that low values are bright.

    Models learn from pictures as they are shown. See :func:`image_data` for errors.
    """
    data = image_data(layer)
    return inverted(data) if layer.metadata.get(INVERTED) else data


def is_slide(layer: Image) -> bool:
    """Whether a layer is a single plane that is too large to hold in memory."""
    *others, height, width = finest(layer).shape[: layer.ndim]
    return all(length == 1 for length in others) and height * width > LARGEST


def slide_levels(layer: Image) -> list[Level] | None:
    """Resolutions of an image that is too large to hold, the finest first; None for others.

    Raises
    ------
    ImageError
        If one of them is not a plane.
    """
    if not is_slide(layer):
        return None
    size, translation, unit = placement_of(layer)
    others = "tzabdefg"[: layer.ndim - 2]  # of length 1, under any names
    axes = f"{others}yxs" if layer.rgb else f"{others}yx"
    arrays = list(layer.data) if layer.multiscale else [layer.data]
    return with_pixel_sizes([level_of(array, axes) for array in arrays], size, unit, translation)


def placement_of(layer: Image) -> tuple[tuple[float, float], tuple[float, float], str]:
    """Height and width of a pixel and where the first one lies, in micrometres or without a unit.

    Files of labels cannot say how a layer is rotated, sheared or mirrored, so that is left out.
    """
    world, sides = to_world(layer), mm_per_pixel(layer)
    top, left = world[-3:-1, -1].tolist()
    if sides is None:
        height, width = np.linalg.norm(world[:-1, -3:-1], axis=0).tolist()
        return (height, width), (top, left), ""
    down, right = (1000 * mm_in(unit) for unit in layer.units[-2:])
    return (1000 * sides[0], 1000 * sides[1]), (top * down, left * right), MICROMETRE


def axes_of(layer: Image) -> Axes:
    """Guess what the axes of a layer are, from their names and lengths."""
    shape = tuple(finest(layer).shape[: layer.ndim])
    return guess_axes(shape, layer.axis_labels, channel_axis=None if layer.rgb else -1)


def mixed(layers: Sequence[Image]) -> Mix:
    """See layers that are channels of one image together, as napari shows them."""
    return Mix(
        [
            Channel(
                image_data(layer),
                (float(layer.contrast_limits[0]), float(layer.contrast_limits[1])),
                tuple(layer.colormap.map(np.array([1.0]))[0, :3].tolist()),
            )
            for layer in layers
        ]
    )


def layer_placement(image: Image, axes: Axes, place: Place | None = None) -> dict[str, Any]:
    """Return what a Labels layer needs to lie exactly on `image`, or on a part of it.

    See :meth:`Axes.aligned` for the axes of the labels; those of a part are rows and columns, the
    last axes of the image.
    """
    kept = [axis + image.ndim - len(axes.shape) for axis in label_axes(axes)]
    spans, middles = spread_of(axes, place)
    values: dict[str, Any] = {
        "scale": image.scale[kept] * spans,
        "translate": image.translate[kept] + image.scale[kept] * middles,
    }
    for name in ("units", "axis_labels"):
        values[name] = tuple(getattr(image, name)[axis] for axis in kept)
    if len(kept) == image.ndim and (spans == 1).all() and not middles.any():
        # napari would share the affine, and moving one layer would move the other.
        affine = image.affine.affine_matrix.copy()
        return values | {"rotate": image.rotate, "shear": image.shear, "affine": affine}
    # Rotation and shear of all axes cannot be said of some of them, but their effect can.
    own = np.eye(len(kept) + 1)
    own[:-1] = np.column_stack([np.diag(values["scale"]), values["translate"]])
    to_pixels = np.diag([*spans, 1.0])
    to_pixels[:-1, -1] = middles
    whole = [*kept, image.ndim]
    world = to_world(image)[np.ix_(whole, whole)] @ to_pixels
    return values | {"affine": world @ np.linalg.inv(own)}


def label_axes(axes: Axes) -> tuple[int, ...]:
    """The axes of an image that a layer of its labels has."""
    return axes.kept if axes.channels_within is None else tuple(range(len(axes.shape)))


def layer_index(part: tuple[Any, ...], chosen: NDArray, axes: Axes) -> tuple[NDArray, ...]:
    """Return the indices, in a layer, of the chosen pixels of a part of its labels.

    `chosen` is a mask ``(rows, columns)`` of the part. As from :func:`numpy.nonzero`, there is an
    array ``(pixels,)`` for every axis of the layer.
    """
    *frame, rows, columns = part
    pixels = np.nonzero(chosen)
    index = [np.full(len(pixels[0]), place) for place in frame]
    index += [at + (side.start or 0) for at, side in zip(pixels, (rows, columns), strict=True)]
    axis = axes.channels_within
    if axis is not None:
        index.insert(axis, np.zeros_like(index[0]))
    return tuple(index)


def spread_of(axes: Axes, place: Place | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How many pixels a label spans, and at which pixel the first one lies: ``(axes,)`` each.

    The axes are those of the layer. A label lies on the middle of the pixels that it spans.
    """
    count = len(label_axes(axes))
    spans, corner = np.ones(count), np.zeros(count)
    if place is not None:
        spans[-2:], corner[-2:] = place.step, place.corner
    axis = axes.channels_within
    if axis is not None:
        spans[axis] = axes.channels  # the one label is for all of them
    return spans, corner * spans + (spans - 1) / 2


def to_world(image: Image | Labels) -> NDArray[np.float64]:
    """Matrix ``(ndim + 1, ndim + 1)`` from an image's pixels to the world."""
    origin = np.array(image.data_to_world(np.zeros(image.ndim)))
    steps = [np.array(image.data_to_world(step)) - origin for step in np.eye(image.ndim)]
    matrix = np.eye(image.ndim + 1)
    matrix[:-1] = np.column_stack([*steps, origin])
    return matrix


def plane_shape(image: Image) -> tuple[int, int]:
    """Height and width of an image's planes in pixels, at full resolution."""
    height, width = finest(image).shape[image.ndim - 2 : image.ndim]
    return height, width


def mm_per_pixel(layer: Image | Labels) -> Sides | None:
    """Height and width of a pixel in millimetres; None if units are no length, or it is askew.

    A layer of a file may be upright, while its pixels are askew in the patient.
    """
    steps = to_world(layer)[:-1, -3:-1]  # to the next row and column, along the axes of the world
    height, width = (length_mm(step, layer.units) for step in steps.T)
    patient = layer.metadata.get(PATIENT)
    askew = not are_perpendicular(steps) or (patient and Patient.from_dict(patient).askew)
    return (height, width) if not askew and math.isfinite(height * width) else None


def length_mm(step: NDArray[np.float64], units: Sequence[Any]) -> float:
    """Length of a step in the world in millimetres; NaN if its units are no length, or several."""
    unit, *others = {unit for along, unit in zip(step, units, strict=True) if along}
    return math.nan if others else float(np.linalg.norm(step) * mm_in(unit))


def mm_in(unit: Any) -> float:
    """Millimetres in a unit of a layer; NaN if it is no length."""
    return float((1 * unit).to("mm").magnitude) if unit.is_compatible_with("mm") else math.nan
