"""Take the README's pictures of the real window.

xvfb-run -s "-screen 0 1440x900x24" python .ci/screenshots.py
"""

import time
from pathlib import Path

import napari
import numpy as np
import zarr
from qtpy.QtWidgets import QApplication

from napari_medt.gui import samples
from napari_medt.gui.demo import dock
from napari_medt.gui.scope import VIEW

FOLDER = Path(__file__).parent / "screenshots"


def pump(until):
    """Let the window live until `until()` is true."""
    while not until():
        QApplication.processEvents()
        time.sleep(0.005)


def wait(seconds):
    """Let the window live for a while."""
    end = time.monotonic() + seconds
    pump(lambda: time.monotonic() > end)


def open_window(name):
    """Open a viewer of the pictures' size with the widget docked."""
    viewer = napari.Viewer(title=name)
    viewer.window._qt_window.resize(1400, 860)
    return viewer, dock(viewer)


def take(viewer, name):
    """Take a picture of the whole window."""
    viewer.reset_view()
    wait(2)
    viewer.screenshot(FOLDER / f"{name}.png", canvas_only=False, flash=False)


def one_image():
    """Before, during and after a run on a sample."""
    viewer, widget = open_window("napari")
    (image, options, _), *_ = samples.fluorescence()
    viewer.add_image(image, **options)
    pump(lambda: widget.model.card.name == "nuclei-fluorescence")
    take(viewer, "before")
    bar = widget.progress.bar
    widget.segment.click()
    pump(lambda: bar.maximum() > 0 and bar.value() > 0.4 * bar.maximum())
    viewer.screenshot(FOLDER / "during.png", canvas_only=False, flash=False)
    pump(widget.segment.isEnabled)
    take(viewer, "after")
    viewer.close()


def stack():
    """A time series of stacks with two channels, segmented as a whole."""
    viewer, widget = open_window("napari")
    (image, _, _), *_ = samples.fluorescence()
    nuclei = np.stack([image[:300, 9 * shift : 9 * shift + 400] for shift in range(6)])
    data = np.zeros((2, 3, 2, 300, 400), image.dtype)
    data[:, :, 1] = nuclei.reshape(2, 3, 300, 400)
    data[:, :, 0] = np.random.default_rng(0).integers(0, 40, data[:, :, 0].shape)
    scale, names = (1, 2, 1, 0.5, 0.5), ("t", "z", "c", "y", "x")
    viewer.add_image(data, name="time series", scale=scale, axis_labels=names)
    widget.scope._channel.setCurrentIndex(1)
    widget.model.choose("nuclei-fluorescence")
    widget.scope._link.setChecked(True)
    widget.segment.click()
    wait(0.2)
    pump(widget.segment.isEnabled)
    viewer.dims.current_step = (1, 1, 1, 0, 0)
    take(viewer, "stack")
    viewer.close()


def slide():
    """The view of a slide, which is one drawn field again and again, becomes a mask."""
    viewer, widget = open_window("napari")
    (image, _, _), *_ = samples.histology()
    finest = np.tile(image, (16, 16, 1))
    pyramid = [zarr.array(finest[::step, ::step], chunks=(512, 512, 3)) for step in (1, 2, 4, 8)]
    viewer.add_image(pyramid, multiscale=True, rgb=True, name="drawn slide")
    wait(4)
    widget.scope._region.setCurrentText(VIEW)
    camera = getattr(viewer, "scene", viewer).camera
    middle = 4.5 * np.array(image.shape[:2])  # of one field
    camera.center, camera.zoom = (0, *middle), 1.6
    wait(2)
    widget.segment.click()
    wait(0.2)
    pump(widget.segment.isEnabled)
    wait(2)
    viewer.screenshot(FOLDER / "slide.png", canvas_only=False, flash=False)
    viewer.close()


def main():
    """Take all pictures."""
    FOLDER.mkdir(exist_ok=True)
    for scene in (one_image, stack, slide):
        scene()


if __name__ == "__main__":
    main()
