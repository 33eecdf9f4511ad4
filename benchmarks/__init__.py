"""Measurements for those who develop napari-medt."""

import napari_medt  # noqa: F401  # ahead of torch, for it says how torch's threads wait
