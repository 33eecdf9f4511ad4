"""Measuring a machine."""

import pytest
import torch

from napari_medt.engine.benchmark import Speed, measure_machine
from napari_medt.engine.predict import tile_grid
from napari_medt.models.store import load_model
from tests.conftest import make_model


def test_every_branch_setting_is_measured(tiny_model):
    speeds = measure_machine(load_model(tiny_model), seconds=0.01)
    on_cpu = [speed for speed in speeds if speed.device == "cpu"]
    assert [speed.branches for speed in on_cpu] == ["both", "global", "patch"]
    assert all(speed.tiles_per_second > 0 for speed in speeds)
    assert len(speeds) == 3 * (1 + torch.cuda.is_available() + torch.backends.mps.is_available())


def test_time_follows_the_tiles(tmp_path):
    tiled = load_model(make_model(tmp_path)).card  # 64-pixel tiles, 16 shared
    assert len(tile_grid(tiled, 64, 64)) == 1
    assert len(tile_grid(tiled, 65, 160)) == 2 * 3
    assert Speed("cpu", "both", 3.0).seconds_for(tiled, 65, 160) == pytest.approx(2)
    whole = load_model(make_model(tmp_path, "whole", input={"scaling": "whole"})).card
    assert len(tile_grid(whole, 5000, 5000)) == 1


def test_every_zoom_takes_its_time(tmp_path):
    card = load_model(make_model(tmp_path, input={"zooms": [1, 0.5]})).card
    assert len(tile_grid(card, 32, 80)) == 2
    assert Speed("cpu", "both", 2.0).seconds_for(card, 64, 160) == pytest.approx((3 + 2) / 2)
