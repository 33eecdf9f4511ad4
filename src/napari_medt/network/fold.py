"""The inference form: the same networks less their norms.

In eval mode a batch norm is a scale and a shift per channel, and both can go into the weights of
what stands before it. :func:`fold` copies a network and exchanges the parts that have norms, stem
and axial block, for their counterparts here. All else stays as it is.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_medt.network import fused
from napari_medt.network.attention import GATES, AxialAttention
from napari_medt.network.blocks import AxialBlock, Stem, along_height, along_width
from napari_medt.network.config import Branches

# Pixels that go through the network at once on a CPU: 8 images of 128. With more, its largest maps
# pass what malloc keeps, and every call would wait for the system to hand out fresh pages.
PORTION = 8 * 128**2
KEPT = 31 << 20  # bytes: glibc keeps blocks below 32 MiB for the next call, once it has seen one

# Numbers in one map of the torch form: on CPUs it should stay in a core's cache, elsewhere memory
# is the limit.
CHUNK = {"cpu": 1 << 18}
LARGE_CHUNK = 1 << 25
SMALL_MAP = 1 << 19  # numbers in what a 1 x 1 convolution makes, up to which it is a product
LANES = 16  # of the kernel; the position tables are padded to whole vectors


class Folded(nn.Module):
    """A network of the MedT family for inference: same call, same output, several times faster.

    No gradients pass.

    Parameters
    ----------
    network : torch.nn.Module
        An AxialUNet or LoGoNet whose parts have no norms any more.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.requires_grad_(False)
        self.eval()
        torch.empty(KEPT, dtype=torch.uint8)  # shown to malloc and given back, never touched

    @property
    def config(self) -> Any:
        """Of the network."""
        return self.network.config

    def forward(self, x: Tensor, branches: Branches = "both") -> Tensor:
        """Map images ``(N, in_channels, S, S)`` to logits ``(N, num_classes, S, S)``."""
        count = max(1, PORTION // (x.shape[2] * x.shape[3]))
        if x.device.type != "cpu" or len(x) <= count:
            return self.network(x, branches)
        return torch.cat([self.network(portion, branches) for portion in x.split(count)])


@torch.no_grad()
def fold(network: nn.Module) -> Folded:
    """Return the inference form of a network.

    Parameters
    ----------
    network : torch.nn.Module
        An AxialUNet or LoGoNet; stays as it is.

    Returns
    -------
    Folded
        As `network` is in eval mode, on its device and in its precision.
    """
    device = next(network.parameters()).device
    folded = copy.deepcopy(network).cpu()  # not every device has double precision
    for parent in list(folded.modules()):
        for name, child in parent.named_children():
            if isinstance(child, Stem):
                setattr(parent, name, folded_stem(child))
            elif isinstance(child, AxialBlock):
                setattr(parent, name, FoldedBlock(child))
    folded.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Folded(folded).to(device)


def folded_stem(stem: Stem) -> nn.Sequential:
    """Return a :class:`~napari_medt.network.blocks.Stem` less its norms."""
    layers: list[Any] = list(stem)
    folded = nn.Sequential()
    for convolution, norm in zip(layers[::3], layers[1::3], strict=True):
        part = folded_convolution(convolution, *scale_and_shift(norm))
        few = convolution.out_channels <= LANES // 2 and convolution.stride == (1, 1)
        folded.append(TwinConvolution(part) if few else part)
        folded.append(nn.ReLU(inplace=True))
    return folded


class TwinConvolution(nn.Module):
    """A 3 x 3 convolution to few channels, done for two neighbours of a row at once.

    Eight channels out fill half a vector. The pixels 2i and 2i + 1 together fill it: a kernel four
    wide sees what both see, with zeros in the column that one of them does not.

    Parameters
    ----------
    convolution : nn.Conv2d
        With stride 1, padding 1 and a bias.
    """

    def __init__(self, convolution: Any) -> None:
        super().__init__()
        weight, bias = convolution.weight, convolution.bias
        self.weight = nn.Parameter(torch.cat([F.pad(weight, (0, 1)), F.pad(weight, (1, 0))]))
        self.bias = nn.Parameter(torch.cat([bias, bias]))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, C, H, W)`` to ``(N, channels, H, W)``, where W is even."""
        y = F.conv2d(x, self.weight, self.bias, stride=(1, 2), padding=1)
        # Channels-last, the twins' channels lie in memory as two pixels' do.
        y = y.permute(0, 2, 3, 1).unflatten(3, (2, -1)).flatten(2, 3)
        return y.permute(0, 3, 1, 2)


class FoldedBlock(nn.Module):
    """An :class:`~napari_medt.network.blocks.AxialBlock` less its norms."""

    def __init__(self, block: AxialBlock) -> None:
        super().__init__()
        self.reduce = folded_convolution(block.reduce, *scale_and_shift(block.reduce_norm))
        self.height = FoldedAttention(block.height)
        self.width = FoldedAttention(block.width)
        self.pool = block.pool
        self.expand = folded_convolution(block.expand, *scale_and_shift(block.expand_norm))
        self.shortcut = block.shortcut
        if isinstance(block.shortcut, nn.Sequential):
            convolution, norm = block.shortcut
            self.shortcut = folded_convolution(convolution, *scale_and_shift(norm))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, in_channels, H, W)`` to ``(N, EXPANSION * planes, H / stride, W / stride)``."""
        y = self.reduce(x).relu_()
        y = along_height(self.height, y)
        y = along_width(self.width, y)
        y = self.pool(y).relu_()
        y = self.expand(y)
        return y.add_(self.shortcut(x)).relu_()


class FoldedAttention(nn.Module):
    """An :class:`~napari_medt.network.attention.AxialAttention` less its norms.

    Per head, for query position i and key position j::

        s[i, j] = q_i . (k_j + rq[i - j]) + k_j . rk[i - j]
        a[i, :] = softmax(s[i, :])
        out[i]  = sum_j a[i, j] (v_j + rv[i - j])

    The scales of the similarity norm are in q, rq and rk; its shifts cancel in the softmax. The
    scales of the output norm are in v and rv, and as attention adds up to one over the keys, its
    shifts are in v. Gates are in the tables and in v. So the tables differ from head to head now.
    """

    rq: Tensor
    rk: Tensor
    rv: Tensor
    offsets: Tensor
    table_tops: Tensor

    def __init__(self, attention: AxialAttention) -> None:
        super().__init__()
        self.heads, self.length = attention.heads, attention.length
        key, value = attention.key_width, attention.value_width
        gates = dict.fromkeys(GATES, 1.0)
        if attention.gated:
            gates = {name: getattr(attention, name).item() for name in GATES}
        similarity, _ = scale_and_shift(attention.similarity_norm)
        similarity = similarity.view(-1, self.heads, 1, 1)  # (terms, heads, ...)
        output, shift = scale_and_shift(attention.output_norm)
        output = output.view(self.heads, value, -1)  # (heads, width, terms)

        scale, bias = scale_and_shift(attention.qkv_norm)
        scale, bias = scale.view(self.heads, -1), bias.view(self.heads, -1)
        # The table of queries is divided by what q is multiplied with: never by zero.
        content = torch.where(similarity[0].abs() < 1e-12, 1e-12, similarity[0])
        for part in (scale, bias):
            part[:, :key] *= content[:, :, 0]
            part[:, 2 * key :] *= output[:, :, 0] * gates["gate_value"]
        bias[:, 2 * key :] += shift.view_as(output).sum(2)
        self.qkv = folded_convolution(attention.qkv, scale.flatten(), bias.flatten())

        rq = rk = rv = scale.new_empty(self.heads, 0, 0)
        if self.length is not None:
            rq, rk, rv = attention.relative.double().split([key, key, value])
            rq = rq * (similarity[1] / content * gates["gate_query"])
            rk = rk.flip(1) * (similarity[2] * gates["gate_key"])
            rv = rv * (output[:, :, 1:] * gates["gate_position_value"])
            padding = (0, -self.length % LANES)
            rq, rk, rv = (F.pad(table, padding) for table in (rq, rk, rv))
            self.register_buffer("offsets", attention.offsets)
        for name, table in {"rq": rq, "rk": rk, "rv": rv}.items():
            self.register_buffer(name, table.to(attention.qkv.weight))  # (heads, width, i - j)
        tops = torch.zeros(2, self.heads * key)
        if self.length is not None:
            tops = torch.stack([self.rq, self.rk]).abs().amax(3).flatten(1)
        self.register_buffer("table_tops", tops)

    def forward(self, x: Tensor) -> Tensor:
        """Attend along the last axis of ``(N, channels, M, length)``."""
        # The convolution works on channels-last maps as they are, turned or not.
        turned = x.stride(3) > x.stride(2)
        pixels = x.transpose(2, 3) if turned else x
        rows = self.qkv(pixels).permute(0, 2, 3, 1)
        rows = rows.transpose(1, 2) if turned else rows  # (N, M, length, channels)
        rows = rows if rows.stride(3) == 1 else rows.contiguous()
        out = fused.empty_like(rows, x.shape[1])
        if fused.available(rows):
            from napari_medt.network.folded_kernels import attend_folded  # Numba is optional

            n, m = rows.shape[:2]
            tables = self.rq, self.rk, self.rv, self.table_tops
            fused.share(n * m, attend_folded, rows, *tables, out)
        else:
            out.copy_(self._attend(rows))
        return out.permute(0, 3, 1, 2)

    def _attend(self, rows: Tensor) -> Tensor:
        """Attend in pure torch, some rows at a time."""
        n, m, length, _ = rows.shape
        by_head = rows.unflatten(3, (self.heads, -1)).permute(0, 1, 3, 4, 2)
        qkv = by_head.flatten(0, 1).contiguous()  # (rows, heads, 2 * width, length)
        tables = []
        if self.length is not None:
            rq, rk, rv = (table[..., self.offsets] for table in (self.rq, self.rk, self.rv))
            tables = [rq, rk, rv.transpose(1, 2).flatten(0, 1)]  # (heads * query, width, key)
        numbers = CHUNK.get(rows.device.type, LARGE_CHUNK)
        count = min(n * m, max(1, numbers // (self.heads * length**2)))
        # The maps are made once: fresh memory would cost more than the arithmetic.
        maps = rows.new_empty(2, count, self.heads, length, length)
        chunks = [
            self._attend_chunk(part, tables, *maps[:, : len(part)]) for part in qkv.split(count)
        ]
        out = torch.cat(chunks).flatten(1, 2)  # (rows, channels, length)
        return out.unflatten(0, (n, m)).transpose(2, 3)

    def _attend_chunk(self, qkv: Tensor, tables: list[Tensor], s: Tensor, work: Tensor) -> Tensor:
        """Attend in ``(rows, heads, 2 * width, length)``; the maps `s` and `work` are filled."""
        half = qkv.shape[2] // 4
        q, k, v = qkv.split([half, half, 2 * half], dim=2)
        if not tables:
            torch.matmul(q.transpose(2, 3), k, out=s)
            return v @ torch.softmax(s, dim=-1, out=work).transpose(2, 3)

        rq, rk, rv = tables
        for c in range(half):
            query, key = q[:, :, c, :, None], k[:, :, c, None, :]
            # Two steps: addcmul would be slow with a factor that is constant along the keys.
            term = torch.add(key, rq[:, c], out=work if c else s).mul_(query)
            if c:
                s += term
            s.addcmul_(key, rk[:, c])
        attention = torch.softmax(s, dim=-1, out=work)
        by_query = attention.permute(1, 2, 3, 0).flatten(0, 1)  # (heads * query, key, rows)
        position = (rv @ by_query).unflatten(0, (self.heads, -1))  # (heads, query, width, rows)
        return v @ attention.transpose(2, 3) + position.permute(3, 0, 2, 1)


def scale_and_shift(norm: Any) -> tuple[Tensor, Tensor]:
    """Return what a batch norm multiplies its channels with in eval mode, and what it then adds.

    In double precision, as several factors meet in one weight.
    """
    scale = norm.weight.double() * (norm.running_var.double() + norm.eps).rsqrt()
    return scale, norm.bias.double() - scale * norm.running_mean.double()


class PixelwiseLinear(nn.Module):
    """A 1 x 1 convolution; on small maps a matrix product, which takes less to set up.

    Parameters
    ----------
    weight, bias : Tensor
        ``(channels out, channels in)`` and ``(channels out,)``.
    stride : int
        1, or 2 to take every other pixel of every other row.
    """

    def __init__(self, weight: Tensor, bias: Tensor, stride: int = 1) -> None:
        super().__init__()
        self.weight, self.bias, self.stride = nn.Parameter(weight), nn.Parameter(bias), stride

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, in, H, W)`` to ``(N, out, H / stride, W / stride)``, channels-last."""
        if x.numel() // x.shape[1] * len(self.weight) > SMALL_MAP * self.stride**2:
            return F.conv2d(x, self.weight[:, :, None, None], self.bias, self.stride)
        if self.stride > 1:
            x = x[:, :, :: self.stride, :: self.stride]
        return F.linear(x.permute(0, 2, 3, 1), self.weight, self.bias).permute(0, 3, 1, 2)


def folded_convolution(convolution: Any, scale: Tensor, shift: Tensor) -> nn.Module:
    """Return a convolution without bias, and the scale and shift after it, as one convolution."""
    weight = convolution.weight
    if weight.dim() == 3:  # along one axis, as the attention's
        weight = weight.unsqueeze(3)
    bias = shift.to(weight.dtype)
    weight = (weight * scale.view(-1, 1, 1, 1)).to(weight.dtype)
    if weight.shape[2:] == (1, 1):
        return PixelwiseLinear(weight.flatten(1), bias, convolution.stride[0])
    folded = nn.Conv2d(
        weight.shape[1],
        weight.shape[0],
        tuple(weight.shape[2:]),
        stride=convolution.stride[0],
        padding=convolution.padding[0],
        device="meta",  # no usual random start, which would draw from the user's random numbers
    )
    folded.weight, folded.bias = nn.Parameter(weight), nn.Parameter(bias)
    return folded
