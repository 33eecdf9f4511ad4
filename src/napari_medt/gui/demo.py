"""napari with a sample open and the widget docked."""

from __future__ import annotations

import napari

from napari_medt.gui.run import import_engine

PLUGIN, SAMPLE, WIDGET = "napari-medt", "fluorescence", "Segment"


def open_demo() -> napari.Viewer:
    """Open a viewer with a sample and the widget."""
    viewer = napari.Viewer(title="napari-medt")
    viewer.open_sample(PLUGIN, SAMPLE)
    viewer.window.add_plugin_dock_widget(PLUGIN, WIDGET)
    return viewer


def show_demo() -> None:
    """Show the demo until its window is closed."""
    import_engine()  # before Qt, which on Windows may keep torch from loading afterwards
    open_demo()
    napari.run()
