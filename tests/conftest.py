"""Small models for tests: random weights, real folders."""

import pytest
import torch
from hypothesis import settings

from napari_medt.models.card import BACKGROUND, CORE, InputRule, ModelCard
from napari_medt.models.store import save_model
from napari_medt.network.config import NetworkConfig
from napari_medt.network.networks import from_config

settings.register_profile("patient", deadline=None)  # the first example may compile something
settings.load_profile("patient")


def make_model(
    folder, name="tiny", *, classes=(BACKGROUND, "rim", CORE), channels="gray", **kwargs
):
    """Write a model with random weights; returns its folder."""
    torch.manual_seed(0)
    network = NetworkConfig(
        architecture=kwargs.pop("architecture", "medt"),
        image_size=kwargs.pop("image_size", 64),
        patch_size=kwargs.pop("patch_size", 32),
        in_channels=1 if channels == "gray" else 3,
        num_classes=len(classes),
    )
    card = ModelCard(
        name=name,
        purpose="A model for tests.",
        network=network,
        classes=classes,
        input=InputRule(channels=channels, **kwargs.pop("input", {})),
        **kwargs,
    )
    save_model(folder / name, card, from_config(network))
    return folder / name


@pytest.fixture
def tiny_model(tmp_path):
    """Folder of a MedT model with random weights: gray, 64-pixel tiles, instances."""
    return make_model(tmp_path)
