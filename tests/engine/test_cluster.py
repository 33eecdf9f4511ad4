"""Blocks in other processes: real workers on this machine, one of which is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import distributed
import numpy as np
import pytest
import tifffile
import zarr
from distributed import LocalCluster

from napari_medt import cli
from napari_medt.engine import cluster
from napari_medt.engine.block import Run
from napari_medt.engine.cluster import OnCluster, start_workers
from napari_medt.engine.pyramid import open_levels
from napari_medt.engine.slide import segment_slide
from napari_medt.engine.stitch import BlockRecord
from napari_medt.errors import Cancelled, ClusterError
from napari_medt.models.store import load_model

MODEL = "nuclei-fluorescence"
BLOCKS = 6


def draw_slide(path, seed=0):
    """Write bright disks on a dark ground, many across the borders of blocks."""
    rows, columns = np.ogrid[:400, :600]
    image = (np.hypot(rows % 48 - 23.5, columns % 52 - 25.5) < 13) * 180
    noise = np.random.default_rng(seed).integers(0, 30, image.shape)
    tifffile.imwrite(path, (image + noise).astype(np.uint8), tile=(128, 128))
    return path


def segment(image, output, **options):
    """Segment in blocks of 256 pixels, by the branch that is quick; returns the labels."""
    levels, model = open_levels(image), load_model(MODEL)
    segment_slide(levels, model, output, "global", block=256, device="cpu", **options)
    return read(output)


def read(output):
    return zarr.open_array(output / "0", mode="r")[:]


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    return draw_slide(tmp_path_factory.mktemp("slide") / "slide.tif")


@pytest.fixture(scope="module")
def expected(slide, tmp_path_factory):
    """Labels that this process makes, block by block."""
    labels = segment(slide, tmp_path_factory.mktemp("here") / "out.zarr")
    assert labels.max() > 60
    return labels


@pytest.fixture(scope="module")
def client():
    with start_workers(2) as client:
        yield client


def note_blocks(folder):
    """Let a worker write down which blocks it does."""
    do = Run.do

    def told(self, index):
        do(self, index)
        (folder / f"{index}-{os.getpid()}").touch()

    Run.do = told


def die_half_written(folder):
    """Let a worker be killed when it has written a block's labels, but not its record."""

    def save(self, path):
        (folder / str(os.getpid())).touch()
        os.kill(os.getpid(), signal.SIGKILL)

    BlockRecord.save = save


def test_workers_make_the_same_and_each_block_once(client, slide, expected, tmp_path):
    notes, seen, told = tmp_path / "notes", [], []
    notes.mkdir()
    client.run(note_blocks, notes)
    output, execute = tmp_path / "out.zarr", OnCluster(client, slide, MODEL)

    def here(run, todo, done, cancelled):
        execute(run, todo, lambda index: seen.append(index) or done(index), cancelled)

    labels = segment(slide, output, execute=here, progress=lambda *counts: told.append(counts))
    assert np.array_equal(labels, expected)
    assert sorted(seen) == list(range(BLOCKS))
    assert told == [(count, BLOCKS) for count in range(BLOCKS + 1)]
    blocks, workers = zip(*(path.name.split("-") for path in notes.iterdir()), strict=True)
    assert sorted(map(int, blocks)) == list(range(BLOCKS))
    assert {int(worker) for worker in workers} <= set(client.run(os.getpid).values())


def test_stopped_and_gone_on_with(client, slide, expected, tmp_path):
    output, execute, seen = tmp_path / "out.zarr", OnCluster(client, slide, MODEL), []
    with pytest.raises(Cancelled):
        segment(
            slide,
            output,
            execute=execute,
            progress=lambda done, total: seen.append(done),
            cancelled=lambda: len(seen) > 2,
        )
    assert np.array_equal(segment(slide, output, execute=execute), expected)


def test_a_workers_error_is_one_sentence(client, slide, tmp_path):
    other = draw_slide(tmp_path / "slide.tif", seed=1)
    with pytest.raises(ClusterError, match=r"^A worker has another image"):
        segment(slide, tmp_path / "out.zarr", execute=OnCluster(client, other, MODEL))
    assert not list((tmp_path / "out.zarr" / ".medt").glob("block-*"))


def test_a_killed_worker_costs_its_block_only(client, slide, expected, tmp_path):
    (tmp_path / "dead").mkdir()
    victim, *_ = client.scheduler_info()["workers"]
    before = client.run(os.getpid)
    client.run(die_half_written, tmp_path / "dead", workers=[victim])
    labels = segment(slide, tmp_path / "out.zarr", execute=OnCluster(client, slide, MODEL))
    assert np.array_equal(labels, expected)
    assert [int(path.name) for path in (tmp_path / "dead").iterdir()] == [before[victim]]


def test_a_worker_that_comes_too_late_changes_nothing(slide, expected, tmp_path):
    """Given up for lost, it was only slow: the run has ended, and its labels have their numbers."""
    output = tmp_path / "out.zarr"
    segment(slide, output)
    Run.open(output, open_levels(slide), load_model(MODEL), "cpu").do(0)
    assert np.array_equal(read(output), expected)


def test_a_block_that_the_scheduler_dropped_is_one_sentence(client):
    future = client.submit(time.sleep, 1)
    client.cancel(future)
    with pytest.raises(ClusterError, match="scheduler was lost"):
        cluster.raise_failure(future)


@pytest.mark.parametrize(
    ("output", "options", "sentence"),
    [
        ("out.zarr", ["--scheduler", "tcp://127.0.0.1:1"], "No Dask scheduler answers at tcp://"),
        ("out.zarr", ["--scheduler", "nonsense://x"], "No Dask scheduler answers at nonsense://x"),
        ("out.zarr", ["--scheduler", "tls://127.0.0.1:1"], "No Dask scheduler answers at tls://"),
        ("out.zarr", ["--scheduler", "tcp://x:1", "--workers", "2"], "leave out --scheduler"),
        ("out", ["--workers", "2"], "is for slides"),
        ("out", ["--scheduler", "tcp://x:1"], "is for slides"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    slide, tmp_path, capsys, monkeypatch, output, options, sentence
):
    monkeypatch.setattr(cluster, "TIMEOUT", 1)
    command = ["segment", str(slide), "--model", MODEL, "--output", str(tmp_path / output)]
    assert cli.main([*command, *options]) == 1
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert not (tmp_path / output).exists()


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense://x"])
def test_no_client_is_left_half_made(monkeypatch, address):
    """Collected as garbage while another one starts, it would stop the process for good."""
    made = []
    monkeypatch.setattr(cluster, "TIMEOUT", 1)
    monkeypatch.setattr(distributed, "Client", lambda *args, **kwargs: made.append(args))
    with pytest.raises(ClusterError, match="No Dask scheduler"), cluster.connect(address):
        pass
    assert not made


def test_a_scheduler_without_workers_is_told(monkeypatch):
    monkeypatch.setattr(cluster, "TIMEOUT", 1)
    with (
        LocalCluster(n_workers=0, processes=False, dashboard_address="127.0.0.1:0") as empty,
        pytest.raises(ClusterError, match="has no workers: start some with 'dask worker"),
        cluster.connect(empty.scheduler_address),
    ):
        pass


def test_without_distributed_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(ClusterError, match=r"pip install 'napari-medt\[cluster\]'"),
        start_workers(1),
    ):
        pass


def test_the_command_line_starts_workers(slide, expected, tmp_path):
    """The run is begun here, in small blocks, and gone on with by the installed command."""
    output = tmp_path / "out.zarr"
    with pytest.raises(Cancelled):
        segment(slide, output, cancelled=lambda: True)
    command = [Path(sys.executable).with_name("napari-medt"), "segment", slide, "--model", MODEL]
    options = ["--output", output, "--branches", "global", "--device", "cpu", "--workers", "2"]
    done = subprocess.run([*command, *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "objects at resolution 1" in done.stdout
    assert done.stderr == ""
    assert np.array_equal(read(output), expected)
