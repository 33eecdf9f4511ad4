"""A real viewer with the widget docked, and hands: clicks, brush strokes, waiting."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from npe2 import PluginManifest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QApplication, QPushButton
from scipy import ndimage

import napari_medt
from napari_medt.engine import predict
from napari_medt.gui.demo import PLUGIN, WIDGET

SHAPE = (200, 240)


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "napari-medt"]


@pytest.fixture(autouse=True)
def no_thread_left(qapp):
    """Every test leaves its worker threads finished, and finished soon."""
    yield
    deadline = time.monotonic() + 20
    while threads() and time.monotonic() < deadline:
        QApplication.processEvents()
        time.sleep(0.01)
    assert not threads()


@pytest.fixture
def viewer(npe2pm, make_napari_viewer):
    """Viewer in which the plugin is installed."""
    manifest = PluginManifest.from_file(Path(napari_medt.__file__).with_name("napari.yaml"))
    with npe2pm.tmp_plugin(manifest=manifest):
        yield make_napari_viewer(show=True)


@pytest.fixture
def widget(viewer, tiny_model):
    """Dock the widget, with a tiny model chosen.

    As a plugin is docked: napari then hands it a proxy of the viewer.
    """
    _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, WIDGET)
    widget.model.open_folder(tiny_model)
    return widget


@pytest.fixture
def blobs():
    """Image of bright and less bright blobs, (200, 240), 8-bit."""
    points = np.zeros(SHAPE)
    for index, (row, column) in enumerate(np.ndindex(4, 5)):
        points[25 + 50 * row, 24 + 48 * column] = 0.6 + 0.02 * index
    image = ndimage.grey_dilation(points, footprint=disk(12))
    return (255 * ndimage.gaussian_filter(image, 2)).astype(np.uint8)


@pytest.fixture
def stack(blobs):
    """2 times, 3 slices, 2 channels: in the second one blobs, fewer from slice to slice."""
    data = np.zeros((2, 3, 2, *SHAPE), np.uint8)
    for frame in np.ndindex(2, 3):
        data[(*frame, 1)] = blobs
        data[(*frame, 1)][: 50 * frame[1]] = 0
    data[:, :, 0] = np.random.default_rng(0).integers(0, 40, data[:, :, 0].shape)
    return data


def disk(radius):
    rows, columns = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    return rows**2 + columns**2 <= radius**2


class Batches:
    """Stands in for the network: what is bright is an object. Can be held between batches."""

    def __init__(self):
        self.held = False
        self.permits = threading.Semaphore(0)
        self.settings = []

    def hold(self):
        self.held = True

    def let(self, count):
        self.permits.release(count)

    def go_on(self):
        self.held = False
        self.let(1000)

    def run(self, network, tiles, branches, device, card):
        if self.held:
            self.permits.acquire(timeout=60)
        self.settings.append(branches)
        bright = tiles[..., 0]
        return np.stack([1 - bright, 0.2 * bright, 0.8 * bright], axis=1)


@pytest.fixture
def batches(monkeypatch):
    batches = Batches()
    monkeypatch.setattr(predict, "run", batches.run)
    yield batches
    batches.go_on()


class Hands:
    """What a user does to the widget and the canvas."""

    def __init__(self, qtbot, viewer, widget):
        self.qtbot, self.viewer, self.widget = qtbot, viewer, widget

    def click(self, text):
        buttons = [b for b in self.widget.findChildren(QPushButton) if b.text() == text]
        [button] = [b for b in buttons if b.window() is self.widget.window()]  # in no dialog
        self.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    def click_segment_and_wait(self):
        self.click("Segment")
        self.wait(self.widget.segment.isEnabled)
        return self.masks()[-1]

    def tick(self, box):
        """Click a check box where its mark is."""
        self.qtbot.mouseClick(box, Qt.MouseButton.LeftButton, pos=QPoint(8, box.height() // 2))

    def masks(self):
        return [layer for layer in self.viewer.layers if layer.name.count(" mask")]

    def paint(self, layer, row, column):
        """Dab with the brush, through Qt mouse events on the canvas."""
        self.viewer.layers.selection.active = layer
        layer.mode = "paint"
        self.press(layer, row, column)

    def press(self, layer, row, column):
        """Click on the canvas, with whatever tool is in hand."""
        canvas = self.viewer.window._qt_viewer.canvas
        where = layer.data_to_world((row, column))[::-1]
        x, y = (canvas.view.transform * canvas.view.scene.transform).map(where)[:2]
        position = QPoint(round(x), round(y))
        self.qtbot.mouseMove(canvas.native, position)
        self.qtbot.mouseClick(canvas.native, Qt.MouseButton.LeftButton, pos=position)

    def activate(self):
        """Bring the window to the front, where its widgets get the keys."""
        window = self.viewer.window._qt_window
        window.activateWindow()
        self.wait(window.isActiveWindow)

    def close_dock(self):
        """Click the x of the widget's dock."""
        [button] = self.widget.parent().findChildren(QPushButton, "QTitleBarCloseButton")
        self.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    def wait(self, true):
        self.qtbot.waitUntil(lambda: bool(true()), timeout=60_000)


def choose(box, text):
    """Choose what a combo box offers under this name."""
    index = box.findText(text)
    assert index >= 0, [box.itemText(i) for i in range(box.count())]
    box.setCurrentIndex(index)


@pytest.fixture
def hands(qtbot, viewer, widget):
    return Hands(qtbot, viewer, widget)
