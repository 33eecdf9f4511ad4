"""Image layers as they are read, and masks that lie on them."""

import dask.array
import numpy as np
import pytest
from napari.layers import Image

from napari_medt.engine.formats.picture import PATIENT, Patient
from napari_medt.errors import ImageError
from napari_medt.gui import layers
from napari_medt.gui.layers import image_data, mm_per_pixel, slide_levels
from tests.gui.conftest import SHAPE, choose


@pytest.mark.parametrize("rgb", [False, True])
def test_mask_has_the_whole_transform(hands, viewer, widget, batches, blobs, rgb):
    image = viewer.add_image(
        np.stack([blobs] * 3, -1) if rgb else blobs,
        rgb=rgb,
        scale=(0.5, 0.3),
        translate=(10, -20),
        rotate=30,
        shear=[0.2],
        affine=[[1, 0.1, 3], [0, 2, 4], [0, 0, 1]],
        units=("um", "mm"),
        axis_labels=("down", "right"),
    )
    mask = hands.click_segment_and_wait()
    assert mask.units == image.units
    assert mask.axis_labels == image.axis_labels
    for corner in ((0, 0), (0, 100), (100, 0)):
        np.testing.assert_allclose(mask.data_to_world(corner), image.data_to_world(corner))
    for name in ("scale", "translate", "rotate", "shear"):
        np.testing.assert_allclose(getattr(mask, name), getattr(image, name))
    np.testing.assert_allclose(mask.affine.affine_matrix, image.affine.affine_matrix)
    image.affine = np.eye(3)
    assert not np.allclose(mask.affine.affine_matrix, np.eye(3)), "layers share their affine"


def test_rotated_multichannel_image_and_its_mask_lie_alike(hands, viewer, widget, batches, stack):
    image = viewer.add_image(stack[0], rotate=30, translate=(1, 0, 3, 4), scale=(2, 1, 0.5, 0.5))
    choose(widget.scope._planes, "The one shown")
    mask = hands.click_segment_and_wait()
    for place in np.random.default_rng(0).uniform(0, 50, (5, 3)):
        there = image.data_to_world((place[0], 0.5, *place[1:]))  # between the two channels
        assert mask.data_to_world((place[0], 0, *place[1:])) == pytest.approx(there)


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


def test_lazy_and_multiscale_images(hands, viewer, widget, batches, blobs):
    viewer.add_image(dask.array.from_array(blobs, chunks=64), name="lazy")
    assert hands.click_segment_and_wait().data.max() == 20
    viewer.add_image([blobs, blobs[::2, ::2]], multiscale=True, name="pyramid")
    mask = hands.click_segment_and_wait()
    assert mask.name == "pyramid - tiny mask"
    assert mask.data.shape == blobs.shape
    assert not mask.multiscale


def test_huge_pyramid_is_a_sentence():
    levels = [dask.array.zeros((size, size), chunks=1000) for size in (20_000, 200)]
    layer = Image(levels, multiscale=True, contrast_limits=(0, 1))
    with pytest.raises(ImageError, match="20000 x 20000"):
        image_data(layer)


@pytest.mark.parametrize(
    ("placed", "sides"),
    [
        ({"affine": np.diag([0.2, 0.2, 1])}, (0.2, 0.2)),
        ({"affine": np.diag([0.2, 0.2, 1]), "scale": (0.5, 0.5)}, (0.1, 0.1)),
        ({"affine": np.diag([0.2, 0.2, 1]), "translate": (1e5, -7e4), "rotate": 30}, (0.2, 0.2)),
        ({"affine": np.diag([0.2, 0.3, 1]), "scale": (0.3, 0.2)}, (0.06, 0.06)),
        ({"affine": np.diag([0.2, 0.3, 1])}, (0.2, 0.3)),
        ({"affine": np.diag([0.2, 0.2, 1]), "shear": [0.5]}, None),
        ({"affine": np.array([[0.8, 0.6, 0], [0.6, 0.8, 0], [0, 0, 1]])}, None),
    ],
)
def test_the_side_of_a_pixel_is_as_it_lies_in_the_world(placed, sides):
    found = mm_per_pixel(Image(np.zeros((4, 5)), units="mm", **placed))
    assert found == (None if sides is None else pytest.approx(sides))


@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")
def test_the_side_of_a_pixel_in_a_turned_stack():
    """Rows lead into the slices; of times nobody knows how long they are in millimetres."""
    turn = np.eye(4)
    turn[:2, :2] = [[0.8, -0.6], [0.6, 0.8]]
    stack = Image(np.zeros((3, 4, 5)), units=("mm", "um", "mm"), scale=(9, 0.5, 0.5), affine=turn)
    assert mm_per_pixel(stack) is None, "micrometres beside millimetres"
    stack.units = ("mm", "mm", "mm")
    assert mm_per_pixel(stack) == pytest.approx((0.5, 0.5))
    stack.units = ("s", "mm", "mm")
    assert mm_per_pixel(stack) is None
    stack.affine = np.eye(4)
    assert mm_per_pixel(stack) == pytest.approx((0.5, 0.5))


@pytest.mark.parametrize(
    ("placed", "size", "translation", "unit"),
    [
        ({}, (1, 1), (0, 0), ""),
        ({"scale": (0.5, 0.4), "translate": (30, 10)}, (0.5, 0.4), (30, 10), ""),
        ({"affine": [[0.5, 0, 30], [0, 0.4, 10], [0, 0, 1]]}, (0.5, 0.4), (30, 10), ""),
        (
            {"scale": (0.5, 400), "translate": (30, 1e4), "units": ("um", "nm")},
            (0.5, 0.4),
            (30, 10),
            "micrometer",
        ),
        (
            {"scale": (0.5, 0.4), "translate": (30, 10), "units": "mm", "rotate": 20},
            (500, 400),
            (3e4, 1e4),
            "micrometer",
        ),
    ],
)
def test_levels_of_a_slide_lie_as_their_layer(monkeypatch, placed, size, translation, unit):
    monkeypatch.setattr(layers, "LARGEST", 100)
    arrays = [np.zeros((40 // step, 60 // step)) for step in (1, 2)]
    fine, coarse = slide_levels(Image(arrays, multiscale=True, **placed))
    assert (fine.unit, coarse.unit) == (unit, unit)
    assert fine.pixel_size == pytest.approx(size)
    assert fine.translation == pytest.approx(translation)
    assert coarse.pixel_size == pytest.approx(2 * np.array(size))
    assert coarse.translation == pytest.approx(np.array(translation) + np.array(size) / 2)


@pytest.mark.parametrize(("shift", "sides"), [(0, (0.5, 0.5)), (0.3, None)])
def test_pixels_that_are_askew_in_the_patient_alone(shift, sides):
    affine = np.eye(4)
    affine[0, 1] = shift
    layer = Image(
        np.zeros((4, 5)),
        units="mm",
        scale=(0.5, 0.5),
        metadata={PATIENT: Patient(affine).to_dict()},
    )
    assert mm_per_pixel(layer) == sides
