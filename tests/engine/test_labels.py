"""Probabilities to labels."""

from dataclasses import replace

import numpy as np
import pytest
from skimage.draw import disk, ellipse

from napari_medt.engine.labels import (
    HALO,
    drop_small,
    foreground,
    halo_of,
    split_objects,
    to_labels,
)
from napari_medt.models.card import ModelCard
from napari_medt.network.config import NetworkConfig

INSTANCES = ModelCard(
    name="cells",
    purpose="",
    network=NetworkConfig(in_channels=1, num_classes=3),
    classes=("background", "rim", "core"),
)
ORGANS = ModelCard(
    name="organs",
    purpose="",
    network=NetworkConfig(in_channels=1, num_classes=3),
    classes=("background", "liver", "spleen"),
)

HEAD = ModelCard(
    name="head",
    purpose="",
    network=NetworkConfig(in_channels=1, num_classes=2),
    classes=("background", "head"),
    shape="ellipse",
)
LESION = replace(HEAD, shape="single")


def two_touching_discs():
    """Probabilities of two discs that share a border."""
    body, core = np.zeros((60, 80)), np.zeros((60, 80))
    for column in (25, 51):
        body[disk((30, column), 14, shape=body.shape)] = 0.9
        core[disk((30, column), 6, shape=body.shape)] = 0.8
    rim = np.clip(body - core, 0, 1)
    return np.stack([1 - rim - core, rim, core]).astype(np.float32)


def test_touching_objects_are_split_between_their_cores():
    labels = to_labels(two_touching_discs(), INSTANCES)
    assert np.unique(labels).tolist() == [0, 1, 2]
    assert (labels[:, :37] != 2).all()
    assert (labels[:, 40:] != 1).all()


def test_splitting_keeps_the_mask():
    probabilities = two_touching_discs()
    labels = to_labels(probabilities, INSTANCES)
    assert np.array_equal(labels > 0, foreground(probabilities) >= 0.5)


def test_an_object_without_a_core_is_kept_whole():
    mask = np.zeros((10, 10), bool)
    mask[2:5, 2:5] = True
    mask[7:9, 7:9] = True
    core = np.zeros((10, 10), np.float32)
    core[3, 3] = 0.9
    labels = split_objects(mask, core)
    assert len(np.unique(labels)) == 3
    assert np.array_equal(labels > 0, mask)


def test_threshold_and_size_act():
    probabilities = two_touching_discs()
    assert to_labels(probabilities, INSTANCES, threshold=0.95).max() == 0
    assert to_labels(probabilities, INSTANCES, min_size=10_000).max() == 0
    assert to_labels(probabilities, INSTANCES, min_size=100).max() == 2


def test_labels_are_numbered_without_gaps_after_the_size_filter():
    probabilities = np.zeros((3, 20, 40), np.float32)
    probabilities[0] = 1
    for index, (top, size) in enumerate([(2, 2), (2, 8), (12, 6)]):
        spot = np.s_[top : top + size, 12 * index + 1 : 12 * index + 1 + size]
        probabilities[2][spot], probabilities[0][spot] = 1, 0
    assert np.unique(to_labels(probabilities, INSTANCES, min_size=20)).tolist() == [0, 1, 2]


def test_classes_keep_their_numbers():
    probabilities = np.zeros((3, 8, 8), np.float32)
    probabilities[0] = 1
    probabilities[:, 2:5, 2:5] = np.array([0.1, 0.2, 0.7])[:, None, None]
    labels = to_labels(probabilities, ORGANS)
    assert np.unique(labels).tolist() == [0, 2]
    assert labels.dtype == np.int32


@pytest.mark.parametrize("labels", [np.zeros((5, 5), int), np.ones((5, 5), int)])
def test_background_is_never_dropped(labels):
    assert np.array_equal(drop_small(labels, 3), labels)


def test_the_one_object_has_no_holes_nor_other_parts():
    found = np.zeros((30, 40), np.float32)
    found[5:20, 5:30] = 0.9
    whole = found > 0.5
    found[10:12, 10:14] = 0.1
    found[25:28, 30:36] = 0.9
    labels = to_labels(np.stack([1 - found, found]), LESION)
    assert np.array_equal(labels, whole)
    assert to_labels(np.stack([1 - found, found]), LESION, min_size=1000).max() == 0


def test_one_object_has_one_class():
    with pytest.raises(ValueError, match="single class"):
        replace(ORGANS, shape="single")


def test_an_ellipse_stands_for_the_one_object():
    whole, found = np.zeros((2, 90, 120), np.float32)
    whole[ellipse(45, 60, 25, 40, shape=whole.shape)] = 0.9
    found[:] = whole
    found[40:48, 50:58] = 0.1  # a hole
    found[:8, :8] = 0.9  # another part
    labels = to_labels(np.stack([1 - found, found]), HEAD)
    assert labels.dtype == np.int32
    assert ((labels > 0) != (whole > 0.5)).sum() < 0.01 * (whole > 0.5).sum()
    assert to_labels(np.stack([1 - found, found]), HEAD, threshold=0.95).max() == 0
    assert to_labels(np.stack([1 - found, found]), HEAD, min_size=10_000).max() == 0


def test_a_part_looks_as_far_around_as_two_objects_are_large():
    rule = replace(INSTANCES.input, object_size=30)
    assert halo_of(replace(INSTANCES, input=rule), 2) == 30
    assert halo_of(replace(INSTANCES, input=rule), 0.5) == 120
    assert halo_of(INSTANCES, 1) == halo_of(ORGANS, 1) == HALO
    assert halo_of(LESION, 1) == halo_of(HEAD, 1) == 0, "one object is looked for in the part alone"
