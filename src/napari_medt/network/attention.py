"""Gated axial attention: self-attention along one axis with gated relative position terms."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from napari_medt.network import fused

# Position terms start almost closed, the content term open (Valanarasu et al. 2021, section 2.2).
GATE_START = {"gate_query": 0.1, "gate_key": 0.1, "gate_position_value": 0.1, "gate_value": 1.0}
GATES = tuple(GATE_START)


class AxialAttention(nn.Module):
    """Multi-head self-attention along the last axis of ``(N, channels, M, length)``.

    With position terms, per head, for query position i and key position j::

        s[i, j] = N(q_i . k_j) + N(g_q * q_i . rq[i - j]) + N(g_k * k_j . rk[j - i])
        a[i, :] = softmax(s[i, :])
        out[i]  = N(g_v * sum_j a[i, j] v_j) + N(g_p * sum_j a[i, j] rv[i - j])

    where every N is a batch norm, g the gates and rq, rk, rv one learned table shared by the
    heads. Without position terms only the first term of each sum remains. Unlike the transformer
    of Vaswani et al. there is no division by sqrt(d): the norms take that part.

    This is the readable form; where it can, `forward` takes the fused one, with the same numbers.

    Parameters
    ----------
    channels : int
        Channels in and out; a multiple of ``2 * heads``.
    heads : int
        Attention heads. Values have ``channels / heads`` channels, queries and keys half of it.
    length : int, optional
        Length of the axis when there are position terms; None leaves them out, and any length
        will do.
    gated : bool
        Scale the position terms by learned gates. Gates are born frozen; training thaws them.

    References
    ----------
    Valanarasu et al., Medical Transformer, MICCAI 2021, equations 3 and 4;
    Wang et al., Axial-DeepLab, ECCV 2020.
    """

    offsets: Tensor
    gate_query: Tensor
    gate_key: Tensor
    gate_position_value: Tensor
    gate_value: Tensor

    def __init__(
        self, channels: int, *, heads: int = 8, length: int | None = None, gated: bool = False
    ) -> None:
        super().__init__()
        if channels % (2 * heads):
            raise ValueError(f"{channels} channels do not divide into {heads} heads of even width")
        self.heads = heads
        self.value_width = channels // heads
        self.key_width = channels // heads // 2
        self.length = length

        self.qkv = nn.Conv1d(channels, 2 * channels, 1, bias=False)
        self.qkv_norm = nn.BatchNorm1d(2 * channels)
        terms = 1 if length is None else 3
        self.similarity_norm = nn.BatchNorm2d(terms * heads)
        self.output_norm = nn.BatchNorm1d(channels if length is None else 2 * channels)
        nn.init.normal_(self.qkv.weight, std=math.sqrt(1 / channels))

        if length is not None:
            self.relative = nn.Parameter(torch.empty(2 * self.value_width, 2 * length - 1))
            nn.init.normal_(self.relative, std=math.sqrt(1 / self.value_width))
            i = torch.arange(length)
            offsets = i[:, None] - i[None, :] + length - 1  # (query, key) -> column of the table
            self.register_buffer("offsets", offsets, persistent=False)
        self.gated = gated and length is not None
        if self.gated:
            for name in GATES:
                start = torch.tensor(GATE_START[name])
                self.register_parameter(name, nn.Parameter(start, requires_grad=False))

    def forward(self, x: Tensor) -> Tensor:
        """Attend along the last axis.

        Parameters
        ----------
        x : Tensor
            ``(N, channels, M, length)``: N * M rows to attend in.

        Returns
        -------
        Tensor
            The same shape.
        """
        n, channels, m, length = x.shape
        if self.length is not None and length != self.length:
            raise ValueError(f"position terms are learned for length {self.length}, not {length}")
        if fused.available(x):
            return fused.axial_attention(self, x)
        rows = x.transpose(1, 2).flatten(0, 1)  # (rows, channels, length)
        qkv = self.qkv_norm(self.qkv(rows)).view(n * m, self.heads, 2 * self.value_width, length)
        q, k, v = qkv.split([self.key_width, self.key_width, self.value_width], dim=2)
        attend = self._content_attention if self.length is None else self._position_attention
        out = attend(q, k, v).reshape(n, m, channels, length)
        return out.transpose(1, 2)

    def _content_attention(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        attention = self.similarity_norm(q.transpose(2, 3) @ k).softmax(dim=-1)
        out = v @ attention.transpose(2, 3)  # (rows, heads, width, length)
        return self.output_norm(out.flatten(1, 2))

    def _position_attention(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        table = self.relative[:, self.offsets]  # (2 * width, query, key)
        rq, rk, rv = table.split([self.key_width, self.key_width, self.value_width])
        content = q.transpose(2, 3) @ k  # (rows, heads, query, key)
        query_position = torch.einsum("rhci,cij->rhij", q, rq)
        key_position = torch.einsum("rhcj,cji->rhij", k, rk)
        if self.gated:
            query_position = query_position * self.gate_query
            key_position = key_position * self.gate_key
        terms = self.similarity_norm(torch.cat([content, query_position, key_position], dim=1))
        attention = sum(terms.chunk(3, dim=1)).softmax(dim=-1)

        value = v @ attention.transpose(2, 3)  # (rows, heads, width, query)
        position_value = torch.einsum("rhij,cij->rhci", attention, rv)
        if self.gated:
            value = value * self.gate_value
            position_value = position_value * self.gate_position_value
        # The norm's channels alternate: content, position, content, position ...
        pairs = torch.stack([value, position_value], dim=3)  # (rows, heads, width, 2, query)
        normed = self.output_norm(pairs.flatten(1, 3))
        return normed.view(pairs.shape).sum(dim=3)
