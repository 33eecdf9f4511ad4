"""How long the window stands still while the widget segments a 520 x 696 image.

    python -m benchmarks.event_loop MODEL [--runs N]

A timer asks to be called every millisecond; the longest time between two calls is how long nothing
was drawn. The first run starts as soon as the widget is open, cold. What napari itself takes to add
the finished layer is counted apart.
"""

import argparse
import time

import napari
import numpy as np
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

from napari_medt.gui import samples
from napari_medt.gui.widget import SegmentWidget


class Gaps:
    """Times at which the event loop was free."""

    def __init__(self):
        self.ticks = []
        self.timer = QTimer()
        self.timer.timeout.connect(lambda: self.ticks.append(time.perf_counter()))
        self.timer.start(1)

    def longest(self, start, end):
        """Milliseconds of the longest stretch without a tick from `start` to `end`."""
        inside = [tick for tick in self.ticks if start < tick < end]
        return 1000 * np.diff([start, *inside, end]).max()


def pump(until):
    while not until():
        QApplication.processEvents()
        time.sleep(0.0005)


def wait(seconds):
    end = time.perf_counter() + seconds
    pump(lambda: time.perf_counter() > end)


def measure(widget, gaps):
    """Click Segment and return seconds to the mask, and the two longest gaps in ms."""
    place, landing = widget._masks.place, []

    def timed_place(*args):
        landing.append(time.perf_counter())
        return place(*args)

    widget._masks.place = timed_place
    start = time.perf_counter()
    widget.segment.click()
    pump(widget.segment.isEnabled)
    end = time.perf_counter()
    widget._masks.place = place
    if not landing:
        raise SystemExit(widget.message.text())
    wait(0.3)
    drawn = gaps.ticks[-1]
    return end - start, gaps.longest(start, landing[0]), gaps.longest(landing[0], drawn)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", help="a bundled model's name, or a model folder")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()

    viewer = napari.Viewer()
    (image, *_), *_ = samples.fluorescence()
    viewer.add_image(image)
    wait(1)
    widget = SegmentWidget(viewer)
    viewer.window.add_dock_widget(widget, name="MedT")
    widget.model.choose(options.model)
    gaps = Gaps()
    for run in range(options.runs):
        viewer.layers[1:] = []
        wait(0.2)
        seconds, running, landing = measure(widget, gaps)
        print(
            f"run {run + 1}: mask after {seconds:.2f} s, event loop blocked {running:.0f} ms at "
            f"most during the run, {landing:.0f} ms by napari adding the layer"
        )
    viewer.close()


if __name__ == "__main__":
    main()
