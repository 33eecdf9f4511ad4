"""The one place that writes Labels layers, and never over what was edited."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from napari.components import LayerList
from napari.layers import Image, Labels, Layer
from napari.utils.events import Event
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal

from napari_medt.engine.formats.picture import PATIENT
from napari_medt.engine.region import Scope
from napari_medt.gui.hand import NO_TOOL, Hand
from napari_medt.gui.layers import (
    as_layer,
    channels_within,
    layer_index,
    layer_placement,
    mm_per_pixel,
)
from napari_medt.gui.outcome import EARLIER, Outcome, exchanged, merge, offset_after

if TYPE_CHECKING:
    import napari

    from napari_medt.engine.ellipse import Sides

SCALING = ("scale", "units", "affine", "rotate", "shear")  # events of a layer
METADATA = "napari_medt"  # of a mask's layer: how its labels were made
STEPS = 100  # that napari keeps of a layer's history
KEPT_BYTES = 1 << 28  # of what was there before results were laid in, for each mask
UNDONE = "What you have undone in your mask can be redone, so the result is in another layer."


@dataclass(frozen=True, eq=False)
class Laid:
    """What was laid into an edited mask.

    Attributes
    ----------
    before : list
        Every part of the labels that it was laid into, and what that held before.
    inside : array of bool or None
        ``(rows, columns)``: the pixels of every part that it was laid into; None for all.
    step : list
        The changes, as napari keeps them for undo.
    """

    before: list[tuple[tuple[Any, ...], NDArray[np.int32]]]
    inside: NDArray[np.bool_] | None
    step: list[Any]

    @property
    def size(self) -> int:
        """Bytes of what was there before."""
        return sum(values.nbytes for _, values in self.before)


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
    mixed : frozenset
        Unique ids of the layers that were mixed with the image.
    painted : bool
        Whether it is known that the layer was edited. It stays so: there may be something to undo
        or redo.
    laid : deque of Laid
        What was laid into it: as many steps as napari keeps, unless they are very large.
    asked : tuple
        Threshold and minimum size that the sliders last asked for.
    """

    layer: Labels
    image: Image | None
    model: str
    outcome: Outcome
    mixed: frozenset[Hashable] = frozenset()
    painted: bool = False
    laid: deque[Laid] = field(default_factory=lambda: deque(maxlen=STEPS))
    asked: tuple[float, int] = (0.0, 0)

    @property
    def labels(self) -> NDArray[np.int32]:
        """The labels as they are, less the axis that stands for the channels: a view."""
        data: NDArray[np.int32] = np.asarray(self.layer.data)
        axis = channels_within(self.outcome.scope.axes)
        return data if axis is None or data.ndim <= axis else data[(slice(None),) * axis + (0,)]

    @property
    def mm_per_pixel(self) -> Sides | None:
        """Sides of a pixel in millimetres as the layer tells now, unless its run was not told."""
        return None if self.outcome.place is not None else mm_per_pixel(self.layer)

    @property
    def words(self) -> str:
        """What it holds, as its run found it; empty where that has to be counted again."""
        told = self.outcome
        rescaled = self.measured and self.mm_per_pixel != told.mm_per_pixel
        return "" if self.painted or rescaled or EARLIER in told.provenance else told.words

    @property
    def measured(self) -> bool:
        """Whether a length is told of it, which depends on how the layer is scaled."""
        return bool(self.outcome.card.report)

    def is_edited(self) -> bool:
        """Whether the layer holds, or can redo, anything but what was written into it.

        Compares the data themselves: not every edit is announced by an event, and a brush stroke
        is announced only when it ends. That takes a while for a large stack.
        """
        if not self.painted and not np.array_equal(self.labels, self.outcome.written):
            self.become_painted()
        return self.painted

    def holds(self, outcome: Outcome, mixed: frozenset[Hashable]) -> bool:
        """Whether the labels of another run tell of the same pixels, and the layer can take them.

        `mixed` are the layers that were mixed for it.
        """
        old, new, data = self.outcome, outcome, self.layer.data
        same_axes = old.scope.axes.roles == new.scope.axes.roles
        same_channel = old.scope.channel == new.scope.channel and self.mixed == mixed
        same_shape = old.written.shape == new.labels.shape
        writable = isinstance(data, np.ndarray) and data.dtype == new.labels.dtype
        return old.place == new.place and same_axes and same_channel and same_shape and writable

    @property
    def highest(self) -> int:
        """No label in the layer is larger, nor the one that is painted next."""
        return max(int(self.labels.max(initial=0)), self.layer.selected_label)

    def has_numbers_for(self, outcome: Outcome) -> bool:
        """Whether the objects of another run can be numbered after those that are there."""
        last = offset_after(self.highest, outcome) + outcome.highest
        return last <= np.iinfo(outcome.labels.dtype).max

    def become_painted(self) -> None:
        """Count as edited from now on; no slider needs the predictions then."""
        self.painted = True
        self.drop_predictions()

    def drop_predictions(self) -> None:
        """Free the memory of what the sliders start from."""
        self.outcome = replace(self.outcome, predictions={})

    def edited_within(self, scope: Scope) -> bool:
        """Whether what the layer holds within a scope is not what was written there."""
        data, written, inside = self.labels, self.outcome.written, scope.inside
        return data.shape != written.shape or any(
            not equal_inside(data[part], written[part], inside) for part in scope.parts()
        )

    def remember(self, laid: Laid) -> None:
        """Remember what was laid in, and forget the oldest where that takes much memory."""
        self.laid.append(laid)
        while sum(one.size for one in self.laid) > KEPT_BYTES:
            self.laid.popleft()

    def accept_undo(self) -> None:
        """Count what was laid in as never written where it was undone, so as no edit."""
        if self.labels.shape != self.outcome.written.shape:
            return
        for laid in self.laid:
            for part, before in laid.before:
                if equal_inside(self.labels[part], before, laid.inside):
                    write_inside(self.outcome.written[part], before, laid.inside)

    def can_redo_edits(self) -> bool:
        """Whether there is more to redo than what was laid in."""
        own = {id(change) for laid in self.laid for change in laid.step}
        return any(id(change) not in own for change in undone(self.layer))


class Masks(QObject):
    """The masks in a viewer. Never writes into one that was edited.

    Parameters
    ----------
    layers : LayerList
        Those of the viewer, which itself is not held: see :func:`masks_in`.
    """

    rewritten = Signal(object)  # the mask, made anew with other settings
    changed = Signal()  # the user began to edit a mask, or removed one
    edited = Signal(object)  # the mask, perhaps after each of its edits; or its scale was changed

    def __init__(self, layers: LayerList) -> None:
        super().__init__()
        self._layers = layers
        self._masks: list[Mask] = []
        self.hand = Hand(layers)
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
        """Whether labels are selected that are no mask: a copy, from a file, or the user's own."""
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
        """Put the result of a run on its image, ready to paint unless another layer is in hand.

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
        if mask.layer is not selection.active and self.hand.layer is None:
            mask.layer.mode = NO_TOOL  # not the tool that was last used in it
            selection.active = mask.layer
        self.hand.stop_waiting()
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
        """Exchange what a run was about in a mask that was not edited."""
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
        """Exchange a part of an edited mask, in one step of its history."""
        show(mask.layer)  # of a hidden layer napari holds no view that it could update
        labels, old = mask.labels, mask.outcome
        highest = mask.highest  # what was painted may have any number
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
        """Write the labels of `base` made with other settings, while the mask still holds those."""
        if mask not in self._masks or mask.outcome is not base or not base.adjustable:
            return
        if mask.is_edited():
            return
        self._write(mask, outcome)
        self.rewritten.emit(mask)

    def let_go_of(self, image: Image) -> None:
        """Add no more to the masks of an image, which is gone or has other data."""
        for mask in self._masks:
            if mask.image is image:
                mask.image = None  # so that its pixels can be freed
                mask.drop_predictions()

    def _add(self, outcome: Outcome, image: Image, model: str, mixed: frozenset[Hashable]) -> Mask:
        name = f"{image.name} - {outcome.card.name} mask"
        carried = {key: image.metadata[key] for key in (PATIENT,) if key in image.metadata}
        place = layer_placement(image, outcome.scope.axes, outcome.place)
        labels = as_layer(outcome.labels, outcome.scope.axes)
        layer = Labels(labels, name=name, metadata=carried, **place)
        mask = Mask(layer, image, model, outcome, mixed)
        self._masks.append(mask)
        self._describe(mask)
        self._show_new(layer)
        image.events.data.connect(self._on_other_image)
        layer.events.paint.connect(self._on_paint)
        layer.events.data.connect(self._on_data)
        layer.events.set_data.connect(self._on_drawn)  # all that tells of undo and redo
        for name in SCALING:
            layer.events[name].connect(self._on_scaled)
        return mask

    def _show_new(self, layer: Labels) -> None:
        """Add a layer, which is selected unless another one is in hand."""
        selection, in_hand = self._layers.selection, self.hand.layer
        if in_hand is None:
            self._layers.append(layer)
            return
        with selection.events.active.blocker():  # or choices would follow what napari selects
            self._layers.append(layer)
            selection.active = in_hand

    def _write(self, mask: Mask, outcome: Outcome) -> None:
        # A mask that was not edited has nothing to undo, so no step of its history goes stale.
        mask.outcome = outcome
        with mask.layer.events.data.blocker(self._on_data):  # which would look for edits
            mask.layer.data = as_layer(outcome.labels, outcome.scope.axes)
        self._describe(mask)

    def _describe(self, mask: Mask) -> None:
        outcome = mask.outcome
        mask.layer.metadata[METADATA] = dict(outcome.provenance)
        # Unless the user has chosen what to paint with, or to see one label alone.
        if not (mask.painted or mask.layer.show_selected_label):
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
        self.hand.on_removed(gone)
        self._masks = [mask for mask in self._masks if mask.layer is not gone]
        self.changed.emit()


_of_viewers: WeakKeyDictionary[napari.Viewer, Masks] = WeakKeyDictionary()


def masks_in(viewer: napari.Viewer) -> Masks:
    """Return the masks in a viewer: the same ones when the widget is opened again, or twice."""
    if viewer not in _of_viewers:
        _of_viewers[viewer] = Masks(viewer.layers)
    return _of_viewers[viewer]


def equal_inside(one: NDArray, other: NDArray, inside: NDArray[np.bool_] | None) -> bool:
    """Whether labels are the same where `inside` is true, or everywhere."""
    if inside is not None:
        one, other = one[inside], other[inside]
    return np.array_equal(one, other)


def write_inside(labels: NDArray, values: NDArray, inside: NDArray[np.bool_] | None) -> None:
    """Write into labels where `inside` is true, or everywhere."""
    np.copyto(labels, values, where=True if inside is None else inside)


def show(layer: Labels) -> None:
    """Make a layer visible; where it already is, napari would change its tool."""
    if not layer.visible:
        layer.visible = True


@contextmanager
def one_step(layer: Labels) -> Iterator[list[Any]]:
    """Make edits one step of a layer's history, whose changes are then in the list."""
    step: list[Any] = []

    def keep(event: Event) -> None:
        step.extend(event.value)

    layer.events.paint.connect(keep)
    try:
        with layer.block_history():
            yield step
    finally:
        layer.events.paint.disconnect(keep)


def undone(layer: Labels) -> list[Any]:
    """Return the changes that could be redone in a layer; napari tells them nowhere else."""
    steps = getattr(layer, "_redo_history", ())  # private, so it may go
    return [change for step in steps for change in step]
