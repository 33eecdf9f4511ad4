import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.measure import label
from skimage.transform import resize

from napari_medt.engine import magnify
from napari_medt.engine.image import prepare, sample
from napari_medt.engine.magnify import (
    Look,
    fields,
    find_magnification,
    magnification_for,
    trusted_diameter,
    typical_diameter,
)
from napari_medt.engine.predict import predict
from napari_medt.engine.window import Held
from napari_medt.models.card import InputRule, ModelCard
from napari_medt.models.store import load_model
from napari_medt.network.config import NetworkConfig
from napari_medt.sample_data.generate import draw

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
    """A network that sees specks, and doubts them, in what is much larger than what it knows."""
    found = classify(plane)
    if typical_diameter(label(plane[..., 0] > 0.5)) > 1.5 * CARD.input.object_size:
        rows, columns = np.indices(plane.shape[:2]) % 10
        specks = np.where((rows < 2) | (columns < 2), 0.1, 0.6)
        found[:] = np.stack([1 - specks, np.zeros_like(specks), specks]) * plane[..., 0]
        found[0] += 1 - plane[..., 0]
    return found


def test_objects_far_too_large_are_seen_smaller():
    large = np.kron(disks(24), np.ones((8, 8, 1), np.float32))
    assert magnification_of(large, network=breaks_up) == pytest.approx(1 / 8, rel=0.1)


# Median diameters and doubts of the bundled models' looks at images whose true diameter was known.
INF = math.inf


@pytest.mark.parametrize(
    ("found", "doubts", "size", "true"),
    [
        # Nuclei enlarged four and six times: fragments first.
        ([28.4, 49.5, 35.2, 22.7, 12.5], [0.46, 0.33, 0.08, 0.12, 0.27], 28, 183),
        ([27.7, 11.2, 43.7, 34.8, 17.8], [1.34, 1.06, 0.21, 0.07, 0.15], 28, 224),
        ([36.5, 39.0, 26.0, 13.6, 7.2], [1.08, 0.82, 0.40, 0.38, 0.67], 28, 139),
        # H&E: what merged in coarse looks may halve too.
        ([19.0, 12.4, 36.8, 23.9, 10.7], [0.28, 0.45, 0.49, 0.65, 8.58], 40, 20.5),
        ([24.1, 15.1, 14.3, 60.8, 30.8], [0.54, 0.61, 0.76, 2.37, 1.96], 40, 19.8),
        ([18.1, 11.9, 13.8, 41.6, 0], [0.27, 0.37, 0.64, 1.12, INF], 40, 17),
        ([9], [0.5], 28, 9),
        ([0, 0], [INF, INF], 28, 0),
    ],
)
def test_the_look_that_is_doubted_least_tells_the_diameter(found, doubts, size, true):
    looks = [Look(*look) for look in zip(found, doubts, strict=True)]
    assert trusted_diameter(looks, size) == pytest.approx(true, rel=0.27)


def test_of_diameters_that_halve_the_one_counts_that_the_network_knows_best():
    looks = [Look(47, 0.10), Look(25, 0.12), Look(13, 0.2), Look(8, 0.5)]
    assert trusted_diameter(looks, 28) == 50


def test_few_objects_are_doubted_more():
    one, nine = (
        np.pad(disks(24, 96)[:side, :side], ((0, 96 - side), (0, 96 - side), (0, 0)))
        for side in (32, 96)
    )
    unsure = np.float32(0.9)
    looks = [Look.at(unsure * classify(plane) + (1 - unsure) / 3, CARD) for plane in (one, nine)]
    assert looks[0].diameter == pytest.approx(looks[1].diameter)
    assert looks[0].doubt > looks[1].doubt
    assert Look.at(classify(np.zeros((40, 40, 1), np.float32)), CARD) == Look(0, math.inf)


def test_a_larger_image_of_the_same_tissue_is_seen_as_the_smaller_one():
    model = load_model("nuclei-histology")
    plane = prepare(draw("histology_nuclei")[0], model.card.input)
    look = partial(predict, model=model, branches="global")
    tissues = [np.tile(plane, (n, n, 1)) for n in (1, 2)]
    seen = [magnification_of(tissue, model.card, look) for tissue in tissues]
    assert seen[0] == seen[1] == 2


def test_nothing_found_or_nothing_asked_leaves_the_image_as_it_is():
    assert magnification_of(np.zeros((40, 40, 1), np.float32)) == 1
    assert magnification_for(10, 0) == 1


@given(diameter=st.floats(0.5, 5000), size=st.floats(1, 200))
def test_magnifications_stay_within_bounds(diameter, size):
    factor = magnification_for(diameter, size)
    assert magnify.MIN_MAGNIFICATION <= factor <= magnify.MAX_MAGNIFICATION
    if magnify.MIN_MAGNIFICATION < size / diameter < magnify.MAX_MAGNIFICATION:
        assert factor * diameter == pytest.approx(size, rel=0.1)
