"""The domain of training images holds nearly all of them, and no others."""

import imageio.v3 as imageio
import numpy as np
import pytest

from napari_medt.errors import DataError
from napari_medt.models.card import InputRule
from napari_medt.training.domain import EXAMPLES, INSIDE, domain_of, find_domain
from napari_medt.training.samples import Sample


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


def test_images_without_anything_in_their_middle_are_left_out(tmp_path):
    sparse = np.zeros((600, 600), np.uint8)
    sparse[:20] = np.arange(20)[:, np.newaxis]
    full = np.random.default_rng(0).integers(0, 255, (600, 600), np.uint8)
    samples = []
    for name, image in (("sparse", sparse), ("full", full)):
        path = tmp_path / f"{name}.png"
        imageio.imwrite(path, image)
        samples.append(Sample(path, path, name))
    rule = InputRule(scaling="tiled")
    assert find_domain(samples, rule) == find_domain(samples[1:], rule)
    with pytest.raises(DataError, match="middle of every training image"):
        find_domain(samples[:1], rule)


@pytest.mark.parametrize("scaling", ["tiled", "whole"])
def test_other_troubles_of_an_image_are_told(tmp_path, scaling):
    path = tmp_path / "film.gif"
    imageio.imwrite(path, np.random.default_rng(0).integers(0, 255, (2, 20, 30, 3), np.uint8))
    with pytest.raises(DataError, match=r"film\.gif: The image has shape \(2, 20, 30, 3\)"):
        find_domain([Sample(path, path, "film")], InputRule(scaling=scaling))
