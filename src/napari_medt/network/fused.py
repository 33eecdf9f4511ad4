"""Axial attention without its maps: the same numbers as the readable form, several times faster.

:class:`~napari_medt.network.attention.AxialAttention` comes here when :func:`available` says so.
The similarity norm needs no map either. In the softmax over keys its shift cancels, so that only
its scale is left; and the variances behind that scale follow from sums over queries, keys and
position tables.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from napari_medt.network.threads import run_in_threads

logger = logging.getLogger("napari_medt")

BROKEN = "Numba does not work here (%s), so networks run in torch alone."

try:
    from napari_medt.network import kernels
except ImportError as error:  # Numba is optional
    logger.info("Numba is missing (%s), so networks run in torch alone, more slowly.", error)
    _installed = False
except Exception as error:  # there, but damaged: LLVM may lack a library, which is an OSError
    logger.warning(BROKEN, error)
    _installed = False
else:
    _installed = True

if TYPE_CHECKING:
    from napari_medt.network.attention import AxialAttention

# Work from which a part is worth another thread: numbers in its rows, times keys, times `cost`.
WORTH_SHARING = 1 << 22

_enabled = True


def available(x: Tensor) -> bool:
    """Whether to take the fused form for `x`: float32 on the CPU, with Numba installed.

    Double precision stays with the readable form, the reference.
    """
    plain = x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    return _installed and _enabled and x.device.type == "cpu" and plain and _compiles()


@cache
def _compiles() -> bool:
    """Whether Numba can compile for this machine; said in the log where it cannot."""
    try:
        return kernels.probe() == 1
    except Exception as error:  # Numba and LLVM raise what they like
        logger.warning(BROKEN, error)
        return False


@contextmanager
def readable() -> Iterator[None]:
    """Keep to the readable form inside a ``with`` block, for tests and comparisons."""
    global _enabled
    before, _enabled = _enabled, False
    try:
        yield
    finally:
        _enabled = before


def axial_attention(module: AxialAttention, x: Tensor) -> Tensor:
    """Compute ``module(x)`` for ``(N, channels, M, length)``.

    All but the attention itself works pixel by pixel, so it runs on channels-last maps as they
    are; which axis is attended is a matter of strides.
    """
    turned = x.stride(3) > x.stride(2)
    pixels = x.transpose(2, 3) if turned else x
    qkv = F.conv2d(pixels, module.qkv.weight.unsqueeze(-1))
    qkv = _batch_norm(module.qkv_norm, qkv)
    rows = qkv.permute(0, 2, 3, 1)  # (N, M, length, channels)
    rows = rows.transpose(1, 2) if turned else rows

    scales = _similarity_scales(module, rows).to(x.dtype)
    rq, rk, rv, gate = _tables(module, scales, x.dtype)
    out = _Attend.apply(rows, scales[0], rq, rk, rv, gate)
    out = out.transpose(1, 2) if turned else out
    out = _batch_norm(module.output_norm, out.permute(0, 3, 1, 2))
    if module.length is not None:
        out = out.unflatten(1, (-1, 2)).sum(2)
    return out.transpose(2, 3) if turned else out


def _batch_norm(norm: Any, x: Tensor) -> Tensor:
    """Apply a batch norm module of whatever dimension to ``(N, C, H, W)``."""
    if norm.training:
        norm.num_batches_tracked += 1
    return F.batch_norm(
        x,
        norm.running_mean,
        norm.running_var,
        norm.weight,
        norm.bias,
        norm.training,
        norm.momentum,
        norm.eps,
    )


def _tables(
    module: AxialAttention, scales: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Position tables and gate of values, with everything folded in that multiplies them."""
    if module.length is None:
        empty = torch.empty(module.heads, 0, 0, dtype=dtype)
        return empty, empty, empty[0], torch.ones(1, dtype=dtype)
    half = module.key_width
    rq, rk, rv = module.relative.split([half, half, module.value_width])
    gate = torch.ones(1, dtype=dtype)
    rq, rk = scales[1, :, None, None] * rq, scales[2, :, None, None] * rk.flip(1)
    if module.gated:
        rq, rk, rv = rq * module.gate_query, rk * module.gate_key, rv * module.gate_position_value
        gate = module.gate_value.reshape(1)
    return rq.contiguous(), rk.contiguous(), rv.contiguous(), gate


def _similarity_scales(module: AxialAttention, rows: Tensor) -> Tensor:
    """Return what the similarity norm multiplies its maps with, ``(terms, heads)`` in float64.

    In training mode also updates the running statistics.
    """
    norm: Any = module.similarity_norm
    weight = norm.weight.double().view(-1, module.heads)
    if norm.training:
        mean, variance = _map_moments(module, rows)
        _update_running(norm, mean, variance, count=rows[..., 0].numel() * rows.shape[2])
    else:
        variance = norm.running_var.double().view_as(weight)
    return weight * (variance + norm.eps).rsqrt()


def _map_moments(module: AxialAttention, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of the similarity maps, each ``(terms, heads)``, in float64."""
    n, m, length, _ = rows.shape
    positions = module.length is not None
    content, first, second = _Moments.apply(rows, module.heads, positions)
    count = n * m * length**2
    sums, squares = content[:1], content[1:]
    if positions:
        half = module.key_width
        table = module.relative.double()[: 2 * half, module.offsets].unflatten(0, (2, half))
        # (2, half, own position, other position): what is summed over is last.
        if module.gated:
            gates = torch.stack([module.gate_query, module.gate_key]).double()
            table = table * gates[:, None, None, None]
        sums = torch.cat([sums, torch.einsum("htci,tcij->th", first, table)])
        pairs = torch.einsum("tcij,tdij->tcdi", table, table)
        squares = torch.cat([squares, torch.einsum("htcdi,tcdi->th", second, pairs)])
    mean = sums / count
    return mean, squares / count - mean**2


@torch.no_grad()
def _update_running(norm: Any, mean: Tensor, variance: Tensor, *, count: int) -> None:
    """Update running statistics as a batch norm does that saw `count` values per channel."""
    norm.num_batches_tracked += 1
    unbiased = variance * (count / (count - 1))
    norm.running_mean.lerp_(mean.flatten().to(norm.running_mean.dtype), norm.momentum)
    norm.running_var.lerp_(unbiased.flatten().to(norm.running_var.dtype), norm.momentum)


class _Attend(torch.autograd.Function):
    """:func:`kernels.attend` and its gradients."""

    @staticmethod
    def forward(
        ctx: Any, rows: Tensor, scale: Tensor, rq: Tensor, rk: Tensor, rv: Tensor, gate: Tensor
    ) -> Tensor:
        n, m, length, channels = rows.shape
        padded = kernels.padded(length)
        if rv.shape[1]:
            rq, rk, rv = (F.pad(table, (0, padded - length)) for table in (rq, rk, rv))
        out = empty_like(rows, channels if rv.shape[1] else channels // 2)
        softmax = rows.new_empty(n * m, len(scale), 2, padded)
        share(n * m, kernels.attend, rows, scale, rq, rk, rv, gate, out, softmax, cost=2)
        ctx.save_for_backward(rows, scale, rq, rk, rv, gate, out, softmax)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dout: Tensor) -> tuple[Tensor, ...]:
        saved = ctx.saved_tensors
        rows, small = saved[0], saved[1:6]
        drows = empty_like(rows, rows.shape[3])
        n, m = rows.shape[:2]
        dscale, *dtables, dgate = share(
            n * m, kernels.attend_backward, *saved, dout, drows, sums=small, cost=8
        )
        if dtables[0].numel():
            dtables = [dtable[..., : 2 * rows.shape[2] - 1] for dtable in dtables]
        return drows, dscale, *dtables, dgate


class _Moments(torch.autograd.Function):
    """:func:`kernels.moments` and its gradients."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, heads: int, positions: bool) -> tuple[Tensor, ...]:
        n, m, length, channels = rows.shape
        width = channels // (2 * heads)
        half, last = width // 2, length if positions else 0
        shapes = ((2, heads), (heads, 2, half, last), (heads, 2, half, half, last))
        sums = [torch.empty(shape, dtype=torch.float64) for shape in shapes]
        ctx.save_for_backward(rows)
        return tuple(share(n * m, kernels.moments, rows, sums=sums))

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, dcontent: Tensor, dfirst: Tensor, dsecond: Tensor
    ) -> tuple[Tensor | None, ...]:
        (rows,) = ctx.saved_tensors
        drows = empty_like(rows, rows.shape[3])
        dsecond = dsecond + dsecond.transpose(2, 3)
        grads = [grad.to(rows.dtype) for grad in (dcontent, dfirst, dsecond)]
        share(rows.shape[0] * rows.shape[1], kernels.moments_backward, rows, *grads, drows)
        return drows, None, None


def empty_like(rows: Tensor, channels: int) -> Tensor:
    """Make new maps with `channels` channels, laid out in memory as `rows` are."""
    n, m, length, _ = rows.shape
    if rows.stride(2) > rows.stride(1):
        return rows.new_empty(n, length, m, channels).transpose(1, 2)
    return rows.new_empty(n, m, length, channels)


def share(
    rows: int,
    kernel: Callable[..., None],
    *args: Tensor,
    sums: Sequence[Tensor] = (),
    cost: int = 1,
) -> list[Tensor]:
    """Run a kernel over all rows with torch's number of threads, this one among them.

    Rows are cut into the same parts however the threads happen to run, so sums are reproducible.
    `cost` is the time that a query takes for a key, as a multiple of that in inference.

    Returns
    -------
    list of Tensor
        What the kernel added up in arrays shaped as `sums`.
    """
    threads = torch.get_num_threads()
    worth = args[0].numel() * args[0].shape[2] * cost // WORTH_SHARING
    parts = max(1, min(rows, 2 * threads, worth))
    partial = [like.new_zeros((parts, *like.shape)) for like in sums]
    arrays = [arg.detach().numpy() for arg in args]
    totals = [total.numpy() for total in partial]
    waiting = deque(range(parts))

    def work() -> None:
        while waiting:
            try:
                part = waiting.popleft()
            except IndexError:  # another thread was faster
                return
            start, stop = rows * part // parts, rows * (part + 1) // parts
            kernel(*arrays, *(total[part] for total in totals), start, stop)

    run_in_threads(min(threads, parts), work)
    return [total.sum(0) for total in partial]
