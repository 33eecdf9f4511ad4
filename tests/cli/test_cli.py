"""The command line, as a script would call it: errors, output and exit status."""

import io
import os
import subprocess
import sys
from unittest.mock import Mock

import imageio.v3 as imageio
import numpy as np
import pytest

import napari_medt
from tests.cli.conftest import run
from tests.conftest import make_model
from tests.training.test_data import write_data


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


def test_what_the_system_refuses_is_one_sentence(capsys, monkeypatch):
    for error, sentence in [
        (OSError(28, "disk full", "a.json"), "The disk is full: make room on it, and try again."),
        (OSError(13, "denied"), "A file cannot be read or written (denied)."),
        (OSError(13, "denied", "a.json"), "a.json cannot be read or written (denied)."),
        (OSError(21, "folder", ".a~", None, "a"), "a cannot be read or written (folder)."),
        (OSError("odd"), "A file cannot be read or written (odd)."),
    ]:
        monkeypatch.setattr("napari_medt.cli.models.run", Mock(side_effect=error))
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
        monkeypatch.setattr(f"napari_medt.cli.{command}.run", Mock(side_effect=error))
        assert run(command, *options) == 1
        printed = capsys.readouterr().err
        assert printed.startswith(f"napari-medt: There is too little memory: {way_out}")
        assert printed.count("\n") == 1


def test_other_errors_keep_their_traceback(monkeypatch):
    monkeypatch.setattr("napari_medt.cli.models.run", Mock(side_effect=RuntimeError("a defect")))
    with pytest.raises(RuntimeError, match="a defect"):
        run("models")


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


@pytest.mark.parametrize("command", ["segment", "evaluate"])
def test_branches_that_a_model_does_not_have_are_refused(image, tmp_path, capsys, command):
    model = make_model(tmp_path, architecture="axialunet")
    given = {"segment": (image, "--output", tmp_path / "out")}
    given["evaluate"] = ("--data", write_data(tmp_path / "data", 1))
    assert run(command, *given[command], "--model", model, "--branches", "patch") == 1
    assert "has a single branch: leave the branches at 'both'." in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


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
    monkeypatch.setattr("napari_medt.cli.models.run", broken)
    assert run("models") == 1
    assert "a.json cannot be read or written (Broken pipe)." in capsys.readouterr().err


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
