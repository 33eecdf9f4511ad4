"""napari with a sample open and the widget docked."""

from __future__ import annotations

import napari

from napari_medt.gui.loading import import_engine

PLUGIN, SAMPLE, WIDGET = "napari-medt", "fluorescence", "Segment"


def show_demo() -> None:
    """Show the demo until its window is closed."""
    import_engine()  # before Qt, which on Windows may keep torch from loading afterwards
    fill(napari.Viewer(title="napari-medt"))
    napari.run()


def fill(viewer: napari.Viewer) -> None:
    """Open the sample, choose its image, and dock the widget."""
    image, *_ = viewer.open_sample(PLUGIN, SAMPLE)
    viewer.layers.selection.active = image
    viewer.window.add_plugin_dock_widget(PLUGIN, WIDGET)
