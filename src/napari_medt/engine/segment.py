"""The whole way of an image, in one call."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from napari_medt.engine.device import choose_device
from napari_medt.engine.image import check_image, prepare
from napari_medt.engine.labels import foreground, to_labels
from napari_medt.engine.predict import IsCancelled, Progress, out_of_memory, predict
from napari_medt.errors import ModelError
from napari_medt.models.store import Model
from napari_medt.network.config import BRANCHES, Branches

logger = logging.getLogger("napari_medt")


@dataclass(frozen=True)
class Segmentation:
    """The result of :func:`segment`.

    Attributes
    ----------
    labels : array of int32
        ``(H, W)``: objects 1, 2, ... for instance models, else classes; 0 is background.
    probability : array of float32
        ``(H, W)``: probability of foreground, in [0, 1].
    """

    labels: NDArray[np.int32]
    probability: NDArray[np.float32]


def segment(
    image: NDArray,
    model: Model,
    branches: Branches = "both",
    *,
    threshold: float | None = None,
    min_size: int | None = None,
    device: str = "auto",
    progress: Progress | None = None,
    cancelled: IsCancelled | None = None,
) -> Segmentation:
    """Segment a 2-D image.

    Parameters
    ----------
    image : array
        ``(H, W)`` gray, ``(H, W, 3)`` RGB or ``(H, W, 4)`` RGBA (alpha is ignored); integers or
        floats. Colour is 8-bit, 16-bit or float from 0 to 1.
    model : Model
        From :func:`napari_medt.load_model`.
    branches : {"both", "global", "patch"}
        Which branches of MedT run.
    threshold : float, optional
        Foreground probability from which a pixel is labelled; by default the card's.
    min_size : int, optional
        Smallest object in pixels; by default the card's.
    device : {"auto", "cpu", "cuda", "mps"}
        Where to run.
    progress, cancelled : callable, optional
        See :func:`napari_medt.engine.predict.predict`.

    Raises
    ------
    ImageError, ModelError, DeviceError
        With one sentence for the user.
    Cancelled
        If `cancelled` said so.
    """
    probabilities = predict_image(
        image,
        model,
        branches,
        device=device,
        progress=progress,
        cancelled=cancelled,
    )
    labels = to_labels(probabilities, model.card, threshold=threshold, min_size=min_size)
    return Segmentation(labels, foreground(probabilities))


def predict_image(
    image: NDArray,
    model: Model,
    branches: Branches = "both",
    *,
    rgb: bool | None = None,
    device: str = "auto",
    progress: Progress | None = None,
    cancelled: IsCancelled | None = None,
) -> NDArray[np.float32]:
    """Class probabilities ``(classes, H, W)`` of a 2-D image; see :func:`segment`."""
    check_branches(branches, model)
    where = choose_device(device)
    plane = prepare(check_image(image, rgb), model.card.input)

    def run_on(place: torch.device) -> NDArray[np.float32]:
        return predict(
            plane,
            model.inference_network(place),
            model.card,
            branches=branches,
            device=place,
            progress=progress,
            cancelled=cancelled,
        )

    try:
        return run_on(where)
    except RuntimeError as error:
        if where.type == "cpu" or not out_of_memory(error):
            raise
        logger.warning("The %s device has too little memory, so the CPU is used.", where.type)
        return run_on(torch.device("cpu"))


def check_branches(branches: str, model: Model) -> None:
    """Refuse a branch setting the model does not have.

    Raises
    ------
    ModelError
        With one sentence for the user.
    """
    if branches not in BRANCHES:
        raise ModelError(f"Unknown branches {branches!r}: choose one of {', '.join(BRANCHES)}.")
    if branches != "both" and not model.card.has_branches:
        raise ModelError(f"{model.card.name} has a single branch: leave the branches at 'both'.")
