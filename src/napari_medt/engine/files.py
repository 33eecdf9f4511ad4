"""Files and folders of results: made whole or not at all, beside what was there."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tifffile
from numpy.typing import NDArray

from napari_medt.errors import DataError

# Folder beside results with what a later run has to know about them.
STATE = ".medt"


def make_folder(folder: Path) -> None:
    """Make a folder that can be written to.

    Raises
    ------
    DataError
        If it cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"The output folder {folder} cannot be made: {error.strerror}.") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise DataError(f"The output folder {folder} cannot be written to: choose another one.")


def write_tiff(path: Path, image: NDArray, axes: str = "") -> None:
    """Write labels or probabilities as a compressed TIFF, perhaps with the letters of its axes."""
    metadata = {"axes": axes.upper()} if axes else {}
    # Without `photometric`, tifffile would take three or four planes for colours.
    tifffile.imwrite(path, image, photometric="minisblack", compression="zlib", metadata=metadata)


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a file beside `path`, then rename it into place.

    A reader never sees half a file, and a failed write leaves what was there. If `path` is a link,
    the file that it points to is written.

    Raises
    ------
    DataError
        If `path` is a folder, a device or the like.
    """
    if path.exists() and not path.is_file():  # a device would be gone for the whole machine
        raise DataError(f"{path} is there and is not a file: give another name.")
    if path.is_symlink():  # after the check: a link to a pipe, as /dev/stdout, resolves to nothing
        path = path.resolve()
    beside = unused_name(path.parent, path.suffix)
    beside.touch(exist_ok=False)  # with the rights that the user's new files have
    try:
        write(beside)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    write_whole(path, lambda beside: beside.write_text(text, encoding="utf-8"))


def write_json(path: Path, values: Any) -> None:
    """Write plain values as JSON for people to read, whole or not at all."""
    write_text(path, json.dumps(values, indent=2) + "\n")


def unused_name(folder: Path, suffix: str = "") -> Path:
    """Make up a hidden name; short, since file names are limited to 255 characters.

    Not by `tempfile`: only the owner may read its files, and some drives refuse to change that.
    """
    return folder / f".medt-{secrets.token_hex(8)}{suffix}"
