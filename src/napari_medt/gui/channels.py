"""The menu of layers that can be segmented together with the image, as its other channels."""

from __future__ import annotations

import numpy as np
from napari.components import LayerList
from napari.layers import Image, Layer
from napari.utils.events import Event
from qtpy.QtCore import Signal
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QMenu, QToolButton

from napari_medt.gui.layers import to_world

# Events of a layer after which it may be another one in the list, or no longer lie on the image.
RELISTED = ("name", "scale", "translate", "rotate", "shear", "affine", "units")
ROUNDING = 0.1  # of a pixel


class ChannelMenu(QToolButton):
    """Offers the layers that lie exactly on the image; hidden where there are none.

    Parameters
    ----------
    layers : LayerList
        Those of the viewer.
    """

    changed = Signal()  # other layers are chosen

    def __init__(self, layers: LayerList) -> None:
        super().__init__()
        self._layers = layers
        self._image: Image | None = None
        self._menu = QMenu(self)
        self.setText("Add channels")
        self.setStyleSheet("QToolButton {padding-right: 14px}")  # else the arrow is on it
        self.setToolTip("Segment layers that are channels of one image together, as shown.")
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.setMenu(self._menu)
        for emitter in ("inserted", "removed"):
            getattr(layers.events, emitter).connect(self._on_layers)
        layers.events.connect(self._on_any)

    @property
    def chosen(self) -> list[Image]:
        """Layers to be mixed with the image."""
        return [action.data() for action in self._menu.actions() if action.isChecked()]

    def show_image(self, image: Image | None) -> None:
        """Offer the channels of a layer. None is chosen yet."""
        self._image = image
        self._offer([])

    def _on_layers(self) -> None:
        before = self.chosen
        self._offer(before)
        if self.chosen != before:
            self.changed.emit()

    def _on_any(self, event: Event) -> None:
        if event.type in RELISTED:
            self._on_layers()

    def _offer(self, chosen: list[Image]) -> None:
        menu, image = self._menu, self._image
        menu.clear()
        for layer in self._layers:
            if image is None or layer is image or not may_be_channel(layer, image):
                continue
            action = QAction(layer.name.replace("&", "&&"), menu)  # no mark of a key to press
            action.setCheckable(True)
            action.setData(layer)
            action.setChecked(layer in chosen)
            action.toggled.connect(self.changed)
            menu.addAction(action)
        self.setVisible(bool(menu.actions()))


def may_be_channel(layer: Layer, image: Image) -> bool:
    """Whether a layer may be another channel of an image."""
    if not isinstance(layer, Image) or any(one.rgb or one.multiscale for one in (layer, image)):
        return False
    same_shape = tuple(layer.data.shape) == tuple(image.data.shape)
    return same_shape and layer.units == image.units and coincide(layer, image)


def coincide(first: Image, second: Image) -> bool:
    """Whether the pixels of two layers of one shape lie on each other, but for rounding."""
    one, other = to_world(first)[:-1], to_world(second)[:-1]
    off = np.abs(one - other) @ (*first.data.shape, 1)  # at most, along the axes of the world
    return bool((off <= ROUNDING * np.abs(one[:, :-1]).sum(axis=1)).all())
