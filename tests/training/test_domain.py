"""The domain of training images holds nearly all of them, and no others."""

import numpy as np

from napari_medt.training.domain import EXAMPLES, INSIDE, domain_of


def test_training_images_lie_within():
    rng = np.random.default_rng(0)
    described = rng.normal(size=(400, 5)) + rng.choice([0, 10], size=(400, 1))
    domain = domain_of(described, "tiled")
    assert len(domain.examples) <= EXAMPLES
    far = np.array([domain.unlikeness(row) for row in described])
    assert np.isclose((far <= 1).mean(), INSIDE / 100, atol=0.01)
    assert domain.unlikeness(np.full(5, 5.0)) > 1  # between the two clusters
    assert domain.unlikeness(np.full(5, 30.0)) > 3


def test_few_images():
    assert domain_of(np.zeros((2, 4)), "whole").unlikeness(np.zeros(4)) == 0
