"""What one click asks for, and how it is carried out. Runs on a worker thread; knows no Qt."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_medt.engine.axes import guess_axes
from napari_medt.engine.progress import IsCancelled, Progress
from napari_medt.engine.region import Region, Scope
from napari_medt.errors import ModelError
from napari_medt.gui.outcome import Outcome, Place, found_in_words, held, in_words
from napari_medt.network.config import BRANCHES, Branches
from napari_medt.review.provenance import provenance

if TYPE_CHECKING:
    from napari_medt.engine.source import Level
    from napari_medt.models.store import Model

ENGINE = "napari_medt.engine.volume"
KEPT_BYTES = 1 << 29  # of probabilities, for the sliders

_importing = threading.Lock()


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
    mm_per_pixel : float or None
        Side of a pixel in millimetres, where the layer tells it.
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
    mm_per_pixel: float | None = None
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
    from napari_medt.engine.volume import label_plane, predict_frames, put_together
    from napari_medt.models.store import load_model

    model, scope = load_model(request.model), request.scope
    device = str(choose_device("auto"))
    settings: dict[str, Any] = {"threshold": request.threshold, "min_size": request.min_size}
    if request.levels is not None:
        return carry_out_part(request, model, device, settings, start, progress, is_cancelled)
    kept, planes, size = {}, {}, 0
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
        planes[frame] = label_plane(prediction, scope, model.card, **settings)
        kept[frame] = prediction
        size += prediction.probabilities.nbytes
        if size > KEPT_BYTES:
            kept.clear()
    labels = put_together(planes, scope, number_apart=model.card.splits_objects, link=request.link)
    made = told_of(request, model, device, start)
    kept = kept if len(kept) == len(planes) else {}
    words = in_words(labels, scope, model.card, request.mm_per_pixel)
    return Outcome(
        **held(labels, scope),
        predictions=kept,
        scope=scope,
        link=request.link,
        card=model.card,
        provenance=made,
        words=words,
    )


def carry_out_part(
    request: Request,
    model: Model,
    device: str,
    settings: dict[str, Any],
    start: float,
    progress: Progress,
    is_cancelled: IsCancelled,
) -> Outcome:
    """Predict and label a part of an image that is too large to hold."""
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
    labels = label_plane(part.prediction, scope, model.card, **settings)
    made = told_of(request, model, device, start)
    return Outcome(
        **held(labels, scope),
        predictions={scope.frames[0]: part.prediction},
        scope=scope,
        link=False,
        card=model.card,
        provenance=made,
        words=found_in_words(labels, scope, model.card),
        place=Place(part.corner, part.step),
    )


def told_of(request: Request, model: Model, device: str, start: float) -> dict[str, Any]:
    """Describe how a run that began at `start` made its labels."""
    return provenance(
        model.card,
        request.scope,
        link=request.link,
        branches=request.branches,
        threshold=request.threshold,
        min_size=request.min_size,
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


def warm_up(progress: Progress, is_cancelled: IsCancelled) -> dict[Branches, float]:
    """Do what the first run of a session would wait for; a :class:`~napari_medt.gui.job.Job`.

    Returns
    -------
    dict
        Tiles per second that MedT then does on this machine, per branch setting.
    """
    import_engine()
    with no_collections():
        import torch

        from napari_medt.engine.device import choose_device
        from napari_medt.engine.predict import BATCH_SIZES
        from napari_medt.network.fold import fold
        from napari_medt.network.networks import build_network

        device = choose_device("auto")
        network = fold(build_network("medt", image_size=128, in_channels=1, num_classes=2))
        network = network.to(device)
        tiles = torch.zeros(BATCH_SIZES[device.type], 1, 128, 128, device=device)
        speeds: dict[Branches, float] = {}
        with torch.inference_mode():
            network(tiles)  # what is compiled on first use is compiled here
            for branches in BRANCHES:
                start = time.perf_counter()
                network(tiles, branches=branches).cpu()
                speeds[branches] = len(tiles) / (time.perf_counter() - start)
        return speeds


def import_engine() -> None:
    """Import torch, the engine and what showing its result needs, without stopping the event loop.

    Raises
    ------
    ModelError
        If torch cannot be loaded.
    """
    with _importing:
        if ENGINE in sys.modules:
            return
        with no_collections():
            _load_torch_library()
            try:
                import pandas  # noqa: F401  # else napari does, standing still, at the first mask

                import_module(ENGINE)
            except (ImportError, OSError) as error:
                # On Windows torch may not load after Qt (github.com/pytorch/pytorch/issues/166628).
                raise ModelError(
                    f"PyTorch could not be loaded ({error}): start napari with `napari-medt "
                    "demo`, which loads PyTorch before Qt, or reinstall PyTorch."
                ) from error


@contextmanager
def no_collections() -> Iterator[None]:
    """Keep Python's garbage collector off, and from what came meanwhile.

    What is imported or compiled stays anyway. A full collection that goes through it holds Python's
    global lock for a quarter of a second, in which no window is drawn.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collecting:
            gc.enable()


def _load_torch_library() -> None:
    """Map torch's largest library ahead of its import.

    Python holds its global lock while an import opens a library, for torch a quarter of a second
    in which no window is drawn. A foreign function, such as ``dlopen`` itself, runs without it.
    """
    if sys.platform != "linux" or "torch" in sys.modules:
        return
    spec = find_spec("torch")
    if spec is not None and spec.origin is not None:
        library = Path(spec.origin).parent / "lib" / "libtorch_cpu.so"
        dlopen = ctypes.CDLL(None).dlopen
        dlopen.restype = ctypes.c_void_p
        dlopen(os.fsencode(library), os.RTLD_NOW)  # a failure shows again, and better, on import
