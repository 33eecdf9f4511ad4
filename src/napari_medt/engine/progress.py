"""Progress of work, and of its parts as that of the whole."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]  # called with (done, total)
IsCancelled = Callable[[], bool]

STEPS = 1000  # of progress, for every image


def counted_from(progress: Progress | None, first: int, total: int) -> Progress | None:
    """Progress of a part, told as that of all `total` tiles, of which `first` came before."""
    return None if progress is None else lambda done, _: progress(first + done, total)


def share_of(progress: Progress | None, number: int, total: int) -> Progress | None:
    """Progress of one of several equal pieces of work, told as that of all."""
    if progress is None:
        return None
    return lambda done, count: progress(number * count + done, total * count)


def steps_of(progress: Progress | None, number: int, total: int) -> Progress:
    """Progress of one of several images, told as that of all; images count the same."""
    if progress is None:
        return lambda done, count: None
    return lambda done, count: progress(number * STEPS + STEPS * done // count, total * STEPS)
