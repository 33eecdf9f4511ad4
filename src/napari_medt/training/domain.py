"""Find what is typical of training images, so that unlike ones can be recognised."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2

from napari_medt.engine.describe import describe
from napari_medt.errors import DataError, ImageError
from napari_medt.models.card import InputRule, Scaling
from napari_medt.models.domain import Domain
from napari_medt.training.data import read_checked
from napari_medt.training.samples import Sample

EXAMPLES = 24  # typical images that are kept; fewer where there are few images
INSIDE = 99.0  # percent of the training images that are within reach
DIGITS = 4


def find_domain(samples: Sequence[Sample], rule: InputRule) -> Domain:
    """Find the domain of training images.

    Parameters
    ----------
    samples : sequence of Sample
        What the model was trained on.
    rule : InputRule
        How it sees them.

    Raises
    ------
    DataError
        If an image cannot be segmented, or none has anything in its middle, by which images are
        described.
    ImageError
        If an image cannot be read.
    """
    described = []
    for sample in samples:
        image = read_checked(sample.image)
        with suppress(ImageError):  # a sparse image may have nothing in its middle
            described.append(describe(image, rule.scaling))
    if not described:
        raise DataError(
            "The middle of every training image is of a single value: crop the images to what "
            "they show."
        )
    return domain_of(np.array(described), rule.scaling)


def domain_of(described: NDArray[np.float64], scaling: Scaling) -> Domain:
    """Domain of descriptions ``(images, features)``: their spread, and the means of clusters."""
    # A feature that hardly varies in training (colour in gray images) still has some width.
    spread = np.maximum(described.std(axis=0), 0.05)
    scaled = described / spread
    count = max(1, min(EXAMPLES, len(scaled) // 4))
    examples, nearest = kmeans2(scaled, count, minit="++", seed=0)
    examples = examples[np.unique(nearest)]
    apart = np.sqrt(((scaled[:, np.newaxis] - examples) ** 2).mean(axis=2)).min(axis=1)
    return Domain(
        scaling=scaling,
        spread=tuple(spread.round(DIGITS).tolist()),
        examples=tuple(map(tuple, (examples * spread).round(DIGITS).tolist())),
        reach=max(round(float(np.percentile(apart, INSIDE)), DIGITS), 10.0**-DIGITS),
    )
