"""napari with a sample open and the widget docked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import napari

from napari_medt.gui.loading import import_engine

if TYPE_CHECKING:
    from napari_medt.gui.widget import SegmentWidget

WINDOW = 1400, 860  # width and height in pixels, where the screen is as large
LAYOUT_WAIT = 500  # ms
PLUGIN, SAMPLE, WIDGET = "napari-medt", "fluorescence", "Segment"


def show_demo() -> None:
    """Show the demo until its window is closed."""
    import_engine()  # before Qt, which on Windows may keep torch from loading afterwards
    viewer = napari.Viewer(title="napari-medt")
    fill(viewer)
    make_room(viewer)
    napari.run()


def fill(viewer: napari.Viewer) -> None:
    """Open the sample, choose its image, and dock the widget."""
    image, *_ = viewer.open_sample(PLUGIN, SAMPLE)
    viewer.layers.selection.active = image
    dock(viewer)


def make_room(viewer: napari.Viewer) -> None:
    """Enlarge the window, and show the whole image beside the widget once that is laid out."""
    from qtpy.QtCore import QTimer
    from qtpy.QtGui import QGuiApplication

    if screen := QGuiApplication.primaryScreen():
        size = screen.availableSize()
        viewer.window.resize(min(WINDOW[0], size.width()), min(WINDOW[1], size.height()))
    QTimer.singleShot(LAYOUT_WAIT, viewer.reset_view)


def dock(viewer: napari.Viewer) -> SegmentWidget:
    """Dock the widget as the menus do, which then show and hide this one and open no second one."""
    from napari_medt.gui.widget import SegmentWidget  # brings Qt

    widget = SegmentWidget(viewer)
    viewer.window.add_dock_widget(widget, name=f"{WIDGET} (MedT)")
    return widget
