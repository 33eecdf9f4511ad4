"""The values of a TIFF's first image, by what its numbers stand for."""

from __future__ import annotations

import numpy as np
import tifffile
from numpy.typing import NDArray
from tifffile import PHOTOMETRIC

from napari_medt.engine.formats.picture import COLOUR, SAMPLES
from napari_medt.errors import ImageError

SUFFIXES = (".tif", ".tiff")
SLIDE_SUFFIXES = (*SUFFIXES, ".svs", ".ndpi", ".scn", ".bif", ".qptiff")
# Colours in other numbers than red, green and blue, for which they would be taken.
OTHER_COLOURS: dict[int, str] = {
    PHOTOMETRIC.SEPARATED: "inks for printing (CMYK)",
    PHOTOMETRIC.CIELAB: "Lab",
    PHOTOMETRIC.ICCLAB: "Lab",
    PHOTOMETRIC.ITULAB: "Lab",
}
SLIDE_MAKERS = ("svs", "scn", "ndpi", "bif", "qpi", "philips")  # as tifffile calls their formats
# Formats whose values are measurements: their palettes only display them, like a colormap.
MEASURED = ("imagej", "ome", "lsm", "fluoview", "sis", "stk")
EXTRA_IMAGES = ("thumbnail", "label", "macro", "overview")  # that slides hold beside the image


def read_values(tiff: tifffile.TiffFile, *, numbers: bool) -> tuple[NDArray, str]:
    """Read the first image, at full resolution.

    Parameters
    ----------
    tiff : TiffFile
        Open.
    numbers : bool
        Whether to read labels: the values as stored, without a palette.

    Returns
    -------
    array
        The values; a palette's colours have 8 bits.
    str
        Letters of its axes; colours come last.

    Raises
    ------
    ImageError
        If the file holds several images that are not one stack, or its colours are not RGB.
    """
    check_single_image(tiff)
    check_colours(tiff)
    series = tiff.series[0]
    array, axes = series.asarray(), series.axes.lower()
    if numbers or not has_palette(tiff):
        return _colours_last(array, axes)
    palette = np.asarray(series.keyframe.colormap).T
    if palette.max() > 255:  # TIFF has 16 bits; some writers take 8, as libtiff knows
        palette = palette >> 8
    return np.take(palette.astype(np.uint8), array, axis=0), axes + COLOUR  # 1 bit is a bool


def _colours_last(array: NDArray, axes: str) -> tuple[NDArray, str]:
    """Put colours last; samples that are not colours become channels."""
    if COLOUR not in axes:
        return array, axes
    samples = axes.index(COLOUR)
    if array.shape[samples] not in SAMPLES:
        return array, axes.replace(COLOUR, "c")
    return np.moveaxis(array, samples, -1), axes.replace(COLOUR, "") + COLOUR


def check_single_image(tiff: tifffile.TiffFile) -> None:
    """Refuse a file of several images that are not one stack: all but the first would be lost.

    What belongs to an image is ignored: smaller copies, transparency masks, and a slide's label and
    overview.

    Raises
    ------
    ImageError
        If there are several.
    """
    first, *others = tiff.series
    if first.is_pyramidal or _is_any(tiff, SLIDE_MAKERS):
        return
    images = [series for series in others if not _is_extra(series)]
    if images:
        raise ImageError(
            f"{tiff.filename} holds {1 + len(images)} images that are not one stack: save each "
            "in a file of its own."
        )


def _is_extra(series: tifffile.TiffPageSeries) -> bool:
    named = any(word in series.name.lower() for word in EXTRA_IMAGES)
    return named or bool(series.keyframe.is_reduced or series.keyframe.is_mask)


def _is_any(tiff: tifffile.TiffFile, formats: tuple[str, ...]) -> bool:
    return any(getattr(tiff, f"is_{name}") for name in formats)


def check_colours(tiff: tifffile.TiffFile) -> None:
    """Refuse colours that are not red, green and blue.

    Raises
    ------
    ImageError
        If they are not.
    """
    found = OTHER_COLOURS.get(_photometric(tiff))
    if found:
        raise ImageError(f"{tiff.filename} stores its colours as {found}: convert it to RGB.")


def has_palette(tiff: tifffile.TiffFile) -> bool:
    """Whether the values are numbers of a palette's colours."""
    return _photometric(tiff) == PHOTOMETRIC.PALETTE


def is_inverted(tiff: tifffile.TiffFile) -> bool:
    """Whether low values are bright."""
    gray = tiff.series[0].dtype.kind in "iuf"  # a mask of true and false stays one
    return gray and _photometric(tiff) == PHOTOMETRIC.MINISWHITE


def _photometric(tiff: tifffile.TiffFile) -> int:
    page = tiff.series[0].keyframe
    stated = page.tags.valueof("PhotometricInterpretation") is not None  # else 0, as for white
    only_shown = (page.photometric == PHOTOMETRIC.PALETTE and _is_any(tiff, MEASURED)) or (
        page.photometric == PHOTOMETRIC.MINISWHITE and tiff.is_imagej
    )
    return int(page.photometric) if stated and not only_shown else PHOTOMETRIC.MINISBLACK
