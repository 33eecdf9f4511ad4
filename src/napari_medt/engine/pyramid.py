"""Open images that are too large to hold: OME-Zarr folders and TIFF files, with their levels."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import tifffile

from napari_medt.engine.formats.opening import opening
from napari_medt.engine.formats.plain import pixel_sizes
from napari_medt.engine.formats.tiff import (
    SLIDE_SUFFIXES,
    check_colours,
    check_single_image,
    has_palette,
    is_inverted,
)
from napari_medt.engine.source import Level, level_of, with_pixel_sizes
from napari_medt.errors import ImageError

MICROMETRE = "micrometer"
MICROMETRES = {
    "angstrom": 1e-4,
    "nm": 1e-3,
    "nanometer": 1e-3,
    "um": 1.0,
    "µm": 1.0,
    MICROMETRE: 1.0,
    "mm": 1e3,
    "millimeter": 1e3,
    "cm": 1e4,
    "centimeter": 1e4,
    "m": 1e6,
    "meter": 1e6,
}
Pair = tuple[float, float]  # down and to the right


def is_zarr(folder: Path) -> bool:
    """Whether a folder is a Zarr group or array, whatever its name."""
    return any((folder / name).exists() for name in ("zarr.json", ".zgroup", ".zarray"))


def open_levels(path: Path, channel: int | None = None) -> list[Level]:
    """Open an OME-Zarr folder or a TIFF file, tiled or pyramidal, without reading its pixels.

    Parameters
    ----------
    path : Path
        The folder or file.
    channel : int, optional
        See :func:`napari_medt.engine.source.level_of`.

    Returns
    -------
    list of Level
        The finest first.

    Raises
    ------
    ImageError
        If it is missing, not a TIFF or OME-Zarr, damaged, or not one plane of gray or RGB values.
    """
    with opening(path):
        if is_zarr(path):
            return open_zarr(path, channel)
        if path.suffix.lower() in SLIDE_SUFFIXES:
            return open_tiff(path, channel)
        raise ImageError(
            f"{path.name} is neither a TIFF nor an OME-Zarr: convert it to one, or give a folder "
            "as output."
        )


def open_tiff(path: Path, channel: int | None) -> list[Level]:
    """Open the levels of a TIFF's first image."""
    import zarr

    with tifffile.TiffFile(path) as file:
        check_values(file)
        series, sizes = file.series[0], pixel_sizes(file)
    (height, down), (width, right) = (sizes.get(axis, (1.0, "")) for axis in "yx")
    size, _, unit = in_micrometres((height, width), (down, right))
    levels = []
    for number, level in enumerate(series.levels):
        store = tifffile.imread(path, aszarr=True, series=0, level=number)
        array = zarr.open_array(store, mode="r")
        levels.append(level_of(array, level.axes.lower(), channel=channel))
    return with_pixel_sizes(levels, size, unit)


def in_micrometres(
    size: Pair, units: Iterable[str], translation: Pair = (0.0, 0.0)
) -> tuple[Pair, Pair, str]:
    """Height and width of a pixel, and where the first one lies, in micrometres if that is known.

    Returns
    -------
    tuple of float, tuple of float, str
        Size and translation, and their unit: micrometres if both units are known; else the values
        as given and no unit. A size that is not positive and finite becomes 1, at the origin and
        without a unit, as it does where the translation is not finite.
    """
    # Some programs write sizes of 0.
    if not all(0 < side < math.inf for side in size) or not all(map(math.isfinite, translation)):
        return (1.0, 1.0), (0.0, 0.0), ""
    down, right = (MICROMETRES.get(unit) for unit in units)
    if down is None or right is None:
        return size, translation, ""
    placed = (translation[0] * down, translation[1] * right)
    return (size[0] * down, size[1] * right), placed, MICROMETRE


def check_values(file: tifffile.TiffFile) -> None:
    """Refuse what cannot be converted part by part: palettes, inverted gray and other colours.

    A file of several images is refused, too.

    Raises
    ------
    ImageError
        If the file is such a one.
    """
    check_single_image(file)
    check_colours(file)
    if has_palette(file) or is_inverted(file):
        what = "has a palette" if has_palette(file) else "stores white as zero"
        raise ImageError(f"{file.filename} {what}: convert it to plain gray or RGB.")


def open_zarr(path: Path, channel: int | None) -> list[Level]:
    """Open the levels of an OME-Zarr image, or a plain Zarr array."""
    import zarr

    node = zarr.open(path, mode="r")
    if isinstance(node, zarr.Array):
        return [level_of(node, channel=channel)]
    attributes: dict[str, Any] = node.attrs.asdict()
    attributes = attributes.get("ome", attributes)
    if "multiscales" not in attributes and "0" in node:  # bioformats2raw: several images
        return open_zarr(path / "0", channel)
    image = attributes["multiscales"][0]
    axes = [axis if isinstance(axis, dict) else {"name": axis} for axis in image["axes"]]
    names = "".join(axis["name"] for axis in axes)
    y, x = names.index("y"), names.index("x")
    units = [axes[axis].get("unit", "") for axis in (y, x)]
    levels = []
    for dataset in image["datasets"]:
        (height, top), (width, left) = (placed_along(axis, dataset, image) for axis in (y, x))
        size, first, unit = in_micrometres((height, width), units, (top, left))
        level = level_of(node[dataset["path"]], names, channel=channel)
        # A level lies where the file says that it does, which is at the origin if it says nothing.
        levels.append(replace(level, pixel_size=size, translation=first, unit=unit))
    return levels


def placed_along(axis: int, dataset: dict[str, Any], image: dict[str, Any]) -> Pair:
    """Scale and translation of a level along one axis: its own steps, then those of the image."""
    scale, translation = 1.0, 0.0
    for node in (dataset, image):
        for step in node.get("coordinateTransformations", []):
            if step["type"] == "scale":
                factor = step["scale"][axis]
                scale, translation = scale * factor, translation * factor
            elif step["type"] == "translation":
                translation += step["translation"][axis]
    return scale, translation
