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
    from napari_medt.gui.widget import SegmentWidget  # brings Qt

    image, *_ = viewer.open_sample(PLUGIN, SAMPLE)
    viewer.layers.selection.active = image
    # Named as the menus name it, which then show and hide this one and open no second one.
    viewer.window.add_dock_widget(SegmentWidget(viewer), name=f"{WIDGET} (MedT)")
