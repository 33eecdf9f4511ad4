"""The values of a TIFF's first image, by what its numbers stand for."""

from __future__ import annotations

import numpy as np
import tifffile
from numpy.typing import NDArray
from tifffile import PHOTOMETRIC

from napari_medt.engine.formats.picture import COLOUR, SAMPLES
from napari_medt.errors import ImageError

SUFFIXES = (".tif", ".tiff")
# Colours in other numbers than red, green and blue, for which they would be taken.
OTHER_COLOURS: dict[int, str] = {
    PHOTOMETRIC.SEPARATED: "inks for printing (CMYK)",
    PHOTOMETRIC.CIELAB: "Lab",
    PHOTOMETRIC.ICCLAB: "Lab",
    PHOTOMETRIC.ITULAB: "Lab",
}
SLIDE_MAKERS = ("svs", "scn", "ndpi", "bif", "qpi", "philips")  # as tifffile calls their formats
# Of formats whose numbers were measured: their palettes only show them, as napari's do.
MEASURED = ("imagej", "ome", "lsm", "fluoview", "sis", "stk")
BESIDE = ("thumbnail", "label", "macro", "overview")  # names of what slides have beside their image


def read_values(tiff: tifffile.TiffFile, *, numbers: bool = False) -> tuple[NDArray, str]:
    """Read the first image, at full resolution.

    Parameters
    ----------
    tiff : TiffFile
        Open.
    numbers : bool
        Whether the values are labels, which stay what they are where they stand for colours.

    Returns
    -------
    array
        The values; a palette's colours have 8 bits.
    str
        Letters of its axes, of which colours are the last.

    Raises
    ------
    ImageError
        If there are other images beside it, or its colours are not red, green and blue.
    """
    check_alone(tiff)
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
    """Put colours last, and call samples that are no colours channels."""
    if COLOUR not in axes:
        return array, axes
    samples = axes.index(COLOUR)
    if array.shape[samples] not in SAMPLES:
        return array, axes.replace(COLOUR, "c")
    return np.moveaxis(array, samples, -1), axes.replace(COLOUR, "") + COLOUR


def check_alone(tiff: tifffile.TiffFile) -> None:
    """Refuse a file of images that are not one stack, of which all but the first would be lost.

    What lies beside an image is left out: smaller copies, masks of transparency, and of slides the
    label and the whole glass.

    Raises
    ------
    ImageError
        With one sentence for the user.
    """
    first, *others = tiff.series
    if first.is_pyramidal or _is_any(tiff, SLIDE_MAKERS):
        return
    images = [series for series in others if not _is_beside(series)]
    if images:
        raise ImageError(
            f"{tiff.filename} holds {1 + len(images)} images that are not one stack: save each "
            "in a file of its own."
        )


def _is_beside(series: tifffile.TiffPageSeries) -> bool:
    named = any(word in series.name.lower() for word in BESIDE)
    return named or bool(series.keyframe.is_reduced or series.keyframe.is_mask)


def _is_any(tiff: tifffile.TiffFile, formats: tuple[str, ...]) -> bool:
    return any(getattr(tiff, f"is_{name}") for name in formats)


def check_colours(tiff: tifffile.TiffFile) -> None:
    """Refuse colours that are not red, green and blue.

    Raises
    ------
    ImageError
        With one sentence for the user.
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
    told = page.tags.valueof("PhotometricInterpretation") is not None  # else tifffile has 0, white
    only_shown = (page.photometric == PHOTOMETRIC.PALETTE and _is_any(tiff, MEASURED)) or (
        page.photometric == PHOTOMETRIC.MINISWHITE and tiff.is_imagej
    )
    return int(page.photometric) if told and not only_shown else PHOTOMETRIC.MINISBLACK
