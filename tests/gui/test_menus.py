"""The widget opens from napari's menus."""

from pathlib import Path

import pytest
from napari._app_model import get_app_model
from npe2 import PluginManifest

import napari_medt
from napari_medt.gui import demo
from napari_medt.gui.widget import SegmentWidget

COMMAND = "napari-medt.segment"


@pytest.fixture
def viewer(npe2pm, make_napari_viewer):
    """Viewer in which the plugin is installed."""
    manifest = PluginManifest.from_file(Path(napari_medt.__file__).with_name("napari.yaml"))
    with npe2pm.tmp_plugin(manifest=manifest):
        yield make_napari_viewer()


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
