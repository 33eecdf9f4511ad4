"""The training loop: from a configuration and a folder to a model the plugin can open."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.random import default_rng
from torch import Tensor, nn
from tqdm import tqdm

from napari_medt.engine.device import choose_device
from napari_medt.engine.files import make_folder, write_text
from napari_medt.errors import DataError, ModelError
from napari_medt.models.accuracy import MEASURES
from napari_medt.models.card import CARD_FILE, ModelCard
from napari_medt.models.domain import DOMAIN_FILE
from napari_medt.models.store import Model, load_model, save_model
from napari_medt.network.attention import GATES
from napari_medt.network.config import Branches, NetworkConfig
from napari_medt.network.networks import LoGoNet, from_config
from napari_medt.training.calibrate import calibrated
from napari_medt.training.checkpoint import (
    CHECKPOINT_FILE,
    State,
    load_checkpoint,
    save_checkpoint,
)
from napari_medt.training.config import TrainingConfig
from napari_medt.training.curve import draw_curve, write_log
from napari_medt.training.data import TrainingPair, read_pair, read_training_pair
from napari_medt.training.domain import find_domain
from napari_medt.training.evaluate import accuracy_table, evaluate, summarise
from napari_medt.training.losses import segmentation_loss
from napari_medt.training.samples import Sample, find_splits
from napari_medt.training.views import batches

CONFIG_FILE = "training.json"
DIVERGED = "Training diverged: the loss is not a number; lower the learning rate."
GRADIENT_NORM = 5.0  # longer gradients are shortened: attention's first steps can be wild


def train(
    config: TrainingConfig, data: Path, output: Path, *, device: str = "auto", quiet: bool = False
) -> ModelCard:
    """Train a model, or go on with an interrupted run in the same folder.

    Parameters
    ----------
    config : TrainingConfig
        What to train and how.
    data : Path
        ``train/`` and ``val/``, each with ``images/`` and ``labels/``; or one such folder, of
        which about one group in ten is set aside for validation.
    output : Path
        The model folder to make. While training it also holds a checkpoint, from which the same
        call goes on exactly where an interruption left it (on the same kind of machine, to the
        last bit).
    device : {"auto", "cpu", "cuda", "mps"}
        Where to train.
    quiet : bool
        Show no progress bar.

    Returns
    -------
    ModelCard
        With the accuracy on the validation images, per branch setting.

    Raises
    ------
    DataError
        If images, labels or the index do not fit, or `output` holds a finished model or a run of
        another configuration or other images.
    ImageError
        If an image or its labels cannot be read.
    ModelError
        If the model to start from does not fit, or training diverges.
    DeviceError
        If the device is not there.
    """
    if (output / CARD_FILE).exists():
        raise DataError(f"{output} already holds a finished model: choose another output folder.")
    training, validation = find_splits(data)
    domain = find_domain(training, config.input)
    state = learn(config, training, validation, output, device=device, quiet=quiet)
    write_text(output / DOMAIN_FILE, domain.to_json())
    return finish(state, config, validation, output, device)


def learn(
    config: TrainingConfig,
    training: list[Sample],
    validation: list[Sample],
    output: Path,
    *,
    build: Callable[[NetworkConfig], nn.Module] = from_config,
    device: str = "auto",
    quiet: bool = False,
) -> State:
    """Train a network and choose its best weights; see :func:`train`.

    Parameters
    ----------
    config, output, device, quiet
        As for :func:`train`.
    training, validation : list of Sample
        Images to learn from, and images to choose the best weights by.
    build : callable
        Makes the network to train, which is called with images and `branches`, as ours are.

    Returns
    -------
    State
        At the end of the run, with the best weights in `average`.

    Raises
    ------
    DataError, ImageError, ModelError, DeviceError
        As :func:`train` does.
    """
    where = choose_device(device)
    make_folder(output)
    state = load_or_make_state(config, output, where, build)
    check_same_images(state, training, validation, output)
    write_text(output / CONFIG_FILE, config.to_json())
    pairs = read_images(config, training, validation, quiet)
    steps_per_epoch = math.ceil((config.images_per_epoch or len(pairs)) / config.batch_size)
    bar = tqdm(
        total=config.epochs * steps_per_epoch, initial=state.step, desc="Training", disable=quiet
    )
    with bar:
        while state.epoch < config.epochs:
            began = time.perf_counter()
            loss = train_epoch(state, config, pairs, steps_per_epoch, where, bar)
            state.epoch += 1
            row: dict[str, Any] = {"epoch": state.epoch, "step": state.step, "loss": round(loss, 5)}
            row["learning_rate"] = float(f"{state.optimizer.param_groups[0]['lr']:.4g}")
            if state.epoch % config.validate_every == 0 or state.epoch == config.epochs:
                row |= validate(state, config, validation, device)
            state.seconds += time.perf_counter() - began
            row["seconds"] = round(state.seconds, 1)
            state.log.append(row)
            save_checkpoint(output / CHECKPOINT_FILE, state, config)
            write_log(output / "log.csv", state.log)
            if "val_dice" in row:
                draw_curve(output / "curve.png", state.log, config.name)
            show_progress(bar, loss, state)
    state.average.load_state_dict(state.best_weights)
    return state


def read_images(
    config: TrainingConfig, training: list[Sample], validation: list[Sample], quiet: bool
) -> list[TrainingPair]:
    """Read the training images, and every validation image once to find errors early."""
    labels: dict[str, Any] = {"target": config.target, "num_classes": len(config.classes)}
    pairs = []
    with tqdm(total=len(training) + len(validation), desc="Reading images", disable=quiet) as bar:
        for sample in validation:  # or its error would only show epochs later
            read_pair(sample, **labels)
            bar.update()
        for sample in training:
            pairs.append(read_training_pair(sample, config.input, config.image_size, **labels))
            bar.update()
    return pairs


def load_or_make_state(
    config: TrainingConfig,
    output: Path,
    device: torch.device,
    build: Callable[[NetworkConfig], nn.Module] = from_config,
) -> State:
    """Make a fresh state, or the one of the output folder's checkpoint."""
    torch.manual_seed(config.seed)
    network = build(config.network).to(device)
    # Norms are twice as fast on channels-last maps, and attention need not copy them.
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if config.start_from:
        network.load_state_dict(weights_to_start_from(config), strict=False)
    if isinstance(network, LoGoNet):
        network.patch_statistics = config.patch_statistics
    state = State(network, copy.deepcopy(network).eval(), make_optimizer(network, config))
    checkpoint = output / CHECKPOINT_FILE
    if checkpoint.exists():
        load_checkpoint(checkpoint, state, config, device)
    return state


def check_same_images(
    state: State, training: list[Sample], validation: list[Sample], output: Path
) -> None:
    """Let a run go on with the images it began with only: none may be validated after training.

    Raises
    ------
    DataError
        If there are other images.
    """
    images = {
        "training": [sample.image.name for sample in training],
        "validation": [sample.image.name for sample in validation],
    }
    if state.images and state.images != images:
        raise DataError(
            f"{output} holds an unfinished run with other images: go on with those, or choose "
            "another output folder."
        )
    state.images = images


def weights_to_start_from(config: TrainingConfig) -> dict[str, Tensor]:
    """State_dict of the model to fine-tune, less the layers that do not fit.

    Where the number of image channels differs, the first convolutions start fresh; where that of
    classes does, the last one.

    Raises
    ------
    ModelError
        If there is no such model, or its network differs in anything else.
    """
    model = load_model(config.start_from)
    old, new = model.card.network, config.network
    if replace(old, in_channels=new.in_channels, num_classes=new.num_classes) != new:
        raise ModelError(
            f"{model.card.name} cannot be started from, since its network is another one: give the "
            "same architecture and sizes."
        )
    fresh: tuple[str, ...] = ()
    if old.in_channels != new.in_channels:
        fresh += ("stem.0.weight",)
    if old.num_classes != new.num_classes:
        fresh += ("head.weight", "head.bias")
    return {k: v for k, v in model.network.state_dict().items() if not k.endswith(fresh)}


def make_optimizer(network: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """AdamW that decays convolutions, but not norms, biases, gates and position tables."""
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for name, parameter in network.named_parameters():
        convolution = parameter.ndim >= 3 and not name.endswith("relative")
        (decayed if convolution else free).append(parameter)
    return torch.optim.AdamW(
        [
            {"params": decayed, "weight_decay": config.weight_decay},
            {"params": free, "weight_decay": 0.0},
        ],
        lr=config.learning_rate,
    )


def train_epoch(
    state: State,
    config: TrainingConfig,
    pairs: list[TrainingPair],
    steps_per_epoch: int,
    device: torch.device,
    bar: tqdm,
) -> float:
    """Train one epoch; return the mean loss.

    Raises
    ------
    ModelError
        If the loss is not a number.
    """
    set_gates_trainable(state.network, state.epoch >= config.gates_frozen_epochs)
    state.network.train()
    losses = []
    for images, targets in batches(config, pairs, state.epoch, device):
        rate = learning_rate(config, state.step, steps_per_epoch)
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        branches = choose_branches(config, state.step)
        logits = state.network(images, branches=branches)
        loss = segmentation_loss(logits, targets, config.contact_weight)
        if not torch.isfinite(loss):
            raise ModelError(DIVERGED)
        state.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(state.network.parameters(), GRADIENT_NORM)
        state.optimizer.step()
        state.step += 1
        update_average(state.average, state.network, config.average_decay, state.step)
        losses.append(loss.item())
        bar.update()
        show_progress(bar, losses[-1], state)
    return float(np.mean(losses))


def show_progress(bar: tqdm, loss: float, state: State) -> None:
    """Show the loss and the best score beside the bar; 0 before the first validation."""
    bar.set_postfix(loss=f"{loss:.3f}", best=f"{max(state.best, 0):.4f}")


def set_gates_trainable(network: nn.Module, trainable: bool) -> None:
    """Freeze or thaw the gates; published training thaws them after ten epochs."""
    for name, parameter in network.named_parameters():
        if name.rpartition(".")[2] in GATES:
            parameter.requires_grad_(trainable)


def learning_rate(config: TrainingConfig, step: int, steps_per_epoch: int) -> float:
    """Linear warm-up, then a cosine to zero at the end of the run."""
    warmup = config.warmup_epochs * steps_per_epoch
    if step < warmup:
        return config.learning_rate * min(1, (step + 1) / warmup)
    progress = (step - warmup) / max(1, config.epochs * steps_per_epoch - warmup)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def choose_branches(config: TrainingConfig, step: int) -> Branches:
    """Draw which branches a step trains, so that every branch setting is trained."""
    if not config.network.has_branches:
        return "both"
    chance = default_rng([config.seed, 1, step]).random()
    only_global, only_patch = config.branch_dropout
    if chance < only_global:
        return "global"
    return "patch" if chance < only_global + only_patch else "both"


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """Move the exponential average towards the network; early steps count more."""
    decay = min(decay, (1 + step) / (10 + step))
    current = network.state_dict()
    for key, value in average.state_dict().items():
        if value.is_floating_point():
            value.lerp_(current[key], 1 - decay)
        else:
            value.copy_(current[key])


def validate(
    state: State, config: TrainingConfig, samples: list[Sample], device: str
) -> dict[str, float]:
    """Measure the average network on the validation images and remember the best.

    Raises
    ------
    ModelError
        If its output is not a number any more.
    """
    model = Model(config.card, state.average)
    try:
        summary = summarise(evaluate(model, samples, device=device))
    except ModelError:  # the only thing a network can have wrong at this point
        raise ModelError(DIVERGED) from None
    score = selection_score(summary)
    if score > state.best:
        state.best = score
        state.best_weights = copy.deepcopy(state.average.state_dict())
    return {f"val_{key}": summary[key] for key in MEASURES if key in summary}


def selection_score(summary: dict[str, Any]) -> float:
    """Score by which the best weights are chosen: panoptic quality of objects, or else Dice.

    Dice hardly depends on whether touching objects are separated; panoptic quality depends on that
    and on the outlines.
    """
    score: float = summary.get("pq", summary["dice"])
    return score


def finish(
    state: State, config: TrainingConfig, samples: list[Sample], output: Path, device: str
) -> ModelCard:
    """Write the model folder: weights, the temperature that fits them, measured accuracy."""
    model = calibrated(Model(card_of(state, config), state.average), samples, device=device)
    accuracy = accuracy_table(model, samples, device=device)
    card = save_model(output, replace(model.card, accuracy=accuracy), model.network)
    (output / CHECKPOINT_FILE).unlink(missing_ok=True)
    return card


def card_of(state: State, config: TrainingConfig) -> ModelCard:
    """The card of a model at the end of its training, not yet measured."""
    run = {"epochs": state.epoch, "steps": state.step, "seconds": round(state.seconds)}
    return replace(config.card, training=config.card.training | run)
