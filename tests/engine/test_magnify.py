import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.transform import resize

from napari_medt.engine import magnify
from napari_medt.engine.magnify import (
    find_magnification,
    magnification_for,
    typical_diameter,
)
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


@pytest.mark.parametrize("diameter", [12, 17, 24])
def test_objects_are_magnified_to_the_size_the_network_knows(diameter):
    factor = find_magnification(disks(diameter), CARD, classify)
    assert factor * diameter == pytest.approx(24, rel=0.12)
    side = round(96 * factor)
    larger = resize(disks(diameter), (side, side, 1), order=1)
    labels = classify(larger).argmax(0)
    assert typical_diameter((labels == 2) * 1) == pytest.approx(3 * 24, rel=0.12)  # nine disks


def test_the_first_look_sees_the_middle_alone():
    seen = []

    def look(plane):
        seen.append(plane.shape)
        return classify(plane)

    wide = np.tile(disks(12), (8, 9, 1))
    assert find_magnification(wide, CARD, look) == 2
    assert seen == [(magnify.LOOK, magnify.LOOK, 1)]


def test_nothing_found_or_nothing_asked_leaves_the_image_as_it_is():
    assert find_magnification(np.zeros((40, 40, 1), np.float32), CARD, classify) == 1
    assert magnification_for(10, 0) == 1


@given(diameter=st.floats(0.5, 5000), size=st.floats(1, 200))
def test_magnifications_stay_within_bounds(diameter, size):
    factor = magnification_for(diameter, size)
    assert magnify.LEAST <= factor <= magnify.GREATEST
    if magnify.LEAST < size / diameter < magnify.GREATEST:
        assert factor * diameter == pytest.approx(size, rel=0.1)
