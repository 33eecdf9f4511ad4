"""What the window shows and what lies inside shapes, in a real viewer."""

import numpy as np
import pytest
from napari.layers import Labels

from napari_medt.errors import ImageError
from napari_medt.gui.layers import axes_of
from napari_medt.gui.scope import SHAPES, VIEW
from napari_medt.gui.view import shapes_region
from tests.gui.conftest import SHAPE, choose


def test_a_plane_that_is_not_shown_is_a_sentence(hands, viewer, widget, batches, stack):
    viewer.add_image(np.zeros((9, *SHAPE), np.uint8), name="longer")
    viewer.add_image(stack[0, :, 1], axis_labels=("z", "y", "x"))
    choose(widget.scope._planes, "The one shown")
    viewer.dims.set_current_step(0, 5)
    hands.click("Segment")
    assert "beyond the planes of the image" in widget.message.text()
    viewer.dims.set_current_step(0, 1)
    viewer.dims.order = (1, 0, 2)
    hands.click("Segment")
    assert "shows no plane of the image" in widget.message.text()
    viewer.dims.order = (0, 2, 1)
    assert set(np.nonzero(hands.click_segment_and_wait().data)[0]) == {1}


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


def test_hidden_shapes_count_only_where_there_are_no_others(viewer, blobs):
    image = viewer.add_image(blobs)
    shapes = viewer.add_shapes([square(5, 5)])
    viewer.add_shapes([square(100, 150)], visible=False)
    assert shapes_region(image, viewer, axes_of(image), None).rows == slice(5, 46)
    shapes.visible = False
    assert shapes_region(image, viewer, axes_of(image), None).rows == slice(100, 141)


def test_lines_have_no_inside(viewer, blobs):
    image = viewer.add_image(blobs)
    line = np.array([[10, 10], [150, 150]])
    shapes = viewer.add_shapes([line], shape_type="line")
    with pytest.raises(ImageError, match="lines, which have no inside"):
        shapes_region(image, viewer, axes_of(image), None)
    shapes.add([square(5, 5)], shape_type="polygon")
    assert shapes_region(image, viewer, axes_of(image), None).rows == slice(5, 46)


def test_layers_of_several_units(hands, viewer, widget, batches, stack):
    """What napari shows in one unit is found in an image of another one."""
    image = viewer.add_image(
        stack[0, :, 1], scale=(2, 0.5, 0.5), units="mm", axis_labels=("z", "y", "x")
    )
    viewer.add_image(stack[0, 0, 1], scale=(500, 500), units="um")
    corners = 500.0 * np.array([[40, 60], [40, 120], [90, 120], [90, 60]])
    viewer.add_shapes([corners], shape_type="polygon", units="um")
    widget.image.setCurrentIndex(widget.image.findText(image.name))
    choose(widget.scope._planes, "The one shown")
    choose(widget.scope._region, SHAPES)
    viewer.dims.set_current_step(0, 1)
    assert np.array_equal(image._slice.image.raw, image.data[1])
    mask = hands.click_segment_and_wait()
    planes, rows, columns = np.nonzero(mask.data)
    assert set(planes) == {1}
    assert set(rows) <= set(range(40, 91))
    assert set(columns) <= set(range(60, 121))


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
    choose(widget.scope._planes, "The one shown")
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
