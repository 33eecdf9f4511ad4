"""From any 2-D image to the network's input: checks, channels, intensity."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from napari_medt.engine.formats.picture import SAMPLES
from napari_medt.errors import ImageError
from napari_medt.models.card import InputRule

# ITU-R BT.709 luma weights, as scikit-image and napari use.
LUMA = np.array([0.2125, 0.7154, 0.0721], dtype=np.float32)
SAMPLE_PIXELS = 4_000_000  # statistics of larger images are taken from about this many pixels
Limits = tuple[float, float]

COLOUR_TYPES = (np.uint8, np.uint16, np.float16, np.float32, np.float64)


def check_image(image: NDArray, rgb: bool | None = None) -> NDArray:
    """Return `image` as an array that can be segmented, or say why it cannot.

    Parameters
    ----------
    image : array
        ``(H, W)`` gray, or ``(H, W, 3)`` RGB, or ``(H, W, 4)`` RGBA.
    rgb : bool, optional
        Whether the last axis is colour; by default it is where there are three axes.

    Returns
    -------
    array
        ``(H, W)`` or ``(H, W, 3)``: alpha is dropped.

    Raises
    ------
    ImageError
        If it is not 2-D gray or colour, of another type, empty, a single pixel, constant, or has
        values that are NaN, infinite or, in float colours, beyond 0 to 1.
    """
    image = np.asarray(image)
    rgb = image.ndim == 3 if rgb is None else rgb
    if image.ndim != 2 + rgb or (rgb and image.shape[-1] not in SAMPLES):
        raise ImageError(
            f"The image has shape {image.shape}: a 2-D gray, RGB or RGBA image is needed."
        )
    if image.dtype == bool:
        raise ImageError(
            "The image holds only true and false, so it is a mask already: choose the original "
            "image."
        )
    if rgb:
        image = image[..., :3]
        _check_colours(image)
    elif image.dtype.kind not in "uif":
        raise ImageError(
            f"Images of type {image.dtype} cannot be segmented: convert the image to 8-bit, "
            "16-bit or float."
        )
    if image.shape[0] * image.shape[1] <= 1:
        height, width = image.shape[:2]
        raise ImageError(f"The image is {height} x {width} pixels: too small to segment.")
    check_finite(image)
    if image.min() == image.max():
        raise ImageError(
            f"Every pixel of the image has the same value ({image.flat[0]}): there is nothing to "
            "segment."
        )
    return image


def check_finite(image: NDArray) -> None:
    """Refuse NaN and infinite values.

    Raises
    ------
    ImageError
        If there are any.
    """
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        raise ImageError(
            "The image contains NaN or infinite values, which are pixels without a number: save it "
            "as a 16-bit image first, with ImageJ or the program it comes from."
        )


def _check_colours(image: NDArray) -> None:
    if image.dtype not in COLOUR_TYPES:
        raise ImageError(
            f"RGB images of type {image.dtype} are ambiguous: convert the image to 8-bit, 16-bit "
            "or float from 0 to 1."
        )
    if image.dtype.kind == "f" and image.size and (image.min() < 0 or image.max() > 1):
        raise ImageError("A float RGB image must have values from 0 to 1: rescale it first.")


def prepare(image: NDArray, rule: InputRule, limits: Limits | None = None) -> NDArray[np.float32]:
    """Turn a checked image into the network's input.

    Parameters
    ----------
    image : array
        ``(H, W)`` or ``(H, W, 3)``, as :func:`check_image` returns it.
    rule : InputRule
        The model's channels and intensity rule.
    limits : tuple of float, optional
        From :func:`intensity_limits`, where `image` is a part of a larger one.

    Returns
    -------
    array of float32
        ``(H, W, C)``, values in [0, 1].
    """
    return match_channels(scale_intensity(image, rule, limits), rule.channels)


def as_rgb(image: NDArray) -> NDArray[np.float32]:
    """Turn a checked image into RGB to show to people: ``(H, W, 3)``, values in [0, 1]."""
    return prepare(image, InputRule(channels="rgb"))


def scale_intensity(
    image: NDArray, rule: InputRule, limits: Limits | None = None
) -> NDArray[np.float32]:
    """Map values to [0, 1] by the rule; the shape stays.

    The limits are those of the whole image, so that tiles and blocks agree.
    """
    low, high = limits or intensity_limits(sample(image), rule)
    scale = 1 / (high - low) if high > low else 0.0
    # Wide types hold values that float32 does not hold, or does not tell apart.
    kind = np.result_type(image.dtype, np.float32).type
    scaled = (image.astype(kind) - kind(low)) * kind(scale)
    unit = np.clip(scaled, 0, 1, out=scaled).astype(np.float32, copy=False)
    return unit if rule.gamma == 1 else unit ** np.float32(rule.gamma)


def intensity_limits(pixels: NDArray, rule: InputRule) -> Limits:
    """Return the values that the rule maps to 0 and 1.

    Parameters
    ----------
    pixels : array
        All pixels of an image, or the :func:`sample` of a large one.
    rule : InputRule
        The model's intensity rule.
    """
    if rule.intensity == "percentile":
        low, high = np.percentile(pixels, [rule.low, rule.high])
    else:
        low, high = value_range(pixels)
    if high <= low:  # nearly all pixels are equal: keep the few that differ visible
        low, high = pixels.min(), pixels.max()
    return float(low), float(high)


def sample(image: NDArray) -> NDArray:
    """Take every n-th row and column of an image; see :func:`sample_step`."""
    step = sample_step(*image.shape[:2])
    return image[::step, ::step]


def sample_step(height: int, width: int) -> int:
    """Step between the rows and columns from which an image's statistics are taken.

    1, so every pixel, up to `SAMPLE_PIXELS`. It follows from the image's size alone, so statistics
    do not depend on how a large image is read.
    """
    return max(1, math.ceil(math.sqrt(height * width / SAMPLE_PIXELS)))


def value_range(image: NDArray) -> tuple[float, float]:
    """Least and greatest value that an image of this kind can have.

    8- and 16-bit unsigned types have their type's range and floats within [0, 1] that range;
    for others (CT numbers, 12-bit data in 32-bit types) it is what the image itself holds.
    """
    if image.dtype in (np.uint8, np.uint16):
        return 0.0, float(np.iinfo(image.dtype).max)
    low, high = float(image.min()), float(image.max())
    if image.dtype.kind == "f" and low >= 0 and high <= 1:
        return 0.0, 1.0
    return low, high


def match_channels(image: NDArray[np.float32], channels: str) -> NDArray[np.float32]:
    """Give ``(H, W)`` or ``(H, W, 3)`` the channels a model wants, as ``(H, W, C)``."""
    if channels == "gray":
        gray = image @ LUMA if image.ndim == 3 else image
        return gray[..., np.newaxis]
    if image.ndim == 2:
        return np.repeat(image[..., np.newaxis], 3, axis=2)
    return image if channels == "rgb" else image[..., ::-1]
