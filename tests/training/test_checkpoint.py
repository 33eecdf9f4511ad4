"""Checkpoints: refused if damaged, and on a full disk the one before stays."""

import pytest
import torch

from napari_medt.errors import DataError
from napari_medt.training.checkpoint import CHECKPOINT_FILE, save_checkpoint
from napari_medt.training.loop import load_or_make_state, train
from tests.training.test_loop import CONFIG, interrupted


@pytest.mark.parametrize("size", [0, 100, 2000, -1])
def test_a_damaged_checkpoint_is_refused(data, tmp_path, monkeypatch, size):
    output = interrupted(data, tmp_path / "m", monkeypatch)
    checkpoint = output / CHECKPOINT_FILE
    checkpoint.write_bytes(checkpoint.read_bytes()[:size])
    with pytest.raises(DataError, match=r"checkpoint\.pt cannot be read: delete it or choose"):
        train(CONFIG, data, output, device="cpu", quiet=True)


def test_a_file_that_is_no_checkpoint_is_refused(data, tmp_path):
    (tmp_path / "m").mkdir()
    torch.save({"weights": torch.zeros(3)}, tmp_path / "m" / CHECKPOINT_FILE)
    with pytest.raises(DataError, match="cannot be read"):
        train(CONFIG, data, tmp_path / "m", device="cpu", quiet=True)


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path):
    """A limit on the size of files stands in for the disk."""
    resource = pytest.importorskip("resource")
    state = load_or_make_state(CONFIG, tmp_path, torch.device("cpu"))
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, state, CONFIG)
    before, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            save_checkpoint(path, state, CONFIG)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
