"""What a training run needs to go on after an interruption, and the file that keeps it."""

from __future__ import annotations

import io
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from napari_medt.engine.files import write_whole
from napari_medt.errors import DataError
from napari_medt.training.augment import AUGMENTATIONS
from napari_medt.training.config import TrainingConfig

CHECKPOINT_FILE = "checkpoint.pt"
KEPT = (
    "epoch",
    "step",
    "seconds",
    "best",
    "log",
    "images",
)  # stored without change, beside the weights


@dataclass
class State:
    """All that a run needs to go on after an interruption.

    Attributes
    ----------
    network : nn.Module
        Being trained.
    average : nn.Module
        Its exponential average, which is validated and kept.
    optimizer : torch.optim.Optimizer
        AdamW.
    epoch, step : int
        How many are done.
    seconds : float
        Time spent so far.
    best : float
        Best validation score so far, by :func:`~napari_medt.training.loop.selection_score`.
    best_weights : dict
        The average's state_dict then.
    log : list of dict
        One row per epoch, as in ``log.csv``.
    images : dict
        Names of the images of ``"training"`` and ``"validation"``; empty in a fresh state.
    """

    network: nn.Module
    average: nn.Module
    optimizer: torch.optim.Optimizer
    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    best: float = -1.0
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    log: list[dict[str, Any]] = field(default_factory=list)
    images: dict[str, list[str]] = field(default_factory=dict)


def save_checkpoint(path: Path, state: State, config: TrainingConfig) -> None:
    """Write everything needed to go on, whole or not at all."""
    values = {
        "config": asdict(config),
        "augmentation": asdict(AUGMENTATIONS[config.augmentation]),
        "network": state.network.state_dict(),
        "average": state.average.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "best_weights": state.best_weights,
        **{name: getattr(state, name) for name in KEPT},
    }
    file = io.BytesIO()  # on a full disk torch raises errors that do not say so
    torch.save(values, file)
    write_whole(path, lambda beside: beside.write_bytes(file.getbuffer()))


def load_checkpoint(path: Path, state: State, config: TrainingConfig, device: torch.device) -> None:
    """Fill a fresh state from a checkpoint.

    Raises
    ------
    DataError
        If the checkpoint is damaged, or belongs to a run with another configuration.
    """
    begun, values = read_checkpoint(path, device)
    # The values behind an augmentation's name may have changed since.
    if begun != config or values["augmentation"] != asdict(AUGMENTATIONS[config.augmentation]):
        raise DataError(
            f"{path.parent} holds an unfinished run with another configuration: go on with that "
            "one, or choose another output folder."
        )
    state.network.load_state_dict(values["network"])
    state.average.load_state_dict(values["average"])
    state.optimizer.load_state_dict(values["optimizer"])
    state.best_weights = values["best_weights"]
    for name in KEPT:
        setattr(state, name, values[name])


def read_checkpoint(path: Path, device: torch.device) -> tuple[TrainingConfig, dict[str, Any]]:
    """Read the configuration and all values of a checkpoint.

    Raises
    ------
    DataError
        If it is damaged.
    """
    file = io.BytesIO(path.read_bytes())
    try:
        values = torch.load(file, map_location=device, weights_only=True)
        return TrainingConfig.from_dict(values["config"]), values
    except (torch.cuda.OutOfMemoryError, MemoryError):
        raise
    except Exception:  # a damaged file makes torch raise anything
        raise DataError(
            f"The checkpoint {path} cannot be read: delete it or choose another output folder."
        ) from None
