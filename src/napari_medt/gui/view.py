"""Which part of an image the viewer shows, and which lies inside shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Layer, Shapes
from numpy.typing import NDArray

from napari_medt.engine.axes import Axes, Frame
from napari_medt.engine.region import Region, box_region, outline_region
from napari_medt.errors import ImageError
from napari_medt.gui.layers import plane_shape

if TYPE_CHECKING:
    import napari

SELECTING = ("select", "direct")  # modes of a Shapes layer in which shapes are selected


def units_of_viewer(layer: Layer, viewer: napari.Viewer) -> NDArray[np.float64]:
    """How many of the viewer's units one unit of a layer is, along each axis of the layer.

    napari shows layers of several units in one of them, but places each by its own.
    """
    units = getattr(viewer.dims, "units", None)  # not in napari 0.6; None where units disagree
    if units is None:
        return np.ones(layer.ndim)
    pairs = zip(layer.units, units[-layer.ndim :], strict=True)
    return np.array([(1 * own).to(shown).magnitude for own, shown in pairs])


def pixels_at(image: Image, points: Any, viewer: napari.Viewer) -> NDArray[np.float64]:
    """Where points ``(N, axes of the viewer)`` lie in an image: ``(N, axes of the image)``."""
    own = np.asarray(points)[:, -image.ndim :] / units_of_viewer(image, viewer)
    return np.array([image.world_to_data(point) for point in own])


def shown_frame(image: Image, axes: Axes, viewer: napari.Viewer) -> Frame:
    """Return the plane of an image that the viewer shows.

    Raises
    ------
    ImageError
        If it shows none.
    """
    dims = viewer.dims
    if set(dims.displayed) != {dims.ndim - 2, dims.ndim - 1}:
        raise ImageError(
            "The view shows no plane of the image: switch to 2-D and to the usual order of axes, "
            "or choose all planes."
        )
    return axes.frame_at(pixels_at(image, [dims.point], viewer)[0])


def shown_channel(image: Image, axes: Axes, viewer: napari.Viewer) -> int | None:
    """Return the channel of an image that the viewer shows; None where that is not one."""
    axis, dims = axes.channel_axis, viewer.dims
    settled = len(axes.shape) == image.ndim <= dims.ndim  # not while the image gets other axes
    if axis is None or not settled or dims.ndim - image.ndim + axis in dims.displayed:
        return None
    place = int(np.rint(pixels_at(image, [dims.point], viewer)[0][axis]))
    return place if 0 <= place < axes.channels else None


def view_region(image: Image, viewer: napari.Viewer) -> Region:
    """Return the part of an image's planes that the window shows.

    Raises
    ------
    ImageError
        If it shows none, or not its rows and columns.
    """
    dims = viewer.dims
    if tuple(dims.displayed) != (dims.ndim - 2, dims.ndim - 1):
        raise ImageError(
            "The view does not show rows and columns as they are in the image: switch to 2-D and "
            "to the usual order of axes, or choose the whole image."
        )
    corners = window_corners(image, viewer)[:, image.ndim - 2 :]
    return box_region(corners.min(axis=0), corners.max(axis=0), plane_shape(image))


def window_corners(image: Image, viewer: napari.Viewer) -> NDArray[np.float64]:
    """Where the corners of the window lie in an image, in pixels: ``(corners, axes)``."""
    if not hasattr(viewer, "canvas"):  # before napari 0.9, which made the layer's corners coarse
        factor = image.downsample_factors[image.data_level] if image.multiscale else 1
        return np.asarray(image.corner_pixels * factor, float)
    camera, size = viewer.scene.camera, viewer.canvas.viewbox_size(viewer.layers)
    half = np.array(size) / (2 * camera.zoom)
    signs = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]])
    points = np.tile(viewer.dims.point, (4, 1))
    points[:, -2:] = np.array(camera.center)[-2:] + signs * half
    return pixels_at(image, points, viewer)


def shapes_region(image: Image, viewer: napari.Viewer, axes: Axes, frame: Frame | None) -> Region:
    """Return the part of an image's planes inside shapes.

    The shapes are those of the selected Shapes layer, or of the top one that is seen: all of them,
    or the ones that were selected with its tools for that. Of those, where there is a frame of the
    image's axes, only the ones that are on it.

    Raises
    ------
    ImageError
        If there are none or only lines, or they do not touch the image.
    """
    found = [layer for layer in viewer.layers if isinstance(layer, Shapes) and len(layer.data)]
    if not found:
        raise ImageError(
            "There are no shapes: add a Shapes layer, draw around what you want, and try again."
        )
    seen = [layer for layer in found if layer.visible] or found
    layer = ([layer for layer in seen if layer in viewer.layers.selection] or seen)[-1]
    # napari keeps the shape drawn last selected, though the user did not select it.
    selected = layer.selected_data if layer.mode in SELECTING else ()
    chosen = sorted(selected) or range(len(layer.data))
    chosen = [index for index in chosen if layer.shape_type[index] != "line"]
    if not chosen:
        raise ImageError(
            "The shapes are lines, which have no inside: draw around what you want with another "
            "tool."
        )
    outlines = []
    for index in chosen:
        vertices = outline(layer.data[index], layer.shape_type[index])
        world = np.array([layer.data_to_world(vertex) for vertex in vertices])
        points = np.tile(viewer.dims.point, (len(world), 1))  # for axes the shapes do not have
        points[:, -layer.ndim :] = world * units_of_viewer(layer, viewer)
        outlines.append(pixels_at(image, points, viewer))
    if frame is not None:
        outlines = [vertices for vertices in outlines if lies_on(vertices, axes, frame)]
    if not outlines:
        raise ImageError(
            "No shape lies on the plane that is shown: draw around what you want there, or choose "
            "all planes."
        )
    return outline_region([vertices[:, -2:] for vertices in outlines], plane_shape(image))


def lies_on(vertices: NDArray, axes: Axes, frame: Frame) -> bool:
    """Whether a shape, given in pixels along all axes, touches a plane, as napari shows it."""
    along = np.rint(vertices[:, list(axes.stacked)])
    return bool(((along.min(axis=0) <= frame) & (frame <= along.max(axis=0))).all())


def outline(vertices: NDArray, kind: str) -> NDArray:
    """Vertices ``(N, axes)`` of a shape's outline; an ellipse is given by its box's corners."""
    if kind != "ellipse":
        return vertices
    centre = vertices.mean(axis=0)
    first, second = (vertices[1] - vertices[0]) / 2, (vertices[2] - vertices[1]) / 2
    angle = np.linspace(0, 2 * np.pi, 96, endpoint=False)[:, np.newaxis]
    return centre + np.cos(angle) * first + np.sin(angle) * second
