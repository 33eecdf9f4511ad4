"""One block of a slide: from the image's pixels to labels in the run's folder.

The folder of a run is its label file. Beside the labels, ``.medt`` holds what makes it safe::

    .medt/settings.json     what is computed; a run goes on only with the same
    .medt/block-N.npz       block N is written; its sizes and strips wait for the stitching
    .medt/numbers.npz       the stitching is done; numbers are being written
    .medt/summary.json      all is done

Blocks need nothing of each other: they may be done in any order and by any number of processes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medt import __version__
from napari_medt.engine.files import STATE, write_whole
from napari_medt.engine.labelfile import LabelFile
from napari_medt.engine.labels import HALO, halo_of, to_labels
from napari_medt.engine.progress import IsCancelled, never
from napari_medt.engine.segment import with_fallback
from napari_medt.engine.source import Level, Prepared
from napari_medt.engine.stitch import (
    BlockGrid,
    BlockRecord,
    cut_block,
    provisional,
    split_block,
)
from napari_medt.engine.tiles import Area
from napari_medt.engine.window import Window
from napari_medt.errors import ImageError
from napari_medt.models.card import ModelCard
from napari_medt.models.store import Model
from napari_medt.network.config import Branches

EMPTY = BlockRecord(np.empty(0, np.int64), np.empty((0, 0), np.uint32), np.empty((0, 0), np.uint32))


@dataclass(frozen=True)
class SlideSettings:
    """What a run computes; all of it decides the result.

    Attributes
    ----------
    model, weights, card : str
        The model's name, and SHA-256 of its weights and of its card's recipe.
    image : str
        Fingerprint of the plane; see :meth:`napari_medt.engine.source.Level.fingerprint`.
    branches, threshold, min_size
        See :func:`napari_medt.segment`.
    level : int
        Which resolution of the image.
    channel : int or None
        Which channel; None where there are none, or they are colours.
    block : int
        Side of a block, in pixels of the image.
    magnification : float
        How much larger the network sees the image.
    limits : tuple of float
        Values of the image that the network sees as 0 and 1.
    version : str
        Version of this package.
    """

    model: str
    weights: str
    card: str
    image: str
    branches: Branches
    threshold: float
    min_size: int
    level: int
    channel: int | None
    block: int
    magnification: float
    limits: tuple[float, float]
    version: str = __version__

    @classmethod
    def read(cls, folder: Path) -> SlideSettings:
        """Read the settings of a run from its folder."""
        values = json.loads((folder / STATE / "settings.json").read_text(encoding="utf-8"))
        return cls(**{**values, "limits": tuple(values["limits"])})


@dataclass(frozen=True, eq=False)
class Run:
    """A run that has its folder: blocks can be done.

    Attributes
    ----------
    folder : Path
        The label file.
    settings : SlideSettings
        What is computed.
    model : Model
        The model of the settings.
    plane : Prepared
        The plane of the settings.
    device : str
        Where to run.
    """

    folder: Path
    settings: SlideSettings
    model: Model
    plane: Prepared
    device: str = "auto"

    @classmethod
    def open(cls, folder: Path, levels: Sequence[Level], model: Model, device: str = "auto") -> Run:
        """Open a run from its folder, to go on or to take part."""
        settings = SlideSettings.read(folder)
        plane = Prepared(levels[settings.level], model.card.input, settings.limits)
        return cls(folder, settings, model, plane, device)

    @property
    def grid(self) -> BlockGrid:
        """The blocks of the image."""
        return BlockGrid(self.plane.height, self.plane.width, self.settings.block)

    @property
    def halo(self) -> int:
        """How far a block looks around.

        Objects at the border are then seen whole, and small parts of a class are told from the
        tips of large ones.
        """
        if not self.model.card.splits_objects:
            return self.settings.min_size
        return max(HALO, halo_of(self.model.card, self.settings.magnification))

    @property
    def state(self) -> Path:
        """The folder of the run's state."""
        return self.folder / STATE

    @property
    def summary_file(self) -> Path:
        """See :func:`summary_path`."""
        return summary_path(self.folder)

    def record_path(self, index: int) -> Path:
        """Where a block's record is; it is there once the block is done."""
        return self.state / f"block-{index}.npz"

    def todo(self) -> list[int]:
        """Blocks that are not done."""
        return [index for index in range(len(self.grid)) if not self.record_path(index).exists()]

    def is_done(self, index: int) -> bool:
        """Whether a block is done, or even the whole run, which needs no records any more."""
        return self.record_path(index).exists() or self.summary_file.exists()

    def do(self, index: int, cancelled: IsCancelled = never) -> None:
        """Do one block: labels into the file, then its record."""
        probabilities, tiles, blank = self.predict(self.grid.area(index, self.halo), cancelled)
        labels, record = self.label(probabilities, index)
        if self.is_done(index):  # another process was faster, and may have numbered the labels
            return
        LabelFile.open(self.folder).write(self.grid.area(index), labels)
        write_whole(self.record_path(index), replace(record, tiles=tiles, blank=blank).save)

    def predict(
        self, area: Area, cancelled: IsCancelled = never
    ) -> tuple[NDArray[np.float32], int, int]:
        """Class probabilities of an area; how many tiles touch it, and how many are blank."""
        settings = self.settings
        window = Window(self.plane, area, self.model, settings.branches, settings.magnification)
        probabilities, blank = with_fallback(
            partial(window.predict, cancelled=cancelled), self.device
        )
        return probabilities, window.tiles, blank

    def label(
        self, probabilities: NDArray[np.float32], index: int
    ) -> tuple[NDArray[np.uint32], BlockRecord]:
        """Labels of a block from the probabilities of it and its halo, and what is kept of them.

        Raises
        ------
        ImageError
            If there are more objects than can be numbered.
        """
        card = self.model.card
        labels = to_labels(
            probabilities,
            card,
            threshold=self.settings.threshold,
            # Objects that blocks cut are measured once they are whole.
            min_size=0 if card.splits_objects else self.settings.min_size,
            magnification=self.settings.magnification,
        )
        if not card.splits_objects:
            return cut_block(labels, self.grid, index, self.halo).astype(np.uint32), EMPTY
        own, record = split_block(labels, self.grid, index, self.halo)
        first, most = provisional(self.grid, index)
        if len(record.sizes) > most:
            raise ImageError("There are more objects than can be numbered: raise the threshold.")
        own[own > 0] += np.uint32(first - 1)
        return own, record


def summary_path(folder: Path) -> Path:
    """Where a run's summary is; it is there once all is done."""
    return folder / STATE / "summary.json"


def recipe_hash(card: ModelCard) -> str:
    """SHA-256 of a card's recipe; see :attr:`napari_medt.models.card.ModelCard.recipe`."""
    return hashlib.sha256(json.dumps(card.recipe).encode()).hexdigest()
