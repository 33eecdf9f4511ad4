"""The parts a branch is made of: stem and axial residual block."""

from __future__ import annotations

from torch import Tensor, nn

from napari_medt.network.attention import AxialAttention

EXPANSION = 2


class Stem(nn.Sequential):
    """Three convolutions that halve the image and lift it to features.

    Parameters
    ----------
    in_channels : int
        Channels of the image.
    width : int
        Channels out.
    """

    def __init__(self, in_channels: int, width: int) -> None:
        middle = 128
        super().__init__(
            nn.Conv2d(in_channels, width, 7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, middle, 3, padding=1, bias=False),
            nn.BatchNorm2d(middle),
            nn.ReLU(),
            nn.Conv2d(middle, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )


class AxialBlock(nn.Module):
    """Residual block: attention along the height, then along the width, between 1 x 1 convolutions.

    Parameters
    ----------
    in_channels : int
        Channels in; ``EXPANSION * planes`` come out.
    planes : int
        Channels inside, where the attention works.
    length : int, optional
        Height and width of the map when the attention has position terms, else None.
    gated : bool
        Gate the position terms.
    stride : int
        1, or 2 to halve the map after the attention.
    """

    def __init__(
        self,
        in_channels: int,
        planes: int,
        *,
        length: int | None = None,
        gated: bool = False,
        stride: int = 1,
    ) -> None:
        super().__init__()
        out_channels = EXPANSION * planes
        self.reduce = nn.Conv2d(in_channels, planes, 1, bias=False)
        self.reduce_norm = nn.BatchNorm2d(planes)
        self.height = AxialAttention(planes, length=length, gated=gated)
        self.width = AxialAttention(planes, length=length, gated=gated)
        self.pool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
        self.expand = nn.Conv2d(planes, out_channels, 1, bias=False)
        self.expand_norm = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU()
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, in_channels, H, W)`` to ``(N, EXPANSION * planes, H / stride, W / stride)``."""
        y = self.relu(self.reduce_norm(self.reduce(x)))
        y = along_height(self.height, y)
        y = along_width(self.width, y)
        y = self.relu(self.pool(y))
        y = self.expand_norm(self.expand(y))
        return self.relu(y + self.shortcut(x))


def along_height(attention: nn.Module, x: Tensor) -> Tensor:
    """Apply attention along the last axis to the columns of ``(N, C, H, W)``."""
    return attention(x.transpose(2, 3)).transpose(2, 3)


def along_width(attention: nn.Module, x: Tensor) -> Tensor:
    """Apply attention along the last axis to the rows of ``(N, C, H, W)``."""
    return attention(x)
