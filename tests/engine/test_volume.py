"""Images of many planes: plane by plane the same, however stored and whatever their axes."""

from dataclasses import replace
from unittest.mock import patch

import dask.array
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from napari_medt.engine.axes import Axes, guess_axes
from napari_medt.engine.predict import BATCH_SIZES
from napari_medt.engine.region import Region, Scope, box_region
from napari_medt.engine.segment import predict_image
from napari_medt.engine.volume import label_plane, predict_frames, put_together
from napari_medt.errors import ImageError
from napari_medt.models.card import InputRule, ModelCard
from napari_medt.models.store import Model
from napari_medt.network.config import NetworkConfig
from tests.engine.lazy import stored
from tests.engine.standin import Painted, Uneven, draw_objects, same, standin

MODEL = standin(Uneven(32))
GRAY = [np.uint8, np.uint16, np.int16, np.int32, np.float32, np.float64]
COLOUR = [np.uint8, np.uint16, np.float32, np.float64]
LONG = [(1, 3000), (3000, 1), (7, 2999), (257, 1301)]


def noise(seed, shape, dtype):
    """Values all over what images of a type hold; colours have floats from 0 to 1."""
    values = np.random.default_rng(seed).random(shape)
    if np.dtype(dtype).kind == "f":
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    return (limits.min + values * (float(limits.max) - limits.min)).astype(dtype)


def predicted(data, scope, model=MODEL, **more):
    return dict(predict_frames(data, scope, model, device="cpu", **more))


@settings(max_examples=40)
@given(data=st.data())
def test_planes_are_those_of_the_image_however_it_is_stored(data):
    """Over axes, channels, colours, types of values, chunks and batches."""
    samples = data.draw(st.sampled_from([None, 3, 4]))
    leading = data.draw(st.lists(st.integers(1, 3), max_size=4))
    plane = (data.draw(st.integers(5, 40)), data.draw(st.integers(1, 40)))
    dtype = data.draw(st.sampled_from(COLOUR if samples else GRAY))
    shape = (*leading, *plane)
    image = noise(len(leading), shape + (samples,) * bool(samples), dtype)
    axes = guess_axes(shape, channel_axis=None) if samples else guess_axes(shape)
    channel = data.draw(st.integers(0, axes.channels - 1))
    scope = Scope.everything(axes, channel)
    with patch.dict(BATCH_SIZES, cpu=data.draw(st.integers(1, 9))):
        found = predicted(data.draw(stored(image)), scope, rgb=bool(samples))
    assert list(found) == axes.frames()
    for frame, prediction in found.items():
        whole = predict_image(axes.plane(image, frame, channel), MODEL, device="cpu").probabilities
        np.testing.assert_allclose(prediction.probabilities, whole, atol=1e-5)


@settings(max_examples=8)
@given(data=st.data(), shape=st.sampled_from(LONG), dtype=st.sampled_from(GRAY))
def test_long_images(data, shape, dtype):
    image = noise(0, shape, dtype)
    whole = predict_image(image, MODEL, device="cpu").probabilities
    low = [data.draw(st.integers(0, length - 1)) for length in shape]
    region = box_region(np.array(low), np.array(low) + 40, shape)
    scope = Scope(guess_axes(shape), ((),), region=region)
    with patch.dict(BATCH_SIZES, cpu=data.draw(st.integers(1, 50))):
        found = predicted(data.draw(stored(image)), scope)[()]
    np.testing.assert_allclose(found.probabilities, whole[:, *region.box], atol=1e-5)


@settings(max_examples=10)
@given(seed=st.integers(0, 999), corners=st.tuples(*[st.integers(0, 99)] * 4))
def test_labels_of_a_region_land_in_place(seed, corners):
    rng = np.random.default_rng(seed)
    image = np.stack([draw_objects(rng, 100, 110, 30) for _ in range(3)])
    low, high = np.sort(np.reshape(corners, (2, 2)), axis=0)
    box = box_region(low, high, image.shape[1:])
    inside = rng.random((high - low) + 1) < 0.9
    scope = Scope(
        Axes(image.shape, ("slice", "row", "column")),
        ((0,), (2,)),
        region=Region(*box.box, inside),
    )
    model = standin(Painted())
    planes = {
        frame: label_plane(values, scope, model.card, min_size=0)
        for frame, values in predicted(image, scope, model).items()
    }
    labels = put_together(planes, scope, number_apart=True, link=False)
    assert labels.shape == image.shape
    expected = np.zeros(image.shape, bool)
    for part in scope.parts():
        expected[part] = (image[part] > 0) & inside
    # Gray values of rims are as near to black as to white at no pixel, so the mask is exact.
    assert np.array_equal(labels > 0, expected)
    first, last = (np.unique(labels[index]) for index in (0, 2))
    assert set(first) & set(last) <= {0}


@settings(max_examples=10)
@given(
    seed=st.integers(0, 999),
    corners=st.tuples(*[st.integers(0, 299)] * 4),
    min_size=st.integers(0, 90),
    splits=st.booleans(),
)
def test_labels_of_a_region_are_those_of_the_whole_plane(seed, corners, min_size, splits):
    """Objects, and parts of classes, are as large as they are there, however little is inside."""
    image = draw_objects(np.random.default_rng(seed), 300, 310, 120)
    model = standin(Painted())
    if not splits:
        model = replace(model, card=replace(model.card, classes=("background", "rim", "middle")))
    low, high = np.sort(np.reshape(corners, (2, 2)), axis=0)
    region = box_region(low, high, image.shape)
    axes = guess_axes(image.shape)
    whole, part = (
        label_plane(predicted(image, scope, model)[()], scope, model.card, min_size=min_size)
        for scope in (Scope.everything(axes), Scope(axes, ((),), region=region))
    )
    assert same(part, whole[region.box]) if splits else np.array_equal(part, whole[region.box])


class Bright(nn.Module):
    """Takes what is bright for the one class there is."""

    def forward(self, x, branches="both"):
        return torch.cat([0.5 - x, x - 0.5], dim=1)


@pytest.mark.parametrize("scaling", ["tiled", "whole"])
def test_the_one_object_is_looked_for_within_the_region(scaling):
    """Who draws a region means what is in it, not the larger thing beside it."""
    image = np.zeros((64, 64), np.uint8)
    image[4:60, 4:32] = image[20:30, 40:50] = 240
    network = NetworkConfig("medt", 64, in_channels=1, num_classes=2, patch_size=32)
    card = ModelCard(
        name="lesion",
        purpose="A model for tests.",
        network=network,
        classes=("background", "lesion"),
        input=InputRule(intensity="range", scaling=scaling),
        shape="single",
    )
    model = Model(card, Bright(), {"cpu": Bright()})
    scope = Scope(guess_axes(image.shape), ((),), region=Region(slice(10, 40), slice(30, 64)))
    labels = label_plane(predicted(image, scope, model)[()], scope, card)
    assert np.array_equal(labels[:, 4:], image[10:40, 34:64] > 0)


def test_objects_are_linked_within_each_time():
    labels = np.ones((6, 8), np.int32)
    axes = Axes((3, 2, 6, 8), ("slice", "time", "row", "column"))
    scope = Scope.everything(axes)
    planes = dict.fromkeys(scope.frames, labels)
    linked = put_together(planes, scope, number_apart=True, link=True)
    assert [np.unique(linked[:, time]).tolist() for time in (0, 1)] == [[1], [2]]
    apart = put_together(planes, scope, number_apart=True, link=False)
    assert len(np.unique(apart)) == 6
    classes = put_together(planes, scope, number_apart=False, link=True)
    assert (classes == 1).all()


def test_without_slices_there_is_nothing_to_link():
    """Objects of different times, which would be linked by nobody, are still told apart."""
    scope = Scope.everything(Axes((3, 6, 8), ("time", "row", "column")))
    planes = dict.fromkeys(scope.frames, np.ones((6, 8), np.int32))
    labels = put_together(planes, scope, number_apart=True, link=True)
    assert [np.unique(plane).tolist() for plane in labels] == [[1], [2], [3]]


@pytest.mark.parametrize("alpha", [0, 1])
def test_planes_without_content_are_background(alpha):
    """Transparency of a blank plane tells nothing."""
    image = np.zeros((3, 40, 50, 3 + alpha), np.uint8)
    image[..., 3:] = 255
    image[1, 10:30, 10:30, :3] = 240
    scope = Scope.everything(guess_axes(image.shape[:3], channel_axis=None))
    found = predicted(image, scope, standin(Painted()), rgb=True)
    assert (found[(0,)].probabilities[0] == 1).all()
    assert (found[(1,)].probabilities[0] < 0.5).any()


def test_progress_goes_through_all_planes():
    image = noise(0, (3, 40, 50), np.uint8)
    told = []
    scope = Scope.everything(guess_axes(image.shape, channel_axis=None))
    predicted(image, scope, progress=lambda *counts: told.append(counts))
    shares = [done / total for done, total in told]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0, 1)


def fail(block):
    raise OSError("the disk is gone")


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (np.zeros((0, 40, 50), np.uint8), "0 slices of 40 x 50"),
        (np.zeros((7, 0, 50), np.uint8), "0 x 50 pixels"),
        (np.zeros((7, 40, 50), np.uint8), "Every plane is of a single value"),
        (np.where(np.arange(7)[:, None, None] == 4, np.nan, noise(0, (7, 40, 50), float)), "NaN"),
        (dask.array.zeros((7, 40, 50)).map_blocks(fail, meta=np.zeros(0)), "cannot be read"),
    ],
)
def test_bad_input_is_one_sentence(image, reason):
    with pytest.raises(ImageError, match=reason) as raised:
        predicted(image, Scope.everything(guess_axes(image.shape)))
    assert str(raised.value).endswith(".")
    assert "\n" not in str(raised.value)
