"""A plain U-Net, trained as a bundled model was, as the thing to compare it with.

    python -m benchmarks.unet --config src/napari_medt/models/bundled/NAME/training-first.json \
        --data DATA --output FOLDER --model RUNS/NAME-first

writes ``benchmarks/results/unet-NAME.json``: accuracy on DATA/val with its 95 % interval, time per
image and parameters, next to those of MedT after the same run (RUNS is where
``benchmarks/retrain.py`` put it), measured in the same process.

The U-Net has as many parameters as MedT, to within a tenth, and goes through the same loop:
images, crops, augmentation, loss, optimiser, number of steps, weight averaging, choice of the best
epoch, calibration. It differs in two ways. It has no branches, so no step is spent on one branch
alone. And it starts from fresh weights, whatever the configuration starts from, unless
--start-from names the folder of an earlier run of this benchmark.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from benchmarks.report import RESULTS, tell
from napari_medt.engine.formats.plain import read_image
from napari_medt.engine.segment import segment
from napari_medt.models.store import Model, load_model
from napari_medt.network.networks import from_config
from napari_medt.training.calibrate import calibrated
from napari_medt.training.config import TrainingConfig, read_config
from napari_medt.training.evaluate import accuracy_table, evaluate, summarise
from napari_medt.training.loop import card_of, learn
from napari_medt.training.samples import find_splits

WEIGHTS = "unet.pt"
LEVELS = 5
TIMED_IMAGES = 20


class UNet(nn.Module):
    """The U-Net of Ronneberger et al. 2015 with padded convolutions and batch norms.

    `width` is the number of channels at full resolution; every level down has twice as many.
    """

    def __init__(self, in_channels, num_classes, width):
        super().__init__()
        widths = [width * 2**level for level in range(LEVELS)]
        self.down = nn.ModuleList(map(double, [in_channels, *widths], widths))
        self.rise = nn.ModuleList(
            nn.ConvTranspose2d(2 * width, width, 2, stride=2) for width in reversed(widths[:-1])
        )
        self.up = nn.ModuleList(double(2 * width, width) for width in reversed(widths[:-1]))
        self.head = nn.Conv2d(width, num_classes, 1)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x, branches="both"):
        """Map images to logits. Called as MedT is, but there are no branches to choose from."""
        skips = []
        for level, block in enumerate(self.down):
            x = block(self.pool(x) if level else x)
            skips.append(x)
        skips.pop()
        for rise, block in zip(self.rise, self.up, strict=True):
            x = block(torch.cat([rise(x), skips.pop()], dim=1))
        return self.head(x)


def double(in_channels, out_channels):
    layers = []
    for channels in (in_channels, out_channels):
        layers += [nn.Conv2d(channels, out_channels, 3, padding=1, bias=False)]
        layers += [nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


def unet_like(config):
    """Build the U-Net whose number of parameters is closest to that of the network `config`."""
    wanted = parameters(from_config(config))

    def distance(width):
        with torch.device("meta"):  # only counted
            return abs(parameters(UNet(config.in_channels, config.num_classes, width)) - wanted)

    return UNet(config.in_channels, config.num_classes, min(range(8, 33), key=distance))


def train_baseline(config, data, output, start_from, device):
    """Train the U-Net; returns it as a model that the engine can run, calibrated."""
    config = replace(config, start_from="", branch_dropout=(0.0, 0.0))

    def build(network_config):
        network = unet_like(network_config)
        if start_from:
            start_with(network, torch.load(start_from / WEIGHTS, weights_only=True))
        return network

    training, validation = find_splits(data)
    state = learn(config, training, validation, output, build=build, device=device)
    torch.save(state.average.state_dict(), output / WEIGHTS)
    card = replace(card_of(state, config), name="unet")
    return calibrated(Model(card, state.average), validation, device=device)


def start_with(network, weights):
    """Take over weights; as for MedT, the first and last layer start fresh where they differ."""
    fresh = [
        key for key, value in network.state_dict().items() if value.shape != weights[key].shape
    ]
    assert set(fresh) <= {"down.0.0.weight", "head.weight", "head.bias"}, fresh
    network.load_state_dict({k: v for k, v in weights.items() if k not in fresh}, strict=False)


def figures(model, accuracy, samples, device):
    return {
        "parameters": parameters(model.network),
        "seconds_per_image": round(seconds_per_image(model, samples, device), 4),
        "accuracy": accuracy,
    }


def seconds_per_image(model, samples, device):
    """Mean time from array to labels, both branches, after a first image that is not counted."""
    images = [read_image(sample.image) for sample in samples[:TIMED_IMAGES]]
    segment(images[0], model, device=device)
    began = time.perf_counter()
    for image in images:
        segment(image, model, device=device)
    return (time.perf_counter() - began) / len(images)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--config", required=True, type=Path, help="training.json of the model")
    parser.add_argument("--data", required=True, type=Path, help="folder of train/ and val/")
    parser.add_argument("--output", required=True, type=Path, help="folder of the U-Net's run")
    parser.add_argument("--model", help="MedT to compare with; by default the bundled model")
    parser.add_argument("--start-from", type=Path, help="output folder of an earlier run")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--results", type=Path, default=RESULTS, help="default: %(default)s")
    options = parser.parse_args(arguments)
    config = TrainingConfig.from_dict(read_config(options.config))
    medt = load_model(options.model or config.name)
    unet = train_baseline(config, options.data, options.output, options.start_from, options.device)
    _, samples = find_splits(options.data)
    device = options.device
    unet_accuracy = {"both": summarise(evaluate(unet, samples, device=device))}
    medt_accuracy = accuracy_table(medt, samples, device=device)
    report = {
        "model": config.name,
        "validation_images": len(samples),
        "steps": unet.card.training["steps"],
        "training_seconds": unet.card.training["seconds"],
        "threads": torch.get_num_threads(),
        "device": device,
        "unet": figures(unet, unet_accuracy, samples, device),
        "medt": figures(medt, medt_accuracy, samples, device),
    }
    tell(options.results / f"unet-{config.name}.json", report)


if __name__ == "__main__":
    main()
