"""An image is looked at, to find the model for it."""

import threading

import numpy as np
import pytest

from napari_medt.gui.widget import SegmentWidget
from napari_medt.sample_data.generate import draw
from tests.gui.conftest import choose


def test_the_model_that_fits_is_chosen_until_the_user_chooses(qtbot, viewer):
    widget = SegmentWidget(viewer)
    viewer.window.add_dock_widget(widget)
    started = []
    widget.run.start = lambda image, request, mixed: started.append(request.model)
    nuclei, _ = draw("fluorescence_nuclei")
    noise = np.random.default_rng(0).integers(0, 40, nuclei.shape).astype(np.uint8)
    viewer.add_image(np.stack([noise, nuclei]), axis_labels=("c", "y", "x"))
    choose(widget.scope._channel, "2")
    assert widget.model.reference != "nuclei-fluorescence"
    widget.segment.click()
    assert "Looking at the image" in widget.message.text()
    qtbot.waitUntil(lambda: widget.model.card.name == "nuclei-fluorescence", timeout=60_000)
    assert started == ["nuclei-fluorescence"], "Segment waits for the model that fits"
    qtbot.waitUntil(lambda: not widget.fit.text(), timeout=60_000)
    widget.model.choose("skin-lesion")
    assert "nuclei-fluorescence may fit better" in widget.fit.text()
    assert widget.fit.isVisible()
    choose(widget.scope._channel, "1")
    qtbot.waitUntil(lambda: "check the mask with care" in widget.fit.text(), timeout=60_000)
    assert widget.model.card.name == "skin-lesion"


def test_another_image_ends_the_wait_for_a_model(qtbot, viewer, blobs, monkeypatch):
    compared = threading.Event()
    monkeypatch.setattr("napari_medt.gui.fit.compare", lambda read: compared.wait(20) and {})
    widget = SegmentWidget(viewer)
    viewer.window.add_dock_widget(widget)
    widget.run.start = lambda *_: pytest.fail("Segment was clicked for another image")
    viewer.add_image(blobs)
    widget.segment.click()
    assert "Looking at the image" in widget.message.text()
    viewer.add_image(255 - blobs)
    compared.set()
    qtbot.waitUntil(lambda: not widget.fit.looking)
    assert not widget.message.text()
