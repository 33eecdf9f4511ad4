import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.measure import label
from skimage.transform import resize

from napari_medt.engine import magnify
from napari_medt.engine.image import sample
from napari_medt.engine.magnify import (
    fields,
    find_magnification,
    magnification_for,
    trusted_diameter,
    typical_diameter,
)
from napari_medt.engine.window import Held
from napari_medt.models.card import InputRule, ModelCard
from napari_medt.network.config import NetworkConfig

CARD = ModelCard(
    name="test",
    purpose="",
    network=NetworkConfig(image_size=128, in_channels=1, num_classes=3),
    classes=("background", "rim", "core"),
    input=InputRule(object_size=24),
)


def disks(diameter, size=96):
    """A prepared image of disks: bright where there is one."""
    position = np.arange(size) % 32 - 15.5
    return (np.hypot(*np.meshgrid(position, position)) < diameter / 2).astype(np.float32)[..., None]


def classify(plane):
    """A perfect network: what is bright is the core of an object."""
    return np.stack([1 - plane[..., 0], np.zeros_like(plane[..., 0]), plane[..., 0]])


def magnification_of(plane, card=CARD, network=classify):
    return find_magnification(Held(plane), sample(plane), card, network)


@pytest.mark.parametrize("diameter", [12, 17, 24])
def test_objects_are_magnified_to_the_size_the_network_knows(diameter):
    factor = magnification_of(disks(diameter))
    assert factor * diameter == pytest.approx(24, rel=0.12)
    side = round(96 * factor)
    larger = resize(disks(diameter), (side, side, 1), order=1)
    labels = classify(larger).argmax(0)
    assert typical_diameter((labels == 2) * 1) == pytest.approx(3 * 24, rel=0.12)  # nine disks


def test_looks_see_the_middle_and_ever_more_of_it():
    wide = Held(np.tile(disks(12), (8, 40, 1)))
    assert [field.shape[:2] for field in fields(wide, sample(wide.pixels))] == [
        (512, 512),  # of 768 x 3840
        (256, 256),
        (192, 256),
        (96, 256),
        (48, 128),
    ]


def test_what_is_too_small_for_another_look_gets_none():
    [field] = fields(Held(disks(12, 60)), disks(12, 60))
    assert field.shape == (60, 60, 1)


def breaks_up(plane):
    """A network that sees nothing but specks in what is much larger than what it knows."""
    found = classify(plane)
    if typical_diameter(label(plane[..., 0] > 0.5)) > 1.5 * CARD.input.object_size:
        rows, columns = np.indices(plane.shape[:2]) % 10
        found[:, (rows < 2) | (columns < 2)] = np.array([1, 0, 0])[:, None]
    return found


def test_objects_far_too_large_are_seen_smaller():
    large = np.kron(disks(24), np.ones((8, 8, 1), np.float32))
    assert magnification_of(large, network=breaks_up) == pytest.approx(1 / 8, rel=0.1)


# Median diameters that the bundled model found in images of which the true one was known.
@pytest.mark.parametrize(
    ("found", "true"),
    [
        ([21, 58, 50, 26, 13], 199),
        ([45, 26, 36, 24, 13], 196),
        ([13, 16, 40, 22, 12], 157),
        ([14, 12, 16, 10, 9], 63),
        ([47, 25, 13, 8], 50),
        ([28, 15, 8, 14], 27),
        ([11, 7, 9, 0], 9.6),
        ([7, 0, 0], 6),
        ([9], 9),
        ([0, 0], 0),
    ],
)
def test_diameters_that_halve_with_the_resolution_are_trusted(found, true):
    assert trusted_diameter(found, 28) == pytest.approx(true, rel=0.21)


def test_nothing_found_or_nothing_asked_leaves_the_image_as_it_is():
    assert magnification_of(np.zeros((40, 40, 1), np.float32)) == 1
    assert magnification_for(10, 0) == 1


@given(diameter=st.floats(0.5, 5000), size=st.floats(1, 200))
def test_magnifications_stay_within_bounds(diameter, size):
    factor = magnification_for(diameter, size)
    assert magnify.LEAST <= factor <= magnify.GREATEST
    if magnify.LEAST < size / diameter < magnify.GREATEST:
        assert factor * diameter == pytest.approx(size, rel=0.1)
