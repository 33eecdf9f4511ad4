"""The widget in a real viewer, used as a clinician would."""

import json
import logging
import re
import threading

import dask.array
import numpy as np
import pytest
from napari.layers import Labels
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QApplication, QProgressBar

from napari_medt.gui import request
from napari_medt.gui.demo import PLUGIN, WIDGET
from napari_medt.gui.mask import Mask
from napari_medt.gui.masks import METADATA
from napari_medt.gui.message import Message
from napari_medt.gui.outcome import relabel
from napari_medt.gui.widget import EDITS_WAIT, SegmentWidget, relabel_mask
from tests.conftest import make_model
from tests.gui.conftest import choose, threads


def set_threshold(hands, value):
    """Move the slider and wait until the mask has followed."""
    widget, layer = hands.widget, hands.masks()[-1]
    widget.settings._threshold.setValue(value)
    hands.wait(lambda: layer.metadata[METADATA]["threshold"] == value)


def test_click_to_mask_to_correction(hands, viewer, widget, batches, blobs):
    """The whole way: progress, cancel, again, paint, undo, threshold, again, nothing lost."""
    image = viewer.add_image(blobs, name="scan")
    bar = widget.progress.findChild(QProgressBar)
    batches.hold()
    hands.click("Segment")
    batches.let(3)
    hands.wait(lambda: bar.value() > 0)
    assert bar.isVisible()
    assert bar.maximum() > bar.value()
    assert "left" in widget.progress.text.text()
    assert not widget.segment.isEnabled()

    hands.click("Cancel")
    assert list(viewer.layers) == [image]
    assert widget.segment.isEnabled()
    assert not bar.isVisible()
    batches.go_on()

    mask = hands.click_segment_and_wait()
    assert mask.name == "scan - tiny mask"
    assert viewer.layers.selection.active is mask
    assert mask.data.max() == 20
    assert widget.message.text().startswith("20 objects in ")
    assert widget.message.text().endswith("press M before each new object.")

    hands.paint(mask, 10, 100)
    painted = mask.data.copy()
    assert painted[10, 100] == 21
    assert "edited" in widget.settings.note.text()
    hands.wait(lambda: widget.message.text() == "As corrected: 21 objects.")
    hands.paint(mask, 100, 10)
    mask.undo()
    assert np.array_equal(mask.data, painted)
    mask.fill((25, 24), 0)
    hands.wait(lambda: widget.message.text() == "As corrected: 20 objects.")
    mask.undo()
    assert np.array_equal(mask.data, painted)
    hands.wait(lambda: widget.message.text() == "As corrected: 21 objects.")

    again = hands.click_segment_and_wait()
    assert again is not mask
    assert np.array_equal(mask.data, painted)
    assert mask in viewer.layers
    assert viewer.layers.selection.active is again
    set_threshold(hands, 0.9)
    assert np.array_equal(mask.data, painted)
    assert 0 < np.count_nonzero(again.data) < np.count_nonzero(painted)


def test_the_space_bar_moves_the_image_after_a_run(hands, viewer, widget, batches, blobs):
    """As napari has it, and does not press the button that hides the panel."""
    hands.activate()
    viewer.add_image(blobs)
    batches.hold()
    hands.click("Segment")
    assert QApplication.focusWidget() is widget
    batches.go_on()
    hands.wait(widget.segment.isEnabled)
    mask = viewer.layers.selection.active
    mask.mode = "paint"
    hands.qtbot.keyPress(QApplication.focusWidget(), Qt.Key.Key_Space)
    assert widget.isVisible()
    assert mask.mode == "pan_zoom"
    hands.qtbot.keyRelease(QApplication.focusWidget(), Qt.Key.Key_Space)
    assert mask.mode == "paint"


def test_what_is_not_there_takes_no_room(viewer, widget):
    """Without an image there is nothing between it and the model."""
    box, model = widget.image, widget.model
    assert not widget.scope.isVisible()
    gap = model.mapTo(widget, QPoint(0, 0)).y() - box.mapTo(widget, QPoint(0, 0)).y() - box.height()
    assert 0 <= gap < 12


def test_real_network_from_click_to_mask(hands, viewer, blobs):
    viewer.add_image(blobs)
    mask = hands.click_segment_and_wait()
    assert mask.data.shape == blobs.shape
    assert mask.data.dtype == np.int32


def test_provenance_names_the_run_and_no_patient(hands, viewer, widget, batches, blobs):
    viewer.add_image(blobs, name="Jane Doe 1970")
    mask = hands.click_segment_and_wait()
    made = mask.metadata[METADATA]
    card = widget.model.card
    assert made["model"] == card.name
    assert made["weights_sha256"] == card.sha256
    assert made["temperature"] == card.temperature
    assert made["branches"] == "both"
    assert (made["threshold"], made["min_size"]) == (card.threshold, card.min_size)
    assert made["device"] in ("cpu", "cuda", "mps")
    assert made["seconds"] > 0
    assert made["linked"] is False
    assert (made["resolution"], made["magnification"]) == (1, 1)
    assert 0 <= made["blank_tiles"] < 1
    assert made["scope"] == {
        "axes": ["row", "column"],
        "channel": None,
        "planes": "all",
        "rows": "all",
        "columns": "all",
        "pixels_inside": "all",
    }
    assert made["mixed"] == []
    assert set(made["versions"]) == {"napari-medt", "torch", "numpy", "python"}
    assert "Jane" not in json.dumps(made)


def test_settings_follow_the_card_and_act_at_once(hands, viewer, widget, batches, blobs, tmp_path):
    widget.model.open_folder(make_model(tmp_path, "strict", threshold=0.7, min_size=50))
    assert (widget.settings.threshold, widget.settings.min_size) == (0.7, 50)
    viewer.add_image(blobs)
    mask = hands.click_segment_and_wait()
    runs = len(batches.settings)
    before = np.count_nonzero(mask.data)
    set_threshold(hands, 0.4)
    assert np.count_nonzero(mask.data) > before
    assert mask.metadata[METADATA]["min_size"] == 50
    widget.settings._min_size.setValue(900)
    hands.wait(lambda: not mask.data.any())
    assert "0 objects" in widget.message.text()
    assert hands.masks() == [mask]
    assert len(batches.settings) == runs, "sliders start from the cached probabilities"
    assert len(mask._undo_history) == len(mask._redo_history) == 0


def test_labels_are_not_gone_through_to_choose_a_layer(
    hands, viewer, widget, batches, blobs, monkeypatch
):
    """With a large stack that would stop the window."""
    image = viewer.add_image(blobs)
    mask = hands.click_segment_and_wait()
    monkeypatch.setattr(Mask, "is_edited", lambda _: pytest.fail("labels are compared"))
    viewer.add_image(blobs[:50, :60])
    for layer in (image, mask):
        viewer.layers.selection.active = layer
    assert widget._mask().layer is mask


def test_newest_slider_value_wins(hands, viewer, widget, batches, blobs):
    viewer.add_image(blobs)
    mask = hands.click_segment_and_wait()
    for value in np.linspace(0.3, 0.8, 40):
        widget.settings._threshold.setValue(round(value, 2))
    hands.wait(lambda: mask.metadata[METADATA]["threshold"] == 0.8)
    hands.qtbot.wait(100)
    assert mask.metadata[METADATA]["threshold"] == 0.8


@pytest.fixture
def labelling(monkeypatch):
    """Hold the labels that sliders ask for, until it is set."""
    event, make = threading.Event(), relabel
    monkeypatch.setattr(
        "napari_medt.gui.widget.relabel", lambda *args: event.wait(20) and make(*args)
    )
    yield event
    event.set()


def test_sliders_stay_while_a_mask_is_made(hands, viewer, widget, batches, blobs, labelling):
    image = viewer.add_image(blobs)
    mask = hands.click_segment_and_wait()
    widget.settings._threshold.setValue(0.8)
    viewer.layers.selection.active = image
    assert widget.settings.threshold == 0.8
    labelling.set()
    hands.wait(lambda: mask.metadata[METADATA]["threshold"] == 0.8)
    assert widget.settings.threshold == 0.8
    viewer.layers.selection.active = mask
    assert widget.settings.threshold == 0.8


def test_every_mask_gets_its_newest_settings(hands, viewer, widget, batches, blobs, labelling):
    viewer.add_image(blobs)
    one = hands.click_segment_and_wait()
    viewer.add_image(blobs[:50, :60])
    two = hands.click_segment_and_wait()
    viewer.layers.selection.active = one
    for value in (0.4, 0.7):
        widget.settings._threshold.setValue(value)
    viewer.layers.selection.active = two
    assert widget.settings.threshold == 0.5
    widget.settings._threshold.setValue(0.6)
    viewer.layers.selection.active = one
    assert widget.settings.threshold == 0.7
    labelling.set()
    hands.wait(lambda: two.metadata[METADATA]["threshold"] == 0.6)
    hands.wait(lambda: one.metadata[METADATA]["threshold"] == 0.7)
    assert widget.settings.threshold == 0.7


def test_sliders_go_back_where_no_mask_was_made(hands, viewer, widget, batches, blobs, monkeypatch):
    viewer.add_image(blobs)
    hands.click_segment_and_wait()

    def fail(*args):
        raise MemoryError

    monkeypatch.setattr("napari_medt.gui.widget.relabel", fail)
    widget.settings._threshold.setValue(0.8)
    hands.wait(lambda: "not enough memory" in widget.message.text())
    assert widget.settings.threshold == 0.5


def test_a_late_slider_does_not_undo_a_newer_run(hands, viewer, widget, batches, blobs):
    viewer.add_image(blobs)
    hands.click_segment_and_wait()
    late = relabel_mask(widget._mask(), 0.9, 0)
    mask = hands.click_segment_and_wait()
    widget._on_relabelled(late)
    assert mask.metadata[METADATA]["threshold"] == widget.model.card.threshold


def test_nothing_is_said_of_a_mask_too_large_to_count(
    hands, viewer, widget, batches, blobs, monkeypatch
):
    viewer.add_image(blobs)
    mask = hands.click_segment_and_wait()
    said = widget.message.text()
    monkeypatch.setattr("napari_medt.gui.widget.LARGEST", 1000)
    hands.paint(mask, 10, 100)
    hands.qtbot.wait(500)
    hands.wait(lambda: not threads())
    assert widget.message.text() == said


def test_the_sliders_are_for_the_selected_mask(hands, viewer, widget, batches, blobs, tmp_path):
    """Whatever image and model it is of."""
    first = viewer.add_image(blobs, name="first")
    mask = hands.click_segment_and_wait()
    tiny = widget.model.reference
    widget.model.open_folder(make_model(tmp_path, "strict", threshold=0.7))
    viewer.add_image(blobs[:50, :60], name="second")
    other = hands.click_segment_and_wait()
    kept = other.data.copy()
    viewer.layers.selection.active = mask
    assert (widget.image.image, widget.model.reference) == (first, tiny)
    assert widget.settings.threshold == 0.5
    before = np.count_nonzero(mask.data)
    widget.settings._threshold.setValue(0.9)
    hands.wait(lambda: mask.metadata[METADATA]["threshold"] == 0.9)
    assert np.count_nonzero(mask.data) < before
    assert np.array_equal(other.data, kept)


def test_while_a_mask_of_another_model_is_selected_no_mask_changes(
    hands, viewer, widget, batches, blobs, tmp_path
):
    """Nor one of the model that was chosen since, which may be hidden."""
    viewer.add_image(blobs, name="first")
    mask = hands.click_segment_and_wait()
    strict = make_model(tmp_path, "strict", threshold=0.7)
    widget.model.open_folder(strict)
    assert "another image or model" in widget.settings.note.text()
    assert not widget.message.text()
    widget.settings._threshold.setValue(0.6)
    other = hands.click_segment_and_wait()
    assert other.metadata[METADATA]["threshold"] == 0.6, "it counts for the next Segment"
    assert not widget.settings.note.text()
    viewer.layers.selection.active = mask
    assert not widget.settings.note.text()
    widget.model.choose(str(strict))
    other.visible = False
    kept = mask.data.copy(), other.data.copy()
    widget.settings._threshold.setValue(0.9)
    hands.qtbot.wait(200)
    hands.wait(lambda: not threads())
    assert np.array_equal(mask.data, kept[0])
    assert np.array_equal(other.data, kept[1])
    viewer.add_image(blobs[:50, :60], name="second")
    viewer.layers.selection.active = mask
    widget.image.choose(viewer.layers["second"])
    assert "another image or model" in widget.settings.note.text()


def test_the_sliders_are_for_the_mask_that_landed(hands, viewer, widget, batches, blobs):
    image = viewer.add_image(blobs)
    batches.hold()
    hands.click("Segment")
    viewer.add_image(blobs[:50, :60])
    batches.go_on()
    hands.wait(hands.masks)
    assert widget.image.image is image
    set_threshold(hands, 0.9)


def test_the_mask_of_an_image_that_is_gone_is_left_alone(hands, viewer, widget, batches, blobs):
    image = viewer.add_image(blobs)
    mask = hands.click_segment_and_wait()
    viewer.add_image(blobs[:50, :60])
    other = hands.click_segment_and_wait()
    kept = mask.data.copy(), other.data.copy()
    viewer.layers.remove(image)
    viewer.layers.selection.active = mask
    assert "is gone or has changed" in widget.settings.note.text()
    widget.settings._threshold.setValue(0.9)
    hands.qtbot.wait(100)
    assert np.array_equal(mask.data, kept[0])
    assert np.array_equal(other.data, kept[1])


def test_sliders_count_for_the_next_run_of_a_large_mask(
    hands, viewer, widget, batches, blobs, monkeypatch
):
    monkeypatch.setattr(request, "KEPT_BYTES", 1000)
    image = viewer.add_image(blobs, name="scan")
    mask = hands.click_segment_and_wait()
    assert "very large" in widget.settings.note.text()
    kept = mask.data.copy()
    widget.settings._threshold.setValue(0.9)
    hands.qtbot.wait(100)
    assert np.array_equal(mask.data, kept)
    assert hands.click_segment_and_wait() is mask
    assert mask.metadata[METADATA]["threshold"] == 0.9
    assert np.count_nonzero(mask.data) < np.count_nonzero(kept)
    viewer.add_image(blobs, name="other")
    assert widget.settings.threshold == widget.model.card.threshold
    viewer.layers.selection.active = image
    assert widget.settings.threshold == 0.9, "what its mask was made with"


def test_only_the_selected_mask_is_counted(hands, viewer, widget, batches, blobs):
    viewer.add_image(np.stack([blobs] * 6), axis_labels=("z", "y", "x"))
    mask = hands.click_segment_and_wait()
    mask.fill((0, 5, 5), 121)
    hands.wait(lambda: widget.message.text() == "As corrected: 121 objects.")
    assert hands.click_segment_and_wait() is not mask
    said = widget.message.text()
    viewer.dims.set_current_step(0, 3)
    hands.qtbot.wait(600)
    assert widget.message.text() == said
    viewer.layers.selection.active = mask
    mask.undo()
    hands.wait(lambda: widget.message.text() == "As corrected: 120 objects.")


@pytest.fixture
def two(hands, viewer, widget, batches, blobs):
    """Masks of two images: of 20 objects, and of 10. The second one is told of."""
    viewer.add_image(blobs, name="first")
    first = hands.click_segment_and_wait()
    assert widget.message.text().startswith("20 objects in")
    viewer.add_image(blobs[:100], name="second")
    assert not widget.message.text(), "nothing is known of an image that was just opened"
    second = hands.click_segment_and_wait()
    assert widget.message.text().startswith("10 objects in")
    return first, second


def test_what_is_told_is_of_the_mask_or_image_that_is_chosen(hands, viewer, widget, two):
    first, _ = two
    viewer.layers.selection.active = first
    assert widget.message.text() == "20 objects."
    viewer.layers.selection.active = viewer.layers["second"]
    assert widget.message.text() == "10 objects."
    widget.image.choose(viewer.layers["first"])
    assert widget.message.text() == "20 objects."
    viewer.layers.remove(first)
    assert not widget.message.text()


def test_a_correction_is_told_of_its_own_mask_only(hands, viewer, widget, two):
    first, second = two
    hands.paint(first, 10, 100)
    hands.wait(lambda: widget.message.text() == "As corrected: 21 objects.")
    first.undo()
    viewer.layers.selection.active = second  # before it was counted
    assert widget.message.text() == "10 objects."
    hands.qtbot.wait(2 * EDITS_WAIT)
    assert widget.message.text() == "10 objects."
    viewer.layers.selection.active = first
    hands.wait(lambda: widget.message.text() == "As corrected: 20 objects.")


def test_what_is_told_of_no_mask_stays(hands, viewer, widget, two):
    widget.folder.said.emit("4 of 4 images are done.")
    viewer.layers.selection.active = two[0]
    assert widget.message.text() == "4 of 4 images are done."


def test_why_there_is_no_mask_goes_once_something_else_is_chosen(
    hands, viewer, widget, batches, blobs, two, tmp_path
):
    first, second = viewer.layers["first"], viewer.layers["second"]
    tiny = widget.model.reference

    def cancel():
        batches.hold()
        hands.click("Segment")
        hands.click("Cancel")
        batches.go_on()
        hands.wait(lambda: not threads())

    widget.image.choose(second)
    choose(widget.scope._region, "Inside the shapes")
    hands.click("Segment")
    assert "There are no shapes" in widget.message.text()
    choose(widget.scope._region, "Whole image")
    assert widget.message.text() == "10 objects."
    cancel()
    assert widget.message.text() == "Cancelled."
    viewer.layers.selection.active = two[0]
    assert widget.message.text() == "20 objects."
    cancel()
    widget.image.choose(second)
    viewer.layers.selection.active = second
    assert widget.message.text() == "10 objects."
    viewer.add_image(np.full((50, 60), 7, np.uint8), name="flat")
    hands.click("Segment")
    hands.wait(lambda: "the same value" in widget.message.text())
    viewer.layers.selection.active = first
    assert widget.message.text() == "20 objects."
    strict = make_model(tmp_path, "strict")
    widget.model.open_folder(strict)
    (strict / "weights.safetensors").write_bytes(b"damaged")
    hands.click("Segment")
    hands.wait(lambda: "SHA-256" in widget.message.text())
    widget.model.choose(tiny)
    assert widget.message.text() == "20 objects."


def test_planes_of_several_runs_are_counted_anew(hands, viewer, widget, batches, stack):
    image = viewer.add_image(stack[0, :, 1], axis_labels=("z", "y", "x"))
    choose(widget.scope._planes, "The one shown")
    for plane in (0, 2):
        viewer.dims.set_current_step(0, plane)
        mask = hands.click_segment_and_wait()
    assert widget.message.text().startswith("10 objects in")
    viewer.add_labels(np.zeros_like(stack[0, :, 1], int))
    assert not widget.message.text()
    viewer.layers.selection.active = mask
    hands.wait(lambda: widget.message.text() == "30 objects.")
    viewer.layers.selection.active = image
    assert widget.message.text() == "30 objects."


def test_while_a_copy_is_selected_no_mask_changes(hands, viewer, widget, batches, blobs):
    image = viewer.add_image(blobs)
    mask = hands.click_segment_and_wait()
    kept = mask.data.copy()
    copy = viewer.add_labels(kept.copy(), metadata=dict(mask.metadata))
    assert not widget.message.text()
    assert "is a copy, from a file, or your own" in widget.settings.note.text()
    widget.settings._threshold.setValue(0.9)
    hands.paint(copy, 10, 100)
    hands.qtbot.wait(2 * EDITS_WAIT)
    assert np.array_equal(mask.data, kept)
    assert not widget.message.text()
    viewer.layers.selection.active = image
    assert not widget.settings.note.text()
    assert widget.settings.threshold == 0.9, "for the next Segment"
    viewer.layers.selection.active = mask
    assert widget.settings.threshold == 0.5, "what the mask was made with"


def test_sliders_set_while_a_mask_is_left_alone_count_for_the_next_run(
    hands, viewer, widget, batches, blobs
):
    image = viewer.add_image(blobs)
    edited = hands.click_segment_and_wait()
    hands.paint(edited, 10, 100)
    other = hands.click_segment_and_wait()
    viewer.layers.selection.active = edited
    widget.settings._threshold.setValue(0.8)
    viewer.layers.selection.active = image
    assert widget.settings.threshold == 0.8
    batches.hold()
    hands.click("Segment")
    hands.click("Cancel")
    batches.go_on()
    hands.wait(lambda: not threads())
    assert widget.settings.threshold == 0.8
    assert hands.click_segment_and_wait() is other
    assert other.metadata[METADATA]["threshold"] == 0.8
    viewer.layers.selection.active = edited
    widget.settings._threshold.setValue(0.6)
    viewer.layers.selection.active = other
    assert widget.settings.threshold == 0.8, "what the mask was made with"
    viewer.layers.selection.active = image
    set_threshold(hands, 0.7)


def test_class_models_number_classes(hands, viewer, widget, batches, blobs, tmp_path):
    model = make_model(tmp_path, "classes", classes=("background", "left", "right"))
    widget.model.open_folder(model)
    viewer.add_image(blobs)
    mask = hands.click_segment_and_wait()
    assert set(np.unique(mask.data)) == {0, 2}
    assert mask.selected_label == 1
    assert "% of the image" in widget.message.text()
    assert widget.message.text().endswith("Paint or erase to correct the mask.")


def test_nothing_found_says_what_to_do(hands, viewer, widget, batches, blobs):
    viewer.add_image(blobs // 2)
    widget.settings._threshold.setValue(0.95)
    widget.settings._min_size.setValue(900)
    hands.click_segment_and_wait()
    assert widget.message.text() == (
        "Nothing was found. Lower the threshold, or try another model."
    )


def measuring_model(folder):
    return make_model(
        folder,
        classes=("background", "neck", "head"),
        input={"intensity": "range"},
        report="circumference",
    )


def head():
    """Disk of radius 60."""
    rows, columns = np.ogrid[:200, :240]
    return ((rows - 100) ** 2 + (columns - 120) ** 2 <= 60**2).astype(np.float32)


def circumference(widget):
    """What the widget says: a length and its unit."""
    length, unit = re.search(r"circumference ([\d.]+) (mm|pixels)", widget.message.text()).groups()
    return float(length), unit


@pytest.mark.parametrize(
    ("units", "scale", "length"),
    [
        (None, (1, 1), (377, "pixels")),
        (("mm", "mm"), (0.5, 0.5), (188.5, "mm")),
        (("um", "um"), (500, 500), (188.5, "mm")),
        (("mm", "mm"), (-0.5, 0.5), (188.5, "mm")),
        (("mm", "mm"), (0.5, 0.7), (227.3, "mm")),
    ],
)
def test_circumference_is_said(hands, viewer, widget, batches, tmp_path, units, scale, length):
    widget.model.open_folder(measuring_model(tmp_path))
    viewer.add_image(head(), scale=scale, units=units)
    mask = hands.click_segment_and_wait()
    assert circumference(widget) == (pytest.approx(length[0], rel=0.01), length[1])
    mask.scale, mask.units = (0.25, 0.25), ("mm", "mm")
    mask.data_setitem(tuple(np.array([[100], [120]])), 1)
    hands.wait(lambda: widget.message.text().startswith("As corrected"))
    assert circumference(widget) == (pytest.approx(94.25, rel=0.01), "mm"), "as it is scaled now"
    mask.fill((100, 121), 0)
    hands.wait(lambda: widget.message.text().startswith("As corrected: 0.0 % of the image"))


def test_a_corrected_scale_is_measured_anew(hands, viewer, widget, batches, tmp_path):
    widget.model.open_folder(measuring_model(tmp_path))
    image = viewer.add_image(head(), scale=(0.5, 0.5), units=("mm", "mm"))
    mask = hands.click_segment_and_wait()
    mask.scale = (0.1, 0.1)
    hands.wait(lambda: circumference(widget) == (pytest.approx(37.7, rel=0.01), "mm"))
    mask.scale = (0.5, 0.5)
    hands.wait(lambda: circumference(widget) == (pytest.approx(188.5, rel=0.01), "mm"))
    viewer.add_image(head()[:50], name="other")
    mask.units = ("cm", "cm")
    viewer.layers.selection.active = image
    hands.wait(lambda: "circumference" in widget.message.text())
    assert circumference(widget) == (pytest.approx(1885, rel=0.01), "mm")
    set_threshold(hands, 0.4)
    hands.wait(lambda: "circumference" in widget.message.text())
    assert circumference(widget) == (pytest.approx(1885, rel=0.01), "mm")


# What goes wrong


def refusal(hands, caplog):
    """Click and return the sentence, which is on the terminal too and nowhere else."""
    with caplog.at_level(logging.ERROR, "napari_medt"):
        hands.click("Segment")
        hands.wait(lambda: hands.widget.segment.isEnabled() and caplog.records)
    [record] = caplog.records
    assert record.exc_info is None
    assert record.getMessage() == hands.widget.message.text()
    assert not [layer for layer in hands.viewer.layers if isinstance(layer, Labels)]
    return record.getMessage()


def test_no_image_is_a_sentence(hands, caplog):
    assert refusal(hands, caplog) == "There is no image to segment: open one first."


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (np.zeros((6, 40, 40), np.uint8), "Every plane is of a single value"),
        (np.zeros((0, 40, 40), np.uint8), "there is nothing to segment"),
        (np.ones((40, 40), bool), "is a mask already"),
        (np.full((40, 40), 7, np.uint8), "the same value"),
        (np.ones((1, 1), np.uint8), "too small"),
        (np.array([[0, 1], [np.nan, 2]]), "NaN"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_bad_image_is_a_sentence(hands, viewer, caplog, image, sentence):
    viewer.add_image(image, contrast_limits=(0, 10))
    assert sentence in refusal(hands, caplog)


def test_damaged_weights_are_a_sentence(hands, viewer, caplog, blobs, tiny_model):
    (tiny_model / "weights.safetensors").write_bytes(b"damaged")
    viewer.add_image(blobs)
    assert "SHA-256" in refusal(hands, caplog)


def test_too_little_memory_is_a_sentence(hands, viewer, widget, caplog, blobs, monkeypatch):
    def full(*_, **__):
        raise MemoryError("Unable to allocate 16.0 GiB")

    monkeypatch.setattr("napari_medt.engine.volume.put_together", full)
    viewer.add_image(blobs)
    assert "not enough memory" in refusal(hands, caplog)


def test_an_image_that_cannot_be_read_is_chosen_in_silence(
    hands, viewer, widget, caplog, monkeypatch
):
    """Segment says why; napari shows another plane than the one that is compared."""
    monkeypatch.setattr(Message, "report", lambda _, error: pytest.fail(repr(error)))

    def read(block_info=None):
        if block_info[None]["array-location"][0][0] == 3:
            raise RuntimeError("damaged")
        return np.zeros((1, 40, 50), np.uint8)

    data = dask.array.map_blocks(read, chunks=((1,) * 6, (40,), (50,)), dtype=np.uint8)
    viewer.add_image(data, contrast_limits=(0, 255), axis_labels=("z", "y", "x"))
    hands.wait(lambda: not widget.fit.looking)
    hands.qtbot.wait(50)
    assert not widget.message.text()
    assert "cannot be read" in refusal(hands, caplog)


# Several widgets


def test_two_widgets_do_not_disturb_each_other(hands, viewer, widget, batches, blobs, tiny_model):
    other = SegmentWidget(viewer)
    viewer.window.add_dock_widget(other, name="MedT too")
    other.model.open_folder(tiny_model)
    viewer.add_image(blobs)
    mask = hands.click_segment_and_wait()
    hands.paint(mask, 10, 100)
    kept = mask.data.copy()
    for one in (widget, other):
        assert "edited" in one.settings.note.text()
        hands.wait(lambda one=one: one.message.text() == "As corrected: 21 objects.")
    hands.qtbot.mouseClick(other.segment, Qt.MouseButton.LeftButton)
    hands.wait(other.segment.isEnabled)
    assert len(hands.masks()) == 2
    assert np.array_equal(mask.data, kept)


def test_a_second_widget_follows_the_sliders_of_the_first(
    hands, viewer, widget, batches, blobs, tiny_model
):
    other = SegmentWidget(viewer)
    viewer.window.add_dock_widget(other, name="MedT too")
    other.model.open_folder(tiny_model)
    viewer.add_image(blobs)
    mask = hands.click_segment_and_wait()
    assert other.message.text() == "20 objects."
    set_threshold(hands, 0.75)
    left = f"{len(np.unique(mask.data)) - 1} objects."
    assert left != "20 objects."
    assert other.settings.threshold == 0.75
    assert (other.message.text(), widget.message.text()) == (left, left)


@pytest.mark.parametrize("listed", [True, False])
def test_masks_go_on_when_the_widget_is_opened_again(
    hands, viewer, widget, batches, blobs, tiny_model, listed
):
    viewer.add_image(blobs)
    mask = hands.click_segment_and_wait()
    set_threshold(hands, 0.6)
    hands.close_dock()
    _, hands.widget = viewer.window.add_plugin_dock_widget(PLUGIN, WIDGET)
    if listed:
        hands.widget.model.open_folder(tiny_model)
    assert hands.widget.settings.threshold == 0.6
    assert hands.widget.message.text() == "20 objects."
    set_threshold(hands, 0.7)
    hands.paint(mask, 10, 100)
    hands.wait(lambda: hands.widget.message.text().startswith("As corrected"))
