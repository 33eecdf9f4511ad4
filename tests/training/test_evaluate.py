"""Evaluation on images whose agreement is known."""

from dataclasses import replace

import numpy as np
import pytest

from napari_medt.engine.segment import Segmentation
from napari_medt.models.accuracy import accuracy_lines
from napari_medt.models.store import load_model
from napari_medt.training import evaluate as module
from napari_medt.training.evaluate import Score, evaluate, summarise
from napari_medt.training.samples import find_samples
from tests.conftest import make_model
from tests.training.test_data import write_data

NO_PIXELS = np.zeros((3, 15))
NO_PIXELS[0, 0] = 1


@pytest.fixture
def heads(tmp_path):
    """Samples of discs of radius 8, whose true circumference is 10 mm at 0.2 mm a pixel."""
    folder = write_data(tmp_path / "data", 2)
    (folder / "index.csv").write_text(
        "id,group,mm_per_pixel,head_circumference_mm\n0,a,0.2,10\n1,a,,\n"
    )
    return find_samples(folder)


@pytest.fixture
def head_model(tmp_path):
    return load_model(make_model(tmp_path, classes=("background", "head"), report="circumference"))


def found(mask):
    return Segmentation(mask.astype(np.int32), mask.astype(np.float32))


def test_circumference_is_measured_where_its_truth_is_known(heads, head_model, monkeypatch):
    _, truth = module.read_pair_for(head_model, heads[0])
    monkeypatch.setattr(module, "segment", lambda *args, **options: found(truth > 0))
    scores = evaluate(head_model, heads)
    # The disc marks the pixels within 8, the outline runs half-way to the next ones.
    error = scores[0].measures["circumference_error_mm"]
    assert error == pytest.approx(abs(2 * np.pi * 7.9 * 0.2 - 10), abs=0.1)
    assert "circumference_error_mm" not in scores[1].measures
    assert summarise(scores)["circumference_error_mm"] == pytest.approx(error, abs=1e-4)
    halved = replace(head_model, card=replace(head_model.card, report_scale=0.5))
    (score,) = evaluate(halved, heads[:1])
    assert score.measures["circumference_error_mm"] == pytest.approx(5, abs=0.1)
    silent = replace(head_model, card=replace(head_model.card, report=""))
    assert "circumference_error_mm" not in summarise(evaluate(silent, heads))


def test_nothing_found_has_the_whole_circumference_as_its_error(heads, head_model, monkeypatch):
    nothing = found(np.zeros((40, 40), bool))
    monkeypatch.setattr(module, "segment", lambda *args, **options: nothing)
    (score,) = evaluate(head_model, heads[:1])
    assert score.measures == {"dice": 0, "iou": 0, "circumference_error_mm": 10}


def test_a_perfect_mask_scores_perfectly(tiny_model, tmp_path, monkeypatch):
    model, samples = load_model(tiny_model), find_samples(write_data(tmp_path / "data", 3))
    truths = iter([module.read_pair_for(model, sample)[1] for sample in samples])
    monkeypatch.setattr(module, "segment", lambda *args, **options: found(next(truths) > 0))
    # The labels on disk hold one object of number 255; ours has number 1.
    summary = summarise(evaluate(model, samples))
    assert summary == {
        "images": 3,
        **dict.fromkeys(("dice", "iou", "ap50", "pq"), 1.0),
        **{f"{name}_ci": [1.0, 1.0] for name in ("dice", "iou", "ap50", "pq")},
        "ece": 0.0,
        "failures": 0,
    }


def test_intervals_are_drawn_by_group(heads):
    def score(sample, group, dice):
        return Score(replace(sample, group=group), {"dice": dice}, NO_PIXELS)

    together = summarise([score(heads[0], "a", 0.4), score(heads[1], "a", 0.8)])
    assert together["dice"] == 0.6
    assert "dice_ci" not in together  # it would have no width
    assert accuracy_lines({"both": together})[1] == "Dice                   0.600"
    apart = summarise([score(heads[0], "a", 0.4), score(heads[1], "b", 0.8)])
    assert apart["dice_ci"] == [0.4, 0.8]


def test_pixels_of_all_images_make_the_calibration_error(heads):
    counts = np.zeros((2, 3, 15))
    counts[0, :, 7] = 90, 45, 45  # right
    counts[1, :, 14] = 10, 10, 0  # wrong
    scores = [
        Score(heads[0], {"dice": dice}, c) for dice, c in zip((0.69, 0.7), counts, strict=True)
    ]
    assert summarise(scores)["ece"] == pytest.approx(0.1)
    assert summarise(scores)["failures"] == 1
