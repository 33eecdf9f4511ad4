"""Views: every image in its share, at its magnification, from processes where they start fast."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import default_rng

from napari_medt.training import views
from napari_medt.training.data import TrainingPair
from napari_medt.training.views import (
    NORMALISED,
    Views,
    draw_indices,
    vary_magnification,
    workers_for,
)
from tests.training.test_loop import CONFIG


@pytest.mark.parametrize(("power", "large"), [(0, 0.5), (0.5, 2 / 3), (1, 0.8)])
def test_crops_are_spread_by_area(power, large):
    pairs = [TrainingPair(None, np.zeros((side, side))) for side in (10, 20)]
    config = replace(CONFIG, crop_spread=power, images_per_epoch=300)
    assert Views(config, pairs, 0).order.mean() == pytest.approx(large, abs=0.01)


def test_most_views_are_at_the_magnification_of_the_objects():
    drawn = np.array([vary_magnification(2.0, default_rng(seed)) for seed in range(400)])
    assert np.mean(drawn == 2) == pytest.approx(NORMALISED, abs=0.05)
    assert drawn.min() >= 1
    assert drawn.min() < 1.2


@given(
    weights=st.lists(st.floats(1, 50), min_size=1, max_size=20),
    count=st.integers(1, 200),
    seed=st.integers(0, 9),
)
def test_images_are_drawn_as_often_as_their_weight_asks(weights, count, seed):
    weights = np.array(weights)
    drawn = draw_indices(weights, count, default_rng(seed))
    assert len(drawn) == count
    expected = weights / weights.sum() * count
    assert np.abs(np.bincount(drawn, minlength=len(weights)) - expected).max() <= 1 + 1e-6


@pytest.mark.parametrize(
    ("device", "start", "cores", "workers"),
    [
        ("cuda", "fork", 4, 4),
        ("cuda", "fork", None, 1),
        ("cuda", "spawn", 4, 0),
        ("cpu", "fork", 4, 0),
    ],
)
def test_a_gpu_is_fed_by_processes_where_they_start_fast(
    monkeypatch, device, start, cores, workers
):
    monkeypatch.setattr(views.multiprocessing, "get_start_method", lambda: start)
    monkeypatch.setattr(views.os, "cpu_count", lambda: cores)
    assert workers_for(torch.device(device)) == workers
