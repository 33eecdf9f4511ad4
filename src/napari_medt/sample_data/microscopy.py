"""Drawings of what a microscope shows: fluorescent nuclei, and stained tissue."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.special import expit

from napari_medt.sample_data.shapes import (
    Array,
    Image,
    Labels,
    Point,
    Radii,
    Shape,
    band,
    blob,
    grid,
    noise,
    paint,
    spot,
    to_bytes,
    turned,
)

# Absorbance in red, green and blue. Textbook eosin is pure magenta; scanned slides are pinker.
HEMATOXYLIN = np.array([0.65, 0.70, 0.29])
EOSIN = np.array([0.08, 0.86, 0.36])
GLANDS: list[tuple[Point, Radii, float]] = [
    ((118, 150), (112, 84), 0.5),
    ((330, 372), (132, 96), -0.5),
    ((452, 92), (86, 70), 0.2),
]


def fluorescence(rng: np.random.Generator) -> tuple[Image, Labels]:
    """Draw fluorescent nuclei: some touch, some are dim, the background is uneven."""
    shape = (520, 696)
    labels = np.zeros(shape, np.uint16)
    light = np.zeros(shape)
    chromatin = 1 + 0.10 * noise(rng, shape, 1.5) + 0.14 * noise(rng, shape, 4)
    centres: list[Array] = []
    while len(centres) < 78:
        size = rng.normal(16.5, 2)
        radii = (size, size * rng.uniform(0.62, 0.95))
        centre = _touching(rng, centres, 1.75 * size) if rng.random() < 0.35 else None
        centre = rng.random(2) * shape if centre is None else centre
        distance = blob(rng, shape, centre, radii, rng.uniform(0, np.pi), wobble=0.035)
        if paint(labels, distance < 1):
            centres.append(centre)
            light += chromatin * _nucleus(rng, distance, centre, radii)
    return _camera(rng, light), labels


def histology(rng: np.random.Generator) -> tuple[Image, Labels]:
    """Draw tissue stained with hematoxylin and eosin: glands in a fibrous stroma."""
    shape = (512, 512)
    eosin, fibre_angle = _stroma(rng, shape)
    glands = [blob(rng, shape, *gland, wobble=0.05) for gland in GLANDS]
    nearest = np.min(glands, axis=0)
    inside = expit((1.02 - nearest) * 60)
    cytoplasm = 0.34 + 0.05 * noise(rng, shape, 3) + 0.06 * noise(rng, shape, 14)
    eosin = eosin * (1 - inside) + cytoplasm * inside
    hematoxylin = 0.05 + 0.012 * noise(rng, shape, 8) + 0.12 * inside

    labels = np.zeros(shape, np.uint16)
    chromatin = 1 + 0.16 * noise(rng, shape, 1.3) + 0.16 * noise(rng, shape, 2.8)
    nuclei = np.zeros(shape)
    places = _epithelial(rng, glands) + _stromal(rng, nearest, fibre_angle)
    for centre, radii, angle, density in places:
        distance = blob(rng, shape, centre, radii, angle, wobble=0.05)
        if paint(labels, distance < 1):
            rim = 0.35 * band(distance, 0.93, 0.12)
            body = expit((1 - distance) * radii[1] / 0.8) * (0.75 * chromatin + rim)
            nuclei = np.maximum(nuclei, density * body)

    lumen = expit((0.34 + 0.04 * noise(rng, shape, 7) - nearest) * 45)
    cleft = expit(1.2 + 1.6 * noise(rng, shape, 14) - 70 * np.abs(nearest - 1.06))
    tissue = 1 - np.maximum(lumen, 0.55 * cleft)
    eosin = eosin * tissue * (1 - 0.45 * np.clip(2 * nuclei, 0, 1))
    hematoxylin = hematoxylin * tissue + 1.15 * nuclei
    return _scanner(rng, hematoxylin, eosin), labels


def _nucleus(rng: np.random.Generator, distance: Array, centre: Array, radii: Radii) -> Array:
    """Light of one nucleus, thicker in the middle, with dark nucleoli."""
    dim = rng.random() < 0.12
    brightness = rng.uniform(0.12, 0.2) if dim else rng.lognormal(-0.35, 0.3)
    body = expit((1 - distance) * radii[0] / 1.1) * (0.72 + 0.28 * np.clip(1 - distance, 0, 1))
    for _ in range(rng.integers(1, 4)):
        at = centre + rng.normal(0, 0.3 * radii[1], 2)
        body *= 1 - 0.3 * spot(distance.shape, at, rng.uniform(1.5, 2.6))
    return np.asarray(brightness * body)


def _touching(rng: np.random.Generator, centres: list[Array], distance: float) -> Array | None:
    """Choose a place that touches one of the objects already there."""
    if not centres:
        return None
    start, turn = centres[rng.integers(len(centres))], rng.uniform(0, 2 * np.pi)
    return np.asarray(start + distance * np.array([np.sin(turn), np.cos(turn)]))


def _camera(rng: np.random.Generator, light: Array) -> Image:
    """Blur, glow, uneven lamp, background, photon and read noise."""
    y, x = grid(light.shape)
    height, width = light.shape
    sharp = ndimage.gaussian_filter(light, 1.0)
    haze = 0.10 * ndimage.gaussian_filter(light, 14) + 0.05 * ndimage.gaussian_filter(light, 45)
    lamp = 1 - 0.35 * ((y / height - 0.4) ** 2 + (x / width - 0.6) ** 2)
    background = 0.05 + 0.035 * x / width + 0.004 * noise(rng, light.shape, 40)
    photons = 420 * (lamp * (sharp + haze) + background)
    # The normal form of photon noise draws the same numbers on every platform.
    seen = photons + np.sqrt(photons + 6) * rng.normal(size=photons.shape)
    return to_bytes(seen / 3)


def _stroma(rng: np.random.Generator, shape: Shape) -> tuple[Array, Array]:
    """Eosin of wavy collagen fibres, and the angle at which they run."""
    y, x = grid(shape)
    across = 0.5 * x + 0.87 * y + 22 * noise(rng, shape, 60) + 2.5 * noise(rng, shape, 16)
    along = 0.87 * x - 0.5 * y
    slope_y, slope_x = np.gradient(across)
    grain = np.zeros((1200, 300))
    for weight, width, length in ((0.6, 1.2, 4), (0.8, 2.2, 6), (0.8, 6, 10)):
        streaks = ndimage.gaussian_filter(
            rng.normal(size=grain.shape), (width, length), mode="wrap"
        )
        grain += weight * streaks / streaks.std()
    fibres = ndimage.map_coordinates(grain, (across, along / 6), mode="grid-wrap")
    eosin = 0.27 + 0.075 * fibres + 0.05 * noise(rng, shape, 25) + 0.03 * noise(rng, shape, 2)
    return np.clip(eosin, 0.02, None), np.arctan2(-slope_x, slope_y)


Place = tuple[Array, Radii, float, float]


def _epithelial(rng: np.random.Generator, glands: list[Array]) -> list[Place]:
    """Two rings of nuclei in every gland, longer towards its centre."""
    places: list[Place] = []
    for (centre, radii, tilt), distance in zip(GLANDS, glands, strict=True):
        for ring, count in ((0.82, 34), (0.64, 26)):
            turns = np.linspace(0, 2 * np.pi, count, endpoint=False) + rng.normal(0, 0.03, count)
            for turn, out in zip(turns, rng.normal(ring, 0.035, count), strict=True):
                # `turned` with the opposite angle turns a point of the ellipse into the image.
                row, column = out * radii[1] * np.sin(turn), out * radii[0] * np.cos(turn)
                x, y = turned(row, column, (0, 0), -tilt)
                at = np.array([centre[0] + y, centre[1] + x])
                if not _within(at, distance.shape) or distance[tuple(at.astype(int))] > 0.97:
                    continue
                size, angle = rng.normal(10.5, 1.1), float(np.arctan2(y, x)) + rng.normal(0, 0.25)
                places.append((at, (1.18 * size, 0.82 * size), angle, rng.uniform(0.42, 0.7)))
    return places


def _stromal(rng: np.random.Generator, glands: Array, fibre_angle: Array) -> list[Place]:
    """Spindle-shaped nuclei along the fibres, and small dark lymphocytes."""
    places: list[Place] = []
    for at in rng.random((250, 2)) * (np.array(glands.shape) - 1):
        pixel = tuple(at.astype(int))
        if glands[pixel] < 1.2:
            continue
        if rng.random() < 0.6:
            radii, density = (rng.uniform(12, 18), rng.uniform(3.4, 5.2)), rng.uniform(0.6, 0.9)
            places.append((at, radii, fibre_angle[pixel] + rng.normal(0, 0.12), density))
        else:
            radii, density = (rng.uniform(6.5, 8.5), rng.uniform(6, 7.5)), rng.uniform(0.8, 1.05)
            places.append((at, radii, 0.0, density))
    return places


def _within(point: Array, shape: tuple[int, ...]) -> bool:
    return bool(np.all(point >= 0) and np.all(point < shape))


def _scanner(rng: np.random.Generator, hematoxylin: Array, eosin: Array) -> Image:
    """Light that passes the two dyes (Beer and Lambert), seen by a slide scanner."""
    absorbance = hematoxylin[..., None] * HEMATOXYLIN + eosin[..., None] * EOSIN
    light = 0.95 * np.exp(-1.4 * absorbance)
    light = ndimage.gaussian_filter(light, (0.8, 0.8, 0))
    return to_bytes(255 * light + rng.normal(0, 1.5, light.shape))
