"""Which device to run on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_medt.errors import DeviceError

if TYPE_CHECKING:
    import torch

DEVICES = ("auto", "cpu", "cuda", "mps")


def present_devices() -> list[str]:
    """Names of the devices that this machine has, the CPU first."""
    import torch  # takes seconds, and the command line needs the names only

    present = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    return [name for name, there in present.items() if there]


def choose_device(name: str) -> torch.device:
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
    import torch

    if name not in DEVICES:
        raise DeviceError(f"Unknown device {name!r}: choose one of {', '.join(DEVICES)}.")
    present = present_devices()
    if name == "auto":
        name = next(best for best in ("cuda", "mps", "cpu") if best in present)
    if name not in present:
        raise DeviceError(f"This machine has no {name} device: use 'auto' or 'cpu'.")
    return torch.device(name)
