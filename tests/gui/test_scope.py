"""Stacks, channels and layers in a real viewer."""

import numpy as np
from qtpy.QtWidgets import QStyle, QStyleOptionComboBox

from napari_medt.gui.masks import METADATA
from napari_medt.gui.scope import SHAPES
from tests.conftest import make_model
from tests.gui.conftest import SHAPE, choose


def test_five_axes_in_words_and_as_a_whole(hands, viewer, widget, batches, stack):
    scope = widget.scope
    viewer.add_image(stack, scale=(1, 4, 1, 0.5, 0.5), units=("s", "um", "pixel", "um", "um"))
    assert scope._words.text() == (
        "2 times x 3 slices of 200 x 240, 2 channels: using channel 1, the one shown"
    )
    choose(scope._channel, "2")
    assert "using channel 2" in scope._words.text()
    mask = hands.click_segment_and_wait()
    assert mask.data.shape == (2, 3, 1, *SHAPE)
    assert tuple(mask.scale) == (1, 4, 2, 0.5, 0.5)
    assert [str(unit) for unit in mask.units] == [
        "second",
        "micrometer",
        "pixel",
        "micrometer",
        "micrometer",
    ]
    counts = [len(np.unique(mask.data[index])) - 1 for index in np.ndindex(2, 3)]
    assert counts == [20, 15, 10, 20, 15, 10]
    assert mask.data.max() == 90, "every outline has a number of its own"


def test_the_channel_that_is_shown_is_used_until_another_is_chosen(
    hands, viewer, widget, batches, blobs
):
    """napari opens an image at its middle channel."""
    data = np.zeros((3, *SHAPE), np.uint8)
    data[1] = blobs
    viewer.add_image(data, axis_labels=("c", "y", "x"))
    words, scope = widget.scope._words, widget.scope
    assert words.text() == "200 x 240, 3 channels: using channel 2, the one shown"
    mask = hands.click_segment_and_wait()
    assert mask.data.max() == 20

    viewer.dims.set_current_step(0, 2)
    assert words.text().endswith("using channel 2, not the one shown")
    choose(scope._channel, "3")
    assert words.text().endswith("using channel 3, the one shown")
    viewer.dims.ndisplay = 3
    assert words.text().endswith("using channel 3")
    choose(scope._channel, "the first three, as red, green and blue")
    viewer.dims.ndisplay = 2
    assert "shown" not in words.text()


def test_fewer_axes_than_before_are_no_stumbling_block(viewer, widget, stack):
    image = viewer.add_image(stack)
    image.data = stack[0, 0, 1]
    assert widget.scope._words.text() == "200 x 240"
    viewer.layers.clear()
    assert viewer.dims.ndim == 2


def test_names_that_axes_get_later_are_heeded(hands, viewer, widget, batches, stack):
    image = viewer.add_image(stack[0, :, 1])
    assert "3 channels" in widget.scope._words.text()
    image.axis_labels = ("t", "y", "x")
    assert widget.scope._words.text() == "3 times of 200 x 240"
    mask = hands.click_segment_and_wait()
    assert mask.metadata[METADATA]["scope"]["axes"] == ["time", "row", "column"]
    assert mask.data.shape == (3, *SHAPE)
    viewer.add_image(stack[0, 0])
    image.axis_labels = ("z", "y", "x")
    assert "slices" not in widget.scope._words.text(), "it is another image's"


def test_other_data_are_looked_at_anew(hands, viewer, widget, stack, monkeypatch):
    image = viewer.add_image(stack[0, 0])
    looked = []
    monkeypatch.setattr(widget.fit, "look_at", looked.append)
    image.data = np.full((7, 30, 40), 9, np.uint8)
    assert widget.scope._words.text() == "7 slices of 30 x 40"
    [read] = looked
    assert (read() == 9).all()


def test_objects_are_linked_through_the_slices(hands, viewer, widget, batches, stack):
    viewer.add_image(stack)
    choose(widget.scope._channel, "2")
    hands.tick(widget.scope._link)
    mask = hands.click_segment_and_wait()
    assert mask.data.max() == 40
    lowest = (slice(None), 0, 175, 24)
    assert len(np.unique(mask.data[0][lowest])) == len(np.unique(mask.data[1][lowest])) == 1
    widget.settings._min_size.setValue(60)
    hands.wait(lambda: mask.metadata[METADATA]["min_size"] == 60)
    assert mask.data.max() == 40, "the slider links as well"


def test_corrections_beside_what_was_segmented_are_counted(
    hands, viewer, widget, batches, stack, tmp_path
):
    viewer.add_image(stack[0, :, 1], axis_labels=("z", "y", "x"))
    choose(widget.scope._planes, "The one shown")
    viewer.dims.set_current_step(0, 0)
    mask = hands.click_segment_and_wait()
    assert "20 objects" in widget.message.text()
    viewer.dims.set_current_step(0, 1)
    mask.fill((1, 5, 5), 21)
    hands.wait(lambda: widget.message.text() == "As corrected: 21 objects.")

    widget.model.open_folder(make_model(tmp_path, classes=("background", "left", "right")))
    corners = np.array([[0, 10, 10], [0, 10, 19], [0, 19, 19], [0, 19, 10]])
    viewer.add_shapes([corners], shape_type="polygon")
    choose(widget.scope._region, SHAPES)
    viewer.dims.set_current_step(0, 0)
    mask = hands.click_segment_and_wait()
    assert "% of what was segmented" in widget.message.text()
    mask.fill((0, 199, 239), 1)
    mask.fill((1, 5, 5), 1)
    share = 100 * np.count_nonzero(mask.data) / mask.data.size
    assert share > 60
    hands.wait(lambda: widget.message.text() == f"As corrected: {share:.1f} % of the image.")


def test_rgb_channels_and_colour(hands, viewer, widget, batches, stack):
    viewer.add_image(np.repeat(stack[0, :, 1, ..., None], 3, axis=-1), rgb=True)
    assert widget.scope._words.text() == "3 slices of 200 x 240, in colour"
    assert hands.click_segment_and_wait().data.shape == (3, *SHAPE)


def test_names_in_the_scope_are_not_cut_off(qtbot, viewer, widget, stack):
    viewer.window._qt_window.resize(1024, 700)
    viewer.add_image(stack)
    qtbot.waitUntil(lambda: widget.scope._region.width() < 200)
    for box in (widget.scope._planes, widget.scope._region):
        style = QStyleOptionComboBox()
        box.initStyleOption(style)
        field = box.style().subControlRect(
            QStyle.ComplexControl.CC_ComboBox,
            style,
            QStyle.SubControl.SC_ComboBoxEditField,
            box,
        )
        for index in range(box.count()):
            text = box.itemText(index)
            assert box.fontMetrics().horizontalAdvance(text) <= field.width(), text
