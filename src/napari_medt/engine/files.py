"""Image files in and out."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from napari_medt.engine.formats.picture import turned
from napari_medt.engine.formats.tiff import SUFFIXES as TIFF_SUFFIXES
from napari_medt.engine.formats.tiff import is_inverted, read_values
from napari_medt.errors import DataError, ImageError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", *TIFF_SUFFIXES, ".bmp", ".gif", ".webp")


def find_images(folder: Path) -> list[Path]:
    """List the image files of a folder by their suffix, sorted; hidden files are left out."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    )


def read_image(path: Path, *, numbers: bool = False) -> NDArray:
    """Read an image file: ``(H, W)`` or ``(H, W, 3|4)`` for the common 2-D formats.

    Of an animation it is all frames, ``(T, H, W[, 3|4])``. The alpha of gray images is dropped.

    Parameters
    ----------
    path : Path
        The file.
    numbers : bool
        Whether the values are labels: those of a TIFF stay as they are stored, while an image's
        stand for the colours of its palette, or for gray values of which the lowest are white.

    Raises
    ------
    ImageError
        If there is no such file or it is not an image, or its colours are not known.
    """
    if not path.is_file():
        raise ImageError(f"There is no file {path}.")
    try:
        if path.suffix.lower() in TIFF_SUFFIXES:
            image = _read_tiff(path, numbers)
        else:
            image = _read_picture(path)
    except (ImageError, MemoryError):
        raise
    except Image.DecompressionBombError:
        raise ImageError(f"{path.name} is too large for a picture: convert it to TIFF.") from None
    except Exception as error:  # decoders raise whatever their format makes them
        raise ImageError(f"{path.name} is not an image that can be read.") from error
    return image[..., 0] if image.ndim == 3 and image.shape[2] == 2 else image


def _read_tiff(path: Path, numbers: bool) -> NDArray:
    with tifffile.TiffFile(path) as tiff:
        image, _ = read_values(tiff, numbers=numbers)
        return turned(image) if is_inverted(tiff) and not numbers else image


def _read_picture(path: Path) -> NDArray:
    file, suffix = path.read_bytes(), path.suffix
    # From memory: some decoders leave a file open when it is not an image.
    image = np.asarray(imageio.imread(file, extension=suffix))
    if image.ndim == 3 and image.shape[2] == 4 and _mode(file, suffix) == "CMYK":
        return np.asarray(imageio.imread(file, extension=suffix, mode="RGB"))
    if has_frames(image) and len(image) == 1:  # GIF knows animations only
        return image[0]
    return image


def _mode(file: bytes, suffix: str) -> str:
    """What Pillow calls the kind of a picture's pixels."""
    return str(imageio.immeta(file, extension=suffix).get("mode", ""))


def has_frames(image: NDArray) -> bool:
    """Whether the first axis of a picture is time: the last one has at most 4 samples of colour."""
    return image.ndim == 4 or (image.ndim == 3 and image.shape[2] > 4)


def read_palette_numbers(path: Path) -> NDArray | None:
    """Read the numbers ``(H, W)`` of an image with a palette; None if it has none of its own."""
    if path.suffix.lower() in (*TIFF_SUFFIXES, ".gif"):
        return None  # :func:`read_image` gives those of TIFF; GIF numbers colours as it is saved
    file = path.read_bytes()
    if _mode(file, path.suffix) != "P":
        return None
    return np.asarray(imageio.imread(file, extension=path.suffix, mode="P"))


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
    if path.is_symlink():
        path = path.resolve()
    if path.exists() and not path.is_file():  # a device would be gone for the whole machine
        raise DataError(f"{path} is there and is not a file: give another name.")
    beside = unused_name(path.parent, path.suffix)
    beside.touch(exist_ok=False)  # with the rights that the user's new files have
    try:
        write(beside)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def unused_name(folder: Path, suffix: str = "") -> Path:
    """Name a hidden file or folder that is not there; short, as a drive allows 255 characters.

    What `tempfile` makes is its owner's alone, and not every drive lets that be changed.
    """
    return folder / f".medt-{secrets.token_hex(8)}{suffix}"
