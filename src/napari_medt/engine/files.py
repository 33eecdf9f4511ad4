"""Files and folders of results: made whole or not at all, beside what was there."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

import tifffile
from numpy.typing import NDArray

from napari_medt.errors import DataError

# Folder beside results with what a later run has to know of them.
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


def write_tiff(path: Path, image: NDArray) -> None:
    """Write labels or probabilities as a compressed TIFF, whole or not at all."""
    # tifffile takes three or four planes for colours, unless it is told.
    write_whole(
        path,
        lambda beside: tifffile.imwrite(
            beside, image, photometric="minisblack", compression="zlib"
        ),
    )


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a file beside `path`, then rename it into place.

    A reader never sees half a file, and a failed write leaves what was there. Of a link, the file
    that it points to is written.

    Raises
    ------
    DataError
        If there is something at `path` that is no file.
    """
    if path.exists() and not path.is_file():  # a device would be gone for the whole machine
        raise DataError(f"{path} is there and is not a file: give another name.")
    if path.is_symlink():  # only now: of a link to a pipe, as /dev/stdout is, nothing is there
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


def unused_name(folder: Path, suffix: str = "") -> Path:
    """Name a hidden file or folder that is not there; short, as a drive allows 255 characters.

    What `tempfile` makes is its owner's alone, and not every drive lets that be changed.
    """
    return folder / f".medt-{secrets.token_hex(8)}{suffix}"
