"""Random views of training images: one affine sampling, then the variation of the domain.

Images are ``(H, W, C)`` float32 in [0, 1]; targets ``(H, W)`` class numbers. Every function takes
its random generator, so that a view follows from seed and step alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

Image = NDArray[np.float32]
Target = NDArray[np.uint8]


@dataclass(frozen=True)
class Augmentation:
    """How far a training image may vary. Zeros and ones change nothing.

    Attributes
    ----------
    zoom : tuple of float
        Least and greatest magnification, drawn log-uniformly.
    stretch : float
        Greatest factor, up or down, of the height over the width.
    rotate : float
        Greatest rotation in degrees, either way.
    flip_rows, flip_columns : bool
        Mirror upside down; mirror left to right.
    shift : float
        Greatest shift of the field, as a share of its side, where the whole image is seen.
    gamma : float
        Greatest factor, up or down, of the intensity exponent.
    contrast, brightness : float
        Greatest relative change of contrast; greatest change of brightness.
    colour : float
        Greatest relative change of each channel by itself (stain, white balance).
    blur : float
        Greatest Gaussian blur in pixels.
    noise, speckle : float
        Greatest standard deviation of additive noise, in units of intensity 0 to 1, and of
        multiplicative noise.
    invert : float
        Probability of a negative (bright-field among fluorescence).
    """

    zoom: tuple[float, float] = (1.0, 1.0)
    stretch: float = 1.0
    rotate: float = 0.0
    flip_rows: bool = False
    flip_columns: bool = True
    shift: float = 0.0
    gamma: float = 1.0
    contrast: float = 0.0
    brightness: float = 0.0
    colour: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    speckle: float = 0.0
    invert: float = 0.0


AUGMENTATIONS: dict[str, Augmentation] = {
    "none": Augmentation(flip_columns=False),
    "flips": Augmentation(),  # what the published code does
    "fluorescence": Augmentation(
        zoom=(0.7, 1.45),
        stretch=1.25,
        rotate=180,
        flip_rows=True,
        gamma=1.5,
        contrast=0.2,
        brightness=0.05,
        blur=1.2,
        noise=0.04,
        speckle=0.08,
        invert=0.05,
    ),
    # For a last run: images almost unvaried, after training on varied ones.
    "fluorescence-mild": Augmentation(
        zoom=(0.85, 1.2),
        stretch=1.1,
        rotate=180,
        flip_rows=True,
        gamma=1.2,
        contrast=0.1,
        brightness=0.02,
        blur=0.5,
        noise=0.02,
        speckle=0.04,
        invert=0.03,
    ),
    "histology": Augmentation(
        zoom=(0.7, 1.5),
        rotate=180,
        flip_rows=True,
        gamma=1.3,
        contrast=0.2,
        brightness=0.1,
        colour=0.12,
        blur=1.0,
        noise=0.03,
    ),
    "dermoscopy": Augmentation(
        zoom=(0.85, 1.25),
        rotate=180,
        flip_rows=True,
        shift=0.1,
        gamma=1.25,
        contrast=0.2,
        brightness=0.08,
        colour=0.1,
        blur=0.8,
        noise=0.02,
    ),
    "ultrasound": Augmentation(
        zoom=(0.85, 1.2),
        rotate=25,
        shift=0.1,
        gamma=1.4,
        contrast=0.25,
        brightness=0.08,
        blur=1.0,
        noise=0.02,
        speckle=0.15,
    ),
}


def random_view(
    image: Image,
    target: Target,
    size: int,
    augmentation: Augmentation,
    rng: Generator,
    *,
    whole: bool,
    magnification: float = 1.0,
) -> tuple[Image, Target]:
    """Draw a random square view of an image and its target.

    Parameters
    ----------
    image : array of float32
        ``(H, W, C)``.
    target : array of uint8
        ``(H, W)``.
    size : int
        Side of the view in pixels.
    augmentation : Augmentation
        How far to go.
    rng : Generator
        Source of chance.
    whole : bool
        See the whole image, resized, instead of a crop.
    magnification : float
        Of a crop, about which the augmentation's zoom varies.

    Returns
    -------
    tuple of array
        ``(size, size, C)`` and ``(size, size)``.
    """
    matrix, offset = random_affine(image.shape[:2], size, augmentation, rng, whole, magnification)
    view = np.empty((size, size, image.shape[2]), np.float32)
    for channel in range(image.shape[2]):
        ndimage.affine_transform(
            image[..., channel],
            matrix,
            offset,
            output=view[..., channel],
            output_shape=(size, size),
            order=1,
            mode="mirror",
        )
    seen = ndimage.affine_transform(
        target, matrix, offset, output_shape=(size, size), order=0, mode="mirror"
    )
    return vary_intensity(view, augmentation, rng), seen


def random_affine(
    shape: tuple[int, ...],
    size: int,
    augmentation: Augmentation,
    rng: Generator,
    whole: bool,
    magnification: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw the affine map from view pixels to image pixels, as ``(2, 2)`` matrix and offset."""
    zoom = magnification * np.exp(rng.uniform(*np.log(augmentation.zoom)))
    angle = np.deg2rad(rng.uniform(-augmentation.rotate, augmentation.rotate))
    flips = [
        -1.0 if augmentation.flip_rows and rng.random() < 0.5 else 1.0,
        -1.0 if augmentation.flip_columns and rng.random() < 0.5 else 1.0,
    ]
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    extent = np.array(shape, float)
    if whole:
        # The centre of the field, within the allowed shift; the field is the whole image.
        centre = extent * (0.5 + rng.uniform(-augmentation.shift, augmentation.shift, 2)) - 0.5
        scale = np.diag(extent / size) / zoom
    else:
        margin = np.minimum(size / zoom / 2, extent / 2)
        centre = rng.uniform(margin, extent - margin) - 0.5
        scale = np.eye(2) / zoom
    if augmentation.stretch > 1:
        longer = np.exp(rng.uniform(-0.5, 0.5) * np.log(augmentation.stretch))
        scale = scale @ np.diag([1 / longer, longer])
    matrix = scale @ rotation @ np.diag(flips)
    return matrix, centre - matrix @ np.full(2, (size - 1) / 2)


def vary_intensity(image: Image, augmentation: Augmentation, rng: Generator) -> Image:
    """Vary the intensities of ``(H, W, C)`` as the augmentation allows, within [0, 1]."""
    if rng.random() < augmentation.invert:
        image = 1 - image
    if augmentation.blur and rng.random() < 0.5:
        sigma = rng.uniform(0, augmentation.blur)
        image = ndimage.gaussian_filter(image, (sigma, sigma, 0))
    if augmentation.gamma > 1:
        image = np.clip(image, 0, 1) ** np.exp(rng.uniform(-1, 1) * np.log(augmentation.gamma))
    gain = 1 + rng.uniform(-augmentation.contrast, augmentation.contrast)
    gain = gain * (1 + rng.uniform(-augmentation.colour, augmentation.colour, image.shape[2]))
    shift = rng.uniform(-augmentation.brightness, augmentation.brightness)
    shift = shift + rng.uniform(-augmentation.colour, augmentation.colour, image.shape[2]) / 2
    varied: NDArray = (image - 0.5) * gain + 0.5 + shift
    if augmentation.speckle and rng.random() < 0.5:
        grain = rng.standard_normal(image.shape[:2])[..., np.newaxis]
        varied = varied * (1 + rng.uniform(0, augmentation.speckle) * grain)
    if augmentation.noise and rng.random() < 0.5:
        varied = varied + rng.uniform(0, augmentation.noise) * rng.standard_normal(image.shape)
    return np.clip(varied, 0, 1).astype(np.float32)
