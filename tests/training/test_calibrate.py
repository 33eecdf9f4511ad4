"""The temperature that makes probabilities true."""

from dataclasses import replace

import numpy as np
import pytest

from napari_medt.engine.segment import predict_image
from napari_medt.models.store import load_model
from napari_medt.training.calibrate import calibrated, fit_temperature, outline_scale
from napari_medt.training.evaluate import evaluate, summarise
from napari_medt.training.samples import find_samples
from tests.conftest import make_model
from tests.training.test_data import write_data


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("classes", [2, 3])
def test_the_temperature_of_drawn_truths_is_found(temperature, classes):
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (50_000, classes))
    scaled = np.exp(logits / temperature)
    truth = rng.random(len(logits)) > scaled[:, 0] / scaled.sum(axis=1)
    weights = np.ones(len(logits))
    assert fit_temperature(logits, truth, weights) == pytest.approx(temperature, rel=0.05)


def test_pixels_count_by_their_weight():
    logits = np.array([[0.0, 2.0]] * 4)
    truth = np.array([True, True, True, False])
    weights = np.array([1, 1, 1, 3])  # as good as three of each
    assert fit_temperature(logits, truth, weights) == pytest.approx(10, rel=1e-3)


def test_the_temperature_reaches_the_probabilities(tiny_model):
    model = load_model(tiny_model)
    image = np.random.default_rng(0).random((64, 64)).astype(np.float32)
    hot = replace(model, card=replace(model.card, temperature=1e6))
    np.testing.assert_allclose(predict_image(image, hot).probabilities, 1 / 3, atol=1e-3)
    assert predict_image(image, model).probabilities.std() > 0.01


def test_calibration_lowers_the_error_and_ignores_the_present_temperature(tiny_model, tmp_path):
    samples = find_samples(write_data(tmp_path / "data", 3))
    model = load_model(tiny_model)
    sure = replace(model, card=replace(model.card, temperature=0.05))
    better = calibrated(sure, samples)
    assert better.card.temperature == calibrated(model, samples).card.temperature
    assert summarise(evaluate(better, samples))["ece"] < summarise(evaluate(sure, samples))["ece"]


def test_lengths_are_scaled_to_the_truth(tmp_path):
    folder = write_data(tmp_path / "data", 3)  # discs of radius 8
    (folder / "index.csv").write_text(
        "id,group,mm_per_pixel,head_circumference_mm\n0,a,0.5,20\n1,b,1,40\n2,c,,\n"
    )
    samples = find_samples(folder)
    head = {"classes": ("background", "head"), "report": "circumference"}
    model = load_model(make_model(tmp_path, **head, report_scale=3.0))
    # The outline runs half-way between the disc's last pixels and the next.
    assert outline_scale(model, samples) == pytest.approx(40 / (2 * np.pi * 7.9), rel=0.02)
    assert outline_scale(model, samples[2:]) == 1
    silent = replace(model, card=replace(model.card, report=""))
    assert outline_scale(silent, samples) == 1
    assert calibrated(model, samples).card.report_scale == pytest.approx(0.8, abs=0.03)
