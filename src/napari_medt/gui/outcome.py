"""What a run found, made anew by the sliders and added to by further runs. Knows no Qt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medt.engine.axes import Frame
from napari_medt.engine.region import Scope
from napari_medt.models.card import ModelCard


@dataclass(frozen=True)
class Place:
    """Where the labels of a part of a large image lie in it.

    Attributes
    ----------
    corner : tuple of int
        Row and column of the first label, in labels.
    step : float
        How many pixels of the image, at full resolution, a label spans.
    """

    corner: tuple[int, int] = (0, 0)
    step: float = 1.0


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a run found.

    Attributes
    ----------
    labels : array of int32
        Shaped as the image's axes less the channels; 0 outside the scope.
    probabilities : dict
        Of every plane, ``(classes, rows, columns)``, from which the sliders make labels again.
        Empty where there are too many to keep.
    scope : Scope
        What the run was about.
    link : bool
        Whether objects are linked across slices.
    card : ModelCard
        Of the model that ran.
    provenance : dict
        How the labels were made.
    mm_per_pixel : float or None
        Side of a pixel in millimetres, where the layer tells it.
    report : str
        What the model says of the labels in words, such as a circumference; may be empty.
    place : Place, optional
        Where the labels lie, if they are those of a part of an image that is too large to hold; the
        axes of the scope are then those of the part.
    """

    labels: NDArray[np.int32]
    probabilities: dict[Frame, NDArray[np.float32]]
    scope: Scope
    link: bool
    card: ModelCard
    provenance: dict[str, Any]
    mm_per_pixel: float | None = None
    report: str = ""
    place: Place | None = None

    @property
    def adjustable(self) -> bool:
        """Whether the sliders can make its labels again."""
        return bool(self.probabilities)


def relabel(outcome: Outcome, threshold: float, min_size: int) -> Outcome:
    """Make labels with other settings, from the probabilities that are there."""
    from napari_medt.engine.volume import label_plane, put_together

    settings: dict[str, Any] = {"threshold": threshold, "min_size": min_size}
    planes = {
        frame: label_plane(values, outcome.scope, outcome.card, **settings)
        for frame, values in outcome.probabilities.items()
    }
    labels = put_together(
        planes, outcome.scope, number_apart=outcome.card.splits_objects, link=outcome.link
    )
    report = report_on(labels, outcome.scope, outcome.card, outcome.mm_per_pixel)
    made = {**outcome.provenance, **settings}
    return replace(outcome, labels=labels, provenance=made, report=report)


def report_on(
    labels: NDArray[np.int32], scope: Scope, card: ModelCard, mm_per_pixel: float | None
) -> str:
    """Say in words what the model's card asks to be reported of a plane; empty if nothing."""
    from napari_medt.engine.measure import circumference_in_words

    if card.report != "circumference" or len(scope.frames) > 1:
        return ""
    return circumference_in_words(labels[scope.parts()[0]] > 0, mm_per_pixel, card.report_scale)


def merge(old: Outcome, new: Outcome) -> Outcome:
    """Lay a new outcome over an older one of the same image and model.

    Planes add up, and the sliders go on for all of them. With regions only the labels add up.
    """
    if new.scope.complete or old.labels.shape != new.labels.shape:
        return new
    labels = overlay(old.labels, new)
    added = {**old.probabilities, **new.probabilities}
    frames = tuple(sorted({*old.scope.frames, *new.scope.frames}))
    regions = old.scope.region is not None or new.scope.region is not None
    if regions or old.link or new.link or len(added) < len(frames):
        added = {}
    scope = replace(new.scope, frames=frames, region=None)
    return replace(new, labels=labels, probabilities=added, scope=scope)


def overlay(labels: NDArray[np.int32], new: Outcome) -> NDArray[np.int32]:
    """Return a copy of `labels` with what lies within the scope of a new outcome exchanged."""
    merged = labels.copy()
    offset = int(labels.max(initial=0)) if new.card.splits_objects else 0
    for part in new.scope.parts():
        found = new.labels[part]
        found = np.where(found > 0, found + offset, 0)
        region = new.scope.region
        inside = None if region is None else region.inside
        merged[part] = found if inside is None else np.where(inside, found, merged[part])
    return merged
