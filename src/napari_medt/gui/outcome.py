"""The result of a run; sliders change its labels, further runs add to them. Knows no Qt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_medt.engine.axes import Axes, Frame, count
from napari_medt.engine.region import Scope
from napari_medt.models.card import ModelCard

if TYPE_CHECKING:
    from napari_medt.engine.ellipse import Sides
    from napari_medt.engine.segment import Prediction

EARLIER = "earlier"  # in a provenance: those of the runs whose labels are still in the mask


@dataclass(frozen=True)
class Place:
    """Where the labels of a part of a large image lie in it.

    Attributes
    ----------
    corner : tuple of int
        Row and column of the first label, in labels.
    step : float
        How many pixels of the image, at full resolution, a label spans.
    resolution : int
        Which of the image's resolutions was segmented, from 1; 0 where there is a single one.
    """

    corner: tuple[int, int] = (0, 0)
    step: float = 1.0
    resolution: int = 0


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a run found.

    Attributes
    ----------
    labels : array of int32
        Shaped as the image's axes less the channels; 0 outside the scope.
    written : array of int32
        A copy of the labels. Where the layer differs from it, the user has edited.
    highest : int
        The largest label, or a number above it.
    predictions : dict
        One for every plane, from which the sliders make the labels again. Empty if there are too
        many to keep.
    scope : Scope
        Which planes and region were segmented.
    link : bool
        Whether objects are linked across slices.
    card : ModelCard
        Card of the model that ran.
    provenance : dict
        How the labels were made.
    words : str
        What was found, as text. Made with the labels, since counting in a large stack takes long.
    mm_per_pixel : tuple of float or None
        Height and width of a pixel in millimetres, as used for the words.
    place : Place, optional
        Where the labels lie, if they cover a part of an image that is too large to hold. The axes
        of the scope are then those of the part.
    """

    labels: NDArray[np.int32]
    written: NDArray[np.int32]
    highest: int
    predictions: dict[Frame, Prediction]
    scope: Scope
    link: bool
    card: ModelCard
    provenance: dict[str, Any]
    words: str = ""
    mm_per_pixel: Sides | None = None
    place: Place | None = None

    @property
    def adjustable(self) -> bool:
        """Whether the sliders can make its labels again."""
        return bool(self.predictions)


def held(labels: NDArray[np.int32], scope: Scope) -> dict[str, Any]:
    """Return the fields of an :class:`Outcome` that hold labels: them, a copy, and the largest.

    The run makes them on its thread: of a large stack they would block the window.
    """
    written = np.zeros(labels.shape, labels.dtype)  # no memory where nothing was segmented
    highest = 0
    for part in scope.parts():
        written[part] = labels[part]
        highest = max(highest, int(labels[part].max(initial=0)))
    return {"labels": labels, "written": written, "highest": highest}


def relabel(
    outcome: Outcome, threshold: float, min_size: int, mm_per_pixel: Sides | None
) -> Outcome:
    """Make the labels again from the predictions, with other settings.

    `mm_per_pixel` are the sides of a pixel now; the user may have changed them since the run.
    """
    from napari_medt.engine.volume import label_plane, put_together

    settings: dict[str, Any] = {"threshold": threshold, "min_size": min_size}
    planes = {
        frame: label_plane(prediction, outcome.scope, outcome.card, **settings)
        for frame, prediction in outcome.predictions.items()
    }
    labels = put_together(
        planes, outcome.scope, number_apart=outcome.card.splits_objects, link=outcome.link
    )
    words = in_words(labels, outcome.scope, outcome.card, mm_per_pixel, place=outcome.place)
    return replace(
        outcome,
        **held(labels, outcome.scope),
        provenance=with_settings(outcome.provenance, settings),
        words=words,
        mm_per_pixel=mm_per_pixel,
    )


def with_settings(provenance: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Return the provenance of labels that the sliders made again, earlier runs included.

    The sliders act only while there are predictions of every plane that any of the runs made.
    """
    remade = {**provenance, **settings}
    if EARLIER in provenance:
        remade[EARLIER] = [{**run, **settings} for run in provenance[EARLIER]]
    return remade


def report_on(
    labels: NDArray[np.int32], scope: Scope, card: ModelCard, mm_per_pixel: Sides | None
) -> str:
    """Say in words what the model's card asks to be reported of a plane; empty if nothing."""
    from napari_medt.engine.measure import circumference_in_words

    if card.report != "circumference" or len(scope.frames) > 1:
        return ""
    return circumference_in_words(labels[scope.parts()[0]] > 0, mm_per_pixel, card.report_scale)


def in_words(
    labels: NDArray[np.int32],
    scope: Scope,
    card: ModelCard,
    mm_per_pixel: Sides | None,
    *,
    counted: Scope | None = None,
    place: Place | None = None,
) -> str:
    """Say what labels hold, and what the model's card asks to be reported.

    Objects are counted within `scope`, or within `counted` if it is given. For a part of a large
    image, say which of its resolutions was segmented, if there are several.
    """
    found = found_in_words(labels, counted or scope, card)
    if place is not None and place.resolution:
        found += f" at resolution {place.resolution}"
    report = report_on(labels, scope, card, mm_per_pixel)
    return f"{found}, {report}" if report else found


def corrected_in_words(labels: NDArray[np.int32], run: Outcome, mm_per_pixel: Sides | None) -> str:
    """Say what the labels of a run hold after corrections, also those outside its scope."""
    everything = Scope.everything(run.scope.axes)
    return in_words(labels, run.scope, run.card, mm_per_pixel, counted=everything, place=run.place)


def found_in_words(labels: NDArray[np.int32], scope: Scope, card: ModelCard) -> str:
    """Say how many objects, or what share of it, labels hold within a scope."""
    planes = [labels[part] for part in scope.parts()]
    if card.splits_objects:
        return f"{count(count_labels(planes), 'object')}{where_in_words(scope)}"
    inside = scope.inside
    size = planes[0].size if inside is None else np.count_nonzero(inside)
    share = sum(np.count_nonzero(plane) for plane in planes) / (size * len(planes))
    return f"{100 * share:.1f} % of {'the image' if scope.complete else 'what was segmented'}"


def where_in_words(scope: Scope) -> str:
    """Say to which part of its planes a scope is confined; empty for whole planes."""
    if scope.region is None:
        return ""
    return " in the window" if scope.region.inside is None else " inside the shapes"


def landed_in_words(outcome: Outcome) -> str:
    """Say what a run has found, as a sentence."""
    if not outcome.highest:
        return f"Nothing was found{where_in_words(outcome.scope)}."
    return f"{outcome.words} in {outcome.provenance['seconds']:.1f} s."


def next_step(outcome: Outcome) -> str:
    """Say what can be done about what a run has found."""
    if not outcome.highest:
        return "Lower the threshold, or try another model."
    if outcome.card.splits_objects:  # without M, paint joins the object that was painted last
        return "Paint or erase to correct the mask; press M before each new object."
    return "Paint or erase to correct the mask."


def count_labels(planes: Sequence[NDArray[np.int32]]) -> int:
    """Count the labels above 0 that occur in any of the planes."""
    found = np.zeros(1 + planes[0].size, bool)
    others: set[int] = set()  # larger ones: users can paint any number
    for plane in planes:
        numbers = plane[plane > 0]  # a copy, since the plane may be painted meanwhile
        small = numbers < len(found)
        found[numbers[small]] = True
        others.update(np.unique(numbers[~small]).tolist())
    return int(np.count_nonzero(found)) + len(others)


def merge(old: Outcome, new: Outcome, labels: NDArray[np.int32], highest: int) -> Outcome:
    """Describe `labels`, in which the result of a newer run replaced a part of an older run's.

    Whole planes add up and stay adjustable; with regions, only the labels add up. `highest` is the
    highest label before; see :func:`exchanged`.
    """
    added = {**old.predictions, **new.predictions}
    frames = tuple(sorted({*old.scope.frames, *new.scope.frames}))
    regions = old.scope.region is not None or new.scope.region is not None
    if regions or old.link or new.link or len(added) < len(frames):
        added = {}
    return replace(
        new,
        labels=labels,
        written=old.written,
        highest=max(highest, offset_after(highest, new) + new.highest),
        predictions=added,
        scope=replace(new.scope, frames=frames, region=None),
        provenance=merged_provenance(old, new),
    )


def merged_provenance(old: Outcome, new: Outcome) -> dict[str, Any]:
    """Return the provenance of labels from two runs: the new run's, with earlier ones in it.

    Runs of which no plane is left are dropped.
    """
    before = dict(old.provenance)
    runs = [*before.pop(EARLIER, []), before]
    gone = set(new.scope.frames) if new.scope.region is None else set()
    left: list[dict[str, Any]] = []
    for run in reversed(runs):
        planes = planes_of(run, new.scope.axes)
        if not planes <= gone:
            left.insert(0, run)
        if run["scope"]["rows"] == "all":  # a region leaves the rest of earlier runs
            gone |= planes
    return {**new.provenance, EARLIER: left} if left else new.provenance


def planes_of(provenance: dict[str, Any], axes: Axes) -> set[Frame]:
    """Which planes a run segmented."""
    planes = provenance["scope"]["planes"]
    return set(axes.frames()) if planes == "all" else {tuple(frame) for frame in planes}


def offset_after(highest: int, new: Outcome) -> int:
    """What to add to new labels beside others, so that every object has its own number."""
    return highest if new.card.splits_objects else 0


def exchanged(
    labels: NDArray[np.int32], new: Outcome, highest: int
) -> list[tuple[tuple[Any, ...], NDArray[np.int32]]]:
    """Return the parts of `labels` that a new outcome covers, each with its new values.

    Only the parts, since copying a large stack would block the window. No label is larger than
    `highest`.
    """
    offset = offset_after(highest, new)
    inside = new.scope.inside
    parts = []
    for part in new.scope.parts():
        found = np.where(new.labels[part] > 0, new.labels[part] + offset, 0)
        parts.append((part, found if inside is None else np.where(inside, found, labels[part])))
    return parts
