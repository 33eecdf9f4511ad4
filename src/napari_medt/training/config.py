"""One training run in numbers, stored beside the model it makes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from napari_medt.errors import DataError
from napari_medt.models.card import (
    BACKGROUND,
    CORE,
    InputRule,
    ModelCard,
    Report,
    Shape,
    check_numbers,
)
from napari_medt.network.config import NetworkConfig
from napari_medt.training.augment import AUGMENTATIONS
from napari_medt.training.targets import HARD

# The least values of whole numbers; the network's configuration restricts sizes further.
LEAST_WHOLE = {
    "image_size": 1,
    "patch_size": 0,
    "epochs": 1,
    "images_per_epoch": 0,
    "batch_size": 1,
    "gates_frozen_epochs": 0,
    "validate_every": 1,
    "min_size": 0,
    "seed": 0,
}
PatchStatistics = Literal["pooled", "per_patch"]
NOT_NEGATIVE = ("weight_decay", "warmup_epochs", "contact_weight")
INSTANCE_CLASSES = (BACKGROUND, "rim", CORE)


@dataclass(frozen=True)
class TrainingConfig:
    """What to train and how.

    Attributes
    ----------
    name, purpose, limits, licence : str
        Go to the model card.
    architecture, image_size, patch_size
        See :class:`napari_medt.network.config.NetworkConfig`.
    target : {"instances", "classes"}
        Labels are objects, learned as background, rim and core; or they are classes.
    classes : tuple of str
        Class names for ``"classes"``, background first and none of them ``"core"``. With two
        classes every label above 0 is foreground, so that masks of 0 and 255 work.
    input : InputRule
        How an image becomes the network's input.
    augmentation : str
        A name from :data:`napari_medt.training.augment.AUGMENTATIONS`.
    start_from : str
        Name or folder of a model whose weights to start with, of the same architecture and sizes;
        empty for fresh ones.
    crop_spread : float
        Crops are spread over the images by this power of their area: 0 treats images alike, 1
        pixels. Whole images are always treated alike.
    epochs, images_per_epoch, batch_size : int
        Length of the run. `images_per_epoch` 0 takes as many as there are training images.
    learning_rate, weight_decay : float
        Of AdamW; warm-up over `warmup_epochs`, then a cosine down to zero.
    contact_weight : float
        Weight in the cross-entropy of pixels between objects that nearly touch, and of small
        objects with their surroundings.
    gates_frozen_epochs : int
        The gates keep their start values this long, as published, then are learned.
    branch_dropout : tuple of float
        Share of batches that train the global branch alone, and the local branch alone.
    patch_statistics : {"pooled", "per_patch"}
        See :class:`napari_medt.network.networks.LoGoNet`.
    average_decay : float
        Decay per step of the exponential average of the weights, which is what is kept; 0 keeps
        the raw weights.
    validate_every : int
        Epochs between validations.
    min_size : int
        Smallest object in pixels, for the card.
    shape : {"any", "single", "ellipse"}
        What masks look like, for the card.
    report : {"", "circumference"}
        What is measured of a mask besides its area, for the card.
    seed : int
        Fixes initial weights, order, augmentation and branch dropout.
    sources : tuple of dict
        Name, source, licence and attribution of each data set, for the card.

    Raises
    ------
    ValueError
        If a value is not one of those above, or they do not fit together; the message says which.
    """

    name: str = "my-model"
    purpose: str = "Trained on your own images."
    limits: str = ""
    licence: str = ""
    architecture: str = "medt"
    image_size: int = 128
    patch_size: int = 0
    target: Literal["instances", "classes"] = "classes"
    classes: tuple[str, ...] = (BACKGROUND, "foreground")
    input: InputRule = field(default_factory=InputRule)
    augmentation: str = "flips"
    start_from: str = ""
    crop_spread: float = 0.5
    epochs: int = 100
    images_per_epoch: int = 0
    batch_size: int = 16
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    warmup_epochs: float = 1.0
    contact_weight: float = 4.0
    gates_frozen_epochs: int = 10
    branch_dropout: tuple[float, float] = (0.25, 0.25)
    patch_statistics: PatchStatistics = "pooled"
    average_decay: float = 0.998
    validate_every: int = 5
    min_size: int = 0
    shape: Shape = "any"
    report: Report = ""
    seed: int = 0
    sources: tuple[dict[str, str], ...] = ()

    def __post_init__(self) -> None:
        if self.augmentation not in AUGMENTATIONS:
            raise ValueError(
                f"unknown augmentation {self.augmentation!r}: choose one of "
                f"{', '.join(AUGMENTATIONS)}"
            )
        if self.target not in ("instances", "classes"):
            raise ValueError("target must be 'instances' or 'classes'")
        if self.patch_statistics not in get_args(PatchStatistics):
            known = ", ".join(get_args(PatchStatistics))
            raise ValueError(f"patch_statistics must be one of {known}")
        if not isinstance(self.start_from, str):
            raise ValueError("start_from must be the name or folder of a model")
        if not all(isinstance(source, dict) for source in self.sources):
            raise ValueError("sources must be objects with name, source, licence and attribution")
        self._check_numbers()
        shares = list(self.branch_dropout)
        if len(shares) != 2 or not all(0 <= share <= 1 for share in shares) or sum(shares) > 1:
            raise ValueError("branch_dropout must be two shares from 0 to 1, together at most 1")
        if self.target == "instances":
            object.__setattr__(self, "classes", INSTANCE_CLASSES)
        elif CORE in self.classes:  # which marks on a card that labels are objects
            raise ValueError(
                f"no class can be named {CORE!r}, which marks objects that are told apart: choose "
                "another name, or the target 'instances'"
            )
        if len(self.classes) > HARD:  # whose bit marks pixels of a target
            raise ValueError(f"there must be at most {HARD} classes")
        _ = self.card  # refuses what no network or card can have

    def _check_numbers(self) -> None:
        for name, least in LEAST_WHOLE.items():
            value = getattr(self, name)
            if type(value) is not int or value < least:  # True is an int, too
                raise ValueError(f"{name} must be a whole number, at least {least}")
        if self.seed >= 2**63:
            raise ValueError("seed must be below 2^63")
        check_numbers(self, ("learning_rate", "crop_spread", "average_decay", *NOT_NEGATIVE))
        for name in NOT_NEGATIVE:
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative")
        if self.learning_rate <= 0:
            raise ValueError("learning_rate must be above 0")
        if not 0 <= self.average_decay < 1:
            raise ValueError("average_decay must be from 0 to below 1")

    @property
    def network(self) -> NetworkConfig:
        """The network to train."""
        return NetworkConfig(
            architecture=self.architecture,
            image_size=self.image_size,
            in_channels=self.input.count,
            num_classes=len(self.classes),
            patch_size=self.patch_size,
        )

    @property
    def card(self) -> ModelCard:
        """The card of a model to be trained with this configuration, not yet measured."""
        return ModelCard(
            name=self.name,
            purpose=self.purpose,
            limits=self.limits,
            licence=self.licence,
            network=self.network,
            classes=self.classes,
            input=self.input,
            min_size=self.min_size,
            shape=self.shape,
            report=self.report,
            training={"data": list(self.sources), "start_from": self.start_from},
        )

    def to_json(self) -> str:
        """Write the configuration as JSON text."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainingConfig:
        """Build a configuration from JSON values; what is left out has its default.

        Raises
        ------
        TypeError, ValueError
            If fields are unknown, of another type or do not fit together.
        """
        values = dict(values)
        if "input" in values:
            values["input"] = InputRule(**values["input"])
        for name in ("classes", "branch_dropout", "sources"):
            if name in values:
                values[name] = tuple(values[name])
        return cls(**values)


def read_config(path: Path) -> dict[str, Any]:
    """Read a configuration file's values.

    Raises
    ------
    DataError
        If the file is missing or not JSON.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"The training configuration {path} cannot be read: {error}.") from None
    if not isinstance(values, dict):
        raise DataError(f"The training configuration {path} must be a JSON object.")
    return values
