"""Calibration: make a model's probabilities and lengths true on average."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.random import default_rng
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from napari_medt.engine.ellipse import circumference
from napari_medt.engine.segment import predict_image
from napari_medt.models.store import Model
from napari_medt.training.evaluate import read_pair_for
from napari_medt.training.samples import Sample

PIXELS_PER_IMAGE = 4000
LOWEST, HIGHEST = 0.1, 10.0  # temperatures beyond these would mean that something else is wrong
SMALLEST = 1e-7  # probabilities are single precision


def calibrated(model: Model, samples: Sequence[Sample], *, device: str = "auto") -> Model:
    """Return the model with temperature and report scale fitted to the samples on its card.

    Parameters
    ----------
    model : Model
        The temperature and scale on its card are ignored.
    samples : sequence of Sample
        Validation images with labels. All branches run.
    device : str
        Where to run.

    Returns
    -------
    Model
        The same network; on its card the temperature that logits are divided by, and the factor of
        reported lengths, each to four decimals.
    """
    plain = replace(model, card=replace(model.card, temperature=1.0))
    rng = default_rng(0)
    drawn = [draw_pixels(plain, sample, rng, device) for sample in samples]
    logits, truth, weights = (np.concatenate(part) for part in zip(*drawn, strict=True))
    temperature = round(fit_temperature(logits, truth, weights), 4)
    scale = round(outline_scale(model, samples), 4)
    return replace(model, card=replace(model.card, temperature=temperature, report_scale=scale))


def outline_scale(model: Model, samples: Iterable[Sample]) -> float:
    """Median ratio of true circumferences to those of the true masks; 1 where none is known.

    It depends on the masks alone: the model is not run.
    """
    if model.card.report != "circumference":
        return 1.0
    ratios = []
    for sample in samples:
        if sample.mm_per_pixel and sample.circumference_mm:
            mask = read_pair_for(model, sample)[1] > 0
            drawn = circumference(mask, sample.mm_per_pixel)
            if drawn:
                ratios.append(sample.circumference_mm / drawn)
    return float(np.median(ratios)) if ratios else 1.0


def draw_pixels(
    model: Model, sample: Sample, rng: np.random.Generator, device: str
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.float32]]:
    """Predict a sample and draw some of its pixels.

    Returns
    -------
    tuple of array
        Logarithms of the class probabilities ``(pixels, classes)``, which are logits too; whether
        each pixel is foreground; and how many pixels of the image each stands for.
    """
    image, truth = read_pair_for(model, sample)
    probabilities = predict_image(image, model, device=device).probabilities
    chosen = rng.permutation(truth.size)[:PIXELS_PER_IMAGE]
    drawn = probabilities.reshape(len(probabilities), -1)[:, chosen].T
    weights = np.full(len(chosen), truth.size / len(chosen), np.float32)
    return np.log(np.maximum(drawn, SMALLEST)), truth.ravel()[chosen] > 0, weights


def fit_temperature(
    logits: NDArray[np.floating], truth: NDArray[np.bool_], weights: NDArray[np.floating]
) -> float:
    """Find the temperature under which the true foreground is likeliest.

    Parameters
    ----------
    logits : array of float
        ``(pixels, classes)``, background first.
    truth : array of bool
        ``(pixels,)``: whether each is foreground.
    weights : array of float
        ``(pixels,)``: how much each counts.

    Returns
    -------
    float
        What to divide logits by: above 1 for a model that is surer than it should be.
    """

    def cost(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        every = logsumexp(scaled, axis=1)
        likelihood = np.where(truth, logsumexp(scaled[:, 1:], axis=1), scaled[:, 0]) - every
        return -float(np.average(likelihood, weights=weights))

    found = minimize_scalar(cost, bounds=np.log([LOWEST, HIGHEST]), method="bounded")
    return float(np.exp(found.x))
