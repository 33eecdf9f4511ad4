"""Progress of work, and of its parts as that of the whole."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]  # called with (done, total)
IsCancelled = Callable[[], bool]

STEPS = 1000  # of progress, for every image


def silent(done: int, total: int) -> None:
    """Report progress to nobody."""


def never() -> bool:
    """Say that nobody cancelled."""
    return False


def counted_from(progress: Progress, first: int, total: int) -> Progress:
    """Progress of a part, reported as that of all `total` tiles, of which `first` came before."""
    return lambda done, _: progress(first + done, total)


def share_of(progress: Progress, number: int, total: int) -> Progress:
    """Progress of one of several equal pieces of work, reported as that of all."""
    return lambda done, count: progress(number * count + done, total * count)


def steps_of(progress: Progress, number: int, total: int) -> Progress:
    """Progress of one of several images, reported as that of all; images count the same."""
    return lambda done, count: progress(number * STEPS + STEPS * done // count, total * STEPS)
