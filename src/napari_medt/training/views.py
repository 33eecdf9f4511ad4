"""Views of the training images: drawn at random, in batches, the same again from the same seed."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator

import numpy as np
import torch
from numpy.random import Generator, default_rng
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from napari_medt.training.augment import AUGMENTATIONS, random_view
from napari_medt.training.config import TrainingConfig
from napari_medt.training.data import TrainingPair

NORMALISED = 0.75  # share of views at the magnification of the image's objects
MOST_WORKERS = 8


def batches(
    config: TrainingConfig,
    pairs: list[TrainingPair],
    epoch: int,
    device: torch.device,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the batches of an epoch on the device; a GPU is fed by worker processes."""
    loader = DataLoader(
        Views(config, pairs, epoch),
        batch_size=config.batch_size,
        num_workers=workers_for(device),
    )
    for images, targets in loader:
        yield images.to(device, memory_format=torch.channels_last), targets.to(device)


def workers_for(device: torch.device) -> int:
    """How many processes draw views: none, unless they feed a GPU and start by forking.

    Without forking, each of them would start Python and copy all images again in every epoch.
    """
    if device.type == "cpu" or multiprocessing.get_start_method() != "fork":
        return 0
    return min(MOST_WORKERS, os.cpu_count() or 1)


class Views(Dataset):
    """The random views of one epoch; view i follows from seed, epoch and i alone."""

    def __init__(self, config: TrainingConfig, pairs: list[TrainingPair], epoch: int) -> None:
        self.config = config
        self.pairs = pairs
        self.epoch = epoch
        count = config.images_per_epoch or len(pairs)
        power = 0.0 if config.input.scaling == "whole" else config.crop_spread
        weights = np.array([pair.target.size for pair in pairs], float) ** power
        self.order = draw_indices(weights, count, default_rng([config.seed, epoch]))

    def __len__(self) -> int:
        """Count the views."""
        return len(self.order)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Draw view `index`: image ``(C, S, S)`` and target ``(S, S)``."""
        pair = self.pairs[self.order[index]]
        rng = default_rng([self.config.seed, self.epoch, index])
        view, seen = random_view(
            pair.image.astype(np.float32),
            pair.target,
            self.config.image_size,
            AUGMENTATIONS[self.config.augmentation],
            rng,
            whole=self.config.input.scaling == "whole",
            magnification=vary_magnification(pair.magnification, rng),
        )
        return torch.from_numpy(view).permute(2, 0, 1), torch.from_numpy(seen).long()


def vary_magnification(magnification: float, rng: Generator) -> float:
    """Keep a magnification most of the time, else draw one between it and 1.

    The first look at a new image sees it at its own resolution and at halves of it, where objects
    rarely have the size the network is trained for. It must find them there, too.
    """
    if magnification == 1 or rng.random() < NORMALISED:
        return magnification
    return float(magnification ** rng.random())


def draw_indices(weights: NDArray, count: int, rng: Generator) -> NDArray[np.intp]:
    """Draw `count` indices in random order, each as often as its weight asks, to within one."""
    marks = (np.arange(count) + rng.random()) / count
    drawn = np.searchsorted(np.cumsum(weights / weights.sum()), marks)
    return rng.permutation(np.minimum(drawn, len(weights) - 1))
