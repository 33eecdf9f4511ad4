"""Stacks, channels and regions in a real viewer."""

import threading

import numpy as np
import pytest
from napari.layers import Labels

from napari_medt.errors import ImageError
from napari_medt.gui.layers import METADATA, axes_of, shapes_region
from napari_medt.gui.scope import SHAPES, VIEW
from napari_medt.gui.widget import SegmentWidget
from napari_medt.sample_data.generate import draw
from tests.conftest import make_model
from tests.gui.conftest import SHAPE


@pytest.fixture
def stack(blobs):
    """2 times, 3 slices, 2 channels: in the second one blobs, fewer from slice to slice."""
    data = np.zeros((2, 3, 2, *SHAPE), np.uint8)
    for time, slice_ in np.ndindex(2, 3):
        data[time, slice_, 1] = blobs
        data[time, slice_, 1, : 50 * slice_] = 0
    data[:, :, 0] = np.random.default_rng(0).integers(0, 40, data[:, :, 0].shape)
    return data


def choose(box, text):
    index = box.findText(text)
    assert index >= 0, [box.itemText(i) for i in range(box.count())]
    box.setCurrentIndex(index)


def test_five_axes_in_words_and_as_a_whole(hands, viewer, widget, batches, stack):
    scope = widget.scope
    viewer.add_image(stack, scale=(1, 4, 1, 0.5, 0.5), units=("s", "um", "pixel", "um", "um"))
    assert scope._words.text() == "2 times x 3 slices of 200 x 240, 2 channels: using channel 1"
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


def test_the_mask_follows_the_sliders_whatever_channel_is_shown(
    hands, viewer, widget, batches, stack
):
    image = viewer.add_image(stack, scale=(1, 4, 3, 0.5, 0.5), translate=(7, 8, 9, 10, 11))
    extent, steps = viewer.dims.range, viewer.dims.nsteps
    choose(widget.scope._channel, "2")
    mask = hands.click_segment_and_wait()
    assert (viewer.dims.ndim, viewer.dims.range, viewer.dims.nsteps) == (5, extent, steps)
    for place in np.ndindex(2, 3, 2):
        viewer.dims.current_step = (*place, 0, 0)
        assert np.array_equal(image._slice.image.raw, stack[place])
        assert np.array_equal(mask._slice.image.raw, mask.data[(*place[:2], 0)])
        assert mask._slice.image.raw.any()
        assert widget._masks.newest(image, widget.model.reference).labels.shape == (2, 3, *SHAPE)


def test_other_channels_make_another_mask(hands, viewer, widget, batches, stack):
    viewer.add_image(stack[0])
    mask = hands.click_segment_and_wait()
    choose(widget.scope._axis, "no axis")
    other = hands.click_segment_and_wait()
    assert other is not mask
    assert other.data.shape == (3, 2, *SHAPE)
    assert widget.segment.isEnabled()


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


def test_slice_after_slice_into_one_mask(hands, viewer, widget, batches, stack):
    viewer.add_image(stack[:, :, 1], axis_labels=("t", "z", "y", "x"))
    choose(widget.scope._planes, "The plane that is shown")
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


def test_layers_of_several_units(hands, viewer, widget, batches, stack):
    """What napari shows in one unit is found in an image of another one."""
    image = viewer.add_image(
        stack[0, :, 1], scale=(2, 0.5, 0.5), units="mm", axis_labels=("z", "y", "x")
    )
    viewer.add_image(stack[0, 0, 1], scale=(500, 500), units="um")
    corners = 500.0 * np.array([[40, 60], [40, 120], [90, 120], [90, 60]])
    viewer.add_shapes([corners], shape_type="polygon", units="um")
    widget.image.setCurrentIndex(widget.image.findText(image.name))
    choose(widget.scope._planes, "The plane that is shown")
    choose(widget.scope._region, SHAPES)
    viewer.dims.set_current_step(0, 1)
    assert np.array_equal(image._slice.image.raw, image.data[1])
    mask = hands.click_segment_and_wait()
    planes, rows, columns = np.nonzero(mask.data)
    assert set(planes) == {1}
    assert set(rows) <= set(range(40, 91))
    assert set(columns) <= set(range(60, 121))


def test_a_plane_that_is_not_shown_is_a_sentence(hands, viewer, widget, batches, stack):
    viewer.add_image(np.zeros((9, *SHAPE), np.uint8), name="longer")
    viewer.add_image(stack[0, :, 1], axis_labels=("z", "y", "x"))
    choose(widget.scope._planes, "The plane that is shown")
    viewer.dims.set_current_step(0, 5)
    hands.click("Segment")
    assert "beyond the planes of the image" in widget.message.text()
    viewer.dims.set_current_step(0, 1)
    viewer.dims.order = (1, 0, 2)
    hands.click("Segment")
    assert "shows no plane of the image" in widget.message.text()
    viewer.dims.order = (0, 2, 1)
    assert set(np.nonzero(hands.click_segment_and_wait().data)[0]) == {1}


def test_a_hidden_mask_is_added_to_in_one_step(hands, viewer, widget, batches, stack):
    viewer.add_image(stack[0, :, 1], axis_labels=("z", "y", "x"))
    choose(widget.scope._planes, "The plane that is shown")
    viewer.dims.set_current_step(0, 0)
    mask = hands.click_segment_and_wait()
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


def test_a_plane_is_laid_into_a_mask_without_copying_it(hands, viewer, widget, batches, stack):
    """A copy of a large stack would stop the window."""
    image = viewer.add_image(stack[0])
    choose(widget.scope._channel, "2")
    choose(widget.scope._planes, "The plane that is shown")
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


def test_corrections_beside_what_was_segmented_are_counted(
    hands, viewer, widget, batches, stack, tmp_path
):
    viewer.add_image(stack[0, :, 1], axis_labels=("z", "y", "x"))
    choose(widget.scope._planes, "The plane that is shown")
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


def test_layers_are_combined_as_they_are_shown(hands, viewer, widget, batches, blobs):
    left, right = blobs.copy(), blobs.copy()
    left[:, 120:], right[:, :120] = 0, 0
    viewer.add_image(left, colormap="gray", name="left")
    viewer.add_image(right, colormap="gray", name="right")
    widget.image.setCurrentIndex(0)
    [action] = widget.scope._menu.actions()
    assert action.text() == "right"
    action.trigger()
    assert "mixed from 2 layers" in widget.scope._words.text()
    assert len(np.unique(hands.click_segment_and_wait().data)) == 1 + 20
    widget.image.setCurrentIndex(1)
    assert widget.scope.added == [], "what is mixed with one image is not with the next"


def test_only_layers_that_lie_on_each_other_are_channels_of_one_image(viewer, widget, blobs):
    placed = {"scale": (0.3, 0.3), "translate": (7e4, 5), "units": "um"}
    image = viewer.add_image(blobs, name="image", **placed)
    scales = {"alike": 0.3, "rounded": np.float32(0.3), "other": 0.31}
    for name, scale in scales.items():
        viewer.add_image(blobs, name=name, **placed | {"scale": (scale, scale)})
    viewer.add_image(blobs, name="beside", **placed | {"translate": (7e4, 6)})
    viewer.add_image(blobs, name="in millimetres", **placed | {"units": "mm"})
    viewer.add_image(blobs, name="turned", affine=[[0, 1, 0], [1, 0, 0], [0, 0, 1]], **placed)
    widget.image.choose(image)
    menu = widget.scope._menu
    assert [action.text() for action in menu.actions()] == ["alike", "rounded"]


def test_a_layer_that_is_moved_away_is_a_channel_no_more(viewer, widget, blobs):
    image = viewer.add_image(blobs, name="image")
    other = viewer.add_image(blobs, name="other", translate=(40, 0))
    widget.image.choose(image)
    scope = widget.scope
    assert scope._more.isHidden()
    other.translate = (0, 0)
    [action] = scope._menu.actions()
    action.trigger()
    assert "mixed from 2 layers" in scope._words.text()
    changed = []
    scope.changed.connect(lambda: changed.append(scope.added))
    image.affine = np.diag([2, 2, 1])
    assert changed == [[]]
    assert "mixed" not in scope._words.text()


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


def square(top, left, side=40):
    bottom, right = top + side, left + side
    return np.array([[top, left], [top, right], [bottom, right], [bottom, left]])


def test_all_shapes_count_unless_some_are_selected(hands, viewer, widget, batches, blobs):
    """Of those that are drawn, napari leaves the last one selected."""
    image = viewer.add_image(blobs)
    shapes = viewer.add_shapes([square(5, 5)], shape_type="polygon")
    shapes.mode = "add_rectangle"
    shapes.add([square(100, 150)], shape_type="rectangle")
    shapes.selected_data = {1}
    choose(widget.scope._region, SHAPES)
    mask = hands.click_segment_and_wait()
    assert mask.data[25, 24]
    assert mask.data[125, 168]
    viewer.layers.remove(mask)
    shapes.mode = "select"
    shapes.selected_data = {1}
    viewer.layers.selection.active = image
    mask = hands.click_segment_and_wait()
    assert not mask.data[25, 24]
    assert mask.data[125, 168]


def on_slice(corners, number):
    return np.insert(corners, 0, number, axis=1)


def test_shapes_of_other_slices_do_not_count_on_the_one_that_is_shown(
    hands, viewer, widget, batches, blobs
):
    placed = {"scale": (4, 2, 2), "translate": (8, 5, 7)}
    image = viewer.add_image(np.stack([blobs] * 6), **placed)
    drawn = [on_slice(square(5, 5), 2), on_slice(square(100, 150), 4.3)]
    viewer.add_shapes(drawn, shape_type="polygon", **placed)
    viewer.layers.selection.active = image
    choose(widget.scope._region, SHAPES)
    both = widget.scope.scope().region
    assert (both.rows, both.columns) == (slice(5, 141), slice(5, 191))
    choose(widget.scope._planes, "The plane that is shown")
    viewer.dims.set_current_step(0, 4)
    mask = hands.click_segment_and_wait()
    assert mask.data[4, 125, 168]
    assert not mask.data[4, 25, 24]
    viewer.dims.set_current_step(0, 3)
    hands.click("Segment")
    assert "No shape lies on the plane that is shown" in widget.message.text()


def test_flat_shapes_count_on_every_slice(viewer, blobs):
    """And channels are no slices: where their slider stands is no matter."""
    image = viewer.add_image(np.stack([np.stack([blobs] * 2)] * 3))
    viewer.add_shapes([square(5, 5)], shape_type="polygon")
    viewer.dims.current_step = (1, 1, 0, 0)
    axes = axes_of(image)
    assert shapes_region(image, viewer, axes, (1,)).rows == slice(5, 46)
    assert axes.roles[1] == "channel"
    viewer.layers.pop()
    viewer.add_shapes([on_slice(on_slice(square(5, 5), 0), 1)], shape_type="polygon")
    assert shapes_region(image, viewer, axes, (1,)).rows == slice(5, 46)
    with pytest.raises(ImageError, match="No shape lies"):
        shapes_region(image, viewer, axes, (2,))


def test_hidden_shapes_count_only_where_there_are_no_others(viewer, blobs):
    image = viewer.add_image(blobs)
    shapes = viewer.add_shapes([square(5, 5)])
    viewer.add_shapes([square(100, 150)], visible=False)
    assert shapes_region(image, viewer).rows == slice(5, 46)
    shapes.visible = False
    assert shapes_region(image, viewer).rows == slice(100, 141)


def test_the_view_is_a_region(hands, viewer, widget, batches, blobs):
    image = viewer.add_image(blobs)
    choose(widget.scope._region, VIEW)
    camera = getattr(viewer, "scene", viewer).camera  # moved in napari 0.9
    camera.center, camera.zoom = (0, 50, 50), 8
    hands.qtbot.wait(100)
    mask = hands.click_segment_and_wait()
    (top, left), (bottom, right) = image.corner_pixels
    assert 0 < (bottom - top) * (right - left) < blobs.size / 2
    assert mask.data.any()
    rows, columns = np.nonzero(mask.data)
    assert rows.min() >= top
    assert rows.max() <= bottom
    assert columns.min() >= left
    assert columns.max() <= right


@pytest.mark.parametrize(
    ("where", "sentence"),
    [(SHAPES, "There are no shapes"), (VIEW, "does not show rows and columns")],
)
def test_a_region_that_is_not_there_is_a_sentence(hands, viewer, widget, blobs, where, sentence):
    viewer.add_image(np.stack([blobs] * 6))
    viewer.dims.order = (1, 0, 2)
    choose(widget.scope._region, where)
    hands.click("Segment")
    assert sentence in widget.message.text()
    assert not any(isinstance(layer, Labels) for layer in viewer.layers)


def test_shapes_beside_the_image_are_a_sentence(hands, viewer, widget, blobs):
    viewer.add_image(blobs)
    corners = np.array([[500, 500], [500, 640], [600, 640], [600, 500]])
    viewer.add_shapes([corners], shape_type="ellipse")
    choose(widget.scope._region, SHAPES)
    hands.click("Segment")
    assert "do not touch the image" in widget.message.text()


def test_rotated_multichannel_image_and_its_mask_lie_alike(hands, viewer, widget, batches, stack):
    image = viewer.add_image(stack[0], rotate=30, translate=(1, 0, 3, 4), scale=(2, 1, 0.5, 0.5))
    choose(widget.scope._planes, "The plane that is shown")
    mask = hands.click_segment_and_wait()
    for place in np.random.default_rng(0).uniform(0, 50, (5, 3)):
        there = image.data_to_world((place[0], 0.5, *place[1:]))  # between the two channels
        assert mask.data_to_world((place[0], 0, *place[1:])) == pytest.approx(there)


def test_the_model_that_fits_is_chosen_until_the_user_chooses(qtbot, viewer):
    widget = SegmentWidget(viewer)
    viewer.window.add_dock_widget(widget)
    started = []
    widget._request = lambda: started.append(widget.model.reference) or (None, None)
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
    widget._request = lambda: pytest.fail("Segment was clicked for another image")
    viewer.add_image(blobs)
    widget.segment.click()
    assert "Looking at the image" in widget.message.text()
    viewer.add_image(255 - blobs)
    compared.set()
    qtbot.waitUntil(lambda: not widget.fit.looking)
    assert not widget.message.text()
