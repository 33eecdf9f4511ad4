"""``evaluate``: scores, pictures of the worst cases, and cards."""

import json
from unittest.mock import Mock

import imageio.v3 as imageio
import numpy as np
import pytest

from napari_medt.models.accuracy import accuracy_lines
from napari_medt.models.store import load_model
from tests.cli.conftest import run
from tests.training.test_data import write_data


@pytest.mark.parametrize("option", ["--json", "--worst"])
def test_evaluate_refuses_a_folder_before_it_measures(tiny_model, tmp_path, capsys, option):
    data = write_data(tmp_path / "data", 1)
    (tmp_path / "there").mkdir()
    arguments = ("--model", tiny_model, "--data", data, option, tmp_path / "there")
    assert run("evaluate", *arguments) == 1
    printed = capsys.readouterr()
    assert "is there and is not a file: give the name of a file." in printed.err
    assert printed.out == ""


@pytest.mark.parametrize("name", ["worst", "worst.xyz", "worst.tif"])
def test_evaluate_refuses_other_pictures_before_it_measures(tiny_model, tmp_path, capsys, name):
    data = write_data(tmp_path / "data", 1)
    picture = tmp_path / "new" / name
    assert run("evaluate", "--model", tiny_model, "--data", data, "--worst", picture) == 1
    printed = capsys.readouterr()
    assert f"{name} would be a PNG picture: let its name end in .png." in printed.err
    assert printed.out == ""
    assert not picture.parent.exists()


def test_a_card_is_saved_even_if_the_worst_cannot_be_drawn(
    tiny_model, tmp_path, capsys, monkeypatch
):
    data = write_data(tmp_path / "data", 2)
    full = Mock(side_effect=OSError(28, "No space left on device"))
    monkeypatch.setattr("napari_medt.training.worst.draw_worst", full)
    picture = tmp_path / "worst.png"
    arguments = ("--model", tiny_model, "--data", data, "--worst", picture, "--save-card")
    assert run("evaluate", *arguments) == 1
    assert "The disk is full" in capsys.readouterr().err
    assert load_model(tiny_model).card.accuracy["both"]["images"] == 2


def test_evaluate_measures_and_writes_json(tiny_model, tmp_path, capsys):
    data = write_data(tmp_path / "data", 3)
    file = tmp_path / "reports" / "scores.json"
    arguments = ("--model", tiny_model, "--data", data, "--branches", "patch", "--json", file)
    assert run("evaluate", *arguments) == 0
    report = json.loads(file.read_text())
    assert set(report) == {"model", "temperature", "accuracy", "scores"}
    (accuracy,), (scores,) = report["accuracy"].values(), report["scores"].values()
    assert list(report["accuracy"]) == ["patch"]
    assert accuracy["images"] == len(scores) == 3
    assert accuracy["dice"] == pytest.approx(np.mean([s["dice"] for s in scores]), abs=1e-4)
    assert set(accuracy) >= {"dice_ci", "iou", "ap50", "pq", "ece"}
    assert {score["image"] for score in scores} == {"0.png", "1.png", "2.png"}
    assert "Dice" in capsys.readouterr().out


def test_evaluate_draws_the_worst_and_refreshes_the_card(tiny_model, tmp_path, capsys):
    data = write_data(tmp_path / "data", 5)
    before, picture = load_model(tiny_model), tmp_path / "worst.png"
    arguments = ("--model", tiny_model, "--data", data, "--worst", picture, "--save-card")
    assert run("evaluate", *arguments) == 0
    printed = capsys.readouterr().out
    after = load_model(tiny_model)
    assert set(after.card.accuracy) == {"both", "global", "patch"}
    assert after.card.accuracy["both"]["images"] == 5
    assert after.card.temperature != 1
    assert accuracy_lines(after.card.accuracy) == printed.splitlines()[1:-1]
    assert after.card.sha256 == before.card.sha256
    assert printed.splitlines()[-1].startswith("Worst: ")
    assert imageio.imread(picture).shape[:2] == (1200, 900)  # four rows of three


def test_cards_that_are_not_the_users_stay_as_they_are(tiny_model, tmp_path, capsys):
    data = write_data(tmp_path / "data", 1)
    for model, more, reason in [
        ("nuclei-fluorescence", (), "no card of your own"),
        (tiny_model, ("--branches", "both"), "all branch settings"),
    ]:
        assert run("evaluate", "--model", model, "--data", data, "--save-card", *more) == 1
        assert reason in capsys.readouterr().err
