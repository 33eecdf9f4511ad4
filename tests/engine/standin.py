"""Cheap networks in place of MedT, drawn images, and what becomes of them as slides."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
import zarr
from scipy import ndimage
from torch import nn

from napari_medt.engine.slide import segment_slide
from napari_medt.engine.source import level_of
from napari_medt.models.card import BACKGROUND, CORE, InputRule, ModelCard
from napari_medt.models.store import Model
from napari_medt.network.config import NetworkConfig

RIM_VALUE, CORE_VALUE = 120, 240  # gray values of drawn objects


class Painted(nn.Module):
    """Reads classes off gray values: black background, gray rim, white core."""

    def forward(self, x, branches="both"):
        values = torch.tensor([0, RIM_VALUE / 255, CORE_VALUE / 255])
        return -50 * (x - values[None, :, None, None]).abs()


class Uneven(nn.Module):
    """Sees neighbouring pixels, and answers differently in each part of a tile, as MedT does."""

    def __init__(self, size):
        super().__init__()
        self.place = torch.from_numpy(np.random.default_rng(0).normal(size=(3, size, size))).float()

    def forward(self, x, branches="both"):
        smooth = nn.functional.avg_pool2d(x.mean(1, keepdim=True), 9, 1, 4)
        return 4 * smooth * torch.tensor([-1.0, 0.5, 1.5])[None, :, None, None] + self.place


def standin(network, size=32, **rule):
    """Make a model of instances that runs a stand-in; its input is by default the 8-bit range."""
    rule = {"intensity": "range", **rule}
    card = ModelCard(
        name="stand-in",
        purpose="A model for tests.",
        network=NetworkConfig("medt", size, in_channels=1, num_classes=3, patch_size=32),
        classes=(BACKGROUND, "rim", CORE),
        input=InputRule(**rule),
        sha256="0" * 64,
    )
    return Model(card, network, {"cpu": network})


def levels_of(arrays):
    """Take the arrays of a multiscale image, from the finest, for one plane."""
    return [level_of(array) for array in arrays]


def draw_objects(rng, height, width, count, radii=(3, 9)):
    """Draw ellipses of a core and a rim; some touch, none overlap. Returns 8-bit gray values."""
    image = np.zeros((height, width), np.uint8)
    y, x = np.ogrid[:height, :width]
    for _ in range(count):
        cy, cx = rng.random(2) * (height, width)
        a, b = rng.uniform(*radii, 2)
        distance = ((y - cy) / a) ** 2 + ((x - cx) / b) ** 2
        if not image[distance < 1].any():
            image[distance < 1] = RIM_VALUE
            image[distance < 0.5] = CORE_VALUE
    return image


def drawn(seed, shape, radii=(3, 9)):
    """Objects with soft edges: which of two has a pixel between them is not left to chance."""
    rng = np.random.default_rng(seed)
    image = draw_objects(rng, *shape, shape[0] * shape[1] // 1000 + 5, radii)
    return (ndimage.gaussian_filter(image * 1.0, 1) + rng.random(shape)).astype(np.uint8)


def slide_labels(levels, model, folder, **options):
    """Labels of a slide, and what the run has to tell."""
    with TemporaryDirectory(dir=folder) as output:
        path = Path(output) / "out.zarr"
        summary = segment_slide(levels, model, path, device="cpu", **options)
        return zarr.open_array(path / "0", mode="r")[:], summary


def same(one, other):
    """Whether two label images tell the same objects apart, up to their numbers."""
    pairs = np.unique(np.stack([one.ravel(), other.ravel()]), axis=1)
    return np.array_equal(one > 0, other > 0) and len(np.unique(pairs[0])) == pairs.shape[1] == len(
        np.unique(pairs[1])
    )
