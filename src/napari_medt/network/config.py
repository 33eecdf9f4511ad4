"""What a network is, in numbers: the configuration stored beside the weights."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Literal, get_args

Branches = Literal["both", "global", "patch"]
BRANCHES: tuple[Branches, ...] = get_args(Branches)


@dataclass(frozen=True)
class Architecture:
    """One member of the family: which attention its branches use.

    Attributes
    ----------
    gated : bool
        The position terms of the global (or only) branch are scaled by learned gates.
    local_branch : bool
        A second, deep branch sees the image as patches.
    local_positions : bool
        The attention of the local branch has position terms.
    """

    gated: bool
    local_branch: bool
    local_positions: bool


ARCHITECTURES: dict[str, Architecture] = {
    "axialunet": Architecture(gated=False, local_branch=False, local_positions=False),
    "gated": Architecture(gated=True, local_branch=False, local_positions=False),
    "medt": Architecture(gated=True, local_branch=True, local_positions=False),
    "logo": Architecture(gated=False, local_branch=True, local_positions=True),
}

# A branch halves its map five times: stem, three strided stages, deepest decoder convolution.
SIZE_STEP = 32


@dataclass(frozen=True)
class NetworkConfig:
    """Everything needed to build a network that fits a set of weights.

    Attributes
    ----------
    architecture : str
        ``"axialunet"``, ``"gated"``, ``"medt"`` or ``"logo"``.
    image_size : int
        Height and width of the square input, in pixels.
    in_channels : int
        Channels of the input.
    num_classes : int
        Channels of the output.
    patch_size : int
        Side of the local branch's patches, in pixels; 0 asks for a quarter of the image (the
        paper's 4 x 4 grid). Networks without a local branch ignore it and hold 0.

    Raises
    ------
    ValueError
        If the numbers do not make a network; the message says which one and what would fit.
    """

    architecture: str = "medt"
    image_size: int = 128
    in_channels: int = 3
    num_classes: int = 2
    patch_size: int = 0

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            known = ", ".join(ARCHITECTURES)
            raise ValueError(f"unknown architecture {self.architecture!r}: choose one of {known}")
        for name in ("image_size", "in_channels", "num_classes", "patch_size"):
            if not isinstance(getattr(self, name), Integral):
                raise ValueError(f"{name} must be a whole number")
        if self.in_channels < 1 or self.num_classes < 1:
            raise ValueError("a network needs at least one input channel and one class")
        if self.image_size < SIZE_STEP or self.image_size % SIZE_STEP:
            raise ValueError(
                f"image size {self.image_size} does not fit: use a multiple of {SIZE_STEP}"
            )
        if not self.has_branches:
            object.__setattr__(self, "patch_size", 0)
            return
        if self.patch_size == 0:
            object.__setattr__(self, "patch_size", self.image_size // 4)
        if self.patch_size < SIZE_STEP or self.patch_size % SIZE_STEP:
            raise ValueError(
                f"patch size {self.patch_size} does not fit: use a multiple of {SIZE_STEP} "
                f"(for the default 4 x 4 grid, an image size that is a multiple of {4 * SIZE_STEP})"
            )
        if self.image_size % self.patch_size:
            raise ValueError(
                f"image size {self.image_size} is not a whole number of "
                f"{self.patch_size}-pixel patches"
            )

    @property
    def has_branches(self) -> bool:
        """Whether there are two branches, so that either can be switched off."""
        return ARCHITECTURES[self.architecture].local_branch
