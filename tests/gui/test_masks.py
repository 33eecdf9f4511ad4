"""Masks are renewed and added to, and no edit is lost."""

import gc
import weakref

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_medt.gui.mask import undone
from napari_medt.gui.masks import METADATA, masks_in
from napari_medt.gui.scope import SHAPES
from napari_medt.gui.widget import EDITS_WAIT, relabel_mask
from tests.gui.conftest import SHAPE, choose


def test_untouched_mask_is_renewed_in_place(hands, viewer, widget, batches, blobs):
    image = viewer.add_image(blobs)
    mask = hands.click_segment_and_wait()
    image.scale = (0.5, 0.25)
    assert hands.click_segment_and_wait() is mask
    assert len(hands.masks()) == 1
    assert tuple(mask.scale) == (0.5, 0.25)


def test_a_hidden_mask_is_seen_once_it_is_renewed(hands, viewer, widget, batches, blobs):
    viewer.add_image(blobs)
    mask = hands.click_segment_and_wait()
    mask.visible = False
    assert hands.click_segment_and_wait() is mask
    assert mask.visible


def test_a_mask_of_another_type_is_left_alone(hands, viewer, widget, batches, blobs):
    """Small numbers would not hold the labels of every run."""
    viewer.add_image(blobs)
    mask = hands.click_segment_and_wait()
    mask.data = mask.data.astype(np.uint8)
    assert hands.click_segment_and_wait() is not mask
    assert mask.data.dtype == np.uint8


def test_other_channels_make_another_mask(hands, viewer, widget, batches, stack):
    viewer.add_image(stack[0])
    mask = hands.click_segment_and_wait()
    choose(widget.scope._axis, "no axis")
    other = hands.click_segment_and_wait()
    assert other is not mask
    assert other.data.shape == (3, 2, *SHAPE)
    assert widget.segment.isEnabled()


def segment_first_slice(hands, stack):
    """Segment the first slice of a stack; the next click is for the one that is shown then."""
    hands.viewer.add_image(stack[0, :, 1], axis_labels=("z", "y", "x"))
    choose(hands.widget.scope._planes, "The one shown")
    hands.viewer.dims.set_current_step(0, 0)
    return hands.click_segment_and_wait()


@pytest.mark.parametrize("edited", [False, True])
def test_every_channel_has_masks_of_its_own(hands, viewer, widget, batches, stack, edited):
    viewer.add_image(stack[0], axis_labels=("z", "c", "y", "x"))
    choose(widget.scope._channel, "1")
    first = hands.click_segment_and_wait()
    if edited:
        first.data[0, 0, :5, :5] = 3
        choose(widget.scope._planes, "The one shown")
        viewer.dims.set_current_step(0, 1)
    kept = first.data.copy()
    choose(widget.scope._channel, "2")
    second = hands.click_segment_and_wait()
    assert second is not first
    assert np.array_equal(first.data, kept)
    viewer.layers.selection.clear()
    choose(widget.scope._channel, "1")
    hands.click_segment_and_wait()
    assert hands.masks() == [first, second], "each channel goes on with its own"


def test_layers_that_are_mixed_get_a_mask_of_their_own(hands, viewer, widget, batches, blobs):
    image = viewer.add_image(blobs, colormap="green")
    viewer.add_image(blobs[::-1], name="other", colormap="magenta", blending="additive")
    viewer.layers.selection.active = image
    mask = hands.click_segment_and_wait()
    kept = mask.data.copy()
    [action] = widget.scope._channels._menu.actions()
    action.setChecked(True)
    both = hands.click_segment_and_wait()
    assert both is not mask
    assert np.array_equal(mask.data, kept)
    green, magenta = both.metadata[METADATA]["mixed"]
    assert green == {"limits": [0, 255], "colour": [0, 1, 0]}
    assert magenta["colour"] == [1, 0, 1]
    assert hands.click_segment_and_wait() is both


def edit_by_fill(mask):
    mask.fill((25, 24), 7)


def edit_by_event_free_write(mask):
    mask.data[:5, :5] = 3


def edit_by_replaced_data(mask):
    mask.data = np.ones_like(mask.data)


def edit_and_undo(mask):
    mask.paint((100, 100), 9)
    mask.undo()


def edit_by_unfinished_stroke(mask):
    mask._begin_stroke()
    mask.paint((100, 100), 9)


@pytest.mark.parametrize(
    "edit",
    [
        edit_by_fill,
        edit_by_event_free_write,
        edit_by_replaced_data,
        edit_and_undo,
        edit_by_unfinished_stroke,
    ],
)
def test_no_kind_of_edit_is_overwritten(hands, viewer, widget, batches, blobs, edit):
    viewer.add_image(blobs)
    mask = hands.click_segment_and_wait()
    edit(mask)
    kept = mask.data.copy()
    widget.settings._threshold.setValue(0.9)
    hands.qtbot.wait(100)
    assert np.array_equal(mask.data, kept)
    assert mask.metadata[METADATA]["threshold"] != 0.9
    assert "They count for the next Segment" in widget.settings.note.text()
    newer = hands.click_segment_and_wait()
    assert newer is not mask
    assert newer.metadata[METADATA]["threshold"] == 0.9
    assert np.array_equal(mask.data, kept)
    assert not widget.settings.note.isVisible()


def test_edit_during_the_run_is_kept(hands, viewer, widget, batches, blobs):
    viewer.add_image(blobs)
    mask = hands.click_segment_and_wait()
    batches.hold()
    hands.click("Segment")
    hands.paint(mask, 10, 100)
    kept = mask.data.copy()
    batches.go_on()
    hands.wait(lambda: len(hands.masks()) == 2)
    assert np.array_equal(mask.data, kept)


def test_slice_after_slice_into_one_mask(hands, viewer, widget, batches, stack):
    viewer.add_image(stack[:, :, 1], axis_labels=("t", "z", "y", "x"))
    choose(widget.scope._planes, "The one shown")
    viewer.dims.current_step = (1, 2, 0, 0)
    mask = hands.click_segment_and_wait()
    assert "10 objects" in widget.message.text()
    assert not mask.data[0].any()
    viewer.dims.current_step = (1, 0, 0, 0)
    assert hands.click_segment_and_wait() is mask
    counts = [len(np.unique(mask.data[index])) - 1 for index in np.ndindex(2, 3)]
    assert counts == [0, 0, 0, 20, 0, 10]
    [earlier] = mask.metadata[METADATA]["earlier"]
    assert earlier["scope"]["planes"] == [[1, 2]]
    assert mask.metadata[METADATA]["scope"]["planes"] == [[1, 0]]
    widget.settings._threshold.setValue(0.9)
    hands.wait(lambda: mask.metadata[METADATA]["threshold"] == 0.9)
    assert mask.data[1, 0].any()
    assert mask.data[1, 2].any()

    mask.data_setitem((np.array([1]), np.array([0]), np.array([3]), np.array([3])), 99)
    viewer.dims.current_step = (1, 1, 0, 0)
    assert hands.click_segment_and_wait() is mask, "the edit is in another slice"
    assert mask.data[1, 0, 3, 3] == 99
    assert mask.data[1, 1].any()
    mask.undo()
    assert not mask.data[1, 1].any()
    viewer.dims.current_step = (1, 0, 0, 0)
    assert hands.click_segment_and_wait() is not mask, "the edit is in this slice"
    assert mask.data[1, 0, 3, 3] == 99


def test_a_hidden_mask_is_added_to_in_one_step(hands, viewer, widget, batches, stack):
    mask = segment_first_slice(hands, stack)
    mask.data_setitem((np.array([0]), np.array([3]), np.array([3])), 99)
    edited = mask.data.copy()
    mask.visible = False
    viewer.dims.set_current_step(0, 1)
    assert hands.click_segment_and_wait() is mask
    assert mask.visible
    assert mask.data[1].any()
    mask.data_setitem((np.array([1]), np.array([3]), np.array([3])), 98)
    mask.undo()
    assert mask.data[1].any(), "the next stroke is a step of its own"
    mask.undo()
    assert np.array_equal(mask.data, edited)


@pytest.mark.parametrize("edited", [False, True])
def test_a_result_leaves_the_tool_in_the_hand(hands, viewer, widget, batches, stack, edited):
    mask = segment_first_slice(hands, stack)
    mask.mode = "erase"
    mask.visible = False  # to look below it, with the eraser in hand: napari keeps that in mind
    mask.visible = True
    mask.mode = "paint"
    mask.selected_label = 7
    if edited:
        mask.paint((0, 3, 3), 7)
    viewer.dims.set_current_step(0, 1)
    assert hands.click_segment_and_wait() is mask
    assert mask.data[1].any()
    assert mask.mode == "paint"
    if edited:
        assert mask.selected_label == 7


@pytest.mark.parametrize("added", [False, True])
def test_a_stroke_is_for_the_layer_in_hand(hands, viewer, widget, batches, stack, added):
    """Wherever a result lands meanwhile."""
    slices, axes = stack[0, :, 1], ("z", "y", "x")
    first = viewer.add_image(slices, name="one", axis_labels=axes)
    second = viewer.add_image(slices, name="two", axis_labels=axes)
    viewer.dims.set_current_step(0, 0)
    viewer.layers.selection.active = first
    mask = hands.click_segment_and_wait()
    if added:
        mask.data[0, :5, :5] = 3  # so that the result gets a layer of its own
    viewer.layers.selection.active = second
    other = hands.click_segment_and_wait()
    viewer.layers.selection.active = first
    batches.hold()
    hands.click("Segment")
    viewer.layers.selection.active = other
    other.mode = "erase"
    choose(widget.scope._planes, "The one shown")
    batches.go_on()
    hands.wait(widget.segment.isEnabled)
    landed = [layer for layer in hands.masks() if layer.name.startswith("one")][-1]
    assert (landed is not mask) == added
    assert viewer.layers.selection.active is other
    assert set(viewer.layers.selection) == {other}
    assert other.mode == "erase"
    assert f'The mask is in "{landed.name}"' in widget.message.text()
    assert widget.image.image is second
    assert widget.scope._planes.currentText() == "The one shown"


@pytest.mark.parametrize("used", [False, True])
def test_a_brush_is_put_down_for_the_result_unless_it_is_used(
    hands, viewer, widget, batches, blobs, used
):
    viewer.add_image(blobs)
    mask = hands.click_segment_and_wait()
    hands.paint(mask, 10, 100)
    batches.hold()
    hands.click("Segment")
    if used:
        hands.paint(mask, 10, 60)
    batches.go_on()
    hands.wait(widget.segment.isEnabled)
    newer = hands.masks()[-1]
    assert newer is not mask
    assert viewer.layers.selection.active is (mask if used else newer)
    assert mask.mode == "paint"
    assert newer.mode == "pan_zoom"


@pytest.mark.parametrize("how", ["cancelled", "refused", "another size"])
def test_a_run_without_result_no_longer_watches_what_was_in_hand(
    hands, viewer, widget, batches, blobs, how
):
    image = viewer.add_image(np.stack([blobs] * 6))
    batches.hold()
    hands.click("Segment")
    assert image.mouse_drag_callbacks
    if how == "cancelled":
        hands.click("Cancel")
    elif how == "refused":
        widget.run._job.refused.emit("It cannot be done.")
    else:
        image.data = blobs
    batches.go_on()
    hands.wait(widget.segment.isEnabled)
    assert not image.mouse_drag_callbacks


@pytest.mark.parametrize("kind", ["labels", "shapes"])
def test_a_polygon_that_is_being_drawn_goes_on(hands, viewer, widget, batches, blobs, kind):
    """Though it is no edit before it is closed."""
    image = viewer.add_image(blobs)
    own = viewer.add_labels(np.zeros_like(blobs)) if kind == "labels" else viewer.add_shapes(ndim=2)
    own.mode = "polygon" if kind == "labels" else "add_polygon"
    callbacks = list(own.mouse_drag_callbacks)
    widget.image.choose(image)
    batches.hold()
    hands.click("Segment")
    for corner in ((20, 20), (20, 90), (90, 90)):
        hands.press(own, *corner)
    batches.go_on()
    hands.wait(widget.segment.isEnabled)
    assert len(hands.masks()) == 1
    assert viewer.layers.selection.active is own
    assert own.mouse_drag_callbacks == callbacks


def test_what_a_result_holds_is_told_until_the_next_correction(
    hands, viewer, widget, batches, stack
):
    mask = segment_first_slice(hands, stack)
    mask.paint((0, 3, 3), 99)
    hands.wait(lambda: widget.message.text() == "As corrected: 21 objects.")
    viewer.dims.set_current_step(0, 2)
    assert hands.click_segment_and_wait() is mask
    hands.qtbot.wait(2 * EDITS_WAIT)
    assert widget.message.text().startswith("10 objects in ")
    mask.paint((0, 3, 3), 0)
    hands.wait(lambda: widget.message.text() == "As corrected: 30 objects.")


def test_a_mask_is_not_selected_with_the_eraser_it_had(hands, viewer, widget, batches, stack):
    mask = segment_first_slice(hands, stack)
    mask.paint((0, 3, 3), 99)
    mask.mode = "erase"
    viewer.layers.selection.active = viewer.layers[0]
    viewer.dims.set_current_step(0, 1)
    assert hands.click_segment_and_wait() is mask
    assert viewer.layers.selection.active is mask
    assert mask.mode == "pan_zoom"


def test_what_was_undone_can_be_redone(hands, viewer, widget, batches, stack):
    """Strokes are undone to look at the image without them; a step more would forget them."""
    mask = segment_first_slice(hands, stack)
    for column in (3, 23):
        mask.paint((0, 3, column), 99)
    corrected = mask.data.copy()
    assert not undone(mask)
    mask.undo()
    mask.undo()
    assert len(undone(mask)) == 2, "napari keeps its history as this plugin expects"
    viewer.dims.set_current_step(0, 1)
    newer = hands.click_segment_and_wait()
    assert newer is not mask
    assert "can be redone" in widget.message.text()
    mask.redo()
    mask.redo()
    assert np.array_equal(mask.data, corrected)
    assert not undone(mask)


def test_a_plane_that_was_undone_is_laid_in_again(hands, viewer, widget, batches, stack):
    mask = segment_first_slice(hands, stack)
    mask.paint((0, 3, 3), 99)
    viewer.dims.set_current_step(0, 1)
    for threshold in (0.5, 0.7, 0.6):
        widget.settings._threshold.setValue(threshold)
        assert hands.click_segment_and_wait() is mask
        assert mask.data[1].any()
        mask.undo()
        assert not mask.data[1].any()
    mask.redo()
    mask.paint((1, 3, 3), 98)
    corrected = mask.data.copy()
    mask.undo()
    mask.undo()
    assert hands.click_segment_and_wait() is not mask, "there is a stroke to redo"
    mask.redo()
    mask.redo()
    assert np.array_equal(mask.data, corrected)


def test_planes_that_were_undone_are_laid_in_again(hands, viewer, widget, batches, stack):
    """All of them, to try another threshold."""
    mask = segment_first_slice(hands, stack)
    mask.paint((0, 3, 3), 99)
    corrected = mask.data.copy()
    for _ in range(2):
        for plane in (1, 2):
            viewer.dims.set_current_step(0, plane)
            assert hands.click_segment_and_wait() is mask
            assert mask.data[plane].any()
        mask.undo()
        mask.undo()
        assert np.array_equal(mask.data, corrected)


@pytest.mark.parametrize("how", ["painted", "chosen to paint with"])
def test_labels_that_leave_no_numbers_are_left_alone(hands, viewer, widget, batches, stack, how):
    mask = segment_first_slice(hands, stack)
    last = np.iinfo(np.int32).max
    mask.data_setitem(tuple(np.array([[0], [5], [5]])), last if how == "painted" else 99)
    if how != "painted":
        mask.selected_label = last
    kept = mask.data.copy()
    viewer.dims.set_current_step(0, 1)
    other = hands.click_segment_and_wait()
    assert other is not mask
    assert np.array_equal(mask.data, kept)
    assert other.data.min() == 0
    assert other.data.max() == 15


def test_the_selected_mask_goes_on(hands, viewer, widget, batches, stack):
    older = segment_first_slice(hands, stack)
    older.paint((0, 3, 3), 99)
    newer = hands.click_segment_and_wait()
    assert newer is not older
    kept = newer.data.copy()
    viewer.layers.selection.active = older
    viewer.dims.set_current_step(0, 1)
    hands.click_segment_and_wait()
    assert hands.masks() == [older, newer]
    assert older.data[1].any()
    assert np.array_equal(newer.data, kept)
    viewer.dims.set_current_step(0, 0)  # which was edited in the selected one
    hands.click_segment_and_wait()
    assert hands.masks() == [older, newer]
    assert viewer.layers.selection.active is newer


def test_objects_that_come_are_not_what_is_painted_next(hands, viewer, widget, batches, stack):
    mask = segment_first_slice(hands, stack)
    mask.paint((0, 25, 24), 0)
    mask.selected_label = 25
    viewer.dims.set_current_step(0, 1)
    assert hands.click_segment_and_wait() is mask
    assert mask.selected_label == 25
    assert mask.data[1].any()
    assert not (mask.data == 25).any()


def test_the_label_that_is_shown_alone_stays_selected(hands, viewer, widget, batches, blobs):
    """With another one the mask would not be seen."""
    viewer.add_image(blobs)
    mask = hands.click_segment_and_wait()
    assert mask.selected_label == 21
    mask.selected_label = 4
    mask.show_selected_label = True
    widget.settings._threshold.setValue(0.6)
    hands.wait(lambda: mask.metadata[METADATA]["threshold"] == 0.6)
    assert hands.click_segment_and_wait() is mask
    assert mask.selected_label == 4


def test_a_plane_is_laid_into_a_mask_without_copying_it(hands, viewer, widget, batches, stack):
    """A copy of a large stack would stop the window."""
    image = viewer.add_image(stack[0])
    choose(widget.scope._channel, "2")
    choose(widget.scope._planes, "The one shown")
    viewer.dims.set_current_step(0, 0)
    mask = hands.click_segment_and_wait()
    data = mask.data
    image.data[1, 1] = 0
    image.data[1, 1, 5:25, 5:25] = 200
    for slice_ in (1, 0, 2):
        viewer.dims.set_current_step(0, slice_)
        assert hands.click_segment_and_wait() is mask
        assert mask.data is data
        shown = mask._slice.image
        assert np.array_equal(shown.raw, data[slice_, 0])
        assert np.array_equal(shown.view > 0, shown.raw > 0)
        if slice_ == 0:  # from here on as a step to undo
            assert not widget._mask().is_edited()
            mask.data_setitem(tuple(np.array([[1], [0], [150], [150]])), 99)
            edited = data.copy()
    mask.undo()
    assert np.array_equal(data, edited)


def test_a_region_leaves_the_rest_alone(hands, viewer, widget, batches, blobs):
    image = viewer.add_image(blobs, scale=(2, 2), translate=(5, 7))
    mask = hands.click_segment_and_wait()
    hands.paint(mask, 150, 5)
    before = mask.data.copy()
    image.data[:] = 255 - blobs
    square = np.array([[40, 60], [40, 120], [90, 120], [90, 60]]) * 2 + [5, 7]
    viewer.add_shapes([square], shape_type="polygon")
    widget.image.setCurrentIndex(0)
    choose(widget.scope._region, SHAPES)
    assert hands.click_segment_and_wait() is mask
    said = int(widget.message.text().split()[0])
    box = mask.data[40:91, 60:121]
    assert said == len(np.setdiff1d(np.unique(box), [0, *np.unique(before)]))
    inside = np.zeros(SHAPE, bool)
    inside[41:89, 61:119] = True
    outside = np.ones(SHAPE, bool)
    outside[39:92, 59:122] = False
    assert np.array_equal(mask.data[outside], before[outside])
    assert not np.array_equal(mask.data[inside], before[inside])
    kept = np.unique(before[outside])
    assert not np.isin(np.setdiff1d(np.unique(mask.data[inside]), 0), kept).all()
    mask.undo()
    assert np.array_equal(mask.data, before)
    hands.wait(lambda: widget.message.text() == "As corrected: 21 objects.")


def test_what_is_painted_beside_a_shape_is_no_edit_inside(hands, viewer, widget, batches, blobs):
    """Though it is in the box around the shape; and it stays an edit whatever is laid in."""
    image = viewer.add_image(blobs)
    mask = hands.click_segment_and_wait()
    triangle = np.array([[10, 10], [10, 110], [110, 10]])
    viewer.add_shapes([triangle], shape_type="polygon", name="shape")
    choose(widget.scope._region, SHAPES)
    hands.paint(mask, 90, 90)
    hands.paint(mask, 150, 5)
    edited = mask.data.copy()
    for _ in range(2):
        assert hands.click_segment_and_wait() is mask
        assert mask.data[90, 90] == edited[90, 90]
        assert not np.array_equal(mask.data, edited), "objects inside have other numbers"
        mask.undo()
        assert np.array_equal(mask.data, edited)
    viewer.layers.remove("shape")
    square = np.array([[80, 80], [80, 100], [100, 100], [100, 80]])
    viewer.add_shapes([square], shape_type="polygon")
    widget.image.choose(image)
    viewer.layers.selection.active = mask
    assert hands.click_segment_and_wait() is not mask, "the edit is in this shape"
    assert np.array_equal(mask.data, edited)


@pytest.mark.parametrize("how", ["painted", "followed", "gone", "replaced"])
def test_what_no_slider_reaches_is_not_kept(hands, viewer, widget, batches, blobs, how):
    """Probabilities take up to half a gigabyte for each mask."""
    image = viewer.add_image(blobs)
    hands.click_segment_and_wait()
    mask = widget._mask()
    assert mask.outcome.predictions
    if how == "painted":
        hands.paint(mask.layer, 10, 100)
    elif how == "followed":
        mask.layer.data[:5, :5] = 3
        hands.click_segment_and_wait()
        assert widget._mask().outcome.predictions
    elif how == "gone":
        viewer.layers.remove(image)
    else:
        image.data = 255 - blobs
    assert not mask.outcome.predictions
    kept = mask.layer.data.copy()
    widget._on_relabelled(relabel_mask(mask, 0.9, 0))  # that waited for its turn
    assert np.array_equal(mask.layer.data, kept)
    viewer.layers.selection.active = mask.layer
    assert "the sliders leave it alone" in widget.settings.note.text()
    assert "very large" not in widget.settings.note.text()


def test_a_mask_stays_that_of_the_data_it_was_made_of(hands, viewer, widget, batches, blobs):
    image = viewer.add_image(np.stack([blobs] * 6), axis_labels=("z", "y", "x"))
    widget.scope._planes.setCurrentIndex(1)
    viewer.dims.set_current_step(0, 0)
    mask = hands.click_segment_and_wait()
    mask.data_setitem((np.array([5]), np.array([3]), np.array([3])), 99)
    kept = mask.data.copy()
    for other in (255 - image.data, np.stack([blobs[:150]] * 7)):
        image.data = other
        widget.scope._planes.setCurrentIndex(1)
        viewer.dims.set_current_step(0, 3)
        newest = hands.click_segment_and_wait()
        assert newest is not mask
        assert newest.data.shape == other.shape
        assert np.array_equal(mask.data, kept)
    assert len(hands.masks()) == 3


def test_masks_hold_no_viewer():
    viewer = ViewerModel()
    kept = weakref.ref(masks_in(viewer))
    assert kept() is not None
    del viewer
    gc.collect()
    assert kept() is None


def test_removed_mask_is_forgotten(hands, viewer, widget, batches, blobs):
    viewer.add_image(blobs)
    mask = hands.click_segment_and_wait()
    batches.hold()
    hands.click("Segment")
    viewer.layers.remove(mask)
    batches.go_on()
    hands.wait(hands.masks)
    assert hands.masks()[0] is not mask
    viewer.layers.remove(hands.masks()[0])
    widget.settings._threshold.setValue(0.9)
    hands.qtbot.wait(100)
    assert not hands.masks()


def test_mask_outlives_its_image(hands, viewer, widget, batches, blobs):
    image = viewer.add_image(blobs)
    mask = hands.click_segment_and_wait()
    viewer.layers.remove(image)
    widget.settings._threshold.setValue(0.9)
    hands.qtbot.wait(100)
    assert hands.masks() == [mask]
