"""Segment a 2-D image in one call: check, prepare, magnify, predict, label."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.segmentation import relabel_sequential

from napari_medt.engine.device import choose_device
from napari_medt.engine.image import check_image, prepare, sample
from napari_medt.engine.labels import foreground, halo_of, to_labels
from napari_medt.engine.magnify import find_magnification
from napari_medt.engine.predict import predict
from napari_medt.engine.progress import IsCancelled, Progress, counted_from, never, silent
from napari_medt.engine.region import Region
from napari_medt.engine.resample import Plane
from napari_medt.engine.tiles import Area, size_of, widened, within
from napari_medt.engine.window import Held, Window, cut, side_seen
from napari_medt.errors import ModelError, out_of_memory
from napari_medt.models.card import ModelCard
from napari_medt.models.store import Model
from napari_medt.network.config import BRANCHES, Branches

T = TypeVar("T")

SIDE = 2048  # of the windows an image is cut into, in the network's pixels: bounds the memory

logger = logging.getLogger("napari_medt")


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the network makes of a plane.

    Attributes
    ----------
    seen : array of float32
        ``(classes, H, W)``, adding up to one over the classes: of the plane, or of a part of it
        with what lies around.
    magnification : float
        How much larger the network saw it; 0 if it did not look.
    part : tuple of slice, optional
        Rows and columns of the part, in what was seen; by default all.
    blank : float
        Share of the tiles that were blank and skipped, 0 to 1.
    """

    seen: NDArray[np.float32]
    magnification: float = 0.0
    part: Area | None = None
    blank: float = 0.0

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """Probabilities ``(classes, h, w)`` of the part."""
        return self.seen if self.part is None else self.seen[:, *self.part]

    def labels(
        self, card: ModelCard, *, threshold: float | None = None, min_size: int | None = None
    ) -> NDArray[np.int32]:
        """Turn it into labels ``(h, w)`` of the part; see :func:`~.labels.to_labels`.

        They are made of all that was seen, so that objects at the border of the part are as in the
        whole plane, but for those that reach beyond what was seen.
        """
        labels = to_labels(
            self.seen,
            card,
            threshold=threshold,
            min_size=min_size,
            magnification=self.magnification,
        )
        if self.part is None:
            return labels
        labels = labels[self.part]
        return relabel_sequential(labels)[0] if card.splits_objects else labels


@dataclass(frozen=True, eq=False)
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
    magnification: float | None = None,
    device: str = "auto",
    progress: Progress = silent,
    cancelled: IsCancelled = never,
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
    magnification : float, optional
        How much larger the network sees the image; by default found by a first look, for models
        that know objects of one size.
    device : {"auto", "cpu", "cuda", "mps"}
        Where to run.
    progress, cancelled : callable, optional
        See :func:`napari_medt.engine.predict.predict`.

    Returns
    -------
    Segmentation
        Labels and probability of foreground, each ``(H, W)``, of the whole image.

    Raises
    ------
    ImageError
        If the image cannot be segmented; see :func:`napari_medt.engine.image.check_image`.
    ModelError
        If the model does not have the branch, or its weights give no numbers.
    DeviceError
        If the device is not there.
    Cancelled
        If `cancelled` said so.
    """
    found = predict_image(
        image,
        model,
        branches,
        magnification=magnification,
        device=device,
        progress=progress,
        cancelled=cancelled,
    )
    labels = found.labels(model.card, threshold=threshold, min_size=min_size)
    return Segmentation(labels, foreground(found.probabilities))


def predict_image(
    image: NDArray,
    model: Model,
    branches: Branches = "both",
    *,
    rgb: bool | None = None,
    region: Region | None = None,
    magnification: float | None = None,
    device: str = "auto",
    progress: Progress = silent,
    cancelled: IsCancelled = never,
) -> Prediction:
    """Predict a 2-D image, or a region's box in it.

    See :func:`segment`. A region's probabilities are those of the whole image there, and so are its
    labels, see :meth:`Prediction.labels`.

    Returns
    -------
    Prediction
        Probabilities ``(classes, h, w)`` of the image, or of the region's box, at the image's own
        resolution; with the magnification at which the network saw it.
    """
    check_branches(branches, model)
    plane = prepare(check_image(image, rgb), model.card.input)
    height, width = plane.shape[:2]
    box = (slice(0, height), slice(0, width)) if region is None else region.box

    def run_on(place: torch.device) -> Prediction:
        run = partial(predict, model=model, branches=branches, device=place, cancelled=cancelled)
        if model.card.input.scaling == "whole":
            area = widened(box, halo_of(model.card, 1), height, width)
            return Prediction(run(plane, progress=progress)[:, *area], 1.0, within(box, area))
        held = Held(plane)
        factor = magnification or find_magnification(held, sample(plane), model.card, run)
        return predict_box(held, box, model, branches, factor, place, progress, cancelled)

    return with_fallback(run_on, device)


def predict_box(
    plane: Plane,
    box: Area,
    model: Model,
    branches: Branches,
    magnification: float,
    device: torch.device,
    progress: Progress,
    cancelled: IsCancelled,
) -> Prediction:
    """Predict a box of a plane, and what lies around that its labels depend on, in windows."""
    area = widened(box, halo_of(model.card, magnification), plane.height, plane.width)
    windows = [
        Window(plane, piece, model, branches, magnification)
        for piece in cut(area, side_seen(SIDE, model.card, magnification))
    ]
    classes = model.card.network.num_classes
    seen = np.empty((classes, *size_of(area)), np.float32)
    done, total, blank = 0, sum(window.tiles for window in windows), 0
    for window in windows:
        values, empty = window.predict(device, counted_from(progress, done, total), cancelled)
        seen[:, *within(window.area, area)] = values
        done += window.tiles
        blank += empty
    return Prediction(seen, magnification, within(box, area), blank / total)


def magnification_of(
    plane: Plane,
    small: NDArray[np.float32],
    model: Model,
    branches: Branches,
    device: str,
    cancelled: IsCancelled = never,
) -> float:
    """Magnification for a prepared plane; see :func:`~.magnify.find_magnification`."""
    check_branches(branches, model)

    def look(place: torch.device) -> float:
        run = partial(predict, model=model, branches=branches, device=place)
        return find_magnification(plane, small, model.card, partial(run, cancelled=cancelled))

    return with_fallback(look, device)


def with_fallback(work: Callable[[torch.device], T], device: str) -> T:
    """Work on the device, or on the CPU if the device has too little memory."""
    where = choose_device(device)
    try:
        return work(where)
    except RuntimeError as error:
        if where.type == "cpu" or not out_of_memory(error):
            raise
        logger.warning("The %s device has too little memory, so the CPU is used.", where.type)
        return work(torch.device("cpu"))


def check_tiled(model: Model) -> None:
    """Refuse a model that cannot see an image part by part, or looks for one object in all of it.

    Raises
    ------
    ModelError
        If it looks at images as a whole.
    """
    if model.card.input.scaling == "whole" or model.card.shape != "any":
        raise ModelError(f"{model.card.name} looks at images as a whole: choose a tiled model.")


def check_branches(branches: str, model: Model) -> None:
    """Refuse a branch setting the model does not have.

    Raises
    ------
    ModelError
        If there is no such setting, or the model has a single branch.
    """
    if branches not in BRANCHES:
        raise ModelError(f"Unknown branches {branches!r}: choose one of {', '.join(BRANCHES)}.")
    if branches not in model.card.branch_settings:
        raise ModelError(f"{model.card.name} has a single branch: leave the branches at 'both'.")
