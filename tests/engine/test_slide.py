"""Slides, block by block: as in one piece, resumed after a kill, readable by others."""

import errno
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from unittest.mock import Mock, patch

import dask.array
import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_medt.cli import main
from napari_medt.engine import slide as slides
from napari_medt.engine.block import Run
from napari_medt.engine.files import STATE
from napari_medt.engine.predict import BATCH_SIZES
from napari_medt.engine.pyramid import open_levels
from napari_medt.engine.segment import predict_image, segment
from napari_medt.engine.slide import begin, segment_slide
from napari_medt.errors import DataError, ImageError, ModelError
from napari_medt.models.store import load_model
from tests.engine.lazy import stored
from tests.engine.standin import (
    CORE_VALUE,
    RIM_VALUE,
    Painted,
    Uneven,
    drawn,
    levels_of,
    same,
    slide_labels,
    standin,
)

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
    calibrated = replace(model, card=replace(model.card, temperature=2.0))
    with pytest.raises(DataError, match="another card"):
        segment_slide(open_levels(slide), calibrated, output, device="cpu")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other rights")
def test_the_folder_has_the_rights_that_the_user_chose(slide, tmp_path, monkeypatch):
    """Also where the drive refuses others."""
    output, model = tmp_path / "out.zarr", load_model("nuclei-fluorescence")
    monkeypatch.setattr(os, "chmod", Mock(side_effect=PermissionError))
    monkeypatch.setattr(Run, "do", Mock(side_effect=KeyboardInterrupt))
    before = os.umask(0o027)
    try:
        with pytest.raises(KeyboardInterrupt):
            segment_slide(open_levels(slide), model, output, magnification=1, device="cpu")
    finally:
        os.umask(before)
    assert output.stat().st_mode & 0o777 == 0o750


def test_a_model_of_one_object_takes_no_slide(slide, tmp_path):
    model = standin(Painted(), 64)
    network, classes = replace(model.card.network, num_classes=2), ("background", "head")
    card = replace(model.card, network=network, classes=classes, shape="ellipse")
    with pytest.raises(ModelError, match="looks at images as a whole"):
        segment_slide(
            open_levels(slide), replace(model, card=card), tmp_path / "out.zarr", device="cpu"
        )


@pytest.mark.parametrize("text", ["{}", "[]", '{"level": 0}', "", '{"limits": 3}'])
def test_a_folder_that_is_no_run_is_refused(slide, tmp_path, text):
    state = tmp_path / "out.zarr" / STATE
    state.mkdir(parents=True)
    (state / "settings.json").write_text(text)
    with pytest.raises(DataError, match="not a run to go on with"):
        segment_slide(open_levels(slide), load_model("nuclei-fluorescence"), state.parent)


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


def test_labels_lie_where_their_level_of_the_image_does(tmp_path):
    placed = {"pixel_size": (1.0, 0.8), "translation": (100.25, 200.2), "unit": "micrometer"}
    fine, coarse = levels_of([drawn(0, (100, 90)), drawn(0, (50, 45))])
    levels, output = [fine, replace(coarse, **placed)], tmp_path / "out.zarr"
    segment_slide(levels, standin(Painted()), output, level=1, device="cpu")
    [dataset] = zarr.open_group(output, mode="r").attrs["multiscales"][0]["datasets"]
    assert dataset["coordinateTransformations"] == [
        {"type": "scale", "scale": [1.0, 0.8]},
        {"type": "translation", "translation": [100.25, 200.2]},
    ]


LONG = [(1, 3000), (7, 2999), (257, 1301), (130, 90)]


@settings(max_examples=10)
@given(
    data=st.data(),
    seed=st.integers(0, 10**6),
    shape=st.sampled_from(LONG),
    dtype=st.sampled_from([np.uint8, np.uint16, np.int16, np.float64]),
    block=st.sampled_from([48, 100, 192, 512]),
    min_size=st.sampled_from([0, 60]),
    batch=st.integers(1, 40),
)
def test_any_chunks_blocks_and_batches(
    tmp_path_factory, data, seed, shape, dtype, block, min_size, batch
):
    """What one piece makes, whether blocks are smaller than their halo or no multiple of chunks."""
    image, model = drawn(seed, shape).astype(dtype), standin(Painted(), 64, intensity="percentile")
    whole = segment(image, model, min_size=min_size, device="cpu").labels
    with patch.dict(BATCH_SIZES, cpu=batch):
        levels = levels_of([data.draw(stored(image))])
        folder = tmp_path_factory.getbasetemp()
        labels, summary = slide_labels(levels, model, folder, block=block, min_size=min_size)
    assert same(labels, whole)
    assert set(np.unique(labels)) | {0} == set(range(summary.objects + 1))


@settings(max_examples=4)
@given(seed=st.integers(0, 10**6))
def test_large_objects_across_corners_are_whole(tmp_path_factory, seed):
    """Objects larger than a block's halo, and one on a corner of four blocks."""
    image = drawn(seed, (400, 420), (15, 60))
    rows, columns = np.ogrid[:400, :420]
    distance = np.hypot(rows - 128, columns - 256)
    image[distance < 95] = 0
    image[distance < 90] = RIM_VALUE
    image[distance < 70] = CORE_VALUE
    model = standin(Painted(), 64)
    whole = segment(image, model, min_size=50, device="cpu").labels
    folder = tmp_path_factory.getbasetemp()
    labels, _ = slide_labels(levels_of([image]), model, folder, block=128, min_size=50)
    assert same(labels, whole)


@pytest.mark.parametrize("when", ["begun", "done"])
def test_another_process_may_do_the_same_run(tmp_path, monkeypatch, when):
    levels, model = levels_of([drawn(0, (300, 300))]), standin(Painted(), 64)
    output = tmp_path / "out.zarr"
    expected, summary = slide_labels(levels, model, tmp_path, block=100)

    def run(**options):
        return segment_slide(levels, model, output, block=100, device="cpu", **options)

    def filled(*arguments):
        monkeypatch.setattr(slides, "fill_folder", fill)
        fill(*arguments)
        run()

    def overtaken(*arguments):
        run()
        slides.one_by_one(*arguments)

    fill, execute = slides.fill_folder, slides.one_by_one
    if when == "begun":
        monkeypatch.setattr(slides, "fill_folder", filled)
    else:
        execute = overtaken
    assert run(execute=execute) == summary
    assert np.array_equal(zarr.open_array(output / "0", mode="r")[:], expected)
    assert list(tmp_path.iterdir()) == [output]


def test_a_full_disk_is_not_taken_for_another_process(tmp_path, monkeypatch):
    """Even if another process has begun the same run meanwhile."""
    levels, output = levels_of([drawn(0, (100, 90))]), tmp_path / "out.zarr"

    def full(*_):
        output.mkdir()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(slides, "fill_folder", full)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        segment_slide(levels, standin(Painted(), 64), output, device="cpu")
    assert list(tmp_path.iterdir()) == [output]


@pytest.mark.parametrize("block", [64, 100])
def test_classes_are_the_same_in_blocks(tmp_path, block):
    """Small parts of a class are told from the tips of large ones."""
    model = standin(Painted(), 64)
    model = replace(model, card=replace(model.card, classes=("background", "rim", "inside")))
    image = drawn(0, (257, 301))
    whole = segment(image, model, min_size=30, device="cpu").labels
    labels, summary = slide_labels(levels_of([image]), model, tmp_path, block=block, min_size=30)
    assert np.array_equal(labels, whole)
    assert set(np.unique(labels)) == {0, 1, 2}
    assert summary.objects is None


@settings(max_examples=6)
@given(
    data=st.data(),
    shape=st.sampled_from(LONG),
    colour=st.booleans(),
    magnification=st.sampled_from([0.75, 1.0, 1.41]),
)
def test_probabilities_of_blocks_are_those_of_the_image(
    tmp_path_factory, data, shape, colour, magnification
):
    image = np.random.default_rng(0).integers(0, 255, shape + (3,) * colour, np.uint8)
    model = standin(Uneven(32), intensity="percentile")
    whole = predict_image(image, model, magnification=magnification, device="cpu").probabilities
    levels, output = (
        levels_of([data.draw(stored(image))]),
        tmp_path_factory.mktemp("run") / "a.zarr",
    )
    asked = {
        "branches": "both",
        "model": "",
        "weights": "",
        "card": "",
        "threshold": 0.5,
        "min_size": 0,
        "block": 300,
        "magnification": magnification,
    }
    begin(levels, model, output, asked, "cpu")
    run = Run.open(output, levels, model, "cpu")
    for index in {0, len(run.grid) // 2, len(run.grid) - 1}:
        found, *_ = run.predict(run.grid.area(index, 64))
        np.testing.assert_allclose(found, whole[:, *run.grid.area(index, 64)], atol=1e-5)


def not_a_number(image):
    """One pixel among those that the first look at a large image leaves out."""
    large = np.zeros((2100, 2100), np.float32)
    large[: len(image), : image.shape[1]] = image / 255
    large[1501, 1001] = np.nan
    return large


def damaged(image):
    """An array of which a chunk cannot be read."""
    store = {}
    array = zarr.create_array(store, shape=image.shape, chunks=(100, 90), dtype=image.dtype)
    array[...] = image
    store["c/1/2"] = store["c/1/2"][:9]
    return array


@pytest.mark.parametrize(("make", "reason"), [(not_a_number, "NaN"), (damaged, "damaged or gone")])
def test_blocks_that_cannot_be_done_are_one_sentence(tmp_path, make, reason):
    """Also when the run is asked to go on."""
    levels, output = levels_of([make(drawn(0, (400, 420)))]), tmp_path / "out.zarr"
    for _ in range(2):
        with pytest.raises(ImageError, match=reason):
            segment_slide(levels, standin(Painted(), 64), output, block=512, device="cpu")


def test_what_is_asked_for_and_not_there(tmp_path):
    levels, model = levels_of([drawn(0, (100, 90))]), standin(Painted())
    with pytest.raises(ImageError, match="no resolution 3: choose one from 1 to 1"):
        segment_slide(levels, model, tmp_path / "out.zarr", level=2)
    assert not (tmp_path / "out.zarr").exists()
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="cannot be made"):
        segment_slide(levels, model, tmp_path / "file" / "out.zarr", device="cpu")


def test_no_two_blocks_share_a_chunk(tmp_path, monkeypatch):
    """Or workers would write over each other's labels."""
    monkeypatch.setattr(Run, "do", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    for block in (200, 512, 700, 1024):
        output = tmp_path / f"{block}.zarr"
        with pytest.raises(KeyboardInterrupt):
            segment_slide(levels_of([drawn(0, (100, 90))]), standin(Painted()), output, block=block)
        [chunk, _] = zarr.open_array(output / "0", mode="r").chunks
        assert block % chunk == 0
