"""The widget opens from napari's menus."""

import numpy as np
import pytest
from napari._app_model import get_app_model

from napari_medt.gui import demo
from napari_medt.gui.widget import SegmentWidget

COMMAND = "napari-medt.segment"


@pytest.mark.parametrize("menu", ["napari/layers/segment", "napari/plugins"])
def test_menu_offers_the_widget(viewer, menu):
    items = get_app_model().menus.get_menu(menu)
    assert COMMAND in [item.command.id for item in items if hasattr(item, "command")]


def test_command_docks_the_widget(viewer):
    get_app_model().commands.execute_command(COMMAND).result()
    assert isinstance(viewer.window.dock_widgets["Segment (MedT)"], SegmentWidget)


def test_demo_is_ready_to_click(viewer, qtbot):
    demo.fill(viewer)
    (dock,) = viewer.window.dock_widgets.values()
    assert isinstance(dock, SegmentWidget)
    assert dock.image.image is viewer.layers.selection.active is viewer.layers[0]
    qtbot.waitUntil(lambda: dock.model.card.name == "nuclei-fluorescence", timeout=60_000)


def test_the_demo_shows_the_whole_sample_beside_the_widget(viewer, qtbot):
    demo.fill(viewer)
    demo.make_room(viewer)
    canvas = viewer.window._qt_viewer.canvas
    height, width = viewer.layers[0].data.shape

    def is_whole():
        to_canvas = canvas.view.transform * canvas.view.scene.transform
        left, top = to_canvas.map((0, 0))[:2]
        right, bottom = to_canvas.map((width, height))[:2]
        size = canvas.native.size()
        inside = left >= 0 and right <= size.width() and top >= 0 and bottom <= size.height()
        return inside and max(right - left - size.width(), bottom - top - size.height()) > -100

    qtbot.waitUntil(is_whole)


def test_menus_open_no_second_widget_beside_that_of_the_demo(viewer, qtbot):
    demo.fill(viewer)
    for visible in (True, False, True):
        (dock,) = viewer.window.dock_widgets.values()
        qtbot.waitUntil(lambda dock=dock, visible=visible: dock.isVisible() == visible)
        get_app_model().commands.execute_command(COMMAND).result()


def test_the_widget_knows_layers_as_the_viewer_does(viewer, widget):
    """napari hands over a proxy, of whose layers none is a layer."""
    layer = viewer.add_labels(np.zeros((20, 30), int))
    assert widget._viewer is viewer
    assert widget._viewer.layers.selection.active is layer
