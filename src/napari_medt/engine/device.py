"""Which device to run on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_medt.errors import DeviceError

if TYPE_CHECKING:
    import torch

DEVICES = ("auto", "cpu", "cuda", "mps")


def choose_device(name: str = "auto") -> torch.device:
    """Pick a device.

    Parameters
    ----------
    name : {"auto", "cpu", "cuda", "mps"}
        ``"auto"`` takes a CUDA GPU, then an Apple GPU, then the CPU.

    Raises
    ------
    DeviceError
        If the device is unknown or not on this machine.
    """
    import torch  # takes seconds, and the command line needs the names only

    present = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if name == "auto":
        return torch.device("cuda" if present["cuda"] else "mps" if present["mps"] else "cpu")
    if name not in present:
        raise DeviceError(f"Unknown device {name!r}: choose one of {', '.join(DEVICES)}.")
    if not present[name]:
        raise DeviceError(f"This machine has no {name} device: use 'auto' or 'cpu'.")
    return torch.device(name)
