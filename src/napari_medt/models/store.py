"""Find, load and save models: a folder with a card and safetensors weights."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_medt.errors import ModelError
from napari_medt.models.card import (
    BACKGROUND,
    CARD_FILE,
    WEIGHTS_FILE,
    InputRule,
    ModelCard,
    read_card,
)
from napari_medt.models.domain import Domain, read_domain

if TYPE_CHECKING:
    import torch
    from torch import nn

BUNDLED = Path(__file__).parent / "bundled"


@dataclass(frozen=True)
class Model:
    """A model ready to run.

    Attributes
    ----------
    card : ModelCard
        What it is.
    network : torch.nn.Module
        Its network in eval mode, on the CPU.
    """

    card: ModelCard
    network: nn.Module = field(repr=False)
    # The networks that `inference_network` has made, by the name of their device.
    _folded: dict[str, nn.Module] = field(default_factory=dict, repr=False, compare=False)

    def inference_network(self, device: torch.device | str = "cpu") -> nn.Module:
        """The network in its fastest equivalent form on `device`; made once per device."""
        from napari_medt.network.fold import fold

        key = str(device)
        if key not in self._folded:
            self._folded[key] = fold(self.network).to(device)
        return self._folded[key]


def bundled_cards() -> dict[str, ModelCard]:
    """Cards of the models in this package, by name. Reads no weights and imports no torch."""
    folders = sorted(path.parent for path in BUNDLED.glob(f"*/{CARD_FILE}"))
    return {folder.name: read_card(folder) for folder in folders}


def bundled_domains() -> dict[str, Domain]:
    """What the training images of the models in this package looked like, by name."""
    domains = {name: read_domain(BUNDLED / name) for name in bundled_cards()}
    return {name: domain for name, domain in domains.items() if domain is not None}


def load_model(name_or_path: str | Path) -> Model:
    """Load a model.

    Parameters
    ----------
    name_or_path : str or path
        The name of a bundled model, a model folder, or a checkpoint (``.pth``) of the published
        MedT code.

    Returns
    -------
    Model
        Card and network, in eval mode on the CPU.

    Raises
    ------
    ModelError
        If there is no such model, or its files are damaged, foreign or unsafe.
    """
    path = Path(name_or_path)
    bundled = BUNDLED / path
    if path.name == str(name_or_path) and (bundled / CARD_FILE).exists():
        path = bundled
    if path.is_dir():
        card = read_card(path)
        return Model(card, _load_weights(path / WEIGHTS_FILE, card))
    if path.is_file():
        return _load_checkpoint(path)
    known = ", ".join(bundled_cards()) or "none"
    raise ModelError(
        f"There is no model {str(name_or_path)!r}: give a model folder or one of the bundled "
        f"models ({known})."
    )


def save_model(folder: str | Path, card: ModelCard, network: nn.Module) -> ModelCard:
    """Write a model folder: weights as safetensors, and the card with their SHA-256.

    Both are written beside their places, then renamed into them. Other files of a folder that is
    already there are kept.

    Returns
    -------
    ModelCard
        The card as written.

    Raises
    ------
    OSError
        If the folder or a file in it cannot be written.
    """
    from safetensors.torch import save

    folder = Path(folder)
    weights = save({key: value.contiguous().cpu() for key, value in network.state_dict().items()})
    card = replace(card, sha256=hashlib.sha256(weights).hexdigest())
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".saving-", dir=folder) as beside:
        (Path(beside) / WEIGHTS_FILE).write_bytes(weights)
        (Path(beside) / CARD_FILE).write_text(card.to_json(), encoding="utf-8")
        # The card last: it makes the folder a model, and its SHA-256 reveals weights that are not
        # its own.
        for name in (WEIGHTS_FILE, CARD_FILE):
            os.replace(Path(beside) / name, folder / name)
    return card


def _load_weights(path: Path, card: ModelCard) -> nn.Module:
    from safetensors import SafetensorError
    from safetensors.torch import load

    from napari_medt.network.networks import from_config

    try:
        data = path.read_bytes()
    except OSError:
        raise ModelError(f"The weights {path} cannot be read; install the model again.") from None
    if hashlib.sha256(data).hexdigest() != card.sha256:
        raise ModelError(
            f"The weights of {card.name} do not match the SHA-256 on its card: the file is "
            "damaged or was replaced; install the model again."
        )
    network = from_config(card.network)
    try:
        network.load_state_dict(load(data))
    except (SafetensorError, RuntimeError):
        raise ModelError(
            f"The weights of {card.name} are not those of the network on its card; install the "
            "model again."
        ) from None
    return network.eval()


def _load_checkpoint(path: Path) -> Model:
    from napari_medt.models.published import load_published

    network = load_published(path).float()
    config = network.config
    if config.in_channels not in (1, 3) or config.num_classes < 2:
        raise ModelError(
            f"{path.name} takes {config.in_channels} channels and gives {config.num_classes} "
            "classes; only gray or colour images and two or more classes can be segmented."
        )
    card = ModelCard(
        name=path.stem.encode(errors="backslashreplace").decode(),  # it may be any bytes
        purpose="Checkpoint of the published MedT code, with unknown training data.",
        network=config,
        classes=(BACKGROUND, *(f"class {i}" for i in range(1, config.num_classes))),
        input=InputRule(
            channels="bgr" if config.in_channels == 3 else "gray",
            scaling="whole",
            intensity="range",
        ),
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )
    return Model(card, network)
