"""A picture of the images on which a model did worst."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from skimage.color import label2rgb

from napari_medt.engine.files import write_whole
from napari_medt.engine.image import as_rgb
from napari_medt.engine.segment import segment
from napari_medt.models.store import Model
from napari_medt.network.config import Branches
from napari_medt.training.evaluate import Score, read_pair_for

ROWS = 4
OPACITY = 0.45


def draw_worst(
    path: Path, model: Model, scores: Sequence[Score], branches: Branches, device: str
) -> list[Score]:
    """Draw the images of lowest Dice as a PNG: image, truth and prediction side by side.

    The picture shows no file names, so that it can be passed on.

    Parameters
    ----------
    path : Path
        The file to write. It holds a PNG whatever its name, so let that end in ``.png``.
    model : Model
        The model, which runs again on the images drawn.
    scores : sequence of Score
        Of all images.
    branches : {"both", "global", "patch"}
        Which branches the scores are of.
    device : str
        Where to run.

    Returns
    -------
    list of Score
        Those drawn, worst first.
    """
    from matplotlib.figure import Figure

    worst = sorted(scores, key=lambda score: score.measures["dice"])[:ROWS]
    figure = Figure(figsize=(9, 3 * len(worst)), layout="constrained")
    for row, score in zip(figure.subplots(len(worst), 3, squeeze=False), worst, strict=True):
        image, truth = read_pair_for(model, score.sample)
        labels = segment(image, model, branches, device=device).labels
        titles = ("Image", "Truth", f"Prediction: Dice {score.measures['dice']:.3f}")
        for axes, title, shown in zip(row, titles, (None, truth, labels), strict=True):
            axes.imshow(colour(image, shown))
            axes.set_title(title)
            axes.set_axis_off()
    write_whole(path, lambda beside: figure.savefig(beside, format="png", dpi=100))
    return worst


def colour(image: NDArray, labels: NDArray[np.integer] | None) -> NDArray[np.floating]:
    """Image ``(H, W[, 3])`` as RGB in [0, 1], overlaid with labels ``(H, W)`` in colour."""
    rgb = as_rgb(image)
    if labels is None:
        return rgb
    overlaid = label2rgb(labels, rgb, alpha=OPACITY, bg_label=0, bg_color=None, saturation=1)
    return np.clip(overlaid, 0, 1)  # rounding may exceed the range a little
