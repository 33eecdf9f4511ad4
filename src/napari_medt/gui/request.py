"""What one click on Segment asks for, and the work it causes on a thread. Knows no Qt."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_medt.engine.axes import guess_axes
from napari_medt.engine.mix import Mix
from napari_medt.engine.progress import IsCancelled, Progress
from napari_medt.engine.region import Region, Scope
from napari_medt.gui.loading import import_engine
from napari_medt.gui.outcome import Outcome, Place, held, in_words
from napari_medt.network.config import Branches
from napari_medt.review.provenance import provenance

if TYPE_CHECKING:
    from napari_medt.engine.ellipse import Sides
    from napari_medt.engine.source import Level
    from napari_medt.models.store import Model

Describe = Callable[..., dict[str, Any]]  # :func:`describe_run` of one run
KEPT_BYTES = 1 << 29  # of probabilities, for the sliders


@dataclass(frozen=True, eq=False)
class Request:
    """What was chosen when Segment was clicked.

    Attributes
    ----------
    image : array or array-like
        Shaped as the scope's axes, with `rgb` and a colour axis behind; a lazy one is read by the
        run.
    rgb : bool
        Whether there is a colour axis.
    scope : Scope
        Which planes, channel and region.
    model : str
        Name of a bundled model, or the path of a folder.
    branches, threshold, min_size
        As for :func:`napari_medt.engine.segment.segment`.
    link : bool
        Whether objects that overlap from slice to slice are one object.
    mm_per_pixel : tuple of float or None
        Height and width of a pixel in millimetres, where the layer tells it.
    levels : sequence of Level, optional
        The resolutions of an image that is too large to hold, of which the scope's region is
        segmented; `image` is then not used.
    """

    image: Any
    rgb: bool
    scope: Scope
    model: str
    branches: Branches
    threshold: float
    min_size: int
    link: bool = False
    mm_per_pixel: Sides | None = None
    levels: Sequence[Level] | None = None


def carry_out(request: Request, progress: Progress, is_cancelled: IsCancelled) -> Outcome:
    """Load the model, predict and label.

    Raises
    ------
    UserError
        With one sentence for the user.
    Cancelled
        If `is_cancelled` said so.
    """
    start = time.perf_counter()
    import_engine()
    from napari_medt.engine.device import choose_device
    from napari_medt.models.store import load_model

    model, device = load_model(request.model), str(choose_device("auto"))
    segment = segment_planes if request.levels is None else segment_part
    describe = partial(describe_run, request, model, device, start)
    return segment(request, model, device, describe, progress, is_cancelled)


def segment_planes(
    request: Request,
    model: Model,
    device: str,
    describe: Describe,
    progress: Progress,
    is_cancelled: IsCancelled,
) -> Outcome:
    """Predict and label planes, and return them as an outcome."""
    from napari_medt.engine.volume import label_plane, predict_frames, put_together

    scope = request.scope
    kept, planes, size = {}, {}, 0
    seen = []
    for frame, prediction in predict_frames(
        request.image,
        scope,
        model,
        request.branches,
        rgb=request.rgb,
        device=device,
        progress=progress,
        cancelled=is_cancelled,
    ):
        planes[frame] = label_plane(
            prediction,
            scope,
            model.card,
            threshold=request.threshold,
            min_size=request.min_size,
        )
        seen.append((prediction.magnification, prediction.blank))
        kept[frame] = prediction
        size += prediction.seen.nbytes
        if size > KEPT_BYTES:
            kept.clear()
    labels = put_together(planes, scope, number_apart=model.card.splits_objects, link=request.link)
    magnifications, blank = zip(*seen, strict=True)
    made = describe(
        magnification=max(magnifications),  # the same of all planes, but 0 of blank ones
        blank=sum(blank) / len(blank),
    )
    words = in_words(labels, scope, model.card, request.mm_per_pixel)
    return Outcome(
        **held(labels, scope),
        predictions=kept,
        scope=scope,
        link=request.link,
        card=model.card,
        provenance=made,
        words=words,
        mm_per_pixel=request.mm_per_pixel,
    )


def segment_part(
    request: Request,
    model: Model,
    device: str,
    describe: Describe,
    progress: Progress,
    is_cancelled: IsCancelled,
) -> Outcome:
    """Predict and label a part of an image that is too large to hold; see `segment_planes`."""
    from napari_medt.engine.part import predict_part
    from napari_medt.engine.volume import label_plane

    region = request.scope.region
    assert request.levels is not None
    assert region is not None
    part = predict_part(
        request.levels,
        region.box,
        model,
        request.branches,
        device=device,
        progress=progress,
        cancelled=is_cancelled,
    )
    scope = scope_of_part(part.prediction.probabilities.shape[1:], region)
    labels = label_plane(
        part.prediction,
        scope,
        model.card,
        threshold=request.threshold,
        min_size=request.min_size,
    )
    place = Place(part.corner, part.step, part.level + 1 if len(request.levels) > 1 else 0)
    made = describe(
        resolution=part.level + 1,
        magnification=part.prediction.magnification,
        blank=part.prediction.blank,
    )
    return Outcome(
        **held(labels, scope),
        predictions={scope.frames[0]: part.prediction},
        scope=scope,
        link=False,
        card=model.card,
        provenance=made,
        words=in_words(labels, scope, model.card, None, place=place),
        place=place,
    )


def describe_run(
    request: Request,
    model: Model,
    device: str,
    start: float,
    *,
    magnification: float,
    blank: float,
    resolution: int = 1,
) -> dict[str, Any]:
    """Return the provenance of the labels of a run that began at `start`."""
    return provenance(
        model.card,
        request.scope,
        mixed=request.image.channels if isinstance(request.image, Mix) else (),
        link=request.link,
        branches=request.branches,
        threshold=request.threshold,
        min_size=request.min_size,
        resolution=resolution,
        magnification=magnification,
        blank=blank,
        device=device,
        seconds=time.perf_counter() - start,
    )


def scope_of_part(shape: tuple[int, ...], region: Region) -> Scope:
    """All of a part of `shape` at the model's resolution, or what of it is inside a region."""
    from skimage.transform import resize

    scope = Scope.everything(guess_axes(shape, ("y", "x")))
    if region.inside is None:
        return scope
    inside = resize(region.inside, shape, order=0)
    whole = Region(slice(0, shape[0]), slice(0, shape[1]), inside)
    return replace(scope, region=whole)
