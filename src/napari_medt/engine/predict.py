"""Run a network over a prepared image: tiles or whole, with progress and cancelling."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.transform import resize
from torch import nn

from napari_medt.engine.tiles import TileGrid
from napari_medt.errors import Cancelled
from napari_medt.models.card import ModelCard
from napari_medt.network.config import Branches

Progress = Callable[[int, int], None]
IsCancelled = Callable[[], bool]

# Tiles in a batch: few on a CPU, so that cancelling on a laptop is felt at once.
BATCH_SIZES = {"cpu": 4, "mps": 8, "cuda": 32}


def predict(
    image: NDArray[np.float32],
    network: nn.Module,
    card: ModelCard,
    *,
    branches: Branches = "both",
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
    cancelled: IsCancelled | None = None,
) -> NDArray[np.float32]:
    """Predict class probabilities at the image's own resolution.

    Parameters
    ----------
    image : array of float32
        ``(H, W, C)`` in [0, 1], as :func:`napari_medt.engine.image.prepare` returns it.
    network : torch.nn.Module
        In eval mode, on `device`.
    card : ModelCard
        Tile size, overlap and scaling.
    branches : {"both", "global", "patch"}
        Which branches run.
    device : torch.device
        Where to run.
    progress : callable, optional
        Called with ``(tiles done, tiles in all)``, first with 0.
    cancelled : callable, optional
        Asked before every batch; true stops the run.

    Returns
    -------
    array of float32
        ``(classes, H, W)``, adding up to one over the classes.

    Raises
    ------
    Cancelled
        If `cancelled` said so.
    RuntimeError
        If the device has too little memory for a single tile.
    """
    size = card.network.image_size
    height, width = image.shape[:2]
    if card.input.scaling == "whole":
        # One tile the size of the network: the same way through, with a resize at both ends.
        image = resize(image, (size, size), order=1, anti_aliasing=True).astype(np.float32)
    grid = tile_grid(card, height, width)
    total = np.zeros((card.network.num_classes, *image.shape[:2]), np.float32)
    batch_size, done = BATCH_SIZES[torch.device(device).type], 0
    while done < len(grid):
        if cancelled is not None and cancelled():
            raise Cancelled
        if progress is not None:
            progress(done, len(grid))
        batch = range(done, min(done + batch_size, len(grid)))
        tiles = np.stack([grid.cut(image, index) for index in batch])
        try:
            predicted = run(network, tiles, branches, device)
        except RuntimeError as error:
            if not out_of_memory(error) or batch_size == 1:
                raise
            batch_size //= 2
            continue
        for index, probabilities in zip(batch, predicted, strict=True):
            grid.add(total, index, probabilities)
        done = batch.stop
    if progress is not None:
        progress(len(grid), len(grid))
    total = grid.normalise(total)
    if card.input.scaling == "whole":
        total = resize(total, (len(total), height, width), order=1).astype(np.float32)
    return total


def tile_grid(card: ModelCard, height: int, width: int) -> TileGrid:
    """Tiles of a model over an image of `height` x `width` pixels; a single one if resized."""
    size = card.network.image_size
    if card.input.scaling == "whole":
        height = width = size
    return TileGrid.over(height, width, size=size, overlap=round(card.input.overlap * size))


def out_of_memory(error: RuntimeError) -> bool:
    """Whether a device ran out of memory; backends differ in the type of their error."""
    return "out of memory" in str(error)


@torch.inference_mode()
def run(
    network: nn.Module,
    tiles: NDArray[np.float32],
    branches: Branches,
    device: torch.device | str,
) -> NDArray[np.float32]:
    """Run tiles ``(N, S, S, C)`` through the network: probabilities ``(N, classes, S, S)``."""
    batch = torch.from_numpy(tiles).permute(0, 3, 1, 2).to(device)
    return network(batch, branches=branches).softmax(dim=1).cpu().numpy()
