"""What a model's training images looked like, in a few numbers beside its card."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_medt.errors import ModelError
from napari_medt.models.card import Scaling

DOMAIN_FILE = "domain.json"


@dataclass(frozen=True)
class Domain:
    """Where a model's training images lie among all images.

    Attributes
    ----------
    scaling : {"tiled", "whole"}
        How the model sees images, and so what is described of them.
    spread : tuple of float
        How far the training images spread in each feature.
    examples : tuple of tuple of float
        Descriptions of typical training images.
    reach : float
        Distance from the nearest example, in spreads, within which nearly all training images lie.
    """

    scaling: Scaling
    spread: tuple[float, ...]
    examples: tuple[tuple[float, ...], ...]
    reach: float

    def unlikeness(self, description: NDArray[np.float64]) -> float:
        """How far an image is from the training images; above 1 it is further than nearly all.

        Parameters
        ----------
        description : array of float
            From :func:`napari_medt.engine.describe.describe`, with this domain's scaling.

        Returns
        -------
        float
            0 at one of the examples, without an upper bound.
        """
        apart = (np.array(self.examples) - description) / np.array(self.spread)
        return float(np.sqrt((apart**2).mean(axis=1)).min() / self.reach)

    def to_json(self) -> str:
        """Write the domain as JSON text."""
        return json.dumps(asdict(self)) + "\n"


def read_domain(folder: Path) -> Domain | None:
    """Read the domain of the model in `folder`; None for a model that has none.

    Raises
    ------
    ModelError
        If the file is damaged.
    """
    path = folder / DOMAIN_FILE
    if not path.exists():
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return Domain(
            scaling=values["scaling"],
            spread=tuple(map(float, values["spread"])),
            examples=tuple(tuple(map(float, row)) for row in values["examples"]),
            reach=float(values["reach"]),
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise ModelError(f"{path} is damaged; install the model again.") from None
