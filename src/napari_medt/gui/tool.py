"""The layer whose tool is active. A result must not take it from the user in mid-work."""

from __future__ import annotations

from napari.components import LayerList
from napari.layers import Layer
from napari.utils.events import Event

NO_TOOL = "pan_zoom"  # the mode of layers in which nothing is drawn


class ActiveTool:
    """The layer the user is working in: the next brush stroke would go to it.

    Parameters
    ----------
    layers : LayerList
        Those of the viewer.
    """

    def __init__(self, layers: LayerList) -> None:
        self._layers = layers
        self._watched: Layer | None = None  # selected when the awaited result was asked for
        self._unused_mode = ""  # its mode then; empty once the tool is used

    @property
    def layer(self) -> Layer | None:
        """The layer at work; None if there is none, or a result may take its place."""
        active = self._layers.selection.active
        if active is None or active.mode == NO_TOOL:
            return None
        unused = active.mode == self._unused_mode and active is self._watched
        return None if unused else active

    def await_result(self) -> None:
        """Let a result take over from the selected layer, unless its tool is used from now on."""
        self.stop_waiting()
        self._watched = self._layers.selection.active
        if self._watched is not None:
            self._unused_mode = str(self._watched.mode)
            # Each press: a polygon, of labels or of shapes, is announced only when it is closed.
            self._watched.mouse_drag_callbacks.append(self._on_press)

    def stop_waiting(self) -> None:
        """Stop watching the layer that was selected when a result was asked for."""
        if self._watched is not None:
            self._watched.mouse_drag_callbacks.remove(self._on_press)
            self._watched = None

    def on_removed(self, layer: Layer) -> None:
        """Stop watching a layer that was removed from the viewer."""
        if layer is self._watched:
            self.stop_waiting()

    def _on_press(self, layer: Layer, event: Event) -> None:
        if layer.mode != NO_TOOL:  # as it also is while the space bar is held
            self._unused_mode = ""
