"""The command line, as a script would call it."""

import io
import json
import math
import os
import re
import subprocess
import sys
from unittest.mock import Mock

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile
from skimage.draw import disk

import napari_medt
from napari_medt import cli
from napari_medt.models.accuracy import accuracy_lines
from napari_medt.models.store import load_model
from tests.conftest import make_model
from tests.training.test_data import write_data


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "cells.png"
    pixels = (np.random.default_rng(0).random((80, 100)) * 255).astype(np.uint8)
    imageio.imwrite(path, pixels)
    return path


def run(*arguments):
    return cli.main([str(argument) for argument in arguments])


def visible(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_segment_writes_labels_and_probability(image, tiny_model, tmp_path):
    out = tmp_path / "out"
    assert run("segment", image, "--model", tiny_model, "--output", out, "--probability") == 0
    labels = tifffile.imread(out / "cells.labels.tif")
    probability = tifffile.imread(out / "cells.probability.tif")
    assert labels.shape == probability.shape == (80, 100)
    assert labels.dtype.kind == "u"
    assert probability.dtype == np.float32
    assert visible(out) == ["cells.labels.tif", "cells.probability.tif", "summary.csv"]


def test_options_reach_the_engine(image, tiny_model, tmp_path):
    def segment(*options):
        common = ("--model", tiny_model, "--output", tmp_path, "--probability", *options)
        assert run("segment", image, *common) == 0
        return [
            tifffile.imread(tmp_path / f"cells.{kind}.tif") for kind in ("labels", "probability")
        ]

    assert segment("--threshold", "0")[0].min() > 0
    assert segment("--threshold", "1")[0].max() == 0
    assert not np.allclose(segment("--branches", "global")[1], segment("--branches", "patch")[1])


def test_one_bad_file_does_not_stop_the_others(image, tiny_model, tmp_path, capsys):
    folder, out = image.parent / "folder", tmp_path / "out"
    folder.mkdir()
    image.rename(folder / "a.png")
    (folder / "broken.png").write_bytes(b"not an image")
    imageio.imwrite(folder / "constant.png", np.full((9, 9), 3, np.uint8))
    missing = tmp_path / "missing.png"
    assert run("segment", folder, missing, "--model", tiny_model, "--output", out) == 1
    printed = capsys.readouterr()
    assert visible(out) == ["a.labels.tif", "summary.csv"]
    assert "broken.png is not an image that can be read." in printed.err
    assert "constant.png: Every pixel" in printed.err
    assert "There is no file" in printed.err
    assert "Traceback" not in printed.err
    assert "1 of 4 images" in printed.out


def test_mistakes_get_one_sentence_and_a_nonzero_exit(image, tiny_model, tmp_path, capsys):
    blocked = tmp_path / "file"
    blocked.write_text("")
    single = ("--model", tiny_model, "--output", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    copy = tmp_path / "empty" / "x"
    copy.mkdir()
    (copy / "cells.png").write_bytes(image.read_bytes())
    for arguments, reason in [
        (("segment", image, "--model", "nothing", "--output", tmp_path), "no model 'nothing'"),
        (("segment", image, "--model", tiny_model, "--output", blocked / "x"), "cannot be made"),
        (("segment", tmp_path / "empty", *single), "no images in"),
        (("segment", image, copy / "cells.png", *single), "named 'cells'"),
        (("evaluate", "--model", tiny_model, "--data", tmp_path), "images/ and labels/"),
        (("train", "--data", tmp_path, "--output", tmp_path / "m"), "images/ and labels/"),
        (
            ("train", "--data", tmp_path, "--output", tmp_path, "--config", tmp_path / "no.json"),
            "cannot be read",
        ),
    ]:
        assert run(*arguments) == 1
        error = capsys.readouterr().err
        assert reason in error
        assert error.count("\n") == 1


def test_a_folder_without_write_permission(image, tiny_model, tmp_path, capsys, monkeypatch):
    # The tests may run as root, who may write anywhere.
    monkeypatch.setattr(cli.os, "access", lambda *arguments: False)
    assert run("segment", image, "--model", tiny_model, "--output", tmp_path) == 1
    assert "cannot be written to" in capsys.readouterr().err


def test_what_the_system_refuses_is_one_sentence(capsys, monkeypatch):
    for error, sentence in [
        (OSError(28, "disk full"), "A file cannot be read or written (disk full)."),
        (OSError(28, "disk full", "a.json"), "a.json cannot be read or written (disk full)."),
        (OSError(21, "folder", ".a~", None, "a"), "a cannot be read or written (folder)."),
        (OSError("odd"), "A file cannot be read or written (odd)."),
    ]:
        monkeypatch.setattr(cli, "run_models", Mock(side_effect=error))
        assert run("models") == 1
        assert capsys.readouterr().err == f"napari-medt: {sentence}\n"


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
)
def test_too_little_memory_is_one_sentence(capsys, monkeypatch, error):
    data, model = ("--data", "data"), ("--model", "model")
    for command, options, way_out in [
        ("train", (*data, "--output", "m"), "choose a smaller --batch-size or --image-size"),
        ("evaluate", (*data, *model), "measure on smaller images"),
        ("segment", ("image", *model, "--output", "m"), "segment a smaller part of the image"),
        ("models", (), "use a machine with more"),
    ]:
        monkeypatch.setattr(cli, f"run_{command}", Mock(side_effect=error))
        assert run(command, *options) == 1
        printed = capsys.readouterr().err
        assert printed.startswith(f"napari-medt: There is too little memory: {way_out}")
        assert printed.count("\n") == 1


def test_other_errors_keep_their_traceback(monkeypatch):
    monkeypatch.setattr(cli, "run_models", Mock(side_effect=RuntimeError("a defect")))
    with pytest.raises(RuntimeError, match="a defect"):
        run("models")


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
    assert "No space left" in capsys.readouterr().err
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


def test_segment_reports_the_circumference(image, tmp_path, capsys, monkeypatch):
    labels = np.zeros((80, 100), np.int32)
    labels[disk((40, 50), 30)] = 1
    monkeypatch.setattr("napari_medt.engine.batch.label_plane", lambda *args, **options: labels)
    model = make_model(tmp_path, classes=("background", "head"), report="circumference")
    arguments = ("segment", image, "--model", model, "--output", tmp_path / "out")
    for options, unit, length in [((), "pixels", 188), (("--mm-per-pixel", 0.5), "mm", 94)]:
        assert run(*arguments, *options) == 0
        said = re.search(r"cells.png: circumference ([\d.]+) (\w+)", capsys.readouterr().out)
        assert said[2] == unit
        assert float(said[1]) == pytest.approx(length, rel=0.01)


def test_the_files_own_pixel_size_makes_millimetres(tmp_path, capsys, monkeypatch):
    labels = np.zeros((80, 100), np.int32)
    labels[disk((40, 50), 30)] = 1
    monkeypatch.setattr("napari_medt.engine.batch.label_plane", lambda *args, **options: labels)
    model = make_model(tmp_path, classes=("background", "head"), report="circumference")
    options = {"resolution": (20, 20), "resolutionunit": "CENTIMETER"}  # 0.5 mm
    tifffile.imwrite(tmp_path / "head.tif", labels.astype(np.uint8), **options)
    arguments = ("segment", tmp_path / "head.tif", "--model", model, "--output", tmp_path / "out")
    for options, length in [((), 94), (("--mm-per-pixel", 1), 188)]:
        assert run(*arguments, *options) == 0
        said = re.search(r"head.tif: circumference ([\d.]+) mm", capsys.readouterr().out)
        assert float(said[1]) == pytest.approx(length, rel=0.01)


def test_a_volume_and_what_is_done_before(tmp_path, tiny_model, capsys):
    stack = np.random.default_rng(0).integers(0, 255, (6, 40, 50), np.uint8)
    tifffile.imwrite(tmp_path / "scan.tif", stack, photometric="minisblack")
    out = tmp_path / "out"
    arguments = ("segment", tmp_path / "scan.tif", "--model", tiny_model, "--output", out)
    for options, said in [
        (("--threshold", 0), "1 of 1 images segmented."),
        (("--threshold", 0), "0 of 1 images segmented, 1 done before."),
        (("--threshold", 0, "--again"), "1 of 1 images segmented."),
        (("--threshold", 0, "--link"), "1 of 1 images segmented."),
    ]:
        assert run(*arguments, *options) == 0
        assert said in capsys.readouterr().out
    labels = tifffile.imread(out / "scan.labels.tif")
    assert labels.shape == stack.shape
    assert labels.min() > 0
    (out / "scan.labels.tif").write_bytes(b"corrected")
    assert run(*arguments) == 0
    assert "1 kept as you edited them" in capsys.readouterr().out
    assert (out / "scan.labels.tif").read_bytes() == b"corrected"


def test_channels_are_counted_from_one(tiny_model, tmp_path, capsys):
    path = tmp_path / "two.tif"
    both = np.random.default_rng(0).integers(0, 255, (2, 40, 50), np.uint8)
    tifffile.imwrite(path, both, metadata={"axes": "CYX"}, ome=True)
    for output in ("out", "out.zarr"):
        arguments = ("segment", path, "--model", tiny_model, "--output", tmp_path / output)
        assert run(*arguments, "--channel", 3) == 1
        assert "no channel 3: choose one of 2." in capsys.readouterr().err
        assert run(*arguments, "--channel", 2) == 0
    table = (tmp_path / "out" / "summary.csv").read_text(encoding="utf-8")
    assert "using channel 2" in table


def test_names_that_the_console_cannot_show(tiny_model, tmp_path, monkeypatch):
    """Windows consoles may know 256 characters; in a pipe stdout is as strict."""
    console = io.TextIOWrapper(io.BytesIO(), "cp1252")
    monkeypatch.setattr(sys, "stdout", console)
    imageio.imwrite(tmp_path / "a.png", np.arange(4096).reshape(64, 64).astype(np.uint8))
    output = tmp_path / "результаты"
    arguments = ("--model", tiny_model, "--output", output)
    assert run("segment", tmp_path / "a.png", *arguments) == 0
    console.flush()
    assert rb"\u0440" in console.buffer.getvalue()


def test_a_channel_of_a_picture_in_colour(tiny_model, tmp_path, capsys):
    colours = np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)
    imageio.imwrite(tmp_path / "a.png", colours)
    arguments = ("segment", tmp_path / "a.png", "--model", tiny_model, "--output", tmp_path / "out")
    assert run(*arguments, "--channel", 4) == 1
    assert "no channel 4: choose one of 3." in capsys.readouterr().err
    for options, told in [((), "in colour"), (("--channel", 3), "using channel 3")]:
        assert run(*arguments, *options) == 0
        assert told in (tmp_path / "out" / "summary.csv").read_text(encoding="utf-8")


def test_a_channel_of_a_slide_that_could_be_in_colour(tiny_model, tmp_path):
    path = tmp_path / "three.tif"
    planes = np.random.default_rng(0).integers(0, 255, (3, 40, 50), np.uint8)
    tifffile.imwrite(path, planes, imagej=True, metadata={"axes": "CYX"})
    for name, options, channel in [("a", (), None), ("b", ("--channel", 2), 1)]:
        output = tmp_path / f"{name}.zarr"
        for _ in range(2):  # it is also recognised, to be gone on with
            assert run("segment", path, "--model", tiny_model, "--output", output, *options) == 0
        assert json.loads((output / ".medt" / "settings.json").read_text())["channel"] == channel


def test_a_slide_that_is_done_says_so(image, tiny_model, tmp_path, capsys):
    slide = tmp_path / "slide.tif"
    tifffile.imwrite(slide, imageio.imread(image))
    arguments = ("segment", slide, "--model", tiny_model, "--output", tmp_path / "x.zarr")
    assert run(*arguments) == 0
    told = capsys.readouterr().out.strip()
    assert "before" not in told
    assert run(*arguments) == 0
    assert capsys.readouterr().out.strip() == f"{told} It was done before."


def test_a_slide_has_no_options_of_a_batch(image, tiny_model, tmp_path, capsys):
    for option in ("--link", "--again"):
        arguments = ("--model", tiny_model, "--output", tmp_path / "x.zarr", option)
        assert run("segment", image, *arguments) == 1
        assert "neither --link nor --again" in capsys.readouterr().err


def test_millimetres_are_refused_where_nothing_is_measured(image, tiny_model, tmp_path, capsys):
    arguments = ("--model", tiny_model, "--output", tmp_path / "out", "--mm-per-pixel", 1)
    assert run("segment", image, *arguments) == 1
    assert "leave out --mm-per-pixel" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["segment", "evaluate"])
def test_branches_that_a_model_does_not_have_are_refused(image, tmp_path, capsys, command):
    model = make_model(tmp_path, architecture="axialunet")
    given = {"segment": (image, "--output", tmp_path / "out")}
    given["evaluate"] = ("--data", write_data(tmp_path / "data", 1))
    assert run(command, *given[command], "--model", model, "--branches", "patch") == 1
    assert "has a single branch: leave the branches at 'both'." in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_gates_are_shown(tmp_path, tiny_model, capsys):
    assert run("models", "--gates", tiny_model) == 0
    printed = capsys.readouterr().out
    assert re.search(r"global_branch.stages.0.0.height +0.100 +0.100 +0.100 +1.000", printed)
    assert "local_branch" not in printed
    plain = make_model(tmp_path, "plain", architecture="axialunet")
    assert run("models", "--gates", plain) == 0
    assert "has no gates" in capsys.readouterr().out


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


def test_models_are_listed(capsys):
    assert run("models") == 0
    printed = capsys.readouterr().out
    assert "nuclei-fluorescence" in printed
    assert "Trained on: Data Science Bowl 2018" in printed
    assert run("models", "--json") == 0
    cards = json.loads(capsys.readouterr().out)
    assert cards["nuclei-fluorescence"]["network"]["architecture"] == "medt"


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit) as ended:
        run("--version")
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"napari-medt {napari_medt.__version__}\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows tells it in other ways")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_nobody_reads_on(unbuffered):
    """As with ``napari-medt models | head -1``."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "napari_medt.cli", "models"]
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    shown = subprocess.run(
        command, stdout=writing, stderr=subprocess.PIPE, env=environment, check=False
    )
    os.close(writing)
    assert (shown.returncode, shown.stderr) == (141, b"")


@pytest.mark.parametrize(("model", "status"), [("nuclei-fluorescence", 0), ("nothing", 1)])
def test_there_may_be_no_place_to_print(image, tmp_path, monkeypatch, model, status):
    """As under ``pythonw``, in services and after ``>&-``."""
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    try:
        assert run("segment", image, "--model", model, "--output", tmp_path / "out") == status
    finally:
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.close()


def test_a_pipe_that_broke_elsewhere_is_an_error(capsys, monkeypatch):
    broken = Mock(side_effect=BrokenPipeError(32, "Broken pipe", "a.json"))
    monkeypatch.setattr(cli, "run_models", broken)
    assert run("models") == 1
    assert "a.json cannot be read or written (Broken pipe)." in capsys.readouterr().err


def test_demo_without_a_display_writes_mask_and_picture(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(cli, "has_display", lambda: False)
    assert run("demo", "--output", tmp_path / "demo") == 0
    assert "no display" in capsys.readouterr().out
    overlay = imageio.imread(tmp_path / "demo" / "fluorescence_nuclei.overlay.png")
    labels = tifffile.imread(tmp_path / "demo" / "fluorescence_nuclei.labels.tif")
    assert overlay.shape == (*labels.shape, 3)
    assert labels.max() > 10


def test_a_demo_without_qt_says_how_to_install_it(capsys, monkeypatch):
    monkeypatch.setattr(cli, "has_display", lambda: True)
    missing = Mock(side_effect=ImportError("No Qt bindings could be found"))
    monkeypatch.setattr("napari_medt.gui.demo.show_demo", missing)
    assert run("demo") == 1
    error = capsys.readouterr().err
    assert 'pip install "napari-medt[all]"' in error
    assert error.count("\n") == 1


def test_the_command_is_installed_and_importing_is_quick():
    code = "import sys, napari_medt; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    shown = subprocess.run(
        [sys.executable, "-m", "napari_medt.cli", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "segment" in shown.stdout


def test_benchmark_tells_the_time_of_an_image(tiny_model, capsys):
    options = ("--model", tiny_model, "--size", 100, 200, "--seconds", 0.01)
    assert run("benchmark", *options, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["size"] == [100, 200]
    assert {row["branches"] for row in report["speeds"]} == {"both", "global", "patch"}
    assert run("benchmark", *options, "--size", 10**9, 10**9) == 0
    assert "tiles/s" in capsys.readouterr().out
    for size in [(0, 5), (99999999999999, 99999999999999)]:
        assert run("benchmark", "--model", tiny_model, "--size", *size) == 1
        assert "must be from 1 to 1000000000 pixels a side" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        run("benchmark", "--seconds", 0)
    assert "must be above 0" in capsys.readouterr().err
