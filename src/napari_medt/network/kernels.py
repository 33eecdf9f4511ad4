"""Axial attention forward and backward as Numba kernels, for CPUs.

Heads are one to eight channels wide, so what costs time is not the arithmetic but the
``length x length`` maps. The kernels hold one map at a time, in a few kilobytes of scratch, and go
over the rows ``(N, M)`` of maps ``(N, M, length, channels)`` of any strides; the rows of one call
are ``start`` to ``stop``, so that threads can share the work.

Within a map, lanes run along the queries i, which are padded with zeros to a multiple of the
lanes. Padded queries attend to something, but no gradient arrives there, and so nothing leaves.
Position tables have the offset i - j in their last axis, so for one key j the values for all
queries lie side by side; they are padded with zeros too.

The backward kernel computes the map again from each query's softmax, as FlashAttention does
(Dao et al. 2022).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from napari_medt.network.lanes import (
    WIDTH,
    add_up,
    exp,
    load,
    maximum,
    splat,
    store,
)


def compiled(function):
    """Compile on first use, and keep the machine code on disk where there is a place for it."""
    try:
        return njit(function, nogil=True, error_model="numpy", cache=True)
    except RuntimeError:  # no directory to write to
        return njit(function, nogil=True, error_model="numpy")


@compiled
def probe():
    """Compute 1 with lanes, to see whether they can be compiled."""
    numbers = np.zeros((1, WIDTH), np.float32)
    store(numbers, 0, 0, exp(load(numbers, 0, 0)))
    return numbers[0, 0]


@compiled
def padded(length):
    """Round up to a multiple of the lanes."""
    return -(-length // WIDTH) * WIDTH


@compiled
def load_row(row, maps, scratch):
    """Copy one row ``(length, channels)`` of `maps` to ``(channels, length)``."""
    n, m = divmod(row, maps.shape[1])
    for i in range(maps.shape[2]):
        for c in range(maps.shape[3]):
            scratch[c, i] = maps[n, m, i, c]


@compiled
def store_row(row, scratch, maps):
    """Undo :func:`load_row`."""
    n, m = divmod(row, maps.shape[1])
    for i in range(maps.shape[2]):
        for c in range(maps.shape[3]):
            maps[n, m, i, c] = scratch[c, i]


@compiled
def logits(q, k, i, j, scale, rq, rk, offset):
    """Return the logits of the queries from i on for key j."""
    s = splat(scale - scale)
    for c in range(q.shape[0]):
        qi, kj = load(q, c, i), k[c, j]
        if rq.shape[1]:
            s = s + (qi * scale + load(rk, c, offset)) * kj + qi * load(rq, c, offset)
        else:
            s = s + qi * (scale * kj)
    return s


@compiled
def attend(qkv, scale, rq, rk, rv, gate, out, softmax, start, stop):
    """Attend in rows `start` to `stop`.

    Parameters
    ----------
    qkv : array, (N, M, length, heads * 2 * width)
        Per head: queries and keys, `width / 2` channels each, then values.
    scale : array, (heads,)
        Scale of the content logits.
    rq, rk : array, (heads, width / 2, length - 1 + padded length)
        Position tables of queries and keys with all their scales, over i - j for both.
        The last axis is empty when there are no position terms; so are those of `rv`.
    rv : array, (width, length - 1 + padded length)
        Position table of values.
    gate : array, (1,)
        Scale of the attended values.
    out : array, (N, M, length, heads * width * (1 or 2))
        Filled with attended values; with position terms alternating with attended positions.
    softmax : array, (N * M, heads, 2, padded length)
        Filled with the maximum over keys and one over the sum of exponentials.
    start, stop : int
        Which of the N * M rows.
    """
    length, heads = qkv.shape[2], scale.size
    width = qkv.shape[3] // (2 * heads)
    half = width // 2
    positions = rv.shape[1] > 0
    pair = 2 if positions else 1
    zero, one, lowest = qkv.dtype.type(0), qkv.dtype.type(1), qkv.dtype.type(-np.inf)
    x = np.zeros((qkv.shape[3], padded(length)), qkv.dtype)
    y = np.zeros((out.shape[3], padded(length)), qkv.dtype)
    s = np.zeros((length, WIDTH), qkv.dtype)
    for row in range(start, stop):
        load_row(row, qkv, x)
        for h in range(heads):
            first = 2 * width * h
            q, k = x[first : first + half], x[first + half : first + width]
            v = x[first + width : first + 2 * width]
            scaleh, rqh, rkh = scale[h], rq[h], rk[h]
            for i in range(0, length, WIDTH):
                top = splat(lowest)
                for j in range(length):
                    logit = logits(q, k, i, j, scaleh, rqh, rkh, length - 1 - j + i)
                    store(s, j, 0, logit)
                    top = maximum(top, logit)
                total = splat(zero)
                for j in range(length):
                    p = exp(load(s, j, 0) - top)
                    store(s, j, 0, p)
                    total = total + p
                part = splat(one) / total
                store(softmax[row, h], 0, i, top)
                store(softmax[row, h], 1, i, part)
                for c in range(width):
                    value, position = splat(zero), splat(zero)
                    for j in range(length):
                        p = load(s, j, 0)
                        value = value + p * v[c, j]
                        if positions:
                            position = position + p * load(rv, c, length - 1 - j + i)
                    target = pair * (width * h + c)
                    store(y, target, i, value * part * gate[0])
                    if positions:
                        store(y, target + 1, i, position * part)
        store_row(row, y, out)


@compiled
def attend_backward(
    qkv,
    scale,
    rq,
    rk,
    rv,
    gate,
    out,
    softmax,
    dout,
    dqkv,
    dscale,
    drq,
    drk,
    drv,
    dgate,
    start,
    stop,
):
    """Propagate gradients back through :func:`attend` for rows `start` to `stop`.

    Fills those rows of `dqkv`; adds to `dscale`, `drq`, `drk`, `drv` and `dgate`, which have the
    shapes of what they are gradients of.
    """
    length, heads = qkv.shape[2], scale.size
    width = qkv.shape[3] // (2 * heads)
    half = width // 2
    positions = rv.shape[1] > 0
    pair = 2 if positions else 1
    zero, dgated = qkv.dtype.type(0), 0.0
    x = np.zeros((qkv.shape[3], padded(length)), qkv.dtype)
    dx = np.zeros((qkv.shape[3], padded(length)), qkv.dtype)
    y = np.zeros((out.shape[3], padded(length)), qkv.dtype)
    dy = np.zeros((out.shape[3], padded(length)), qkv.dtype)
    # Rows of work: attention, gradient of the logits, and the mean gradient of a query's weights.
    work = np.zeros((3, padded(length)), qkv.dtype)
    for row in range(start, stop):
        load_row(row, qkv, x)
        load_row(row, out, y)
        load_row(row, dout, dy)
        dx[:] = 0
        for h in range(heads):
            first = 2 * width * h
            q, k = x[first : first + half], x[first + half : first + width]
            v = x[first + width : first + 2 * width]
            dq, dk = dx[first : first + half], dx[first + half : first + width]
            dv = dx[first + width : first + 2 * width]
            yh = y[pair * width * h : pair * width * (h + 1)]
            dyh = dy[pair * width * h : pair * width * (h + 1)]
            scaleh, rqh, rkh, drqh, drkh = scale[h], rq[h], rk[h], drq[h], drk[h]
            softmaxh = softmax[row, h]
            for i in range(0, length, WIDTH):
                mean = splat(zero)
                for c in range(pair * width):
                    mean = mean + load(yh, c, i) * load(dyh, c, i)
                store(work, 2, i, mean)
            dscaleh = splat(zero)
            for j in range(length):
                for i in range(0, length, WIDTH):
                    offset = length - 1 - j + i
                    logit = logits(q, k, i, j, scaleh, rqh, rkh, offset)
                    p = exp(logit - load(softmaxh, 0, i)) * load(softmaxh, 1, i)
                    dp = splat(zero)
                    for c in range(width):
                        dp = dp + load(dyh, pair * c, i) * (gate[0] * v[c, j])
                        if positions:
                            dyp = load(dyh, pair * c + 1, i)
                            dp = dp + dyp * load(rv, c, offset)
                            store(drv, c, offset, load(drv, c, offset) + p * dyp)
                    store(work, 0, i, p)
                    store(work, 1, i, p * (dp - load(work, 2, i)))
                for c in range(width):
                    total = splat(zero)
                    for i in range(0, length, WIDTH):
                        total = total + load(work, 0, i) * load(dyh, pair * c, i)
                    dvj = add_up(total)
                    dv[c, j] = gate[0] * dvj
                    dgated += dvj * v[c, j]
                for c in range(half):
                    kj, total = k[c, j], splat(zero)
                    for i in range(0, length, WIDTH):
                        offset = length - 1 - j + i
                        ds, qi = load(work, 1, i), load(q, c, i)
                        slope = splat(scaleh * kj)
                        product = ds * qi
                        dscaleh = dscaleh + product * kj
                        total = total + product * scaleh
                        if positions:
                            slope = slope + load(rqh, c, offset)
                            total = total + ds * load(rkh, c, offset)
                            store(drqh, c, offset, load(drqh, c, offset) + product)
                            store(drkh, c, offset, load(drkh, c, offset) + ds * kj)
                        store(dq, c, i, load(dq, c, i) + ds * slope)
                    dk[c, j] = add_up(total)
            dscale[h] += add_up(dscaleh)
        store_row(row, dx, dqkv)
    dgate[0] += dgated


@compiled
def row_sum(x, c):
    """Sum ``x[c]``."""
    total = splat(x.dtype.type(0))
    for i in range(0, x.shape[1], WIDTH):
        total = total + load(x, c, i)
    return add_up(total)


@compiled
def gram(x, c, d):
    """Sum ``x[c] * x[d]``."""
    total = splat(x.dtype.type(0))
    for i in range(0, x.shape[1], WIDTH):
        total = total + load(x, c, i) * load(x, d, i)
    return add_up(total)


@compiled
def moments(qkv, content, first, second, start, stop):
    """Sum what the moments of all similarity maps follow from, over rows `start` to `stop`.

    No map is needed: with Gram matrices G of a row's queries and keys, the squares of its content
    map sum to <G_q, G_k>; and the squares of a position map to q_i' M_i q_i, summed over i, where
    M_i depends on the table only.

    Parameters
    ----------
    qkv : array, (N, M, length, heads * 2 * width)
        As in :func:`attend`.
    content : array, (2, heads)
        Gets the sum and the sum of squares of the content maps added.
    first : array, (heads, 2, width / 2, length)
        Gets the sums of queries, and of keys, added; the last axis is empty without position
        terms, and so is that of `second`.
    second : array, (heads, 2, width / 2, width / 2, length)
        Gets the sums of products of queries, and of keys, added.
    start, stop : int
        Which of the N * M rows.
    """
    length, heads = first.shape[3], content.shape[1]
    width = qkv.shape[3] // (2 * heads)
    half = width // 2
    x = np.zeros((qkv.shape[3], padded(qkv.shape[2])), qkv.dtype)
    for row in range(start, stop):
        load_row(row, qkv, x)
        for h in range(heads):
            low = 2 * width * h
            q, k = x[low : low + half], x[low + half : low + width]
            for c in range(half):
                content[0, h] += row_sum(q, c) * row_sum(k, c)
                for d in range(half):
                    content[1, h] += gram(q, c, d) * gram(k, c, d)
            for term in range(2):
                z = k if term else q
                for c in range(half):
                    for i in range(length):
                        first[h, term, c, i] += z[c, i]
                    for d in range(half):
                        for i in range(length):
                            second[h, term, c, d, i] += z[c, i] * z[d, i]


@compiled
def moments_backward(qkv, dcontent, dfirst, dsecond, dqkv, start, stop):
    """Propagate gradients back through :func:`moments` for rows `start` to `stop`.

    Fills those rows of `dqkv`. `dsecond` is symmetric in its channels.
    """
    length, heads = dfirst.shape[3], dcontent.shape[1]
    width = qkv.shape[3] // (2 * heads)
    half = width // 2
    x = np.zeros((qkv.shape[3], padded(qkv.shape[2])), qkv.dtype)
    dx = np.zeros_like(x)
    for row in range(start, stop):
        load_row(row, qkv, x)
        for h in range(heads):
            low = 2 * width * h
            for term in range(2):
                this = low + term * half
                other = low + half - term * half
                z, dz = x[this : this + half], dx[this : this + half]
                grams = x[other : other + half]
                for c in range(half):
                    constant = dcontent[0, h] * row_sum(grams, c)
                    dz[c, :] = constant
                    for d in range(half):
                        slope = (dcontent[1, h] + dcontent[1, h]) * gram(grams, c, d)
                        for i in range(0, x.shape[1], WIDTH):
                            store(dz, c, i, load(dz, c, i) + load(z, d, i) * slope)
                    for i in range(length):
                        dz[c, i] += dfirst[h, term, c, i]
                    for d in range(half):
                        for i in range(length):
                            dz[c, i] += dsecond[h, term, c, d, i] * z[d, i]
        store_row(row, dx, dqkv)
