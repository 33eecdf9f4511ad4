"""The four networks: axial U-Nets with one branch, LoGo and MedT with two."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_medt.network.blocks import EXPANSION, AxialBlock, Stem
from napari_medt.network.config import ARCHITECTURES, BRANCHES, Branches, NetworkConfig
from napari_medt.network.patches import join_patches, split_patches

STAGE_PLANES = (16, 32, 64, 128)
STAGE_BLOCKS = (1, 2, 4, 1)
DECODED = 16  # channels of a branch's decoded map


class Branch(nn.Module):
    """A U of axial attention: stem, encoder stages, decoder with skip additions.

    Parameters
    ----------
    in_channels : int
        Channels of the image.
    stages : int
        How many of the four encoder stages: 2 (the shallow global branch) or 4.
    size : int, optional
        Side of the input in pixels when the attention has position terms, else None.
    gated : bool
        Gate the position terms.
    stem_width : int
        Channels of the stem's output.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        stages: int,
        size: int | None = None,
        gated: bool = False,
        stem_width: int = 8,
    ) -> None:
        super().__init__()
        self.stem = Stem(in_channels, stem_width)
        self.stages = nn.ModuleList()
        width, length = stem_width, size // 2 if size else None
        for stage in range(stages):
            blocks = nn.Sequential()
            for block in range(STAGE_BLOCKS[stage]):
                stride = 2 if stage > 0 and block == 0 else 1
                planes = STAGE_PLANES[stage]
                blocks.append(AxialBlock(width, planes, length=length, gated=gated, stride=stride))
                width = EXPANSION * planes
                length = length // stride if length else None
            self.stages.append(blocks)

        # Each decoder convolution is followed by upsampling; the deep branch first goes down once
        # more, so that its deepest encoder map too is a skip.
        skips = [EXPANSION * planes for planes in STAGE_PLANES[:stages]]
        self.bottom: nn.Module | None = None
        if stages == len(STAGE_PLANES):
            self.bottom = nn.Conv2d(width, width, 3, stride=2, padding=1)
        outs = [*reversed(skips[:-1]), DECODED]
        self.decoder = nn.ModuleList()
        for out in outs:
            self.decoder.append(nn.Conv2d(width, out, 3, padding=1))
            width = out

    def forward(self, x: Tensor) -> Tensor:
        """Map an image ``(N, in_channels, H, W)`` to its decoded map ``(N, 16, H, W)``."""
        x = self.stem(x)
        skips = []
        for stage in self.stages:
            x = stage(x)
            skips.append(x)
        x = skips.pop() if self.bottom is None else upsample(self.bottom(x)) + skips.pop()
        for convolution in self.decoder:
            x = upsample(convolution(x))
            if skips:
                x = x + skips.pop()
        return x


def upsample(x: Tensor) -> Tensor:
    """Double the resolution of ``(N, C, H, W)`` bilinearly, then rectify."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False).relu_()


class AxialUNet(nn.Module):
    """The axial attention U-Net, gated or not: one deep branch that sees the whole image.

    Parameters
    ----------
    config : NetworkConfig
        With architecture ``"axialunet"`` or ``"gated"``.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        gated = ARCHITECTURES[config.architecture].gated
        self.branch = Branch(config.in_channels, stages=4, size=config.image_size, gated=gated)
        self.head = nn.Conv2d(DECODED, config.num_classes, 1)

    def forward(self, x: Tensor, branches: Branches = "both") -> Tensor:
        """Map ``(N, in_channels, S, S)`` to logits ``(N, num_classes, S, S)``.

        Raises
        ------
        ValueError
            If `branches` asks for one of two branches: there is only one here.
        """
        if branches != "both":
            raise ValueError(f"{self.config.architecture} has a single branch: use branches='both'")
        return self.head(self.branch(x))


class LoGoNet(nn.Module):
    """MedT and LoGo: a shallow global branch and a deep local branch on patches, added.

    With one branch switched off the other's map counts twice, as in dropout: what follows sees
    sums of the same size. Training drops either branch at random, so that all three settings are
    trained.

    Parameters
    ----------
    config : NetworkConfig
        With architecture ``"medt"`` or ``"logo"``.

    Attributes
    ----------
    patch_statistics : {"pooled", "per_patch"}
        In training mode, whether batch norm sees all patches at once or, as the published
        training did, one grid position after the other. In eval mode the two are the same.

    References
    ----------
    Valanarasu et al., Medical Transformer, MICCAI 2021, section 2.3 (LoGo).
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.patch_statistics: Literal["pooled", "per_patch"] = "pooled"
        kind = ARCHITECTURES[config.architecture]
        self.global_branch = Branch(
            config.in_channels, stages=2, size=config.image_size, gated=kind.gated
        )
        self.local_branch = Branch(
            config.in_channels,
            stages=4,
            size=config.patch_size if kind.local_positions else None,
            stem_width=64,
        )
        self.fuse = nn.Conv2d(DECODED, DECODED, 3, padding=1)
        self.head = nn.Conv2d(DECODED, config.num_classes, 1)

    def forward(self, x: Tensor, branches: Branches = "both") -> Tensor:
        """Map ``(N, in_channels, S, S)`` to logits ``(N, num_classes, S, S)``.

        Parameters
        ----------
        x : Tensor
            Images.
        branches : {"both", "global", "patch"}
            Which branches run.

        Raises
        ------
        ValueError
            If `branches` is none of these.
        """
        if branches == "both":
            fused = self.fuse(self.global_branch(x) + self._local(x))
        elif branches == "global":
            fused = self._fuse_doubled(self.global_branch(x))
        elif branches == "patch":
            fused = self._fuse_doubled(self._local(x))
        else:
            raise ValueError(f"unknown branches {branches!r}: choose one of {', '.join(BRANCHES)}")
        return self.head(fused.relu_())

    def _fuse_doubled(self, decoded: Tensor) -> Tensor:
        """Fuse twice a map. Doubled weights come to the same, and are far fewer numbers."""
        fuse = self.fuse
        return F.conv2d(decoded, 2 * fuse.weight, fuse.bias, padding=fuse.padding)

    def _local(self, x: Tensor) -> Tensor:
        patches = split_patches(x, self.config.patch_size)
        if self.training and self.patch_statistics == "per_patch":
            per_image = patches.unflatten(0, (x.shape[0], -1))
            decoded = [self.local_branch(position) for position in per_image.unbind(1)]
            patches = torch.stack(decoded, dim=1).flatten(0, 1)
        else:
            patches = self.local_branch(patches)
        return join_patches(patches, x.shape[2], x.shape[3])


def build_network(
    architecture: str = "medt",
    *,
    image_size: int = 128,
    in_channels: int = 3,
    num_classes: int = 2,
    patch_size: int = 0,
) -> AxialUNet | LoGoNet:
    """Build a network of the MedT family with fresh weights.

    Parameters
    ----------
    architecture : str
        ``"axialunet"``, ``"gated"``, ``"medt"`` or ``"logo"``.
    image_size : int
        Height and width of the input in pixels: a multiple of 32, and of the patch size.
    in_channels, num_classes : int
        Channels in and out.
    patch_size : int
        Side of the local branch's patches; 0 for a quarter of the image.

    Returns
    -------
    torch.nn.Module
        Maps ``(N, in_channels, S, S)`` to logits ``(N, num_classes, S, S)``.

    Raises
    ------
    ValueError
        If the numbers do not make a network.
    """
    return from_config(
        NetworkConfig(architecture, image_size, in_channels, num_classes, patch_size)
    )


def from_config(config: NetworkConfig) -> AxialUNet | LoGoNet:
    """Build the network that a configuration describes, with fresh weights."""
    if config.has_branches:
        return LoGoNet(config)
    return AxialUNet(config)
