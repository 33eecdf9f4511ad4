"""Drawings of what a clinic sees: a pigmented skin lesion, and a fetal head in ultrasound."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree
from scipy.special import expit

from napari_medt.sample_data.shapes import (
    Array,
    Image,
    Labels,
    Shape,
    band,
    blob,
    ellipse,
    grid,
    largest,
    noise,
    spot,
    to_bytes,
    turned,
)

# Absorbance in red, green and blue.
MELANIN = np.array([0.55, 1.00, 1.40])
BLOOD = np.array([0.10, 0.85, 0.75])
HAIR = np.array([0.80, 0.90, 1.00])

LESION = (132.0, 124.0)

HEAD_CENTRE, HEAD_RADII, HEAD_TILT = (142.0, 205.0), (104.0, 79.0), 0.10
# The sector of a curved probe: its centre above the image, then depths and half an angle.
APEX, DEPTHS, HALF_ANGLE = (-150.0, 200.0), (152.0, 425.0), 0.62
SCAN = (900, 420)


def dermoscopy(rng: np.random.Generator) -> tuple[Image, Labels]:
    """Draw a pigmented skin lesion with a pigment network, globules and hairs."""
    shape = (256, 256)
    ragged = 0.05 * noise(rng, shape, 9) + 0.022 * noise(rng, shape, 3)
    distance = blob(rng, shape, LESION, (82, 62), 0.6, wobble=0.06) + ragged
    labels = ndimage.binary_fill_holes(largest(distance < 1)).astype(np.uint16)

    melanin = expit((0.97 - distance) * 16) * _pigment(rng, shape)
    melanin += 0.10 + 0.03 * noise(rng, shape, 24) + 0.018 * noise(rng, shape, 2.5)
    blood = 0.11 + 0.05 * noise(rng, shape, 18) + 0.07 * band(distance, 1.1, 0.2)
    hairs = _hairs(rng, shape, count=9)
    absorbance = melanin[..., None] * MELANIN + blood[..., None] * BLOOD + hairs[..., None] * HAIR

    y, x = grid(shape)
    lamp = 1 - 0.22 * (((y - 120) / 180) ** 2 + ((x - 136) / 180) ** 2)
    light = lamp[..., None] * np.array([0.94, 0.83, 0.78]) * np.exp(-absorbance)
    light = ndimage.gaussian_filter(light, (0.7, 0.7, 0))
    return to_bytes(255 * light + rng.normal(0, 1.6, light.shape)), labels


def ultrasound(rng: np.random.Generator) -> tuple[Image, Labels]:
    """Draw a fetal head in its standard plane: skull, midline, speckle and shadows."""
    shape = (270, 400)
    depth, angle = np.meshgrid(
        np.linspace(*DEPTHS, SCAN[0]), np.linspace(-HALF_ANGLE, HALF_ANGLE, SCAN[1]), indexing="ij"
    )
    y, x = APEX[0] + depth * np.cos(angle), APEX[1] + depth * np.sin(angle)
    echo, bone = _fetal_head(rng, y, x)
    passed = np.exp(-0.011 * np.cumsum(bone, axis=0) - 0.0016 * (depth - DEPTHS[0]))
    beams = _speckle(rng, echo * passed)

    y, x = grid(shape)
    row = (np.hypot(y - APEX[0], x - APEX[1]) - DEPTHS[0]) / (DEPTHS[1] - DEPTHS[0])
    column = (np.arctan2(x - APEX[1], y - APEX[0]) / HALF_ANGLE + 1) / 2
    at = (row * (SCAN[0] - 1), column * (SCAN[1] - 1))
    picture = ndimage.map_coordinates(beams, at, order=1, cval=0)
    labels = ellipse(y, x, HEAD_CENTRE, HEAD_RADII, HEAD_TILT) < 1
    return to_bytes(215 * picture**1.6), labels.astype(np.uint16)


def _pigment(rng: np.random.Generator, shape: Shape) -> Array:
    """Melanin of the lesion: blotches, a network, a dark spot and globules."""
    blotches = expit(2.2 * noise(rng, shape, 16) - 0.4)
    network = _network(rng, shape, spacing=8.5)
    melanin = 0.50 + 0.50 * blotches + 0.42 * network * (1 - 0.6 * blotches)
    melanin += 0.35 * spot(shape, (112, 104), 24)
    for at in rng.normal(LESION, 26, (26, 2)):
        melanin += 0.35 * spot(shape, at, rng.uniform(1.3, 2.6))
    return np.asarray(np.clip(melanin, 0.2, None) * (1 + 0.10 * noise(rng, shape, 2)))


def _network(rng: np.random.Generator, shape: Shape, spacing: float) -> Array:
    """Draw the lines halfway between scattered points, like the net of pigment in a mole."""
    points = rng.random((int(shape[0] * shape[1] / spacing**2), 2)) * shape
    nearest, _ = KDTree(points).query(np.moveaxis(np.indices(shape), 0, -1), k=2)
    return band(nearest[..., 1] - nearest[..., 0], 0, 1.9)


def _hairs(rng: np.random.Generator, shape: Shape, count: int) -> Array:
    """Draw thin curved lines."""
    hairs = np.zeros(shape)
    steps = np.linspace(0, 1, 900)
    for _ in range(count):
        start, heading, bend = rng.random(2) * shape, rng.normal(0.9, 0.5), rng.normal(0, 1.3)
        length = rng.uniform(110, 220) / steps.size
        rows = start[0] + length * np.cumsum(np.sin(heading + bend * steps))
        columns = start[1] + length * np.cumsum(np.cos(heading + bend * steps))
        points = np.stack([rows, columns], axis=1).astype(int)
        points = points[np.all((points >= 0) & (points < shape), axis=1)]
        strand = np.zeros(shape)
        strand[points[:, 0], points[:, 1]] = rng.uniform(1.0, 2.0)
        hairs = np.maximum(hairs, ndimage.gaussian_filter(strand, 0.65))
    return np.minimum(hairs, 1.1)


def _speckle(rng: np.random.Generator, echo: Array) -> Array:
    """Envelope of scattered waves, averaged over a few looks and compressed to [0, 1]."""
    power = np.zeros(echo.shape)
    looks, pulse = 3, (3.4, 2.2)
    for _ in range(2 * looks):
        wave = rng.normal(size=echo.shape) * echo + 0.018 * rng.normal(size=echo.shape)
        power += ndimage.gaussian_filter(wave, pulse) ** 2
    envelope = np.sqrt(power / looks * 4 * np.pi * pulse[0] * pulse[1])
    return np.clip(1 + np.log10(envelope + 1e-6) / 1.9, 0, None)


def _fetal_head(rng: np.random.Generator, y: Array, x: Array) -> tuple[Array, Array]:
    """Echo strength of every point of the scan, and how much of it is bone."""
    shape = y.shape
    u, v = turned(y, x, HEAD_CENTRE, HEAD_TILT)
    head = ellipse(y, x, HEAD_CENTRE, HEAD_RADII, HEAD_TILT)
    inside = expit((0.985 - head) * 90)
    echo = _mother(rng, y, x) * (1 - inside) + _brain(rng, u, v, head) * inside
    # Bone that faces the beam shines; where the beam grazes it, it fades.
    facing = np.abs(v / HEAD_RADII[1]) / np.maximum(head, 1e-6)
    bone = band(head, 0.97, 0.019) * (0.05 + 0.95 * facing**1.6)
    gaps = 0.35 + 0.65 * expit(2.5 * noise(rng, shape, 26) + 2.2)
    echo += 3.2 * bone * gaps * np.exp(0.4 * noise(rng, shape, 9))
    scalp = band(head, 1.035, 0.016) * np.exp(0.4 * noise(rng, shape, 12))
    return echo + 0.12 * scalp, bone


def _mother(rng: np.random.Generator, y: Array, x: Array) -> Array:
    """Abdominal and uterine wall, amniotic fluid, and the far wall."""
    shape = y.shape
    mottle = np.exp(0.35 * noise(rng, shape, 22) + 0.2 * noise(rng, shape, 7))
    near = 34 + 10 * np.sin(x / 70) + 5 * np.sin(x / 23 + 1)
    far = 232 - 14 * np.cos((x - 190) / 75) + 4 * noise(rng, shape, 30)
    side = 158 + 12 * np.sin(y / 31) - np.abs(x - 205)
    layers = 1 + 0.6 * np.sin((y - 0.12 * x) / 3.6) * expit((near - y) / 6)
    fluid = expit((y - near) / 2) * expit((far - y) / 2) * expit(side / 6)
    lining = band(y - near, 0, 2.2) + 0.7 * band(y - far, 0, 3)
    return np.asarray(mottle * (0.2 * layers * (1 - 0.93 * fluid) + 0.45 * lining))


def _brain(rng: np.random.Generator, u: Array, v: Array, head: Array) -> Array:
    """Midline, cavum, choroid plexus and ventricle walls, along and across the long axis."""
    shape = u.shape
    brain = 0.045 * np.exp(0.6 * noise(rng, shape, 16) + 0.35 * noise(rng, shape, 5))
    brain += 0.10 * band(head, 0.78, 0.06) * expit(3 * noise(rng, shape, 10) - 1)
    midline = band(v - 1.5 * np.sin(u / 30), 0, 1.5) * expit((80 - np.abs(u)) / 4)
    brain += 0.40 * midline * expit(2.5 * noise(rng, shape, 14) + 0.6)
    brain += 0.45 * band(np.abs(v), 6, 1.4) * expit((13 - np.abs(u + 48)) / 1.5)
    plexus = ellipse(v, u, (27, 25), (25, 9), 0.28)
    brain += 0.22 * expit((1 - plexus) * 5) * np.exp(0.5 * noise(rng, shape, 8))
    ventricle = band(np.abs(v), 24, 1.5) * expit((40 - np.abs(u - 20)) / 4)
    return np.asarray(brain + 0.16 * ventricle * expit(2 * noise(rng, shape, 12)))
