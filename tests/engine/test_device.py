"""Devices by their names."""

import pytest
import torch

from napari_medt.engine.device import choose_device
from napari_medt.errors import DeviceError


@pytest.mark.parametrize(
    ("cuda", "mps", "best"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_the_best_device_that_torch_has_is_taken(monkeypatch, cuda, mps, best):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert choose_device("auto").type == best


def test_devices_by_name():
    assert choose_device("cpu").type == "cpu"
    with pytest.raises(DeviceError, match="Unknown device 'tpu'"):
        choose_device("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(DeviceError, match="no cuda device"):
            choose_device("cuda")
