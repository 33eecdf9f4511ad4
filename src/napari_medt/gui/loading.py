"""Load torch and the engine without stopping the window. Knows no Qt."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from napari_medt.errors import ModelError
from napari_medt.network.config import BRANCHES, Branches

if TYPE_CHECKING:  # not Qt before torch, which on Windows may not load after it
    from napari_medt.engine.progress import IsCancelled, Progress

ENGINE = "napari_medt.engine.volume"

_importing = threading.Lock()


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
                import pandas  # noqa: F401  # or napari does so in its own thread at the first mask

                import_module(ENGINE)
            except (ImportError, OSError) as error:
                # On Windows torch may not load after Qt (github.com/pytorch/pytorch/issues/166628).
                raise ModelError(
                    f"PyTorch could not be loaded ({error}): start napari with `napari-medt "
                    "demo`, which loads PyTorch before Qt, or reinstall PyTorch."
                ) from error


@contextmanager
def no_collections() -> Iterator[None]:
    """Keep the garbage collector off meanwhile, and away from what is created for good.

    Imported and compiled objects stay anyway. A full collection over them would hold Python's
    global lock, and so block the window, for a quarter of a second.
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

    While an import opens a library, Python holds its global lock: for torch a quarter of a second,
    in which the window is blocked. A foreign function, such as ``dlopen``, runs without the lock.
    """
    if sys.platform != "linux" or "torch" in sys.modules:
        return
    spec = find_spec("torch")
    if spec is not None and spec.origin is not None:
        library = Path(spec.origin).parent / "lib" / "libtorch_cpu.so"
        dlopen = ctypes.CDLL(None).dlopen
        dlopen.restype = ctypes.c_void_p
        dlopen(os.fsencode(library), os.RTLD_NOW)  # the import explains a failure better


def warm_up(progress: Progress, is_cancelled: IsCancelled) -> dict[Branches, float]:
    """Import and compile what the first run of a session would wait for; work for a job.

    Returns
    -------
    dict
        Tiles per second that MedT does on this machine, for each branch setting.
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
            network(tiles)  # compiles what is compiled on first use
            for branches in BRANCHES:
                start = time.perf_counter()
                network(tiles, branches=branches).cpu()
                speeds[branches] = len(tiles) / (time.perf_counter() - start)
        return speeds
