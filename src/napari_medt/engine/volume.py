"""Images of many planes: predicted plane by plane, labels put together again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medt.engine.axes import COLOURS, Axes, Frame
from napari_medt.engine.image import check_image, prepare, sample
from napari_medt.engine.progress import IsCancelled, Progress, never, share_of, silent
from napari_medt.engine.region import Region, Scope
from napari_medt.engine.segment import Prediction, magnification_of, predict_image
from napari_medt.engine.source import read_plane
from napari_medt.engine.stack import link_slices
from napari_medt.engine.tiles import size_of
from napari_medt.engine.window import Held
from napari_medt.errors import ImageError
from napari_medt.models.card import ModelCard
from napari_medt.models.store import Model
from napari_medt.network.config import Branches


def predict_frames(
    data: Any,
    scope: Scope,
    model: Model,
    branches: Branches = "both",
    *,
    rgb: bool = False,
    magnification: float | None = None,
    device: str = "auto",
    progress: Progress = silent,
    cancelled: IsCancelled = never,
) -> Iterator[tuple[Frame, Prediction]]:
    """Predict plane by plane.

    Parameters
    ----------
    data : array or array-like
        Shaped as the scope's axes, with `rgb` and a colour axis behind; a lazy one is read plane
        by plane.
    scope : Scope
        What to predict.
    model, branches, device, cancelled
        See :func:`napari_medt.engine.segment.segment`.
    rgb : bool
        Whether there is a colour axis.
    magnification : float, optional
        By default found in the middle one of the planes, and the same for all.
    progress : callable, optional
        Called with ``(done, total)`` over all planes.

    Yields
    ------
    tuple
        The plane's index, and what the network makes of its region.

    Raises
    ------
    ImageError
        If there are no planes or one cannot be segmented. A stack may hold planes without any
        content.
    ModelError
        If the model does not have the branch, or its weights give no numbers.
    DeviceError
        If the device is not there.
    Cancelled
        If `cancelled` said so.
    """
    total, blank = len(scope.frames), 0
    colour = rgb or (scope.axes.channel_axis is not None and scope.channel is None)

    if not total:
        words = scope.axes.describe(rgb=rgb, channel=scope.channel)
        raise ImageError(f"The image has {words}: there is nothing to segment.")

    def plane_at(frame: Frame) -> NDArray:
        plane = read_plane(scope.axes, data, frame, scope.channel)
        return plane[..., :COLOURS] if colour else plane  # without transparency

    for number, frame in enumerate(scope.frames):
        plane = plane_at(frame)
        if total > 1 and is_blank(plane):
            blank += 1
            if blank == total:
                raise ImageError("Every plane is of a single value: there is nothing to segment.")
            yield frame, blank_prediction(model.card, plane.shape[:2], scope.region)
            continue
        if magnification is None and total > 1:  # for a single plane predict_image finds it
            middle = plane_at(scope.frames[total // 2])
            middle = plane if is_blank(middle) else middle
            magnification = magnification_in(middle, colour, model, branches, device, cancelled)
        yield (
            frame,
            predict_image(
                plane,
                model,
                branches,
                rgb=colour,
                region=scope.region,
                magnification=magnification,
                device=device,
                progress=share_of(progress, number, total),
                cancelled=cancelled,
            ),
        )


def magnification_in(
    plane: NDArray,
    colour: bool,
    model: Model,
    branches: Branches,
    device: str,
    cancelled: IsCancelled,
) -> float:
    """Find the magnification for a stack in one of its planes."""
    seen = prepare(check_image(plane, colour), model.card.input)
    return magnification_of(Held(seen), sample(seen), model, branches, device, cancelled)


def is_blank(plane: NDArray) -> bool:
    """Whether all values are equal."""
    return bool(plane.size and (plane == plane.flat[0]).all())


def blank_prediction(card: ModelCard, shape: tuple[int, ...], region: Region | None) -> Prediction:
    """Return the prediction of a plane, or of its region, that is all background."""
    if region is not None:
        shape = size_of(region.box)
    probabilities = np.zeros((len(card.classes), *shape), np.float32)
    probabilities[0] = 1
    return Prediction(probabilities, blank=1.0)


def label_plane(
    prediction: Prediction,
    scope: Scope,
    card: ModelCard,
    *,
    threshold: float | None = None,
    min_size: int | None = None,
) -> NDArray[np.int32]:
    """Turn what :func:`predict_frames` found in a plane into labels, 0 outside the region.

    See :meth:`napari_medt.engine.segment.Prediction.labels`.
    """
    labels = prediction.labels(card, threshold=threshold, min_size=min_size)
    return labels if scope.region is None else scope.region.clear_outside(labels)


def put_together(
    planes: Mapping[Frame, NDArray[np.int32]], scope: Scope, *, number_apart: bool, link: bool
) -> NDArray[np.int32]:
    """Lay the labels of planes into the labels of the whole image.

    Parameters
    ----------
    planes : mapping
        Labels of every plane of the scope, or of its region there.
    scope : Scope
        Where they belong; labels are 0 elsewhere.
    number_apart : bool
        Labels are objects, not classes: those of different planes get different numbers.
    link : bool
        Instead, objects that overlap from slice to slice are one object, if there are slices.

    Returns
    -------
    array of int32
        Shaped as the axes less the channels.
    """
    linked = number_apart and link and "slice" in scope.axes.roles
    whole, last = np.zeros(scope.axes.labels_shape, np.int32), 0
    for part, frame in zip(scope.parts(), scope.frames, strict=True):
        labels = planes[frame]
        if number_apart and not linked:
            labels = np.where(labels > 0, labels + last, 0)
            last = max(last, int(labels.max(initial=0)))
        whole[part] = labels
    if linked:
        link_volume(whole, scope.axes)
    return whole


def link_volume(whole: NDArray[np.int32], axes: Axes) -> None:
    """Link objects along the slices, for every time and position by itself, in place."""
    roles = [axes.roles[axis] for axis in axes.kept]
    last, volumes = 0, np.moveaxis(whole, roles.index("slice"), -3)
    for index in np.ndindex(volumes.shape[:-3]):
        linked = link_slices(volumes[index])
        volumes[index] = np.where(linked > 0, linked + last, 0)
        last = max(last, int(volumes[index].max(initial=0)))
