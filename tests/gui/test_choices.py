"""What is chosen in the widget: image, branches and model."""

import numpy as np
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import (
    QAbstractSlider,
    QApplication,
    QCheckBox,
    QFileDialog,
    QLabel,
)

from napari_medt.gui.masks import METADATA
from napari_medt.models.store import bundled_cards
from tests.conftest import make_model


def boxes(widget):
    return widget.branches.findChildren(QCheckBox)


def test_image_choice_follows_the_layers(viewer, widget, blobs):
    assert widget.image.image is None
    first = viewer.add_image(blobs, name="first")
    second = viewer.add_image(blobs, name="second")
    assert widget.image.image is second
    viewer.layers.selection.active = first
    assert widget.image.image is first
    viewer.layers.selection.active = viewer.add_labels(np.zeros((5, 5), int))
    assert widget.image.image is first
    first.name = "renamed"
    assert widget.image.currentText() == "renamed"
    viewer.layers.reverse()
    assert widget.image.image is first
    viewer.layers.remove(first)
    assert widget.image.image is second
    viewer.layers.clear()
    assert widget.image.image is None


def test_to_scroll_past_a_box_chooses_nothing(viewer, widget, blobs):
    viewer.add_image(blobs)
    box = widget.scope._region
    centre = QPointF(box.rect().center())
    wheel = QWheelEvent(
        centre,
        QPointF(box.mapToGlobal(box.rect().center())),
        QPoint(),
        QPoint(0, -120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(box, wheel)
    assert box.currentIndex() == 0


def test_long_names_and_paths_do_not_widen_the_panel(viewer, widget, qtbot):
    dock = widget.parent()
    qtbot.waitUntil(dock.isVisible)
    width, hint = dock.width(), dock.minimumSizeHint().width()
    path = "C:\\images\\" + "_".join(20 * ["dermatology"])
    widget.message.say(f"The labels are in {path}.")
    qtbot.wait(100)
    assert (dock.width(), dock.minimumSizeHint().width()) == (width, hint)
    assert widget.message.text() == f"The labels are in {path}."
    line = widget.message.fontMetrics().lineSpacing()
    assert widget.message.height() >= 4 * line, "it goes on in other lines"


def test_what_gets_the_keyboard_has_a_name(widget):
    """For those who have it read out."""
    assert (widget.image.accessibleName(), widget.progress.bar.accessibleName()) == (
        "Image",
        "Progress",
    )
    assert widget.model.focusProxy().accessibleName() == "Model"
    named = [part.accessibleName() for part in widget.settings.findChildren(QAbstractSlider)]
    assert {"Threshold", "Minimum size (px)"} <= set(named)
    buddies = {label.text(): label.buddy() for label in widget.findChildren(QLabel)}
    assert buddies["Image"] is widget.image
    assert buddies["Model"] is widget.model


def test_a_threshold_beyond_the_slider_widens_it(widget, tmp_path):
    for name, value in (("high", 0.97), ("low", 0.03), ("usual", 0.5)):
        widget.model.open_folder(make_model(tmp_path, name, threshold=value))
        assert widget.settings.threshold == value


def test_one_branch_stays_on(hands, viewer, widget, batches, blobs):
    whole, fine = boxes(widget)
    assert (whole.text(), fine.text()) == (
        "Global branch (whole field)",
        "Patch branch (fine detail)",
    )
    hands.tick(fine)
    assert widget.branches.branches == "global"
    assert not widget.branches._note.text()
    hands.tick(whole)
    assert widget.branches.branches == "global"
    assert "must stay on" in widget.branches._note.text()
    assert widget.branches._note.isVisible()
    hands.tick(fine)
    hands.tick(whole)
    assert widget.branches.branches == "patch"
    assert not widget.branches._note.isVisible()

    viewer.add_image(blobs)
    assert hands.click_segment_and_wait().metadata[METADATA]["branches"] == "patch"
    assert set(batches.settings) == {"patch"}


def test_single_branch_model_has_nothing_to_switch(hands, widget, tmp_path):
    hands.tick(boxes(widget)[0])
    widget.model.open_folder(make_model(tmp_path, "single", architecture="gated"))
    assert widget.branches.branches == "both"
    assert not any(box.isEnabled() for box in boxes(widget))
    assert "single branch" in widget.branches._note.text()


def test_user_picks_a_model_folder(hands, widget, tmp_path, monkeypatch):
    folder = make_model(tmp_path, "own")
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(folder))
    hands.click("Open model folder...")
    assert widget.model.reference == str(folder)
    assert widget.model._purpose.text() == "A model for tests."
    hands.click("Open model folder...")
    assert widget.model._box.count() == len(bundled_cards()) + 2, "opened twice, listed once"
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: "")
    hands.click("Open model folder...")
    assert widget.model.reference == str(folder)


def test_folder_without_a_model_is_a_sentence(widget, tmp_path):
    chosen = widget.model.reference
    widget.model.settled = False
    widget.model.open_folder(tmp_path)
    assert "not a model folder" in widget.message.text()
    assert widget.model.reference == chosen
    assert not widget.model.settled, "a model for the next image is still found"
