"""The count of equal masks: of the weights there are, and as README tells it."""

import json

import imageio.v3 as imageio
import numpy as np
import pytest

from benchmarks.pipeline import differing_pixels
from benchmarks.report import RESULTS
from napari_medt.models.store import bundled_cards, load_model
from napari_medt.training.samples import find_samples
from tests.test_readme import README

MASKS = json.loads((RESULTS / "masks.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", bundled_cards())
def test_masks_were_counted_with_the_bundled_weights(name):
    """Else count them again: see benchmarks/pipeline.py."""
    assert MASKS[name]["weights_sha256"] == bundled_cards()[name].sha256


def test_readme_tells_what_was_counted():
    pixels = sum(counted["pixels"] for counted in MASKS.values())
    assert f"of {pixels / 1e6:.0f} million validation pixels" in README.read_text(encoding="utf-8")
    assert not any(counted["differing"] for counted in MASKS.values()), "none differs, README says"


def test_the_count_names_the_weights(tiny_model, tmp_path):
    rng = np.random.default_rng(0)
    for kind in ("images", "labels"):
        (tmp_path / "val" / kind).mkdir(parents=True)
        values = rng.integers(0, 2 if kind == "labels" else 255, (70, 80))
        imageio.imwrite(tmp_path / "val" / kind / "a.png", values.astype(np.uint8))
    model = load_model(tiny_model)
    counted = differing_pixels(model, find_samples(tmp_path / "val"))
    assert counted["weights_sha256"] == model.card.sha256
    assert (counted["images"], counted["pixels"]) == (1, 70 * 80)
