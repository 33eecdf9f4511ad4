"""The model card, plain data beside the weights: what a model is, expects and can do."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, field
from numbers import Real
from pathlib import Path
from typing import Any, Literal, get_args

from napari_medt.errors import ModelError
from napari_medt.network.config import BRANCHES, Branches, NetworkConfig

CARD_FILE = "card.json"
WEIGHTS_FILE = "weights.safetensors"
BACKGROUND = "background"
CORE = "core"

Channels = Literal["gray", "rgb", "bgr"]
Scaling = Literal["tiled", "whole"]
Intensity = Literal["percentile", "range"]
Flips = Literal["none", "columns", "both"]
Shape = Literal["any", "single", "ellipse"]
Report = Literal["", "circumference"]


@dataclass(frozen=True)
class InputRule:
    """How an image becomes the network's input.

    Attributes
    ----------
    channels : {"gray", "rgb", "bgr"}
        What the network's channels are.
    scaling : {"tiled", "whole"}
        Overlapping tiles at the image's own resolution, or the whole image resized to one tile.
    intensity : {"percentile", "range"}
        Stretch the image's own percentiles `low` and `high` to [0, 1], or map the data type's
        range to [0, 1].
    low, high : float
        Percentiles, in percent, for the percentile rule.
    gamma : float
        Exponent of the intensities in [0, 1] after that. Below 1 it shows the network more of what
        is dark: dim nuclei, and the faint margin of bright ones.
    overlap : float
        Share of their side by which neighbouring tiles overlap: 0 to 0.5.
    object_size : float
        Typical diameter in pixels of the objects the network was trained for; images are magnified
        to it. 0 leaves tiled images at their own resolution.
    flips : {"none", "columns", "both"}
        Show the network every tile mirrored too and take the mean, which is a little more accurate:
        left to right for twice the work, or upside down as well for four times. Use only mirrorings
        that training used.
    zooms : tuple of float
        Show the network tiled images at each of these multiples of their magnification and take the
        mean, which separates touching objects better; the first is 1. A zoom of z adds z squared
        times the work.

    Raises
    ------
    ValueError
        If a value is not one of those above; the message says which one.
    """

    channels: Channels = "gray"
    scaling: Scaling = "tiled"
    intensity: Intensity = "percentile"
    low: float = 1.0
    high: float = 99.8
    gamma: float = 1.0
    overlap: float = 0.25
    object_size: float = 0.0
    flips: Flips = "none"
    zooms: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        choices = {
            "channels": get_args(Channels),
            "scaling": get_args(Scaling),
            "intensity": get_args(Intensity),
            "flips": get_args(Flips),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}")
        check_numbers(self, ("low", "high", "gamma", "overlap", "object_size"))
        if self.intensity == "percentile" and not 0 <= self.low < self.high <= 100:
            raise ValueError("low and high must be percentiles from 0 to 100, low below high")
        if self.gamma <= 0:
            raise ValueError("gamma must be a positive number")
        if not 0 <= self.overlap <= 0.5:
            raise ValueError("overlap must be from 0 to 0.5")
        if self.object_size < 0:
            raise ValueError("object_size must be a number that is not negative")
        if self.object_size and self.scaling == "whole":
            raise ValueError("object_size must be 0 where whole images are seen")
        object.__setattr__(self, "zooms", tuple(self.zooms))  # JSON has lists
        if self.zooms[:1] != (1,) or not all(0.25 <= zoom <= 4 for zoom in self.zooms):
            raise ValueError("zooms must be numbers from 0.25 to 4, the first of them 1")
        if len(self.zooms) > 1 and self.scaling == "whole":
            raise ValueError("zooms must be 1 alone where whole images are seen")

    @property
    def count(self) -> int:
        """How many channels there are."""
        return 1 if self.channels == "gray" else 3


@dataclass(frozen=True)
class ModelCard:
    """What users and the engine need to know about a model.

    Attributes
    ----------
    name : str
        Name to load it by.
    purpose : str
        One line for a clinician: what it segments, in which images.
    limits : str
        What it is not for.
    network : NetworkConfig
        The network the weights fit.
    classes : tuple of str
        Names of the network's output channels; the first is ``"background"``. A channel named
        ``"core"`` marks the inner part of each object, from which touching objects are split.
    input : InputRule
        How an image becomes the network's input.
    threshold : float
        Foreground probability from which a pixel belongs to an object.
    min_size : int
        Objects of fewer pixels are dropped.
    shape : {"any", "single", "ellipse"}
        What masks look like. ``"single"`` keeps the largest part of the mask and fills its holes;
        ``"ellipse"`` replaces that part by the ellipse fitted to it, for objects that are ellipses
        by definition, such as the outline by which a head is measured.
    temperature : float
        What logits are divided by, so that probabilities mean what they say.
    report : {"", "circumference"}
        What is measured of a mask besides its area: the circumference of the ellipse fitted to it.
    report_scale : float
        What the reported length is multiplied by. Below 1 where the training masks include the
        line that the annotator drew around the object, and so are larger than the object.
    licence : str
        Licence of the weights (SPDX).
    training : dict
        Data sets with source, licence and attribution, and how the model was trained.
    accuracy : dict
        Measures on the validation images per branch setting, with the number of images; see
        :func:`napari_medt.models.accuracy.accuracy_lines`.
    sha256 : str
        Of the weights file.

    Raises
    ------
    ValueError
        If a value is not one of those above, or they do not fit together; the message says which.
    """

    name: str
    purpose: str
    network: NetworkConfig
    classes: tuple[str, ...]
    input: InputRule = field(default_factory=InputRule)
    limits: str = ""
    threshold: float = 0.5
    min_size: int = 0
    shape: Shape = "any"
    temperature: float = 1.0
    report: Report = ""
    report_scale: float = 1.0
    licence: str = ""
    training: dict[str, Any] = field(default_factory=dict)
    accuracy: dict[str, dict[str, Any]] = field(default_factory=dict)
    sha256: str = ""

    def __post_init__(self) -> None:
        for name in ("name", "purpose", "limits", "licence", "sha256"):
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"{name} must be text")
        if len(self.classes) != self.network.num_classes:
            raise ValueError(
                f"{len(self.classes)} class names for {self.network.num_classes} classes"
            )
        if len(self.classes) < 2 or self.classes[0] != BACKGROUND:
            raise ValueError(f"the first of at least two classes must be {BACKGROUND!r}")
        if self.input.object_size and not self.splits_objects:
            raise ValueError(f"object_size needs a class {CORE!r}, which tells objects apart")
        if self.network.in_channels != self.input.count:
            raise ValueError(f"{self.input.channels} input needs {self.input.count} channels")
        check_numbers(self, ("threshold", "temperature", "report_scale"))
        if not 0 <= self.threshold <= 1:
            raise ValueError("threshold must be from 0 to 1")
        if type(self.min_size) is not int or self.min_size < 0:  # True is an int, too
            raise ValueError("min_size must be a whole number that is not negative")
        if self.temperature <= 0 or self.report_scale <= 0:
            raise ValueError("temperature and report_scale must be above 0")
        if self.report not in get_args(Report):
            raise ValueError(f"unknown report {self.report!r}: choose 'circumference' or none")
        if self.shape not in get_args(Shape):
            known = ", ".join(get_args(Shape))
            raise ValueError(f"unknown shape {self.shape!r}: choose one of {known}")
        if self.shape != "any" and len(self.classes) != 2:
            raise ValueError("one object needs a single class beside the background")
        try:
            self.to_json().encode()
        except UnicodeEncodeError as error:  # a name from the shell or file system
            bad = ascii(error.object[error.start])
            raise ValueError(f"text with {bad} cannot be written: leave it out") from None

    @property
    def splits_objects(self) -> bool:
        """Whether touching objects are told apart, so that labels are instances."""
        return CORE in self.classes

    @property
    def has_branches(self) -> bool:
        """Whether the branches can be switched."""
        return self.network.has_branches

    @property
    def branch_settings(self) -> tuple[Branches, ...]:
        """The branch settings that the network has, ``"both"`` first."""
        return BRANCHES if self.has_branches else BRANCHES[:1]

    @property
    def recipe(self) -> dict[str, Any]:
        """What on the card decides masks, apart from the settings of a run: plain JSON values."""
        values = {"temperature": self.temperature, "shape": self.shape, "input": asdict(self.input)}
        plain: dict[str, Any] = json.loads(json.dumps(values))
        return plain

    def to_json(self) -> str:
        """Write the card as JSON text."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelCard:
        """Build a card from JSON values.

        Raises
        ------
        TypeError, ValueError, KeyError
            If fields are missing, unknown or do not fit together.
        """
        return cls(
            **{
                **values,
                "network": NetworkConfig(**values["network"]),
                "input": InputRule(**values.get("input", {})),
                "classes": tuple(values["classes"]),
            }
        )


def check_numbers(holder: object, names: tuple[str, ...]) -> None:
    """Refuse attributes that are not finite numbers: a file can hold anything.

    Raises
    ------
    ValueError
        If one is not a number, or is NaN, infinite or too large for a float; the message names it.
    """
    for name in names:
        value = getattr(holder, name)
        is_real = isinstance(value, Real) and not isinstance(value, bool)  # True is an int, too
        if not (is_real and abs(value) <= sys.float_info.max):  # JSON has NaN, and ints of any size
            raise ValueError(f"{name} must be a number")


def read_card(folder: Path) -> ModelCard:
    """Read the card of a model folder.

    Raises
    ------
    ModelError
        If there is none or it is damaged.
    """
    path = folder / CARD_FILE
    try:
        return ModelCard.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise ModelError(f"{folder} is not a model folder: it has no {CARD_FILE}.") from None
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise ModelError(f"The model card {path} cannot be used: {error}.") from None
