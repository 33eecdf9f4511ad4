"""Predict a window of a plane: the same as in the whole plane up to rounding, at less cost."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray

from napari_medt.engine.predict import View, predict_area, tile_grid
from napari_medt.engine.progress import IsCancelled, Progress, counted_from, never, silent
from napari_medt.engine.resample import Plane, Resized, Resizing
from napari_medt.engine.tiles import Area, TileGrid, pieces
from napari_medt.models.card import ModelCard
from napari_medt.models.store import Model
from napari_medt.network.config import Branches


@dataclass(frozen=True, eq=False)
class Held:
    """A prepared plane in memory.

    Attributes
    ----------
    pixels : array of float32
        ``(H, W, C)`` in [0, 1].
    """

    pixels: NDArray[np.float32]

    @property
    def height(self) -> int:
        """Pixels from top to bottom."""
        return self.pixels.shape[0]

    @property
    def width(self) -> int:
        """Pixels from left to right."""
        return self.pixels.shape[1]

    def read(self, area: Area) -> NDArray[np.float32]:
        """Read rows and columns."""
        return self.pixels[area]


@dataclass(frozen=True, eq=False)
class Window:
    """A window to predict: the mean of the network's output over all zooms.

    Attributes
    ----------
    plane : Plane
        What it is a window of.
    area : tuple of slice
        Its rows and columns.
    model : Model
        A model that sees images in tiles.
    branches : {"both", "global", "patch"}
        Which branches run.
    magnification : float
        How much larger the network sees the plane, before the `zooms` of the model's card.
    """

    plane: Plane
    area: Area
    model: Model
    branches: Branches
    magnification: float = 1.0

    @property
    def card(self) -> ModelCard:
        """The model's card."""
        return self.model.card

    @property
    def tiles(self) -> int:
        """How many tiles touch it, at all zooms."""
        return sum(map(self._tiles_at, self._magnifications))

    def predict(
        self,
        device: torch.device,
        progress: Progress = silent,
        cancelled: IsCancelled = never,
    ) -> tuple[NDArray[np.float32], int]:
        """Class probabilities ``(classes, h, w)`` of the window, and how many tiles were blank."""
        done, total, blank = 0, self.tiles, 0
        found = []
        for magnification in self._magnifications:
            counted = counted_from(progress, done, total)
            probabilities, empty = self._look(magnification, device, counted, cancelled)
            found.append(probabilities)
            blank += empty
            done += self._tiles_at(magnification)
        return np.mean(found, axis=0) if len(found) > 1 else found[0], blank

    @property
    def _magnifications(self) -> list[float]:
        return [self.magnification * zoom for zoom in self.card.input.zooms]

    def _tiles_at(self, magnification: float) -> int:
        grid, area = self._larger(magnification)
        return len(grid.touching(area))

    def _look(
        self,
        magnification: float,
        device: torch.device,
        progress: Progress,
        cancelled: IsCancelled,
    ) -> tuple[NDArray[np.float32], int]:
        """See :meth:`predict`, at one magnification."""
        grid, area = self._larger(magnification)
        rows, columns = grid.seen(area)
        resizing = self._resizing(magnification)
        seen = self.plane if magnification == 1 else Resized(self.plane, resizing)
        view = View(seen.read((rows, columns)), grid, area, (rows.start, columns.start))
        probabilities, blank = predict_area(
            view,
            self.model.inference_network(device),
            self.card,
            branches=self.branches,
            device=device,
            progress=progress,
            cancelled=cancelled,
        )
        if magnification != 1:
            back = resizing.back
            probabilities = np.stack([back.apply(one, self.area) for one in probabilities])
        return probabilities, blank

    def _resizing(self, magnification: float) -> Resizing:
        return Resizing.by(magnification, self.plane.height, self.plane.width)

    def _larger(self, magnification: float) -> tuple[TileGrid, Area]:
        """Tiles of the plane as the network sees it, and the area of it that is needed."""
        if magnification == 1:
            return tile_grid(self.card, self.plane.height, self.plane.width), self.area
        resizing = self._resizing(magnification)
        grid = tile_grid(self.card, resizing.rows.resized, resizing.columns.resized)
        return grid, resizing.back.needed(self.area)


def side_seen(side: int, card: ModelCard, magnification: float) -> int:
    """Side in image pixels that, magnified, is at most `side` at every zoom; at least 1."""
    return max(1, int(side / (magnification * max(card.input.zooms))))


def cut(area: Area, side: int) -> list[Area]:
    """Cut an area into pieces of at most `side` pixels a side."""
    rows, columns = (pieces(part, side) for part in area)
    return list(product(rows, columns))
