"""Layers that are channels of one image."""

import numpy as np


def test_layers_are_combined_as_they_are_shown(hands, viewer, widget, batches, blobs):
    left, right = blobs.copy(), blobs.copy()
    left[:, 120:], right[:, :120] = 0, 0
    viewer.add_image(left, colormap="gray", name="left")
    viewer.add_image(right, colormap="gray", name="right")
    widget.image.setCurrentIndex(0)
    [action] = widget.scope._channels._menu.actions()
    assert action.text() == "right"
    action.trigger()
    assert "mixed from 2 layers" in widget.scope._words.text()
    assert len(np.unique(hands.click_segment_and_wait().data)) == 1 + 20
    widget.image.setCurrentIndex(1)
    assert widget.scope.added == [], "what is mixed with one image is not with the next"


def test_only_layers_that_lie_on_each_other_are_channels_of_one_image(viewer, widget, blobs):
    placed = {"scale": (0.3, 0.3), "translate": (7e4, 5), "units": "um"}
    image = viewer.add_image(blobs, name="image", **placed)
    scales = {"alike & more": 0.3, "rounded": np.float32(0.3), "other": 0.31}
    for name, scale in scales.items():
        viewer.add_image(blobs, name=name, **placed | {"scale": (scale, scale)})
    viewer.add_image(blobs, name="beside", **placed | {"translate": (7e4, 6)})
    viewer.add_image(blobs, name="in millimetres", **placed | {"units": "mm"})
    viewer.add_image(blobs, name="turned", affine=[[0, 1, 0], [1, 0, 0], [0, 0, 1]], **placed)
    widget.image.choose(image)
    menu = widget.scope._channels._menu
    assert [action.text() for action in menu.actions()] == [
        "alike && more",  # as Qt takes it, which shows one &
        "rounded",
    ]


def test_a_layer_that_is_moved_away_is_a_channel_no_more(viewer, widget, blobs):
    image = viewer.add_image(blobs, name="image")
    other = viewer.add_image(blobs, name="other", translate=(40, 0))
    widget.image.choose(image)
    scope = widget.scope
    assert scope._channels.isHidden()
    other.translate = (0, 0)
    [action] = scope._channels._menu.actions()
    action.trigger()
    assert "mixed from 2 layers" in scope._words.text()
    changed = []
    scope.changed.connect(lambda: changed.append(scope.added))
    image.affine = np.diag([2, 2, 1])
    assert changed == [[]]
    assert "mixed" not in scope._words.text()


def test_a_channel_that_is_removed_is_mixed_no_more(viewer, widget, blobs):
    image = viewer.add_image(blobs, name="image")
    other = viewer.add_image(255 - blobs, name="other")
    widget.image.choose(image)
    scope = widget.scope
    [action] = scope._channels._menu.actions()
    action.trigger()
    changed = []
    scope.changed.connect(lambda: changed.append(scope.added))
    viewer.layers.remove(other)
    assert changed == [[]], "the image is compared with the models again"
    assert "mixed" not in scope._words.text()
    assert scope._channels.isHidden()
