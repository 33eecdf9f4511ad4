"""The rule for joining parts is learned from what is true of them."""

import numpy as np
import pytest
from numpy.random import default_rng
from skimage.draw import disk

from benchmarks import joining
from napari_medt.engine.join import Parts
from napari_medt.models.card import InputRule, ModelCard
from napari_medt.network.config import NetworkConfig

CELLS = ModelCard(
    name="cells",
    purpose="",
    network=NetworkConfig(in_channels=1, num_classes=3),
    classes=("background", "rim", "core"),
    input=InputRule(object_size=26.0),
)


def test_a_label_is_of_the_object_that_most_of_it_lies_in():
    truth = np.array([[1, 1, 1, 2, 2, 0, 0, 0]])
    labels = np.array([[1, 1, 1, 1, 2, 3, 3, 2]])
    assert joining.owners(labels, truth).tolist() == [0, 1, 0, 0]


def test_pairs_of_one_object_and_of_two_are_told_apart(monkeypatch):
    truth, core = np.zeros((60, 90), np.int32), np.zeros((60, 90), np.float32)
    for number, column in enumerate((25, 51), 1):
        truth[disk((30, column), 13.5, shape=truth.shape)] = number
        core[disk((30, column), 7, shape=core.shape)] = 0.8
    cut = truth.copy()
    cut[:30][truth[:30] == 2] = 3  # the second disk, cut in two
    body = np.where(truth > 0, 0.95, 0.02).astype(np.float32)
    probabilities = np.stack([1 - body, body - np.minimum(body, core), np.minimum(body, core)])
    monkeypatch.setattr(joining, "split_objects", lambda mask, core: cut.copy())
    found = joining.examples(probabilities, truth, CELLS, 1.0)
    # Of the watershed: 1-2 and 1-3 are two objects, 2-3 is one. With that joined, 1-2 are two.
    assert sorted(same for _, same in found) == [False, False, False, True]
    inside = next(traits for traits, same in found if same)
    assert inside[0] == pytest.approx(0.1, abs=0.1)  # as large as a typical object
    assert inside[3] > max(traits[3] for traits, same in found if not same)


def test_what_decides_gets_the_weight():
    rng = default_rng(0)
    traits = rng.normal(size=(4000, 5))
    same = 3 * traits[:, 3] - 2 * traits[:, 0] + rng.logistic(size=4000) > 0
    examples = list(zip(map(tuple, traits), same.tolist(), strict=True))
    rule = joining.learn([examples[:3000], examples[3000:]])
    assert rule.core == pytest.approx(3, abs=0.3)
    assert rule.size == pytest.approx(-2, abs=0.3)
    assert max(map(abs, (rule.solid, rule.parts, rule.balance))) < 0.2
    # Pairs are joined from a probability below a half on.
    assert rule.bias == pytest.approx(-np.log(joining.LIKELY / (1 - joining.LIKELY)), abs=0.2)


def test_a_part_of_mostly_background_teaches_nothing():
    labels = np.array([[1, 1, 2, 2]], np.int32)
    parts = Parts(labels, np.ones(labels.shape, np.float32), 0)
    assert list(joining.pairs_of(parts, np.array([0, 1, 0]))) == []
