"""The masks of a viewer. The one place that writes Labels layers, and never over edits."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from napari.components import LayerList
from napari.layers import Image, Labels, Layer
from napari.utils.events import Event
from qtpy.QtCore import QObject, Signal

from napari_medt.engine.formats.picture import PATIENT
from napari_medt.gui.layers import layer_index, layer_placement
from napari_medt.gui.mask import Laid, Mask, write_inside
from napari_medt.gui.outcome import Outcome, exchanged, merge
from napari_medt.gui.tool import NO_TOOL, ActiveTool

if TYPE_CHECKING:
    import napari

SCALING = ("scale", "units", "affine", "rotate", "shear")  # events of a layer
METADATA = "napari_medt"  # of a mask's layer: how its labels were made
UNDONE = "What you have undone in your mask can be redone, so the result is in another layer."


class Masks(QObject):
    """The masks in a viewer. Never writes into one that was edited.

    Parameters
    ----------
    layers : LayerList
        Those of the viewer, which itself is not held: see :func:`masks_in`.
    """

    rewritten = Signal(object)  # the mask, made again with other settings
    changed = Signal()  # the user began to edit a mask, or removed one
    edited = Signal(object)  # the mask, perhaps at every edit, or when its scale changes

    def __init__(self, layers: LayerList) -> None:
        super().__init__()
        self._layers = layers
        self._masks: list[Mask] = []
        self.tool = ActiveTool(layers)
        layers.events.removed.connect(self._on_removed)

    def newest(self, image: Image | None, model: str | None) -> Mask | None:
        """Return the newest mask of `image` by `model`."""
        found = self._all_of(image, model)
        return found[-1] if found else None

    def _all_of(self, image: Image | None, model: str | None) -> list[Mask]:
        if image is None:
            return []
        return [mask for mask in self._masks if mask.image is image and mask.model == model]

    def selected(self) -> Mask | None:
        """Return the mask whose layer is selected; None for other layers."""
        return self._of(self._layers.selection.active)

    def others_selected(self) -> bool:
        """Whether the selected labels are not a mask: a copy, from a file, or the user's own."""
        selected = isinstance(self._layers.selection.active, Labels)
        return selected and self.selected() is None

    def place(
        self,
        outcome: Outcome,
        image: Image,
        model: str,
        mixed: frozenset[Hashable] = frozenset(),
        preferred: Mask | None = None,
    ) -> tuple[Mask, str]:
        """Put the result of a run on its image, and select it unless the user works elsewhere.

        A mask of the same image, channel and model is renewed if it was not edited: the preferred
        one, or else the newest. If it was, the result of a region or of single planes is laid into
        it as a step that can be undone, unless the edits are there, or some that were undone can be
        redone, or its labels leave no numbers for more. Otherwise there is a new layer.

        Parameters
        ----------
        outcome : Outcome
            The result.
        image : Image
            What was segmented.
        model : str
            Name or path of the model.
        mixed : frozenset, optional
            Unique ids of the layers that were mixed with the image.
        preferred : Mask, optional
            The one that was selected when the user asked for the result.

        Returns
        -------
        mask : Mask
            What holds the result.
        why : str
            Why it is not the one that was selected, where that is not plain.
        """
        why = ""
        for mask in self._takers(outcome, image, model, mixed, preferred):
            if not mask.is_edited():
                self._renew(mask, outcome, image)
                break
            mask.accept_undo()
            if outcome.scope.complete or mask.edited_within(outcome.scope):
                continue
            if not mask.has_numbers_for(outcome):
                continue
            if not mask.can_redo_edits():
                self._lay_into(mask, outcome)
                break
            why = UNDONE  # another step would make napari forget what was undone
        else:
            mask = self._add(outcome, image, model, mixed)
        show(mask.layer)
        selection = self._layers.selection
        if mask.layer is not selection.active and self.tool.layer is None:
            mask.layer.mode = NO_TOOL  # not the tool that was last used in it
            selection.active = mask.layer
        self.tool.stop_waiting()
        return mask, why

    def _takers(
        self,
        outcome: Outcome,
        image: Image,
        model: str,
        mixed: frozenset[Hashable],
        preferred: Mask | None,
    ) -> list[Mask]:
        """Return the masks that a result may be for: the preferred one, then the newest."""
        found = [mask for mask in self._all_of(image, model) if mask.holds(outcome, mixed)]
        first = [mask for mask in found if mask is preferred]
        return first + [mask for mask in found[-1:] if mask is not preferred]

    def _renew(self, mask: Mask, outcome: Outcome, image: Image) -> None:
        """Replace what a run segmented, in a mask that was not edited."""
        for name, value in layer_placement(image, outcome.scope.axes, outcome.place).items():
            setattr(mask.layer, name, value)
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
        """Replace a part of an edited mask, as one step of its history."""
        show(mask.layer)  # napari cannot update the view of a hidden layer
        labels, old = mask.labels, mask.outcome
        highest = mask.highest  # users can paint any number
        before, inside = [], outcome.scope.inside
        with one_step(mask.layer) as step:
            for part, values in exchanged(labels, outcome, highest):
                before.append((part, labels[part].copy()))
                changed = values != labels[part]
                where = layer_index(part, changed, outcome.scope.axes)
                mask.layer.data_setitem(where, values[changed])
                write_inside(old.written[part], values, inside)  # what is around it may be painted
        mask.remember(Laid(before, inside, step))
        mask.outcome = replace(merge(old, outcome, labels, highest), predictions={})
        self._describe(mask)

    def rewrite(self, mask: Mask, base: Outcome, outcome: Outcome) -> None:
        """Write labels made from `base` with other settings, if the mask still holds `base`."""
        if mask not in self._masks or mask.outcome is not base or not base.adjustable:
            return
        if mask.is_edited():
            return
        self._write(mask, outcome)
        self.rewritten.emit(mask)

    def let_go_of(self, image: Image) -> None:
        """Add no more to the masks of an image that is gone or has other data."""
        for mask in self._masks:
            if mask.image is image:
                mask.image = None  # so that its pixels can be freed
                mask.drop_predictions()

    def _add(self, outcome: Outcome, image: Image, model: str, mixed: frozenset[Hashable]) -> Mask:
        name = f"{image.name} - {outcome.card.name} mask"
        carried = {key: image.metadata[key] for key in (PATIENT,) if key in image.metadata}
        place = layer_placement(image, outcome.scope.axes, outcome.place)
        labels = outcome.scope.axes.aligned(outcome.labels)
        layer = Labels(labels, name=name, metadata=carried, **place)
        mask = Mask(layer, image, model, outcome, mixed)
        self._masks.append(mask)
        self._describe(mask)
        self._show_new(layer)
        image.events.data.connect(self._on_other_image)
        layer.events.paint.connect(self._on_paint)
        layer.events.data.connect(self._on_data)
        layer.events.set_data.connect(self._on_drawn)  # the only event of undo and redo
        for name in SCALING:
            layer.events[name].connect(self._on_scaled)
        return mask

    def _show_new(self, layer: Labels) -> None:
        """Add a layer, and select it unless the user works in another one."""
        selection, at_work = self._layers.selection, self.tool.layer
        if at_work is None:
            self._layers.append(layer)
            return
        with selection.events.active.blocker():  # or choices would follow what napari selects
            self._layers.append(layer)
            selection.active = at_work

    def _write(self, mask: Mask, outcome: Outcome) -> None:
        # A mask that was not edited has nothing to undo, so no step of its history goes stale.
        mask.outcome = outcome
        with mask.layer.events.data.blocker(self._on_data):  # which would look for edits
            mask.layer.data = outcome.scope.axes.aligned(outcome.labels)
        self._describe(mask)

    def _describe(self, mask: Mask) -> None:
        outcome = mask.outcome
        mask.layer.metadata[METADATA] = dict(outcome.provenance)
        # Unless the user has chosen a label to paint with, or to be shown alone.
        if not (mask.painted or mask.layer.show_selected_label):
            # To be painted next: one more object, or the first class.
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

    def _on_scaled(self, event: Event) -> None:
        mask = self._of(event.source)
        if mask is not None and mask.measured:
            self.edited.emit(mask)

    def _on_other_image(self, event: Event) -> None:
        self.let_go_of(event.source)
        self.changed.emit()

    def _on_removed(self, event: Event) -> None:
        gone = event.value
        self.let_go_of(gone)
        self.tool.on_removed(gone)
        self._masks = [mask for mask in self._masks if mask.layer is not gone]
        self.changed.emit()


_of_viewers: WeakKeyDictionary[napari.Viewer, Masks] = WeakKeyDictionary()


def masks_in(viewer: napari.Viewer) -> Masks:
    """Return the masks of a viewer: the same object for every widget in it."""
    if viewer not in _of_viewers:
        _of_viewers[viewer] = Masks(viewer.layers)
    return _of_viewers[viewer]


def show(layer: Labels) -> None:
    """Make a layer visible. Setting that again would make napari change its tool."""
    if not layer.visible:
        layer.visible = True


@contextmanager
def one_step(layer: Labels) -> Iterator[list[Any]]:
    """Make edits one step of a layer's history, and collect its changes in a list."""
    step: list[Any] = []

    def keep(event: Event) -> None:
        step.extend(event.value)

    layer.events.paint.connect(keep)
    try:
        with layer.block_history():
            yield step
    finally:
        layer.events.paint.disconnect(keep)
