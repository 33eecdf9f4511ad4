"""Open images that are too large to hold: OME-Zarr folders and TIFF files, with their levels."""

from __future__ import annotations

import math
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
    size, unit = in_micrometres(*(sizes.get(axis, (1.0, "")) for axis in "yx"))
    levels = []
    for number, level in enumerate(series.levels):
        store = tifffile.imread(path, aszarr=True, series=0, level=number)
        array = zarr.open_array(store, mode="r")
        levels.append(level_of(array, level.axes.lower(), channel=channel))
    return with_pixel_sizes(levels, size, unit)


def in_micrometres(*sides: tuple[float, str]) -> tuple[tuple[float, float], str]:
    """Height and width of a pixel, each with its unit, in micrometres if both units are known.

    Returns
    -------
    tuple of float, str
        Height and width, and the unit: micrometres if both units are known; else the values as
        given and no unit. Sizes that are not positive and finite become 1, without a unit.
    """
    (height, in_height), (width, in_width) = sides
    if not (0 < height < math.inf and 0 < width < math.inf):  # some programs write 0
        return (1.0, 1.0), ""
    if not (in_height in MICROMETRES and in_width in MICROMETRES):
        return (height, width), ""
    return (height * MICROMETRES[in_height], width * MICROMETRES[in_width]), MICROMETRE


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
    plane = [names.index(axis) for axis in "yx"]
    levels = []
    for dataset in image["datasets"]:
        sides = [(scale_along(a, image, dataset), axes[a].get("unit", "")) for a in plane]
        size, unit = in_micrometres(*sides)
        level = level_of(node[dataset["path"]], names, channel=channel)
        levels.append(replace(level, pixel_size=size, unit=unit))
    return levels


def scale_along(axis: int, *nodes: dict[str, Any]) -> float:
    """Scale of a level along one axis, from the transformations of all nodes above it."""
    steps = [step for node in nodes for step in node.get("coordinateTransformations", [])]
    return math.prod(step["scale"][axis] for step in steps if step["type"] == "scale")
