"""The common picture formats, and TIFF with its axes and pixel size."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import imageio.v3 as imageio
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from napari_medt.engine.formats.opening import opening
from napari_medt.engine.formats.picture import COLOUR, Picture, inverted
from napari_medt.engine.formats.tiff import SUFFIXES as TIFF_SUFFIXES
from napari_medt.engine.formats.tiff import is_inverted, read_values
from napari_medt.errors import ImageError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", *TIFF_SUFFIXES, ".bmp", ".gif", ".webp")

CENTIMETRE = 3  # TIFF's ResolutionUnit; inches there are usually those of a printer
CENTIMETRES_PER_INCH = 2.54
DOTS_PER_INCH = (72, 96, 150, 200, 300, 600, 1200)  # usual ones, which say nothing about images
MICRON = "um"
# ImageJ's units, as a number of one that we know; not inches, which are those of a printer.
IMAGEJ_UNITS = {
    "nm": (1.0, "nm"),
    **dict.fromkeys((MICRON, "micron", "microns"), (1.0, MICRON)),
    "mm": (1.0, "mm"),
    "cm": (10.0, "mm"),
}

Sizes = dict[str, tuple[float, str]]  # per axis: size of a pixel and its unit


def read_tiff(path: Path, *, numbers: bool = False) -> Picture:
    """Read the first image of a TIFF, at full resolution.

    Axes and pixel size are those of OME-TIFF and ImageJ where the file has them, else TIFF's own.

    Parameters
    ----------
    path : Path
        The file.
    numbers : bool
        Whether to read labels: the values as stored, without a palette or inverting
        white-is-zero.

    Raises
    ------
    ImageError
        If the file is missing or not a TIFF that can be read, it holds several images that are not
        one stack, or its colours are not RGB.
    """
    with opening(path), tifffile.TiffFile(path) as tiff:
        array, axes = read_values(tiff, numbers=numbers)
        white_is_zero, sizes = is_inverted(tiff), pixel_sizes(tiff)
    picture = _picture(array, axes, path.name.partition(".")[0], sizes)
    return replace(picture, inverted=white_is_zero)


def read_plain(path: Path) -> Picture:
    """Read PNG, JPEG and the like; of an animation every frame.

    Raises
    ------
    ImageError
        If the file is missing or not an image that can be read.
    """
    array = read_image(path)
    time = int(has_frames(array))
    axes = "t" * time + "yxs"[: array.ndim - time]
    return _picture(array, axes, path.stem, {})


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
        Whether to read labels: a TIFF's values as stored, without its palette or inverting
        white-is-zero.

    Raises
    ------
    ImageError
        If the file is missing or not an image that can be read, or as for :func:`read_tiff`.
    """
    with opening(path):
        if path.suffix.lower() in TIFF_SUFFIXES:
            image = _read_tiff(path, numbers)
        else:
            image = _read_picture(path)
    return image[..., 0] if image.ndim == 3 and image.shape[2] == 2 else image


def _read_tiff(path: Path, numbers: bool) -> NDArray:
    with tifffile.TiffFile(path) as tiff:
        image, _ = read_values(tiff, numbers=numbers)
        return inverted(image) if is_inverted(tiff) and not numbers else image


def _read_picture(path: Path) -> NDArray:
    file, suffix = path.read_bytes(), path.suffix
    try:
        # From memory: some decoders leave a file open when it is not an image.
        image = np.asarray(imageio.imread(file, extension=suffix))
    except Image.DecompressionBombError:
        raise ImageError(f"{path.name} is too large for a picture: convert it to TIFF.") from None
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
    """Read the palette numbers ``(H, W)`` of an image; None if they mean nothing."""
    if path.suffix.lower() in (*TIFF_SUFFIXES, ".gif"):
        return None  # :func:`read_image` gives those of TIFF; GIFs number colours when saved
    file = path.read_bytes()
    if _mode(file, path.suffix) != "P":
        return None
    return np.asarray(imageio.imread(file, extension=path.suffix, mode="P"))


def _picture(array: NDArray, axes: str, name: str, sizes: Sizes) -> Picture:
    placed = axes.removesuffix(COLOUR)
    found = [sizes.get(axis, (1.0, "pixel")) for axis in placed]
    return Picture(
        array,
        axes,
        name,
        scale=tuple(size for size, _ in found),
        translate=(0.0,) * len(placed),
        units=tuple(unit for _, unit in found),
    )


def pixel_sizes(tiff: tifffile.TiffFile) -> Sizes:
    """Sizes of a pixel per axis, for the axes of which OME, ImageJ or TIFF itself state one."""
    if tiff.is_ome and tiff.ome_metadata:
        return _ome_sizes(tiff.ome_metadata)
    imagej = tiff.imagej_metadata or {}
    name = str(imagej.get("unit", "")).replace("\\u00B5", "u").replace("µ", "u")
    unit = IMAGEJ_UNITS.get(name)
    sizes = _plane_sizes(tiff, unit)
    spacing = _size(imagej.get("spacing"))
    if sizes and unit and spacing:
        sizes["z"] = unit[0] * abs(spacing), unit[1]
    return sizes


def _ome_sizes(xml: str) -> Sizes:
    try:
        image = tifffile.xml2dict(xml)["OME"]["Image"]
    except (ParseError, KeyError, TypeError):
        return {}
    pixels: dict[str, Any] = (image[0] if isinstance(image, list) else image)["Pixels"]
    sizes = {axis: _size(pixels.get(f"PhysicalSize{axis}")) for axis in "XYZ"}
    if min(sizes["X"], sizes["Y"]) <= 0:  # half a plane's size is of no use
        return {}
    return {axis.lower(): (size, _unit(pixels, axis)) for axis, size in sizes.items() if size > 0}


def _size(stated: Any) -> float:
    """Return a length that a file states, 0 if it is not a finite number."""
    try:
        size = float(stated)
    except (TypeError, ValueError):
        return 0.0
    return size if math.isfinite(size) else 0.0


def _unit(pixels: dict[str, Any], axis: str) -> str:
    unit = str(pixels.get(f"PhysicalSize{axis}Unit", MICRON))
    return unit.replace("µ", "u").replace("μ", "u")


def _plane_sizes(tiff: tifffile.TiffFile, unit: tuple[float, str] | None) -> Sizes:
    """Size of a pixel from TIFF's resolution, if that is of the image and not of a printer."""
    tags = tiff.pages[0].tags  # type: ignore[union-attr]
    stated = unit is not None
    if unit is None and tags.valueof("ResolutionUnit") == CENTIMETRE:
        unit = 10.0, "mm"
    if unit is None:
        return {}
    sizes = {}
    for axis, name in (("x", "XResolution"), ("y", "YResolution")):
        count, length = tags.valueof(name) or (0, 1)
        if not (count and length) or (not stated and is_of_printer(count / length)):
            return {}
        sizes[axis] = unit[0] * length / count, unit[1]
    return sizes


def is_of_printer(per_centimetre: float) -> bool:
    """Whether a resolution is a usual one of paper and screens, in dots per inch."""
    dots = per_centimetre * CENTIMETRES_PER_INCH
    return any(math.isclose(dots, usual, rel_tol=0.005) for usual in DOTS_PER_INCH)
