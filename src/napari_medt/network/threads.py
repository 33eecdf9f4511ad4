"""Run a function in several threads at once: in torch's own, where possible.

Torch's threads do not sleep at once when their work is done but spin for a while, which takes the
processor from any others. So on Linux, where torch brings GNU OpenMP along, its threads are asked
through the entry point that compiled code uses. Elsewhere a pool of our own has to do.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from pathlib import Path
from typing import Any

import torch

Callback = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def run_in_threads(count: int, work: Callable[[], None]) -> None:
    """Call `work` in `count` threads, this one among them, and wait for all.

    Raises
    ------
    Exception
        What `work` raised in one of the threads, once all have ended.
    """
    if count == 1:
        work()
        return
    parallel = _gnu_parallel()
    if parallel is None:
        others = [_pool(count).submit(work) for _ in range(count - 1)]
        try:
            work()
        finally:
            wait(others)  # they write into the caller's arrays
        for other in others:
            other.result()
        return
    errors: list[BaseException] = []

    def guarded(_: Any) -> None:
        try:
            work()
        except BaseException as error:  # none may pass through compiled code
            errors.append(error)

    parallel(Callback(guarded), None, count, 0)
    if errors:
        raise errors[0]


@cache
def _gnu_parallel() -> Any:
    """``GOMP_parallel(function, data, threads, flags)`` of the library torch uses, or None."""
    home = Path(torch.__file__).parent
    for library in (*home.glob("lib/libgomp*.so*"), *home.parent.glob("torch.libs/libgomp*.so*")):
        try:
            parallel = ctypes.CDLL(str(library)).GOMP_parallel
        except (OSError, AttributeError):
            continue
        parallel.argtypes = [Callback, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
        parallel.restype = None
        return parallel
    return None


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "napari-medt")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # threads do not survive a fork
