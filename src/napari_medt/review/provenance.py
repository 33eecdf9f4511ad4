"""How a mask was made, as plain data that travels with it. Names no image, file, person or time."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from napari_medt.models.card import ModelCard
from napari_medt.network.config import Branches

PACKAGES = ("napari-medt", "torch", "numpy")


def provenance(
    card: ModelCard,
    *,
    branches: Branches,
    threshold: float,
    min_size: int,
    device: str,
    seconds: float,
) -> dict[str, Any]:
    """Describe one run.

    Parameters
    ----------
    card : ModelCard
        Of the model that ran.
    branches : {"both", "global", "patch"}
        Which branches ran.
    threshold, min_size
        What the labels were made with.
    device : str
        Where the network ran.
    seconds : float
        From click to labels.

    Returns
    -------
    dict
        Ready for JSON.
    """
    return {
        "model": card.name,
        "weights_sha256": card.sha256,
        "temperature": card.temperature,
        "branches": branches,
        "threshold": threshold,
        "min_size": min_size,
        "device": device,
        "seconds": round(seconds, 2),
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Versions of what decides the result, without importing any of it."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # a source tree that was never installed
            found[package] = "unknown"
    return found
