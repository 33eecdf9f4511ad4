"""``train``: configurations and options."""

import json
import math

import pytest

from napari_medt.models.store import load_model
from tests.cli.conftest import run
from tests.training.test_data import write_data


def test_train_then_segment(tmp_path, image, capsys):
    data = write_data(tmp_path / "data", 6)
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"architecture": "axialunet", "image_size": 32, "epochs": 9}))
    model = tmp_path / "model"
    options = ("--config", config, "--epochs", 1, "--name", "discs", "--batch-size", 2)
    assert run("train", "--data", data, "--output", model, "--device", "cpu", *options) == 0
    assert "discs is ready" in capsys.readouterr().out
    card = load_model(model).card
    assert (card.name, card.input.channels) == ("discs", "gray")
    assert json.loads((model / "training.json").read_text())["epochs"] == 1
    assert run("segment", image, "--model", model, "--output", tmp_path / "out") == 0


def test_settings_that_do_not_fit(tmp_path, capsys):
    data = write_data(tmp_path / "data", 3)
    config = tmp_path / "config.json"
    for settings, reason in [
        ({"epochs": 0}, "epochs must be a whole number, at least 1"),
        ({"batch_size": 2.5}, "batch_size must be a whole number, at least 1"),
        ({"gates_frozen_epochs": "x"}, "gates_frozen_epochs must be a whole number, at least 0"),
        ({"validate_every": True}, "validate_every must be a whole number"),
        ({"image_size": None}, "image_size must be a whole number"),
        ({"surprise": 1}, "surprise"),
        ({"augmentation": "magic"}, "unknown augmentation 'magic'"),
        ({"image_size": 100}, "multiple of 32"),
        ({"classes": ["tumour", "stroma"]}, "must be 'background'"),
        ({"classes": ["background", "core", "rim"]}, "no class can be named 'core'"),
        ({"input": {"object_size": 20}}, "object_size needs"),
        ({"input": {"object_size": math.inf}}, "object_size must be a number"),
        ({"input": {"object_size": -1}}, "object_size must be a number that is not negative"),
        ({"start_from": 5}, "start_from must be the name or folder"),
        ({"classes": ["background", *map(str, range(128))]}, "at most 128 classes"),
        ({"shape": "ellipse", "classes": ["background", "a", "b"]}, "a single class"),
        ({"input": None}, "input must be an object"),
        ({"input": {"scaling": []}}, "scaling must be one of"),
        ({"branch_dropout": [0.3]}, "branch_dropout must be two shares"),
        ({"branch_dropout": [0.6, 0.6]}, "branch_dropout must be two shares"),
        ({"branch_dropout": [-0.1, 0.6]}, "branch_dropout must be two shares"),
        ({"branch_dropout": None}, "do not fit"),
        ({"images_per_epoch": -5}, "images_per_epoch must be a whole number, at least 0"),
        ({"seed": -1}, "seed must be a whole number, at least 0"),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"seed": 10**30}, "seed must be below 2^63"),
        ({"learning_rate": -1}, "learning_rate must be above 0"),
        ({"learning_rate": "fast"}, "learning_rate must be a number"),
        ({"crop_spread": "wide"}, "crop_spread must be a number"),
        ({"crop_spread": math.nan}, "crop_spread must be a number"),
        ({"weight_decay": -0.1}, "weight_decay must not be negative"),
        ({"warmup_epochs": -1}, "warmup_epochs must not be negative"),
        ({"contact_weight": -4}, "contact_weight must not be negative"),
        ({"contact_weight": [4]}, "contact_weight must be a number"),
        ({"average_decay": 1}, "average_decay must be from 0 to below 1"),
        ({"average_decay": 10**400}, "average_decay must be a number"),
        ({"input": {"gamma": 10**400}}, "gamma must be a number"),
        ({"sources": "abc"}, "sources must be objects"),
        ({"sources": [1]}, "sources must be objects"),
        ({"average_decay": -0.5}, "average_decay must be from 0 to below 1"),
        ({"patch_statistics": "none"}, "patch_statistics must be one of pooled, per_patch"),
        ({"input": {"low": 60, "high": 40}}, "low and high must be percentiles"),
    ]:
        config.write_text(json.dumps(settings))
        assert run("train", "--data", data, "--output", tmp_path / "m", "--config", config) == 1
        error = capsys.readouterr().err
        assert reason in error
        assert error.count("\n") == 1
    config.write_text("[" * 100000)
    assert run("train", "--data", data, "--output", tmp_path / "m", "--config", config) == 1
    assert "config.json cannot be read" in capsys.readouterr().err
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    "option",
    [
        ("--images-per-epoch", -5),
        ("--learning-rate", "nan"),
        ("--seed", -1),
        ("--name", "a\udcff"),
        ("--start-from", "a\udcff"),
    ],
)
def test_options_of_training_that_do_not_fit(tmp_path, capsys, option):
    data = write_data(tmp_path / "data", 3)
    assert run("train", "--data", data, "--output", tmp_path / "m", *option) == 1
    assert "The training settings do not fit: " in capsys.readouterr().err
    assert not (tmp_path / "m").exists()
