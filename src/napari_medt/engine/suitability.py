"""Which model an image is for, by what the models' training images looked like."""

from __future__ import annotations

from collections.abc import Mapping

from numpy.typing import NDArray

from napari_medt.engine.describe import describe
from napari_medt.models.domain import Domain


def unlikeness(image: NDArray, domains: Mapping[str, Domain]) -> dict[str, float]:
    """How far an image is from the training images of each model.

    Parameters
    ----------
    image : array
        ``(H, W)`` gray or ``(H, W, 3)`` RGB, or with alpha.
    domains : mapping
        By the names of the models.

    Returns
    -------
    dict
        By name: up to 1 for images such as the model was trained on, above for others.

    Raises
    ------
    ImageError
        If the image cannot be segmented.
    """
    scalings = {domain.scaling for domain in domains.values()}
    described = {scaling: describe(image, scaling) for scaling in scalings}
    return {name: domain.unlikeness(described[domain.scaling]) for name, domain in domains.items()}


def closest(found: Mapping[str, float]) -> str | None:
    """Name of the model whose training images are most like the image; None without models."""
    return min(found, key=found.__getitem__, default=None)


def advise(name: str, found: Mapping[str, float]) -> str:
    """Say in words that an image is unlike what a model was trained on; else nothing.

    Parameters
    ----------
    name : str
        The model that is to be used.
    found : mapping
        From :func:`unlikeness`.
    """
    if found.get(name, 0.0) <= 1:
        return ""
    better = closest(found)
    unlike = f"This image looks unlike those that {name} was trained on"
    if better is None or found[better] > 1:
        return f"{unlike}: check the mask with care."
    return f"{unlike}: {better} may fit better."
