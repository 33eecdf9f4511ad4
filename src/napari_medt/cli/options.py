"""Options that several commands have, and the kinds of numbers that options take."""

from __future__ import annotations

import argparse

from napari_medt.engine.device import DEVICES


def add_model(command: argparse.ArgumentParser) -> None:
    """Add ``--model``."""
    command.add_argument("--model", required=True, help="bundled name, model folder or .pth file")


def add_device(command: argparse.ArgumentParser) -> None:
    """Add ``--device``."""
    command.add_argument("--device", choices=DEVICES, default="auto")


def probability(text: str) -> float:
    """Read a number from 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError("must be from 0 to 1")
    return value


def positive(text: str) -> float:
    """Read a finite number above 0."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError("must be above 0")
    return value


def count(text: str) -> int:
    """Read a whole number of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def from_zero(number: int | None) -> int | None:
    """Count from 0 what users count from 1; None stays None."""
    return None if number is None else number - 1
