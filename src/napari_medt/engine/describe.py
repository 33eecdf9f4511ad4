"""An image in a few numbers, by which it can be compared with a model's training images."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage.transform import resize

from napari_medt.engine.image import LUMA, check_image, sample, scale_intensity
from napari_medt.models.card import InputRule

FEATURES = (
    "median",
    "dark share",
    "bright share",
    "mean less median",
    "red less green",
    "blue less green",
    "saturation",
    "grain",
    "fine structure",
    "coarse structure",
)
STRETCH = InputRule(intensity="percentile", low=1.0, high=99.5)
WINDOW = 512  # pixels of a side of the middle part that describes a tiled image
THUMBNAIL = 128  # pixels of a side to which a whole image is reduced
SCALES = (1.0, 3.0, 9.0)  # pixels: limits between grain, fine and coarse structure
LEAST_SPREAD = 1e-3  # of intensity: keeps ratios of nothing finite


def describe(image: NDArray, scaling: str) -> NDArray[np.float64]:
    """Describe colour, intensity and structure of an image.

    Parameters
    ----------
    image : array
        ``(H, W)`` gray or ``(H, W, 3)`` RGB, or with alpha; a lazy one is read no further than
        needed.
    scaling : {"tiled", "whole"}
        ``"tiled"`` describes the middle of the image at its own resolution, so that the size of
        its structures counts; ``"whole"`` a small copy of it.

    Returns
    -------
    array of float
        One value for each of :data:`FEATURES`. They do not depend on exposure, since the image's
        own range is stretched first.

    Raises
    ------
    ImageError
        If the image cannot be segmented.
    """
    pixels = check_image(middle(image) if scaling == "tiled" else np.asarray(sample(image)))
    view = scale_intensity(pixels, STRETCH)
    if scaling == "whole":
        side = (THUMBNAIL, THUMBNAIL)
        view = resize(view, side + view.shape[2:], order=1, anti_aliasing=True).astype(np.float32)
    gray = view @ LUMA if view.ndim == 3 else view
    return np.array([*intensities(gray), *colours(view), *structures(gray)])


def middle(image: NDArray) -> NDArray:
    """Middle part of ``(H, W, ...)``, at most `WINDOW` pixels a side."""
    top, left = (max(0, (length - WINDOW) // 2) for length in image.shape[:2])
    return np.asarray(image[top : top + WINDOW, left : left + WINDOW])


def intensities(gray: NDArray[np.float32]) -> list[float]:
    """Median, share of dark and of bright pixels, and to which side the intensities lean."""
    median = float(np.median(gray))
    dark, bright = float((gray < 0.15).mean()), float((gray > 0.7).mean())
    return [median, dark, bright, float(gray.mean()) - median]


def colours(view: NDArray[np.float32]) -> list[float]:
    """Red less green, blue less green, and mean saturation; zeros for gray images."""
    if view.ndim == 2:
        return [0.0, 0.0, 0.0]
    red, green, blue = view.reshape(-1, 3).mean(axis=0)
    saturation = np.ptp(view, axis=2).mean()
    return [float(red - green), float(blue - green), float(saturation)]


def structures(gray: NDArray[np.float32]) -> list[float]:
    """How much the image varies at three scales, as logarithms of standard deviations."""
    levels = [gray, *(gaussian_filter(gray, scale) for scale in SCALES)]
    bands = [fine - coarse for fine, coarse in pairwise(levels)]
    return [float(np.log10(band.std() + LEAST_SPREAD)) for band in bands]
