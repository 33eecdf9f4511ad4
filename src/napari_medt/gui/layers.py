"""The one place that reads image layers and writes Labels layers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from napari.utils.events import Event
from qtpy.QtCore import QObject, Signal

from napari_medt.errors import ImageError
from napari_medt.gui.run import Outcome

if TYPE_CHECKING:
    import napari

METADATA = "napari_medt"

# What puts a layer in its place. For colour images napari leaves the channel axis out of these.
PLACEMENT = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")

LARGEST_PYRAMID = 64_000_000  # pixels at full resolution that are still read as a whole


def plane_of(layer: Image) -> Any:
    """Return the array, perhaps a lazy one, of a layer that can be segmented.

    Raises
    ------
    ImageError
        If the layer is not a single plane, or a pyramid too large to read as a whole.
    """
    if layer.ndim != 2:
        raise ImageError(
            f"The image has {layer.ndim} dimensions and only single planes can be segmented: "
            "right-click the layer, choose Split Stack, and select one plane."
        )
    data = layer.data[0] if layer.multiscale else layer.data
    height, width = data.shape[:2]
    if layer.multiscale and height * width > LARGEST_PYRAMID:
        raise ImageError(
            f"The image has {height} x {width} pixels at full resolution, too many to segment at "
            "once: crop it first."
        )
    return data


def placement(image: Image) -> dict[str, Any]:
    """Return what a Labels layer needs to lie exactly on `image`."""
    values = {name: getattr(image, name) for name in PLACEMENT}
    # napari would share the object, and moving one layer would move the other.
    return {**values, "affine": image.affine.affine_matrix.copy()}


@dataclass(eq=False)
class Mask:
    """A Labels layer this plugin wrote.

    Attributes
    ----------
    layer : Labels
        The layer.
    image : Image or None
        What it is a mask of, while that is in the viewer.
    model : str
        Name or path of the model.
    outcome : Outcome
        The run it comes from.
    written : bytes
        Digest of the labels as they were last written.
    painted : bool
        Whether the layer was edited in a way that leaves something to undo or redo.
    """

    layer: Labels
    image: Image | None
    model: str
    outcome: Outcome
    written: bytes
    painted: bool = False

    @property
    def edited(self) -> bool:
        """Whether the layer holds, or can redo, anything but what was written into it.

        Compares the data themselves: not every edit is announced by an event, and a brush stroke
        is announced only when it ends.
        """
        return self.painted or digest(self.layer.data) != self.written


class Masks(QObject):
    """The masks in a viewer. Never writes into one that was edited.

    Parameters
    ----------
    viewer : napari.Viewer
        Where the layers are.
    parent : QObject
        Owner of this object.
    """

    changed = Signal()  # the user edited or removed a mask

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

    def place(self, outcome: Outcome, image: Image, model: str) -> Mask:
        """Put the result of a run on its image, ready to paint.

        The newest mask of the same image and model is renewed if it was not edited; otherwise
        there is a new layer.
        """
        mask = self.newest(image, model)
        if mask is None or mask.edited:
            mask = self._add(outcome, image, model)
        else:
            for name, value in placement(image).items():
                setattr(mask.layer, name, value)
            self._write(mask, outcome)
        self._viewer.layers.selection.active = mask.layer
        return mask

    def rewrite(self, mask: Mask, outcome: Outcome) -> bool:
        """Write labels made with other settings, unless the mask was edited or removed."""
        if mask not in self._masks or mask.edited:
            return False
        self._write(mask, outcome)
        return True

    def _add(self, outcome: Outcome, image: Image, model: str) -> Mask:
        name = f"{image.name} - {outcome.card.name} mask"
        layer = Labels(outcome.labels, name=name, **placement(image))
        mask = Mask(layer, image, model, outcome, digest(outcome.labels))
        self._masks.append(mask)
        self._describe(mask)
        self._viewer.add_layer(layer)
        layer.events.paint.connect(self._on_paint)
        layer.events.data.connect(self._on_data)
        return mask

    def _write(self, mask: Mask, outcome: Outcome) -> None:
        # A mask that was not edited has nothing to undo, so no step of its history goes stale.
        mask.outcome = outcome
        mask.written = digest(outcome.labels)
        mask.layer.data = outcome.labels
        self._describe(mask)

    def _describe(self, mask: Mask) -> None:
        outcome = mask.outcome
        mask.layer.metadata[METADATA] = dict(outcome.provenance)
        # What is painted next: one more object, or the first class.
        new = int(outcome.labels.max()) + 1 if outcome.card.splits_objects else 1
        mask.layer.selected_label = new

    def _of(self, layer: Labels) -> Mask | None:
        return next((mask for mask in self._masks if mask.layer is layer), None)

    def _on_paint(self, event: Event) -> None:
        mask = self._of(event.source)
        if mask is not None and not mask.painted:
            mask.painted = True
            self.changed.emit()

    def _on_data(self, event: Event) -> None:
        mask = self._of(event.source)
        if mask is not None and mask.edited:
            self.changed.emit()

    def _on_removed(self, event: Event) -> None:
        gone = event.value
        for mask in self._masks:
            if mask.image is gone:
                mask.image = None  # so that its pixels can be freed
        self._masks = [mask for mask in self._masks if mask.layer is not gone]
        self.changed.emit()


def digest(labels: Any) -> bytes:
    """Fingerprint of the values, type and shape of labels."""
    labels = np.ascontiguousarray(labels)
    head = f"{labels.dtype.str}{labels.shape}".encode()
    return hashlib.blake2b(labels.data, key=hashlib.blake2b(head).digest()).digest()
