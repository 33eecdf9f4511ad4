"""How good a model is on images with known labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medt.engine.ellipse import circumference
from napari_medt.engine.segment import Segmentation, segment
from napari_medt.models.accuracy import FAILURE_DICE
from napari_medt.models.store import Model
from napari_medt.network.config import Branches
from napari_medt.training.data import read_pair
from napari_medt.training.metrics import (
    average_precision,
    bootstrap_interval,
    calibration_counts,
    dice,
    expected_calibration_error,
    iou,
    panoptic_quality,
)
from napari_medt.training.samples import Sample


@dataclass(frozen=True, eq=False)
class Score:
    """Agreement on one image.

    Attributes
    ----------
    sample : Sample
        The image.
    measures : dict
        ``dice`` and ``iou`` of the foreground at the image's own resolution, 1 when both masks
        are empty; for instances ``ap50`` and ``pq`` of the objects; where the true circumference
        is known and the model reports it, ``circumference_error_mm``, never negative.
    calibration : array of float64
        See :func:`napari_medt.training.metrics.calibration_counts`.
    """

    sample: Sample
    measures: dict[str, float]
    calibration: NDArray[np.float64]


def evaluate(
    model: Model,
    samples: Iterable[Sample],
    branches: Branches = "both",
    *,
    device: str = "auto",
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

    Returns
    -------
    list of Score
        Of every sample, in order: measures in [0, 1], but errors of lengths in millimetres.

    Raises
    ------
    DataError, ImageError
        If a sample cannot be read, or its image not be segmented.
    ModelError
        If the model lacks the branch, or its output is not a number.
    DeviceError
        If the device is not there.
    """
    return [score_sample(model, sample, branches, device) for sample in samples]


def score_sample(model: Model, sample: Sample, branches: Branches, device: str) -> Score:
    """Segment one sample and compare."""
    image, truth = read_pair_for(model, sample)
    found = segment(image, model, branches, device=device)
    measures = {
        "dice": dice(found.labels > 0, truth > 0),
        "iou": iou(found.labels > 0, truth > 0),
    }
    if model.card.splits_objects:
        measures["ap50"] = average_precision(found.labels, truth)
        measures["pq"] = panoptic_quality(found.labels, truth)
    if model.card.report == "circumference" and sample.mm_per_pixel and sample.circumference_mm:
        scale = model.card.report_scale
        measures["circumference_error_mm"] = circumference_error(found, sample, scale)
    return Score(sample, measures, calibration_counts(found.probability, truth > 0))


def read_pair_for(model: Model, sample: Sample) -> tuple[NDArray, NDArray[np.integer]]:
    """Read a sample's image and its labels of the kind that the model gives."""
    return read_pair(
        sample,
        target="instances" if model.card.splits_objects else "classes",
        num_classes=len(model.card.classes),
    )


def circumference_error(found: Segmentation, sample: Sample, scale: float) -> float:
    """Absolute error in millimetres; a mask without an ellipse counts as circumference 0."""
    assert sample.mm_per_pixel is not None
    assert sample.circumference_mm is not None
    measured = circumference(found.labels > 0, scale * sample.mm_per_pixel) or 0.0
    return abs(measured - sample.circumference_mm)


def summarise(scores: Sequence[Score]) -> dict[str, Any]:
    """Average scores over images.

    Returns
    -------
    dict
        ``images`` (how many); the mean of every measure over the images that have it, and as
        ``MEASURE_ci`` its 95 % interval ``[low, high]`` by drawing groups, where there are at
        least two; ``ece``, the expected calibration error over all pixels of all images;
        ``failures``, how many images have a Dice below
        :data:`~napari_medt.models.accuracy.FAILURE_DICE`.
    """
    summary: dict[str, Any] = {"images": len(scores)}
    for name in dict.fromkeys(name for score in scores for name in score.measures):
        having = [score for score in scores if name in score.measures]
        values = [score.measures[name] for score in having]
        groups = [score.sample.group for score in having]
        summary[name] = round(float(np.mean(values)), 4)
        if len(set(groups)) > 1:  # an interval of no width would look like certainty
            interval = bootstrap_interval(values, groups)
            summary[f"{name}_ci"] = [round(end, 4) for end in interval]
    counts = np.sum([score.calibration for score in scores], axis=0)
    summary["ece"] = round(expected_calibration_error(counts), 4)
    summary["failures"] = sum(score.measures["dice"] < FAILURE_DICE for score in scores)
    return summary


def accuracy_table(
    model: Model, samples: Sequence[Sample], *, device: str
) -> dict[str, dict[str, Any]]:
    """Summaries of every branch setting the model has, for its card."""
    return {
        branches: summarise(evaluate(model, samples, branches, device=device))
        for branches in model.card.branch_settings
    }
