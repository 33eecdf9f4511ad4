"""The one place that reads image layers and writes Labels layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels, Layer, Shapes
from napari.utils.events import Event
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal

from napari_medt.engine.axes import Axes, Frame, guess_axes
from napari_medt.engine.formats.picture import INVERTED, PATIENT, turned
from napari_medt.engine.mix import Channel, Mix
from napari_medt.engine.region import Region, Scope, box_region, outline_region
from napari_medt.engine.source import Level, level_of
from napari_medt.errors import ImageError
from napari_medt.gui.outcome import Outcome, Place, exchanged, merge

if TYPE_CHECKING:
    import napari

METADATA = "napari_medt"
SELECTING = ("select", "direct")  # modes of a Shapes layer in which shapes are selected

LARGEST = 40_000_000  # pixels of a plane that is still read, and its mask held, as a whole


def finest(layer: Image | Labels) -> Any:
    """Return the array, perhaps a lazy one, of a layer at full resolution."""
    return layer.data[0] if layer.multiscale else layer.data


def image_data(layer: Image) -> Any:
    """Return the array, perhaps a lazy one, of a layer at full resolution.

    Raises
    ------
    ImageError
        If the layer has a single axis, or its planes are too large to read as a whole.
    """
    if layer.ndim < 2:
        raise ImageError("The image has a single axis: an image of rows and columns is needed.")
    height, width = plane_shape(layer)
    if layer.multiscale and height * width > LARGEST:
        raise ImageError(
            f"The image has {height} x {width} pixels at full resolution, too many to segment at "
            "once: crop it first."
        )
    return finest(layer)


def shown_data(layer: Image) -> Any:
    """Return the array of a layer, turned round where its file says that low values are bright.

    Models learn from pictures as they are shown. See :func:`image_data`.
    """
    data = image_data(layer)
    return turned(data) if layer.metadata.get(INVERTED) else data


def is_slide(layer: Image) -> bool:
    """Whether a layer is a single plane that is too large to hold; other axes are 1 long."""
    *others, height, width = finest(layer).shape[: layer.ndim]
    return all(length == 1 for length in others) and height * width > LARGEST


def slide_levels(layer: Image) -> list[Level] | None:
    """Resolutions of an image that is too large to hold, the finest first; None for others.

    Raises
    ------
    ImageError
        If it has colours that are none.
    """
    if not is_slide(layer):
        return None
    size, width = mm_per_pixel(layer), plane_shape(layer)[1]
    others = "tzabdefg"[: layer.ndim - 2]  # of length 1, under any names
    axes = f"{others}yxs" if layer.rgb else f"{others}yx"
    arrays = list(layer.data) if layer.multiscale else [layer.data]
    sizes = [size and 1000 * size * width / array.shape[layer.ndim - 1] for array in arrays]
    return [level_of(a, axes, pixel_size=s) for a, s in zip(arrays, sizes, strict=True)]


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


def placement(image: Image, axes: Axes, place: Place | None = None) -> dict[str, Any]:
    """Return what a Labels layer needs to lie exactly on `image`, or on a part of it.

    See :func:`as_layer` for the axes of the labels; those of a part are rows and columns, the last
    axes of the image.
    """
    kept = [axis + image.ndim - len(axes.shape) for axis in layer_axes(axes)]
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


def channels_within(axes: Axes) -> int | None:
    """Return the axis of the channels if others lie before it.

    napari lines layers up by their last axes. Without that axis the ones before it would be taken
    for those behind them, so labels keep it, one channel long.
    """
    return axes.channel_axis or None


def layer_axes(axes: Axes) -> tuple[int, ...]:
    """The axes of an image that a layer of its labels has."""
    return axes.kept if channels_within(axes) is None else tuple(range(len(axes.shape)))


def as_layer(labels: NDArray[np.int32], axes: Axes) -> NDArray[np.int32]:
    """View labels, shaped as the axes less the channels, as a layer holds them."""
    axis = channels_within(axes)
    return labels if axis is None else np.expand_dims(labels, axis)


def layer_index(part: tuple[Any, ...], chosen: NDArray, axes: Axes) -> tuple[NDArray, ...]:
    """Say where the chosen pixels of a part of labels are in a layer of them."""
    *frame, rows, columns = part
    pixels = np.nonzero(chosen)
    index = [np.full(len(pixels[0]), place) for place in frame]
    index += [at + (side.start or 0) for at, side in zip(pixels, (rows, columns), strict=True)]
    axis = channels_within(axes)
    if axis is not None:
        index.insert(axis, np.zeros_like(index[0]))
    return tuple(index)


def spread_of(axes: Axes, place: Place | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How many pixels a label spans along the axes of its layer, and where the first one lies.

    A label lies on the middle of the pixels that it spans.
    """
    count = len(layer_axes(axes))
    spans, corner = np.ones(count), np.zeros(count)
    if place is not None:
        spans[-2:], corner[-2:] = place.step, place.corner
    axis = channels_within(axes)
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


def shapes_region(
    image: Image, viewer: napari.Viewer, axes: Axes | None = None, frame: Frame = ()
) -> Region:
    """Return the part of an image's planes inside shapes.

    The shapes are those of the selected Shapes layer, or of the top one that is seen: all of them,
    or the ones that were selected with its tools for that. With the axes of the image, only those
    on one of its planes.

    Raises
    ------
    ImageError
        If there are none, or they do not touch the image.
    """
    found = [layer for layer in viewer.layers if isinstance(layer, Shapes) and len(layer.data)]
    if not found:
        raise ImageError(
            "There are no shapes: add a Shapes layer, draw around what you want, and try again."
        )
    seen = [layer for layer in found if layer.visible] or found
    layer = ([layer for layer in seen if layer in viewer.layers.selection] or seen)[-1]
    # napari leaves the shape drawn last selected, though nobody selected it.
    selected = layer.selected_data if layer.mode in SELECTING else ()
    chosen = sorted(selected) or range(len(layer.data))
    outlines = []
    for index in chosen:
        vertices = outline(layer.data[index], layer.shape_type[index])
        world = np.array([layer.data_to_world(vertex) for vertex in vertices])
        points = np.tile(viewer.dims.point, (len(world), 1))  # for axes the shapes do not have
        points[:, -layer.ndim :] = world * units_of_viewer(layer, viewer)
        outlines.append(pixels_at(image, points, viewer))
    if axes is not None:
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
    """Vertices of a shape's outline; an ellipse is given by the corners of its box."""
    if kind != "ellipse":
        return vertices
    centre = vertices.mean(axis=0)
    first, second = (vertices[1] - vertices[0]) / 2, (vertices[2] - vertices[1]) / 2
    angle = np.linspace(0, 2 * np.pi, 96, endpoint=False)[:, np.newaxis]
    return centre + np.cos(angle) * first + np.sin(angle) * second


def plane_shape(image: Image) -> tuple[int, int]:
    """Height and width of an image's planes in pixels, at full resolution."""
    height, width = finest(image).shape[image.ndim - 2 : image.ndim]
    return height, width


def mm_per_pixel(layer: Image | Labels) -> float | None:
    """Side of a pixel in millimetres; None where units are no length or pixels not square."""
    steps = to_world(layer)[:-1, -3:-1]  # to the next row and column, along the axes of the world
    for along, unit in zip(steps, layer.units, strict=True):
        if along.any():
            along *= (1 * unit).to("mm").magnitude if unit.is_compatible_with("mm") else math.nan
    height, width = (float(side) for side in np.linalg.norm(steps, axis=0))
    equal = math.isclose(height, width, rel_tol=1e-3)
    upright = abs(steps[:, 0] @ steps[:, 1]) < 1e-3 * height * width
    return height if equal and upright else None


@dataclass(eq=False)
class Mask:
    """A Labels layer this plugin wrote.

    Attributes
    ----------
    layer : Labels
        The layer.
    image : Image or None
        What it is a mask of, while that is in the viewer with the same data.
    model : str
        Name or path of the model.
    outcome : Outcome
        What was last written into it.
    painted : bool
        Whether it is known that the layer was edited. It stays so: there may be something to undo
        or redo.
    """

    layer: Labels
    image: Image | None
    model: str
    outcome: Outcome
    painted: bool = False

    @property
    def labels(self) -> NDArray[np.int32]:
        """The labels as they are, less the axis that stands for the channels: a view."""
        data: NDArray[np.int32] = np.asarray(self.layer.data)
        axis = channels_within(self.outcome.scope.axes)
        return data if axis is None or data.ndim <= axis else data[(slice(None),) * axis + (0,)]

    @property
    def mm_per_pixel(self) -> float | None:
        """Side of a pixel in millimetres as the layer tells it now, unless its run was not told."""
        return None if self.outcome.place is not None else mm_per_pixel(self.layer)

    def is_edited(self) -> bool:
        """Whether the layer holds, or can redo, anything but what was written into it.

        Compares the data themselves: not every edit is announced by an event, and a brush stroke
        is announced only when it ends. That takes a while for a large stack.
        """
        if not self.painted and not np.array_equal(self.labels, self.outcome.written):
            self.become_painted()
        return self.painted

    def holds(self, outcome: Outcome) -> bool:
        """Whether the layer lies where the labels of another run belong, and can take them."""
        old, new, data = self.outcome, outcome, self.layer.data
        same_axes = old.scope.axes.roles == new.scope.axes.roles
        same_shape = old.written.shape == new.labels.shape
        writable = isinstance(data, np.ndarray) and data.dtype == new.labels.dtype
        return old.place == new.place and same_axes and same_shape and writable

    def become_painted(self) -> None:
        """Count as edited from now on; no slider needs the predictions then."""
        self.painted = True
        self.drop_predictions()

    def drop_predictions(self) -> None:
        """Free the memory of what the sliders start from."""
        self.outcome = replace(self.outcome, predictions={})

    def edited_within(self, scope: Scope) -> bool:
        """Whether what the layer holds within a scope is not what was written there."""
        data, written = self.labels, self.outcome.written
        return data.shape != written.shape or any(
            not np.array_equal(data[part], written[part]) for part in scope.parts()
        )


class Masks(QObject):
    """The masks in a viewer. Never writes into one that was edited.

    Parameters
    ----------
    viewer : napari.Viewer
        Where the layers are.
    parent : QObject
        Owner of this object.
    """

    changed = Signal()  # the user began to edit a mask, or removed one
    edited = Signal(object)  # the mask, perhaps after each of its edits

    def __init__(self, viewer: napari.Viewer, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._masks: list[Mask] = []
        viewer.layers.events.removed.connect(self._on_removed)

    def newest(self, image: Image | None, model: str | None) -> Mask | None:
        """Return the newest mask of `image` by `model`."""
        if image is None:
            return None
        found = [mask for mask in self._masks if mask.image is image and mask.model == model]
        return found[-1] if found else None

    def selected(self) -> Mask | None:
        """Return the mask whose layer is selected; None for other layers."""
        return self._of(self._viewer.layers.selection.active)

    def place(self, outcome: Outcome, image: Image, model: str) -> Mask:
        """Put the result of a run on its image, ready to paint.

        The newest mask of the same image and model is renewed if it was not edited. If it was, the
        result of a region or of single planes is laid into it as a step that can be undone, unless
        the edits are there. Otherwise, and where the axes are now other ones, there is a new layer.
        """
        mask = self.newest(image, model)
        if mask is None or not mask.holds(outcome):
            mask = self._add(outcome, image, model)
        elif not mask.is_edited():
            for name, value in placement(image, outcome.scope.axes, outcome.place).items():
                setattr(mask.layer, name, value)
            self._renew(mask, outcome)
        elif not outcome.scope.complete and not mask.edited_within(outcome.scope):
            self._lay_into(mask, outcome)
        else:
            mask = self._add(outcome, image, model)
        mask.layer.visible = True
        self._viewer.layers.selection.active = mask.layer
        return mask

    def _renew(self, mask: Mask, outcome: Outcome) -> None:
        """Exchange what a run was about in a mask that was not edited."""
        if outcome.scope.complete:
            self._write(mask, outcome)
            return
        labels, old = mask.labels, mask.outcome
        for part, values in exchanged(labels, outcome, old.highest):
            labels[part] = old.written[part] = values
        mask.outcome = merge(old, outcome, labels, old.highest)
        mask.layer.refresh()
        self._describe(mask)

    def _lay_into(self, mask: Mask, outcome: Outcome) -> None:
        """Exchange a part of an edited mask, in one step of its history."""
        mask.layer.visible = True  # of a hidden layer napari holds no view that it could update
        labels, old = mask.labels, mask.outcome
        highest = int(labels.max(initial=0))  # what was painted may have any number
        with mask.layer.block_history():
            for part, values in exchanged(labels, outcome, highest):
                changed = values != labels[part]
                where = layer_index(part, changed, outcome.scope.axes)
                mask.layer.data_setitem(where, values[changed])
                old.written[part] = values
        mask.outcome = replace(merge(old, outcome, labels, highest), predictions={})
        self._describe(mask)

    def rewrite(self, mask: Mask, base: Outcome, outcome: Outcome) -> bool:
        """Write the labels of `base` made with other settings, while the mask still holds those."""
        if mask not in self._masks or mask.outcome is not base or not base.adjustable:
            return False
        if mask.is_edited():
            return False
        self._write(mask, outcome)
        return True

    def let_go_of(self, image: Image) -> None:
        """Add no more to the masks of an image, which is gone or has other data."""
        for mask in self._masks:
            if mask.image is image:
                mask.image = None  # so that its pixels can be freed
                mask.drop_predictions()

    def _add(self, outcome: Outcome, image: Image, model: str) -> Mask:
        name = f"{image.name} - {outcome.card.name} mask"
        carried = {key: image.metadata[key] for key in (PATIENT,) if key in image.metadata}
        place = placement(image, outcome.scope.axes, outcome.place)
        labels = as_layer(outcome.labels, outcome.scope.axes)
        layer = Labels(labels, name=name, metadata=carried, **place)
        mask = Mask(layer, image, model, outcome)
        self._masks.append(mask)
        self._describe(mask)
        self._viewer.add_layer(layer)
        image.events.data.connect(self._on_other_image)
        layer.events.paint.connect(self._on_paint)
        layer.events.data.connect(self._on_data)
        layer.events.set_data.connect(self._on_drawn)  # all that tells of undo and redo
        return mask

    def _write(self, mask: Mask, outcome: Outcome) -> None:
        # A mask that was not edited has nothing to undo, so no step of its history goes stale.
        mask.outcome = outcome
        with mask.layer.events.data.blocker(self._on_data):  # which would look for edits
            mask.layer.data = as_layer(outcome.labels, outcome.scope.axes)
        self._describe(mask)

    def _describe(self, mask: Mask) -> None:
        outcome = mask.outcome
        mask.layer.metadata[METADATA] = dict(outcome.provenance)
        # What is painted next: one more object, or the first class.
        mask.layer.selected_label = outcome.highest + 1 if outcome.card.splits_objects else 1

    def _of(self, layer: Layer | None) -> Mask | None:
        return next((mask for mask in self._masks if mask.layer is layer), None)

    def _on_paint(self, event: Event) -> None:
        mask = self._of(event.source)
        if mask is None:
            return
        if not mask.painted:
            mask.become_painted()
            self.changed.emit()
        self.edited.emit(mask)

    def _on_data(self, event: Event) -> None:
        mask = self._of(event.source)
        if mask is not None and mask.is_edited():
            self.changed.emit()
            self.edited.emit(mask)

    def _on_drawn(self, event: Event) -> None:
        mask = self._of(event.source)
        if mask is not None and mask.painted:
            self.edited.emit(mask)

    def _on_other_image(self, event: Event) -> None:
        self.let_go_of(event.source)
        self.changed.emit()

    def _on_removed(self, event: Event) -> None:
        gone = event.value
        self.let_go_of(gone)
        self._masks = [mask for mask in self._masks if mask.layer is not gone]
        self.changed.emit()
