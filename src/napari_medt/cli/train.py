"""``napari-medt train``: train a model on the user's own images."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from napari_medt.cli.options import add_device
from napari_medt.errors import DataError
from napari_medt.network.config import ARCHITECTURES


def add(commands: Any) -> None:
    """Add the command and its options."""
    command = commands.add_parser("train", help="train a model on your own images")
    command.add_argument(
        "--data",
        required=True,
        type=Path,
        help="folder of train/ and val/, or of images/ and labels/, which is split",
    )
    command.add_argument("--output", required=True, type=Path, help="model folder to make")
    command.add_argument("--config", type=Path, help="JSON file of settings; options below win")
    command.add_argument("--name", help="the model's name")
    command.add_argument("--start-from", metavar="MODEL", help="start from a model's weights")
    command.add_argument("--architecture", choices=ARCHITECTURES)
    command.add_argument("--image-size", type=int, metavar="PIXELS")
    command.add_argument("--target", choices=("instances", "classes"), help="what labels are")
    command.add_argument("--classes", nargs="+", metavar="NAME", help="names, background first")
    command.add_argument("--channels", choices=("gray", "rgb"), help="default: as the first image")
    command.add_argument("--scaling", choices=("tiled", "whole"), help="crops, or images resized")
    command.add_argument("--augmentation", metavar="NAME", help="fluorescence, histology, ...")
    command.add_argument("--epochs", type=int)
    command.add_argument("--images-per-epoch", type=int)
    command.add_argument("--batch-size", type=int)
    command.add_argument("--learning-rate", type=float)
    command.add_argument("--seed", type=int)
    add_device(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Train a model, or go on with an interrupted run."""
    from napari_medt.models.accuracy import accuracy_lines
    from napari_medt.training.loop import train

    card = train(read_options(options), options.data, options.output, device=options.device)
    print(f"{card.name} is ready in {options.output}. On the validation images:")
    print(*(f"  {line}" for line in accuracy_lines(card.accuracy)), sep="\n")
    return 0


def read_options(options: argparse.Namespace) -> Any:
    """Combine the configuration file with the options.

    Raises
    ------
    DataError
        If the two do not make a training configuration.
    """
    from napari_medt.training.config import TrainingConfig, read_config

    values = read_config(options.config) if options.config else {}
    for name in TrainingConfig.__dataclass_fields__:
        if getattr(options, name, None) is not None:
            values[name] = getattr(options, name)
    given = values.get("input", {})
    if not isinstance(given, dict):
        raise DataError("The training settings do not fit: input must be an object of settings.")
    channels = options.channels or given.get("channels") or first_channels(options.data)
    rule = {**given, "channels": channels}
    if options.scaling:
        rule["scaling"] = options.scaling
    try:
        return TrainingConfig.from_dict({**values, "input": rule})
    except (ValueError, TypeError) as error:
        raise DataError(f"The training settings do not fit: {error}.") from None


def first_channels(data: Path) -> str:
    """Whether the first training image is ``"gray"`` or ``"rgb"``."""
    from napari_medt.engine.formats.plain import read_image
    from napari_medt.training.samples import find_splits

    return "rgb" if read_image(find_splits(data)[0][0].image).ndim == 3 else "gray"
