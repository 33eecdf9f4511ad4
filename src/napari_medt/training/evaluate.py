"""How good a model is on images with known labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from napari_medt.engine.segment import segment
from napari_medt.models.store import Model
from napari_medt.network.config import BRANCHES, Branches
from napari_medt.training.data import Sample, read_pair
from napari_medt.training.metrics import average_precision, dice, iou


@dataclass(frozen=True)
class Score:
    """Agreement on one image.

    Attributes
    ----------
    image : str
        File name.
    dice, iou : float
        Of the foreground, at the image's own resolution; 1 when both masks are empty.
    ap50 : float or None
        Average precision of objects at IoU 0.5, where labels are instances.
    """

    image: str
    dice: float
    iou: float
    ap50: float | None


def evaluate(
    model: Model,
    samples: Iterable[Sample],
    branches: Branches = "both",
    *,
    device: str = "auto",
    progress: Callable[[Score], None] | None = None,
) -> list[Score]:
    """Segment every sample as the plugin would and compare with its labels.

    Parameters
    ----------
    model : Model
        The model.
    samples : iterable of Sample
        Images with labels.
    branches : {"both", "global", "patch"}
        Which branches run.
    device : str
        Where to run.
    progress : callable, optional
        Called with every score as it is known.
    """
    scores = []
    for sample in samples:
        score = score_sample(model, sample, branches, device)
        scores.append(score)
        if progress is not None:
            progress(score)
    return scores


def score_sample(model: Model, sample: Sample, branches: Branches, device: str) -> Score:
    """Segment one sample and compare."""
    instances = model.card.splits_objects
    image, truth = read_pair(
        sample,
        target="instances" if instances else "classes",
        num_classes=len(model.card.classes),
    )
    labels = segment(image, model, branches, device=device).labels
    return Score(
        image=sample.image.name,
        dice=dice(labels > 0, truth > 0),
        iou=iou(labels > 0, truth > 0),
        ap50=average_precision(labels, truth) if instances else None,
    )


def summarise(scores: list[Score]) -> dict[str, Any]:
    """Average scores over images.

    Returns
    -------
    dict
        ``images`` (how many), ``dice``, ``iou`` and, for instances, ``ap50``.
    """
    rows = [asdict(score) for score in scores]
    names = [name for name in ("dice", "iou", "ap50") if rows[0][name] is not None]
    return {
        "images": len(rows),
        **{name: round(float(np.mean([row[name] for row in rows])), 4) for name in names},
    }


def accuracy_table(
    model: Model, samples: list[Sample], *, device: str = "auto"
) -> dict[str, dict[str, Any]]:
    """Summaries of every branch setting the model has, for its card."""
    settings = BRANCHES if model.card.has_branches else BRANCHES[:1]
    return {
        branches: summarise(evaluate(model, samples, branches, device=device))
        for branches in settings
    }
