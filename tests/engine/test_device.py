"""Devices by their names."""

import pytest
import torch

from napari_medt.engine.device import choose_device
from napari_medt.errors import DeviceError


def test_devices():
    assert choose_device("cpu").type == "cpu"
    assert choose_device("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(DeviceError, match="Unknown device 'tpu'"):
        choose_device("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(DeviceError, match="no cuda device"):
            choose_device("cuda")
