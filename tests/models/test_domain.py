"""Domains are written, read back and refused when damaged."""

import numpy as np
import pytest

from napari_medt.errors import ModelError
from napari_medt.models.domain import DOMAIN_FILE, Domain, read_domain
from napari_medt.models.store import bundled_cards, bundled_domains

DOMAIN = Domain("tiled", spread=(1.0, 2.0), examples=((0.0, 0.0), (4.0, 4.0)), reach=0.5)


def test_distance_is_to_the_nearest_example_in_spreads():
    assert DOMAIN.unlikeness(np.array([4.0, 4.0])) == 0
    assert DOMAIN.unlikeness(np.array([0.0, 2.0])) == pytest.approx(np.sqrt(0.5) / 0.5)


def test_round_trip(tmp_path):
    (tmp_path / DOMAIN_FILE).write_text(DOMAIN.to_json())
    assert read_domain(tmp_path) == DOMAIN


def test_models_may_have_none(tmp_path):
    assert read_domain(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"scaling": "tiled"}', "[" * 100000])
def test_damaged_file(tmp_path, text):
    (tmp_path / DOMAIN_FILE).write_text(text)
    with pytest.raises(ModelError, match="damaged"):
        read_domain(tmp_path)


def test_every_bundled_model_has_one():
    domains = bundled_domains()
    assert domains.keys() == bundled_cards().keys()
    assert {name: d.scaling for name, d in domains.items()} == {
        name: card.input.scaling for name, card in bundled_cards().items()
    }
