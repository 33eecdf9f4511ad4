"""``napari-medt demo``: open napari with a sample and the widget."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from napari_medt.errors import UserError


def add(commands: Any) -> None:
    """Add the command and its options."""
    command = commands.add_parser("demo", help="open napari with a sample and the widget")
    command.add_argument("--output", type=Path, default=Path("medt-demo"), help="without a display")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Open the viewer on a sample; without a display, do the same job without one.

    Raises
    ------
    UserError
        If the viewer lacks Qt.
    """
    if has_display():
        try:
            from napari_medt.gui.demo import show_demo

            show_demo()
        except ImportError:  # napari comes without Qt
            raise UserError(
                'The viewer needs Qt: install it with `pip install "napari-medt[all]"`.'
            ) from None
        return 0
    from napari_medt.engine.files import make_folder
    from napari_medt.review.overlay import write_demo

    print("There is no display, so the sample is segmented without a window.")
    make_folder(options.output)
    for path in write_demo(options.output):
        print(f"Wrote {path}")
    return 0


def has_display() -> bool:
    """Whether windows can be shown: on Linux if the environment names a display, else always."""
    if sys.platform != "linux":
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
