"""``napari-medt benchmark``: measure how fast this machine is."""

from __future__ import annotations

import argparse
import json
from typing import Any

from napari_medt.cli.options import positive
from napari_medt.errors import ImageError
from napari_medt.models import DEMO_MODEL

LARGEST_SIDE = 10**9  # in pixels: more tiles cannot be counted


def add(commands: Any) -> None:
    """Add the command and its options."""
    command = commands.add_parser("benchmark", help="measure how fast this machine is")
    command.add_argument("--model", default=DEMO_MODEL, help="default: %(default)s")
    command.add_argument(
        "--size", nargs=2, type=int, default=(1024, 1024), metavar=("HEIGHT", "WIDTH")
    )
    command.add_argument("--seconds", type=positive, default=2.0, help="length of a measurement")
    command.add_argument("--json", action="store_true", help="print the figures as JSON")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure tiles per second, and how long an image of the given size takes.

    Raises
    ------
    ImageError
        If the size is not one of an image.
    """
    from dataclasses import asdict

    from napari_medt.engine.benchmark import measure_machine
    from napari_medt.models.store import load_model

    height, width = options.size
    if not (1 <= height <= LARGEST_SIDE and 1 <= width <= LARGEST_SIDE):
        raise ImageError(f"The size must be from 1 to {LARGEST_SIDE} pixels a side.")
    model = load_model(options.model)
    speeds = measure_machine(model, options.seconds)
    rows = [
        {**asdict(speed), "seconds": round(speed.seconds_for(model.card, height, width), 2)}
        for speed in speeds
    ]
    if options.json:
        print(json.dumps({"model": model.card.name, "size": [height, width], "speeds": rows}))
        return 0
    print(f"{'device':>8} {'branches':>8} {'tiles/s':>8} {f'{height} x {width}':>14}")
    for row in rows:
        speed = f"{row['tiles_per_second']:>8.1f} {row['seconds']:>12.2f} s"
        print(f"{row['device']:>8} {row['branches']:>8} {speed}")
    return 0
