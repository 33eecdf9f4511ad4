"""One mask: a Labels layer, the result of its runs, and what was edited or inserted since."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from numpy.typing import NDArray

from napari_medt.engine.region import Scope
from napari_medt.gui.layers import mm_per_pixel
from napari_medt.gui.outcome import EARLIER, Outcome, offset_after

if TYPE_CHECKING:
    from napari_medt.engine.ellipse import Sides

STEPS = 100  # that napari keeps of a layer's history
KEPT_BYTES = 1 << 28  # of what was there before results were laid in, for each mask


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
        The image it belongs to, while that is in the viewer with the same data.
    model : str
        Name or path of the model.
    outcome : Outcome
        The result that was last written into it.
    mixed : frozenset
        Unique ids of the layers that were mixed with the image.
    painted : bool
        Whether the layer is known to be edited. It stays so, since there may be edits to undo or
        redo.
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
        """A view of the labels as they are now, without the axis that stands for the channels."""
        data: NDArray[np.int32] = np.asarray(self.layer.data)
        axis = self.outcome.scope.axes.channels_within
        return data if axis is None or data.ndim <= axis else data[(slice(None),) * axis + (0,)]

    @property
    def mm_per_pixel(self) -> Sides | None:
        """Height and width of a pixel in mm, by the layer's scale; None for a part of a slide."""
        return None if self.outcome.place is not None else mm_per_pixel(self.layer)

    @property
    def words(self) -> str:
        """What it holds, as its run counted it; empty if that has to be counted again."""
        outcome = self.outcome
        rescaled = self.measured and self.mm_per_pixel != outcome.mm_per_pixel
        stale = self.painted or rescaled or EARLIER in outcome.provenance
        return "" if stale else outcome.words

    @property
    def measured(self) -> bool:
        """Whether a length is reported, which depends on the scale of the layer."""
        return bool(self.outcome.card.report)

    def is_edited(self) -> bool:
        """Whether the layer holds, or can redo, anything but what runs have written into it.

        Compares the data themselves: not every edit is announced by an event, and a brush stroke
        is announced only when it ends. That takes a while for a large stack.
        """
        if not self.painted and not np.array_equal(self.labels, self.outcome.written):
            self.become_painted()
        return self.painted

    def holds(self, outcome: Outcome, mixed: frozenset[Hashable]) -> bool:
        """Whether the result of another run is for the same pixels, and the layer can take it.

        `mixed` are the layers that were mixed for that run.
        """
        old, new, data = self.outcome, outcome, self.layer.data
        same_axes = old.scope.axes.roles == new.scope.axes.roles
        same_channel = old.scope.channel == new.scope.channel and self.mixed == mixed
        same_shape = old.written.shape == new.labels.shape
        writable = isinstance(data, np.ndarray) and data.dtype == new.labels.dtype
        return old.place == new.place and same_axes and same_channel and same_shape and writable

    @property
    def highest(self) -> int:
        """The largest label in the layer, or the one that is painted next if that is larger."""
        return max(int(self.labels.max(initial=0)), self.layer.selected_label)

    def has_numbers_for(self, outcome: Outcome) -> bool:
        """Whether the objects of another run can be numbered after those that are there."""
        last = offset_after(self.highest, outcome) + outcome.highest
        return last <= np.iinfo(outcome.labels.dtype).max

    def become_painted(self) -> None:
        """Count as edited from now on; the sliders no longer need the predictions."""
        self.painted = True
        self.drop_predictions()

    def drop_predictions(self) -> None:
        """Free the memory of the predictions, from which the sliders start."""
        self.outcome = replace(self.outcome, predictions={})

    def edited_within(self, scope: Scope) -> bool:
        """Whether the layer, within a scope, holds anything but what was written there."""
        data, written, inside = self.labels, self.outcome.written, scope.inside
        return data.shape != written.shape or any(
            not equal_inside(data[part], written[part], inside) for part in scope.parts()
        )

    def remember(self, laid: Laid) -> None:
        """Remember what was laid in, and forget the oldest ones if they take too much memory."""
        self.laid.append(laid)
        while sum(one.size for one in self.laid) > KEPT_BYTES:
            self.laid.popleft()

    def accept_undo(self) -> None:
        """Where what was laid in was undone, count it as never written: that is no edit."""
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


def equal_inside(one: NDArray, other: NDArray, inside: NDArray[np.bool_] | None) -> bool:
    """Whether labels are the same where `inside` is true, or everywhere."""
    if inside is not None:
        one, other = one[inside], other[inside]
    return np.array_equal(one, other)


def write_inside(labels: NDArray, values: NDArray, inside: NDArray[np.bool_] | None) -> None:
    """Write into labels where `inside` is true, or everywhere."""
    np.copyto(labels, values, where=True if inside is None else inside)


def undone(layer: Labels) -> list[Any]:
    """Return the changes that could be redone in a layer. napari has no public way to ask."""
    steps = getattr(layer, "_redo_history", ())  # private, so it may go
    return [change for step in steps for change in step]
