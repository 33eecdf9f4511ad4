"""How fast a model runs on this machine."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch

from napari_medt.engine.device import present_devices
from napari_medt.engine.predict import BATCH_SIZES, run, tile_grid
from napari_medt.models.card import ModelCard
from napari_medt.models.store import Model
from napari_medt.network.config import Branches


@dataclass(frozen=True)
class Speed:
    """A measured speed.

    Attributes
    ----------
    device : str
        Where the model ran.
    branches : str
        Which branches ran.
    tiles_per_second : float
        Median over the batches.
    """

    device: str
    branches: Branches
    tiles_per_second: float

    def seconds_for(self, card: ModelCard, height: int, width: int) -> float:
        """Time the network takes for an image of `height` x `width` pixels as it sees it."""
        tiles = (
            len(tile_grid(card, round(height * zoom), round(width * zoom)))
            for zoom in card.input.zooms
        )
        return sum(tiles) / self.tiles_per_second


def measure_speed(model: Model, branches: Branches, device: torch.device, seconds: float) -> Speed:
    """Run random tiles for `seconds`, after a warm-up that is not counted."""
    network = model.inference_network(device)
    size, channels = model.card.network.image_size, model.card.network.in_channels
    count = BATCH_SIZES[device.type]
    tiles = np.random.default_rng(0).random((count, size, size, channels), np.float32)
    for _ in range(2):
        run(network, tiles, branches, device, model.card)
    times: list[float] = []
    while sum(times) < seconds:
        began = time.perf_counter()
        run(network, tiles, branches, device, model.card)
        times.append(time.perf_counter() - began)
    return Speed(str(device), branches, count / float(np.median(times)))


def measure_machine(model: Model, seconds: float) -> list[Speed]:
    """Measure every device of this machine in every branch setting of the model."""
    return [
        measure_speed(model, branches, torch.device(device), seconds)
        for device in present_devices()
        for branches in model.card.branch_settings
    ]
