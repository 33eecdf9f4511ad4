"""Take the README's pictures of the real window: before, during and after a run.

xvfb-run -s "-screen 0 1440x900x24" python .ci/screenshots.py [MODEL]
"""

import sys
import time
from pathlib import Path

import napari
from qtpy.QtWidgets import QApplication

from napari_medt.gui import samples
from napari_medt.gui.widget import SegmentWidget

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


def main(model="nuclei-fluorescence"):
    """Take the pictures with a bundled model or a model folder."""
    FOLDER.mkdir(exist_ok=True)
    viewer = napari.Viewer()
    viewer.window._qt_window.resize(1400, 860)
    (image, options, _), *_ = samples.fluorescence()
    viewer.add_image(image, **options)
    widget = SegmentWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Segment (MedT)")
    widget.model.choose(model)
    viewer.reset_view()
    wait(3)

    def take(name):
        viewer.screenshot(FOLDER / f"{name}.png", canvas_only=False, flash=False)

    take("before")
    bar = widget.progress.bar
    widget.segment.click()
    pump(lambda: bar.maximum() > 0 and bar.value() > 0.4 * bar.maximum())
    take("during")
    pump(widget.segment.isEnabled)
    wait(1)
    take("after")
    viewer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
