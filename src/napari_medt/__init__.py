"""Segment medical images with the Medical Transformer (MedT), in napari, a shell or Python."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import Any

# torch takes seconds to import, so each name is fetched from its home when it is first used.
_HOMES = {
    "build_network": "napari_medt.network.networks",
    "fold": "napari_medt.network.fold",
    "load_model": "napari_medt.models.store",
    "load_published": "napari_medt.models.published",
    "segment": "napari_medt.engine.segment",
}

__all__ = ["__version__", "build_network", "fold", "load_model", "load_published", "segment"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return version("napari-medt")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'napari_medt' has no attribute {name!r}")
