"""``segment``: images, volumes, folders and slides."""

import json
import re

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile
from skimage.draw import disk

from tests.cli.conftest import run
from tests.conftest import make_model


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


def test_a_folder_without_write_permission(image, tiny_model, tmp_path, capsys, monkeypatch):
    # The tests may run as root, who may write anywhere.
    monkeypatch.setattr("os.access", lambda *arguments: False)
    assert run("segment", image, "--model", tiny_model, "--output", tmp_path) == 1
    assert "cannot be written to" in capsys.readouterr().err


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
