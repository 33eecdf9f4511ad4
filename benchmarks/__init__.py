"""Measurements for those who develop napari-medt."""
