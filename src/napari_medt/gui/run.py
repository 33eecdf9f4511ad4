"""What one click asks for, and how it is carried out. Runs on a worker thread; knows no Qt."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_medt.errors import ModelError
from napari_medt.gui.job import IsCancelled, Progress
from napari_medt.models.card import ModelCard
from napari_medt.network.config import Branches
from napari_medt.review.provenance import provenance

ENGINE = "napari_medt.engine.segment"

_importing = threading.Lock()


@dataclass(frozen=True, eq=False)
class Request:
    """What was chosen when Segment was clicked.

    Attributes
    ----------
    image : array or array-like
        One plane, ``(H, W)`` or with `rgb` ``(H, W, 3 or 4)``; a lazy one is read by the run.
    rgb : bool
        Whether the last axis is colour.
    model : str
        Name of a bundled model, or the path of a folder.
    branches, threshold, min_size
        As for :func:`napari_medt.engine.segment.segment`.
    """

    image: Any
    rgb: bool
    model: str
    branches: Branches
    threshold: float
    min_size: int


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a run found.

    Attributes
    ----------
    labels : array of int32
        ``(H, W)``.
    probabilities : array of float32
        ``(classes, H, W)``, from which the sliders make labels again.
    card : ModelCard
        Of the model that ran.
    provenance : dict
        How the labels were made.
    """

    labels: NDArray[np.int32]
    probabilities: NDArray[np.float32]
    card: ModelCard
    provenance: dict[str, Any]


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
    from napari_medt.engine.labels import to_labels
    from napari_medt.engine.segment import predict_image
    from napari_medt.models.store import load_model

    model = load_model(request.model)
    device = str(choose_device("auto"))
    probabilities = predict_image(
        np.asarray(request.image),
        model,
        request.branches,
        rgb=request.rgb,
        device=device,
        progress=progress,
        cancelled=is_cancelled,
    )
    labels = to_labels(
        probabilities, model.card, threshold=request.threshold, min_size=request.min_size
    )
    made = provenance(
        model.card,
        branches=request.branches,
        threshold=request.threshold,
        min_size=request.min_size,
        device=device,
        seconds=time.perf_counter() - start,
    )
    return Outcome(labels, probabilities, model.card, made)


def relabel(outcome: Outcome, threshold: float, min_size: int) -> Outcome:
    """Make labels with other settings, from the probabilities that are there."""
    from napari_medt.engine.labels import to_labels

    labels = to_labels(outcome.probabilities, outcome.card, threshold=threshold, min_size=min_size)
    made = {**outcome.provenance, "threshold": threshold, "min_size": min_size}
    return replace(outcome, labels=labels, provenance=made)


def warm_up(progress: Progress, is_cancelled: IsCancelled) -> None:
    """Do what the first run of a session would wait for; a :class:`~napari_medt.gui.job.Job`."""
    import_engine()
    with no_collections():
        import torch

        from napari_medt.network.fold import fold
        from napari_medt.network.networks import build_network

        network = fold(build_network("medt", image_size=128, in_channels=1, num_classes=2))
        with torch.inference_mode():  # one tile, so that what is compiled on first use is compiled
            network(torch.zeros(1, 1, 128, 128))


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
