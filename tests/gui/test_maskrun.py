"""A run of one image: where its result lands, and what becomes of it when things go away."""

import imageio.v3 as imageio
import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication


def test_a_run_that_is_cancelled_by_key_leaves_the_panel(hands, viewer, widget, batches, blobs):
    hands.activate()
    viewer.add_image(blobs)
    batches.hold()
    hands.click("Segment")
    widget.progress._cancel.setFocus()
    hands.qtbot.keyClick(widget.progress._cancel, Qt.Key.Key_Space)
    assert widget.message.text() == "Cancelled."
    assert QApplication.focusWidget() is widget


def test_result_waits_for_the_end_of_a_stroke(hands, viewer, widget, batches, blobs, monkeypatch):
    """A new active layer would cut the stroke off."""
    viewer.add_image(blobs)
    pressed = [Qt.MouseButton.LeftButton]
    monkeypatch.setattr(
        "napari_medt.gui.maskrun.QApplication.mouseButtons",
        lambda: pressed[0] if pressed else Qt.MouseButton.NoButton,
    )
    hands.click("Segment")
    hands.wait(lambda: widget.run._outcome is not None)
    hands.qtbot.wait(150)
    assert not hands.masks()
    pressed.clear()
    hands.wait(lambda: len(hands.masks()) == 1)


def test_result_lands_on_the_image_of_the_click(hands, viewer, widget, batches, blobs):
    image = viewer.add_image(blobs, name="first", translate=(5, 6))
    batches.hold()
    hands.click("Segment")
    viewer.add_image(blobs[:50, :60], name="second")
    batches.go_on()
    hands.wait(hands.masks)
    [mask] = hands.masks()
    assert mask.name == "first - tiny mask"
    assert mask.data.shape == blobs.shape
    assert tuple(mask.translate) == tuple(image.translate)


def test_removed_image_drops_the_run(hands, viewer, widget, batches, blobs):
    image = viewer.add_image(blobs)
    batches.hold()
    hands.click("Segment")
    viewer.layers.remove(image)
    assert widget.message.text() == "The image was removed, so its result was dropped."
    assert widget.segment.isEnabled()
    batches.go_on()
    hands.qtbot.wait(200)
    assert not viewer.layers


def test_data_replaced_during_a_run_get_a_mask_of_their_own(hands, viewer, widget, batches, blobs):
    image = viewer.add_image(blobs)
    batches.hold()
    hands.click("Segment")
    image.data = 255 - blobs
    batches.go_on()
    hands.wait(widget.segment.isEnabled)
    [mask] = hands.masks()
    assert "has changed since" in widget.message.text()
    kept = mask.data.copy()
    assert hands.click_segment_and_wait() is not mask
    assert "has changed since" not in widget.message.text()
    assert np.array_equal(mask.data, kept)


def test_an_image_of_another_size_drops_the_run(hands, viewer, widget, batches, blobs):
    image = viewer.add_image(np.stack([blobs] * 6))
    batches.hold()
    hands.click("Segment")
    image.data = blobs
    batches.go_on()
    hands.wait(widget.segment.isEnabled)
    assert "another size" in widget.message.text()
    assert not hands.masks()


def test_window_closed_during_a_run(hands, viewer, widget, batches, blobs, recwarn):
    viewer.add_image(blobs)
    batches.hold()
    hands.click("Segment")
    job = widget.run._job
    viewer.close()
    hands.qtbot.wait(50)
    assert job._cancelled.is_set()
    batches.let(1)
    hands.wait(lambda: not job._thread.is_alive())
    assert len(batches.settings) <= 1, "the thread stops at the next batch"
    hands.qtbot.wait(50)
    assert not [str(w.message) for w in recwarn]


def test_dock_closed_during_a_run(hands, viewer, widget, batches, blobs):
    viewer.add_image(blobs)
    batches.hold()
    hands.click("Segment")
    job = widget.run._job
    hands.close_dock()
    assert job._cancelled.is_set()
    batches.go_on()
    hands.wait(lambda: not job._thread.is_alive())
    hands.qtbot.wait(200)
    assert not hands.masks()
    viewer.add_image(blobs)
    viewer.layers.clear()
    assert not viewer.layers


def test_dock_closed_during_the_run_of_a_folder(hands, viewer, widget, batches, blobs, tmp_path):
    imageio.imwrite(tmp_path / "one.png", blobs)
    batches.hold()
    widget.folder.start(tmp_path, tmp_path / "labels")
    job = widget.folder._job
    hands.close_dock()
    assert job._cancelled.is_set()


def test_a_dock_that_floats_or_is_hidden_goes_on(hands, viewer, widget, batches, blobs):
    viewer.add_image(blobs)
    batches.hold()
    hands.click("Segment")
    dock = widget.parent()
    dock.setFloating(True)
    dock.setFloating(False)
    dock.hide()  # as napari's menu does, or another tab
    assert not widget.isVisible()
    batches.go_on()
    hands.wait(hands.masks)
