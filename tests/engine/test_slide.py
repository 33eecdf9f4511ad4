"""Slides, block by block: as in one piece, resumed after a kill, readable by others."""

import os
import signal
import subprocess
import sys
import time

import dask.array
import numpy as np
import pytest
import tifffile
import zarr

from napari_medt.cli import main
from napari_medt.engine.block import Run
from napari_medt.engine.pyramid import open_levels
from napari_medt.engine.segment import segment
from napari_medt.engine.slide import segment_slide
from napari_medt.errors import DataError
from napari_medt.models.store import load_model

PROCESS = """
import sys
from pathlib import Path
from napari_medt.engine.block import Run
from napari_medt.engine.pyramid import open_levels
from napari_medt.engine.slide import segment_slide
from napari_medt.models.store import load_model

do = Run.do

def told(self, index, cancelled=None):
    do(self, index, cancelled)
    print(index, flush=True)

Run.do = told
image, model, output = sys.argv[1:]
segment_slide(open_levels(Path(image)), load_model(model), Path(output), block=256, device="cpu")
"""


@pytest.fixture
def slide(tmp_path):
    """An image of bright disks on a dark ground, many across the borders of blocks."""
    rows, columns = np.ogrid[:600, :700]
    image = (np.hypot(rows % 48 - 23.5, columns % 52 - 25.5) < 13) * 180
    path = tmp_path / "slide.tif"
    noise = np.random.default_rng(0).integers(0, 30, image.shape)
    tifffile.imwrite(path, (image + noise).astype(np.uint8), tile=(128, 128))
    return path


def same(first, second):
    """Whether labels are the same up to their numbers."""
    pairs = np.unique(np.stack([first.ravel(), second.ravel()]), axis=1).T.tolist()
    return len({a for a, _ in pairs}) == len({b for _, b in pairs}) == len(pairs)


def test_the_command_line_makes_what_one_piece_makes(slide, tmp_path, capsys):
    output = tmp_path / "out.zarr"
    command = ["segment", str(slide), "--model", "nuclei-fluorescence", "--output", str(output)]
    assert main([*command, "--device", "cpu"]) == 0
    assert "objects at resolution 1" in capsys.readouterr().out
    labels = dask.array.from_zarr(str(output), component="0").compute()
    whole = segment(tifffile.imread(slide), load_model("nuclei-fluorescence"), device="cpu")
    assert whole.labels.max() > 100
    assert same(labels, whole.labels)
    assert zarr.open(str(output), mode="r")["1"].shape == (300, 350)


def test_killed_in_the_middle_and_resumed(slide, tmp_path):
    """No block is done twice, and objects across blocks are whole with numbers of their own."""
    output = tmp_path / "out.zarr"
    command = [sys.executable, "-c", PROCESS, str(slide), "nuclei-fluorescence", str(output)]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    done = [int(first.stdout.readline()) for _ in range(4)]
    os.kill(first.pid, signal.SIGKILL)
    done += [int(line) for line in first.stdout.read().split()]
    first.wait()
    first.stdout.close()
    time.sleep(0.1)
    rest = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    assert sorted([*done, *map(int, rest)]) == list(range(9))

    labels = zarr.open(str(output), mode="r")["0"][:]
    whole = segment(tifffile.imread(slide), load_model("nuclei-fluorescence"), device="cpu").labels
    assert labels.max() == len(np.unique(labels)) - 1 == whole.max()
    assert np.mean((labels > 0) != (whole > 0)) < 1e-5


def test_other_settings_do_not_go_on(slide, tmp_path, monkeypatch):
    output, model = tmp_path / "out.zarr", load_model("nuclei-fluorescence")
    monkeypatch.setattr(Run, "do", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        segment_slide(open_levels(slide), model, output, magnification=1, device="cpu")
    with pytest.raises(DataError, match="another threshold"):
        segment_slide(open_levels(slide), model, output, threshold=0.7, device="cpu")


def test_a_slide_is_one_image(slide, tmp_path, capsys):
    command = ["segment", str(slide), str(slide), "--model", "nuclei-fluorescence"]
    assert main([*command, "--output", str(tmp_path / "out.zarr")]) == 1
    assert "takes a single image" in capsys.readouterr().err
    assert not (tmp_path / "out.zarr").exists()


def test_the_resolution_can_be_chosen(tmp_path, capsys):
    rows, columns = np.ogrid[:300, :300]
    image = ((np.hypot(rows % 48 - 23.5, columns % 52 - 25.5) < 13) * 180).astype(np.uint8)
    path, output = tmp_path / "slide.ome.tif", tmp_path / "out.zarr"
    with tifffile.TiffWriter(path) as file:
        file.write(image, subifds=1, tile=(128, 128))
        file.write(image[::2, ::2], subfiletype=1, tile=(128, 128))
    command = ["segment", str(path), "--model", "nuclei-fluorescence", "--device", "cpu"]
    command += ["--branches", "global", "--resolution"]
    assert main([*command, "2", "--output", str(output)]) == 0
    assert "at resolution 2" in capsys.readouterr().out
    assert zarr.open(str(output), mode="r")["0"].shape == (150, 150)
    assert main([*command, "3", "--output", str(output)]) == 1
    assert "has 2 resolutions" in capsys.readouterr().err
    assert main([*command, "2", "--output", str(tmp_path)]) == 1
    assert "--resolution is for slides" in capsys.readouterr().err
