"""Every sample is told to be for its own model."""

import numpy as np
import pytest

from napari_medt.engine.suitability import advise, closest, unlikeness
from napari_medt.errors import ImageError
from napari_medt.models.store import bundled_domains
from napari_medt.sample_data.generate import draw

MODELS = {
    "fluorescence_nuclei": "nuclei-fluorescence",
    "histology_nuclei": "nuclei-histology",
    "skin_lesion": "skin-lesion",
    "fetal_head": "fetal-head",
}


@pytest.mark.parametrize(("sample", "model"), MODELS.items())
def test_samples_fit_their_models_best(sample, model):
    found = unlikeness(draw(sample)[0], bundled_domains())
    assert closest(found) == model


def test_noise_fits_no_model():
    noise = np.random.default_rng(0).integers(0, 255, (300, 300, 3), dtype=np.uint8)
    found = unlikeness(noise, bundled_domains())
    assert min(found.values()) > 1
    assert "check the mask with care" in advise("skin-lesion", found)


def test_advice_names_what_fits_better():
    found = {"a": 0.4, "b": 3.0}
    assert advise("a", found) == ""
    assert advise("b", found).endswith("was trained on: a may fit better.")
    assert advise("a model of the user's own", found) == ""


def test_what_is_no_image_is_refused():
    with pytest.raises(ImageError):
        unlikeness(np.zeros((20, 20)), bundled_domains())
