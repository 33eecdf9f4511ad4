"""What the user has in hand: a layer that is worked in, which a result must not take away."""

from __future__ import annotations

from napari.components import LayerList
from napari.layers import Layer
from napari.utils.events import Event

NO_TOOL = "pan_zoom"  # the mode of layers in which nothing is drawn


class Hand:
    """The layer in hand. A stroke, at any moment, would be for it.

    Parameters
    ----------
    layers : LayerList
        Those of the viewer.
    """

    def __init__(self, layers: LayerList) -> None:
        self._layers = layers
        self._watched: Layer | None = None  # in hand since a result is awaited
        self._idle_tool = ""  # the one it has had since, unused; empty once it is used

    @property
    def layer(self) -> Layer | None:
        """What is worked in; None if nothing is, or it may be put down."""
        active = self._layers.selection.active
        if active is None or active.mode == NO_TOOL:
            return None
        idle = active.mode == self._idle_tool and active is self._watched
        return None if idle else active

    def await_result(self) -> None:
        """Let what is in hand be put down for a result, unless it is used from now on."""
        self.stop_waiting()
        self._watched = self._layers.selection.active
        if self._watched is not None:
            self._idle_tool = str(self._watched.mode)
            # Each press: a polygon, of labels or of shapes, is announced only when it is closed.
            self._watched.mouse_drag_callbacks.append(self._on_press)

    def stop_waiting(self) -> None:
        """Let go of the layer that was in hand when a result was awaited."""
        if self._watched is not None:
            self._watched.mouse_drag_callbacks.remove(self._on_press)
            self._watched = None

    def on_removed(self, layer: Layer) -> None:
        """Let go of a layer that is gone from the viewer."""
        if layer is self._watched:
            self.stop_waiting()

    def _on_press(self, layer: Layer, event: Event) -> None:
        if layer.mode != NO_TOOL:  # nor is it while the space bar is held
            self._idle_tool = ""
