"""napari with a sample open and the widget docked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import napari

from napari_medt.gui.loading import import_engine

if TYPE_CHECKING:
    from napari_medt.gui.widget import SegmentWidget

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
    dock(viewer)


def dock(viewer: napari.Viewer) -> SegmentWidget:
    """Dock the widget as the menus do, which then show and hide this one and open no second one."""
    from napari_medt.gui.widget import SegmentWidget  # brings Qt

    widget = SegmentWidget(viewer)
    viewer.window.add_dock_widget(widget, name=f"{WIDGET} (MedT)")
    return widget
