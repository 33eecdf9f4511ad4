"""Images too large to hold, in a real viewer: the view as a mask, the whole as a file."""

import numpy as np
import pytest
import zarr
from napari.layers import Image, Labels
from napari.layers._source import layer_source
from qtpy.QtWidgets import QFileDialog

from napari_medt.gui import layers
from napari_medt.gui.masks import METADATA
from napari_medt.gui.outcome import count_labels
from napari_medt.gui.scope import VIEW, WHOLE
from napari_medt.gui.slide import output_in
from tests.gui.conftest import choose

SIZE = 1600


@pytest.fixture
def pyramid(monkeypatch, blobs):
    """An image of many blobs at three resolutions; whatever is larger than a few tiles is large."""
    monkeypatch.setattr(layers, "LARGEST", 500 * 500)
    finest = np.tile(blobs, (8, 7))[:SIZE, :SIZE]
    return [zarr.array(finest[::step, ::step], chunks=(256, 256)) for step in (1, 2, 4)]


@pytest.fixture
def slide(viewer, widget, pyramid):
    return viewer.add_image(
        pyramid, multiscale=True, scale=(0.5, 0.5), translate=(30, 10), rotate=20, name="slide"
    )


def choose_folder(monkeypatch, folder):
    """Answer the question where the labels go."""
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(folder))


def look_at(hands, slide, pixel, zoom=4):
    """Move the camera, and wait until napari knows what it shows."""
    camera, before = getattr(hands.viewer, "scene", hands.viewer).camera, slide.corner_pixels.copy()
    camera.center, camera.zoom = slide.data_to_world(pixel), zoom
    hands.wait(lambda: not np.array_equal(slide.corner_pixels, before))


def test_the_view_becomes_a_mask_that_can_be_painted(hands, viewer, widget, batches, slide):
    choose(widget.scope._region, VIEW)
    look_at(hands, slide, (801, 803))
    mask = hands.click_segment_and_wait()
    assert mask.editable
    assert 4 < mask.data.max() < 200, "a part of the image, not all of it"
    assert mask.data.size < SIZE * SIZE / 4
    # Every label lies on the blob it is of.
    rows, columns = np.nonzero(mask.data)
    world = [mask.data_to_world(point) for point in zip(rows[::97], columns[::97], strict=True)]
    pixels = np.round([slide.world_to_data(point) for point in world]).astype(int)
    finest = np.asarray(slide.data[0])
    assert (finest[tuple(pixels.T)] > 100).all()
    assert np.abs(pixels - 801).max() < 400


@pytest.mark.parametrize("rotate", [0, 20])
def test_the_view_is_no_more_than_the_window(hands, viewer, widget, batches, slide, rotate):
    """Also where napari has read more than that."""
    slide.rotate = rotate
    choose(widget.scope._region, VIEW)
    look_at(hands, slide, (801, 803))
    camera = getattr(viewer, "scene", viewer).camera
    camera.zoom *= 3
    hands.qtbot.wait(100)
    size = np.array(viewer.window._qt_viewer.canvas.size) / camera.zoom / slide.scale  # in pixels
    angle = np.deg2rad(rotate)
    seen = np.cos(angle) * size + np.sin(angle) * size[::-1]
    mask = hands.click_segment_and_wait()
    first, last = (
        slide.world_to_data(mask.data_to_world(corner))
        for corner in ((0, 0), np.array(mask.data.shape) - 1)
    )
    assert last - first == pytest.approx(seen, abs=6)
    assert (first + last) / 2 == pytest.approx((801, 803), abs=6)


@pytest.mark.parametrize("where", [VIEW, WHOLE])
def test_a_slide_may_have_axes_of_length_1(
    hands, viewer, widget, batches, pyramid, tmp_path, monkeypatch, where
):
    """As OME-Zarr has them: time, channel, slice."""
    levels = [np.asarray(level)[None, None] for level in pyramid]
    slide = viewer.add_image(
        levels, multiscale=True, scale=(3, 2, 0.5, 0.5), translate=(1, 1, 30, 10)
    )
    assert "It is large" in widget.scope._words.text()
    choose(widget.scope._region, where)
    look_at(hands, slide, (0, 0, 801, 803))
    choose_folder(monkeypatch, tmp_path)
    hands.click("Segment")
    hands.wait(widget.segment.isEnabled)
    [layer] = [layer for layer in viewer.layers if isinstance(layer, Labels)]
    labels = np.asarray(layer.data[0] if layer.multiscale else layer.data)
    assert labels.ndim == 2
    corners = [slide.world_to_data((1, 1, *layer.data_to_world(c))) for c in ((0, 0), labels.shape)]
    (top, left), (bottom, right) = np.round(corners).astype(int)[:, 2:]
    finest = levels[0][0, 0, top:bottom, left:right]
    step = finest.shape[0] // labels.shape[0]
    shown = finest[::step, ::step][: labels.shape[0], : labels.shape[1]]
    assert ((labels > 0) == (shown >= 128)).mean() > 0.95


def test_the_resolution_is_said(hands, viewer, widget, batches, slide):
    """It was chosen; also once the sliders were moved, and in the metadata."""
    choose(widget.scope._region, VIEW)
    look_at(hands, slide, (801, 803))
    mask = hands.click_segment_and_wait()
    told = mask.metadata[METADATA]
    assert told["resolution"] == round(np.log2(mask.scale[0] / slide.scale[0])) + 1
    assert told["magnification"] == 1
    assert 0 <= told["blank_tiles"] < 1
    words = f"{count_labels([mask.data])} objects at resolution {told['resolution']}"
    assert words in widget.message.text()
    widget.settings._threshold.setValue(0.9)
    hands.wait(lambda: mask.metadata[METADATA]["threshold"] == 0.9)
    assert f"at resolution {told['resolution']}" in widget.message.text()


def test_another_view_is_another_mask(hands, viewer, widget, batches, slide):
    choose(widget.scope._region, VIEW)
    look_at(hands, slide, (801, 803))
    first = hands.click_segment_and_wait()
    look_at(hands, slide, (400, 400))
    assert hands.click_segment_and_wait() is not first
    assert len(hands.masks()) == 2


def test_the_whole_streams_into_a_file(
    hands, viewer, widget, batches, slide, tmp_path, monkeypatch
):
    output = tmp_path / "slide.labels.zarr"
    choose_folder(monkeypatch, tmp_path)
    assert "stream" in widget.scope._words.text()
    hands.click("Segment")
    hands.wait(widget.segment.isEnabled)
    assert widget.message.text().startswith(f"{objects(output)} objects")
    [layer] = [layer for layer in viewer.layers if isinstance(layer, Labels)]
    assert layer.multiscale
    np.testing.assert_allclose(layer.data_to_world((7, 9)), slide.data_to_world((7, 9)), atol=1e-6)
    scale, translation = placement_in(output)  # which cannot say how a layer is rotated
    assert scale == pytest.approx([0.5, 0.5])
    assert translation == pytest.approx([30, 10])
    finest = np.asarray(slide.data[0])
    labels = np.asarray(layer.data[0])
    assert ((labels > 0) == (finest >= 128)).mean() > 0.99

    layer.visible = False
    hands.click("Segment")
    hands.wait(widget.segment.isEnabled)
    assert [one for one in viewer.layers if isinstance(one, Labels)] == [layer], "it is there still"
    assert layer.visible
    viewer.layers.remove(layer)
    choose_folder(monkeypatch, output)
    hands.click("Segment")
    hands.wait(widget.segment.isEnabled)
    [again] = [layer for layer in viewer.layers if isinstance(layer, Labels)]
    assert np.array_equal(np.asarray(again.data[0]), labels), "what is finished is shown again"


def placement_in(output):
    """Scale and translation of the finest labels of a file."""
    finest = zarr.open_group(output, mode="r").attrs["multiscales"][0]["datasets"][0]
    scale, translation = finest["coordinateTransformations"]
    return scale["scale"], translation["translation"]


def objects(output):
    return int(np.asarray(zarr.open(str(output), mode="r")["0"]).max())


def test_cancelled_and_gone_on_with(hands, viewer, widget, batches, slide, tmp_path, monkeypatch):
    output = tmp_path / "slide.labels.zarr"
    choose_folder(monkeypatch, tmp_path)
    batches.hold()
    hands.click("Segment")
    batches.let(20)
    hands.wait(lambda: any(isinstance(layer, Labels) for layer in viewer.layers))
    hands.click("Cancel")
    assert "start again to go on" in widget.message.text()
    batches.go_on()
    choose_folder(monkeypatch, output)
    hands.click("Segment")
    hands.wait(widget.segment.isEnabled)
    assert len(viewer.layers) == 2, "the labels are shown once"
    assert f"{objects(output)} objects" in widget.message.text()


def test_nothing_is_chosen_nothing_happens(hands, viewer, widget, batches, slide, monkeypatch):
    choose_folder(monkeypatch, "")
    hands.click("Segment")
    assert widget.segment.isEnabled()
    assert len(viewer.layers) == 1


def test_a_folder_that_is_no_run_is_refused(hands, widget, slide, tmp_path, monkeypatch):
    (tmp_path / "other.zarr").mkdir()
    choose_folder(monkeypatch, tmp_path / "other.zarr")
    hands.click("Segment")
    hands.wait(widget.segment.isEnabled)
    assert "choose another output" in widget.message.text()


@pytest.mark.parametrize(
    ("path", "name", "labels"),
    [
        ("Case 12.3 A.ome.tif", "any", "Case 12.3 A.labels.zarr"),
        ("Case 12.3 A", "any", "Case 12.3 A.labels.zarr"),
        ("slide.OME.ZARR", "any", "slide.labels.zarr"),
        (None, "Case 12.3 A", "Case 12.3 A.labels.zarr"),
        (None, "left/right", "left-right.labels.zarr"),
    ],
)
def test_labels_are_named_after_the_image(tmp_path, path, name, labels):
    with layer_source(path=path and str(tmp_path / path)):
        image = Image(np.zeros((4, 4)), name=name)
    assert output_in(tmp_path, image) == tmp_path / labels


def test_a_run_is_gone_on_with_under_any_name(tmp_path):
    (tmp_path / "mine" / ".medt").mkdir(parents=True)
    assert output_in(tmp_path / "mine", Image(np.zeros((4, 4)))) == tmp_path / "mine"
