"""Run a network over a prepared image: tiles or whole, with progress and cancelling."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.transform import resize
from torch import nn

from napari_medt.engine.progress import IsCancelled, Progress, never, silent
from napari_medt.engine.tiles import Area, TileGrid, size_of
from napari_medt.errors import Cancelled, ModelError, out_of_memory
from napari_medt.models.card import ModelCard
from napari_medt.models.store import Model
from napari_medt.network.config import Branches

# Tiles in a batch: few on a CPU, so that cancelling on a laptop is felt at once.
BATCH_SIZES = {"cpu": 4, "mps": 8, "cuda": 32}

# Axes of a batch ``(N, C, S, S)`` along which tiles are mirrored, by the card's `flips`.
MIRRORINGS: dict[str, tuple[tuple[int, ...], ...]] = {
    "none": ((),),
    "columns": ((), (3,)),
    "both": ((), (2,), (3,), (2, 3)),
}

# Tiles whose values differ by less, on the scale from 0 to 1, are blank.
BLANK_CONTRAST = 0.02


def predict(
    image: NDArray[np.float32],
    model: Model,
    *,
    branches: Branches = "both",
    device: torch.device | str = "cpu",
    progress: Progress = silent,
    cancelled: IsCancelled = never,
) -> NDArray[np.float32]:
    """Predict class probabilities at the image's own resolution.

    Parameters
    ----------
    image : array of float32
        ``(H, W, C)`` in [0, 1], as :func:`napari_medt.engine.image.prepare` returns it.
    model : Model
        Its card holds tile size, overlap, scaling and temperature.
    branches : {"both", "global", "patch"}
        Which branches run.
    device : torch.device or str
        Where to run.
    progress : callable, optional
        Called with ``(tiles done, tiles in all)``, first with those that are blank.
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
    ModelError
        If the network gives no numbers.
    RuntimeError
        If the device has too little memory for a single tile.
    """
    card, size = model.card, model.card.network.image_size
    height, width = image.shape[:2]
    if card.input.scaling == "whole":
        # One tile the size of the network: the same way through, with a resize at both ends.
        image = resize(image, (size, size), order=1, anti_aliasing=True).astype(np.float32)
    grid = tile_grid(card, height, width)
    total, _ = predict_area(
        View(image, grid, grid.whole),
        model.inference_network(device),
        card,
        branches=branches,
        device=device,
        progress=progress,
        cancelled=cancelled,
    )
    if card.input.scaling == "whole":
        total = resize(total, (len(total), height, width), order=1).astype(np.float32)
    return total


@dataclass(frozen=True, eq=False)
class View:
    """What there is to see for the tiles that touch an area of an image.

    Attributes
    ----------
    pixels : array of float32
        ``(h, w, C)`` in [0, 1]: at least what those tiles show.
    grid : TileGrid
        The tiles of the whole image.
    area : tuple of slice
        Rows and columns of the whole image.
    corner : tuple of int
        Where `pixels` begins in the whole image.
    """

    pixels: NDArray[np.float32]
    grid: TileGrid
    area: Area
    corner: tuple[int, int] = (0, 0)

    def tile(self, index: int) -> NDArray[np.float32]:
        """Tile ``(S, S, C)``."""
        return self.grid.cut(self.pixels, index, self.corner)


def predict_area(
    view: View,
    network: nn.Module,
    card: ModelCard,
    *,
    branches: Branches,
    device: torch.device | str,
    progress: Progress,
    cancelled: IsCancelled,
) -> tuple[NDArray[np.float32], int]:
    """Predict class probabilities of an area: those of the whole image there, up to rounding.

    See :func:`predict`.

    Returns
    -------
    array of float32
        ``(classes, h, w)``, adding up to one over the classes.
    int
        How many tiles were blank and skipped.
    """
    total = np.zeros((card.network.num_classes, *size_of(view.area)), np.float32)
    blank, busy = sort_tiles(view, card)
    add_background(total, view, blank)

    def report(done: int) -> None:
        if cancelled():
            raise Cancelled
        progress(done, len(blank) + len(busy))

    def ask(tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        return run(network, tiles, branches, device, card)

    done = len(blank)
    report(done)
    for batch, predicted in in_batches(view, busy, ask, BATCH_SIZES[torch.device(device).type]):
        for index, probabilities in zip(batch, predicted, strict=True):
            view.grid.add(total, index, probabilities, view.area)
        done += len(batch)
        report(done)
    return view.grid.normalise(total, view.area), len(blank)


def sort_tiles(view: View, card: ModelCard) -> tuple[list[int], list[int]]:
    """Separate the tiles that are blank from those the network has to see.

    A tile without contrast lies in the background where objects are smaller than tiles; where
    labels are classes it may as well lie within a large object, so none is taken for blank.
    """
    tiles = view.grid.touching(view.area)
    if not card.splits_objects:
        return [], tiles
    if np.ptp(view.pixels) < BLANK_CONTRAST:
        return tiles, []
    blank = {index for index in tiles if np.ptp(view.tile(index)) < BLANK_CONTRAST}
    return sorted(blank), [index for index in tiles if index not in blank]


def add_background(total: NDArray[np.float32], view: View, tiles: list[int]) -> None:
    """Add tiles to an area's sum that are background for certain."""
    size = view.grid.rows.size
    background = np.zeros((len(total), size, size), np.float32)
    background[0] = 1
    for index in tiles:
        view.grid.add(total, index, background, view.area)


def in_batches(
    view: View,
    tiles: list[int],
    ask: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    batch_size: int,
) -> Iterator[tuple[list[int], NDArray[np.float32]]]:
    """Go through tiles in batches that fit the memory, each with what the network says of it."""
    while tiles:
        batch = tiles[:batch_size]
        try:
            predicted = ask(np.stack([view.tile(index) for index in batch]))
        except RuntimeError as error:
            if not out_of_memory(error) or batch_size == 1:
                raise
            batch_size //= 2
            continue
        yield batch, predicted
        tiles = tiles[batch_size:]


def tile_grid(card: ModelCard, height: int, width: int) -> TileGrid:
    """Tiles of a model over an image of `height` x `width` pixels; a single one if resized."""
    size = card.network.image_size
    if card.input.scaling == "whole":
        height = width = size
    return TileGrid.over(height, width, size=size, overlap=round(card.input.overlap * size))


@torch.inference_mode()
def run(
    network: nn.Module,
    tiles: NDArray[np.float32],
    branches: Branches,
    device: torch.device | str,
    card: ModelCard,
) -> NDArray[np.float32]:
    """Run tiles ``(N, S, S, C)`` through the network: probabilities ``(N, classes, S, S)``.

    Raises
    ------
    ModelError
        If the network gives no numbers.
    """
    batch = torch.from_numpy(tiles).permute(0, 3, 1, 2).to(device)
    predicted = [
        (network(batch.flip(axes), branches=branches) / card.temperature).softmax(dim=1).flip(axes)
        for axes in MIRRORINGS[card.input.flips]
    ]
    probabilities = torch.stack(predicted).mean(dim=0).cpu().numpy()
    if not np.isfinite(probabilities.sum()):  # one NaN shows; labelling would never end with it
        raise ModelError(
            "The model's weights give no numbers: its training diverged or its file is damaged; "
            "install or train the model again."
        )
    return probabilities
