"""How a mask was made, as plain data saved with it, without image, file, person or time."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from napari_medt.engine.mix import Channel
from napari_medt.engine.region import Scope
from napari_medt.models.card import ModelCard
from napari_medt.network.config import Branches

PACKAGES = ("napari-medt", "torch", "numpy")


def provenance(
    card: ModelCard,
    scope: Scope,
    *,
    mixed: Sequence[Channel],
    link: bool,
    branches: Branches,
    threshold: float,
    min_size: int,
    resolution: int,
    magnification: float,
    blank: float,
    device: str,
    seconds: float,
) -> dict[str, Any]:
    """Describe one run.

    Parameters
    ----------
    card : ModelCard
        Of the model that ran.
    scope : Scope
        What of the image was segmented.
    mixed : sequence of Channel
        Layers that were segmented together, in their colours; empty for a single one.
    link : bool
        Whether objects that overlap from slice to slice are one object.
    branches : {"both", "global", "patch"}
        Which branches ran.
    threshold, min_size
        What the labels were made with.
    resolution : int
        Which of the image's resolutions was segmented, from 1, the finest.
    magnification : float
        How much larger the network saw it.
    blank : float
        Share of the tiles that were blank and skipped, 0 to 1.
    device : str
        Where the network ran.
    seconds : float
        From the click to the labels.

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
        "linked": link,
        "scope": describe_scope(scope),
        "mixed": [{"limits": list(one.limits), "colour": list(one.colour)} for one in mixed],
        "resolution": resolution,
        "magnification": magnification,
        "blank_tiles": round(blank, 3),
        "device": device,
        "seconds": round(seconds, 2),
        "versions": versions(),
    }


def describe_scope(scope: Scope) -> dict[str, Any]:
    """Describe which part of an image was segmented. Channels count from 1, all else from 0."""
    axes, region = scope.axes, scope.region
    channel = "first three" if scope.channel is None else scope.channel + 1
    return {
        "axes": list(axes.roles),
        "channel": None if axes.channel_axis is None else channel,
        "planes": "all" if scope.all_planes else [list(frame) for frame in scope.frames],
        "rows": "all" if region is None else [region.rows.start, region.rows.stop],
        "columns": "all" if region is None else [region.columns.start, region.columns.stop],
        "pixels_inside": "all" if scope.inside is None else int(np.count_nonzero(scope.inside)),
    }


def versions() -> dict[str, str]:
    """Versions of the packages that decide the result, without importing them."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # a source tree that was never installed
            found[package] = "unknown"
    return found
