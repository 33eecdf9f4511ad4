"""The run of an image that fits in memory: its result lands in a mask the user can edit."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from napari.utils.events import Event
from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import QApplication, QWidget

from napari_medt.gui.job import Job
from napari_medt.gui.layers import axes_of
from napari_medt.gui.loading import warm_up
from napari_medt.gui.mask import Mask
from napari_medt.gui.masks import masks_in
from napari_medt.gui.outcome import Outcome, landed_in_words, next_step
from napari_medt.gui.progress import RunProgress
from napari_medt.gui.request import Request, carry_out
from napari_medt.gui.run import Run
from napari_medt.network.config import Branches

if TYPE_CHECKING:
    import napari

MOUSE_WAIT = 100  # ms between looks whether the mouse is released


@dataclass(frozen=True, eq=False)
class Chosen:
    """What was chosen when the run began.

    Attributes
    ----------
    image : Image
        What is segmented.
    data : array or array-like
        Its data then, since the layer may get others.
    request : Request
        How it is segmented.
    mixed : frozenset
        Unique ids of the layers that are mixed with the image.
    selected : Mask or None
        The mask that was selected.
    """

    image: Image
    data: Any
    request: Request
    mixed: frozenset[Hashable]
    selected: Mask | None

    @property
    def image_changed(self) -> bool:
        """Whether the layer has other data now."""
        return self.image.data is not self.data


class MaskRun(Run):
    """Segments one image at a time and puts the result into a mask.

    Parameters
    ----------
    viewer : napari.Viewer
        Where the image and its mask are.
    progress : RunProgress
        Shows the run and can cancel it.
    parent : QWidget
        Owner of this object.
    """

    landed = Signal(str, object)  # what was found, as a sentence, and the mask that holds it

    def __init__(self, viewer: napari.Viewer, progress: RunProgress, parent: QWidget) -> None:
        super().__init__(progress, parent)
        self._layers, self._masks = viewer.layers, masks_in(viewer)
        self._chosen: Chosen | None = None
        self._outcome: Outcome | None = None  # once it is there
        self._speeds: dict[Branches, float] = {}  # tiles per second
        viewer.layers.events.removed.connect(self._on_layer_removed)
        warming = Job(warm_up)
        warming.succeeded.connect(self._speeds.update)
        warming.start()

    def start(self, image: Image, request: Request, mixed: frozenset[Hashable]) -> None:
        """Segment an image; `mixed` are the unique ids of the layers mixed with it."""
        self._chosen = Chosen(image, image.data, request, mixed, self._masks.selected())
        self._masks.tool.await_result()
        self._begin(
            partial(carry_out, request),
            promise="Everything stays as it was.",
            left="Cancelled.",
            tiles_per_second=self._speeds.get(request.branches, 0.0),
        )

    def _end(self) -> None:
        self._chosen = self._outcome = None
        self._masks.tool.stop_waiting()
        super()._end()

    def _on_layer_removed(self, event: Event) -> None:
        if self._chosen is not None and event.value is self._chosen.image:
            self._end()
            self.said.emit("The image was removed, so its result was dropped.")

    def _on_succeeded(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self._land()

    def _land(self) -> None:
        """Put the result in the viewer, once the user is not in the middle of a brush stroke."""
        chosen, outcome = self._chosen, self._outcome
        if chosen is None or outcome is None:  # the run ended while the mouse was pressed
            return
        if QApplication.mouseButtons() != Qt.MouseButton.NoButton:
            QTimer.singleShot(MOUSE_WAIT, self._land)
            return
        if axes_of(chosen.image).shape != chosen.request.scope.axes.shape:
            self._end()
            self.said.emit("The image now has another size, so the result was dropped.")
            return
        try:
            sentence, mask = self._place(outcome, chosen)
        finally:
            self._end()
        self.landed.emit(sentence, mask)

    def _place(self, outcome: Outcome, chosen: Chosen) -> tuple[str, Mask]:
        """Write the result into a mask, and say what was found."""
        image, model = chosen.image, chosen.request.model
        mask, why = self._masks.place(outcome, image, model, chosen.mixed, chosen.selected)
        advice = self._advice(chosen, mask, why) or next_step(outcome)
        if chosen.image_changed:
            self._masks.let_go_of(image)
        return f"{landed_in_words(outcome)} {advice}", mask

    def _advice(self, chosen: Chosen, mask: Mask, why: str) -> str:
        """What to know of where a mask has landed; `why` it is another layer, as `place` says."""
        if chosen.image_changed:
            return "The image has changed since: Segment makes a mask of it as it is now."
        if mask.layer is not self._layers.selection.active:
            where = f'The mask is in "{mask.layer.name}"'
            return f"{why} {where}, since you are at work in another layer.".lstrip()
        return why
