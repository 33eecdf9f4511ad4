"""Axial attention of the inference form as Numba kernels, for CPUs.

As in :mod:`napari_medt.network.kernels`, a map is never written, and lanes run along the queries.
What is more: everything that scales is folded into the weights, so that most maps can be made in
one pass over the keys.
"""

from __future__ import annotations

import numpy as np

from napari_medt.network.kernels import compiled, padded
from napari_medt.network.lanes import (
    LOG2_E,
    LOWEST,
    ROUND,
    WIDTH,
    _times_power_of_two,
    load,
    load_pixel,
    maximum,
    number,
    splat,
    store,
    store_pixel,
)

# Coefficients of the polynomial of degree 5 nearest to 2**r for r in [-1/2, 1/2]: 8e-8 from it.
TWO5, TWO4, TWO3 = np.float32(1.32765e-3), np.float32(9.67554e-3), np.float32(5.550713e-2)
TWO2, TWO1, TWO0 = np.float32(2.402212e-1), np.float32(6.9314697e-1), np.float32(1)
SMALL = np.float32(60)  # up to here sums of exponentials are far from both ends of float32


@compiled
def reduced(x):
    """Split single precision lanes from -87 to 87: e**x is 2**r times two to the returned power.

    r is from -1/2 to 1/2; the power is the integer in the low bits of the second number.
    """
    power = x * LOG2_E + ROUND
    return x * LOG2_E - (power - ROUND), power


@compiled
def power_of_two(r, power):
    """Exponential from what :func:`reduced` returns.

    Its relative error is 1e-7, plus 2e-8 times the exponent.
    """
    p = r * TWO5 + TWO4
    p = p * r + TWO3
    p = p * r + TWO2
    p = p * r + TWO1
    p = p * r + TWO0
    return _times_power_of_two(p, power)


@compiled
def load_row(row, maps, queries, keys, half):
    """Copy one row ``(length, channels)`` of `maps`: all to `keys`, queries to lanes too."""
    n, m = divmod(row, maps.shape[1])
    for i in range(maps.shape[2]):
        for c in range(0, maps.shape[3], WIDTH):
            store(keys, i, c, load_pixel(maps, n, m, i, c))
    for h in range(queries.shape[0] // half):
        for c in range(half):
            for i in range(maps.shape[2]):
                queries[half * h + c, i] = keys[i, 4 * half * h + c]


@compiled
def store_row(row, values, scratch, maps):
    """Copy what goes out of one row, ``(channels, lanes)``, to `maps` by way of `scratch`."""
    n, m = divmod(row, maps.shape[1])
    for i in range(maps.shape[2]):
        for c in range(maps.shape[3]):
            scratch[i, c] = values[c, i]
    for i in range(maps.shape[2]):
        for c in range(0, maps.shape[3], WIDTH):
            store_pixel(maps, n, m, i, c, load(scratch, i, c))


@compiled
def find_tops(keys, other, tops):
    """Fill ``tops[0]`` with the largest magnitude of each channel of two rows.

    The rows are ``(length, channels)``, and their channels fill whole vectors.
    """
    zero = keys.dtype.type(0)
    for c in range(0, keys.shape[1], WIDTH):
        top, second = splat(zero), splat(zero)
        for j in range(keys.shape[0]):  # two chains, which do not wait for each other
            one, two = load(keys, j, c), load(other, j, c)
            top = maximum(top, maximum(one, zero - one))
            second = maximum(second, maximum(two, zero - two))
        store(tops, 0, c, maximum(top, second))


@compiled
def terms(table, row, step, offset, positions):
    """Two rows of a position table; nothing without position terms."""
    if not positions:
        nothing = splat(table.dtype.type(0))
        return nothing, nothing
    return load(table, row, offset), load(table, row + step, offset)


@compiled
def query(x, t, i, half):
    """Channels of the queries from i on, four rows from t on; of fewer the last again."""
    last = half - 1
    first, second = load(x, t, i), load(x, t + min(1, last), i)
    return first, second, load(x, t + min(2, last), i), load(x, t + last, i)


@compiled
def logit(keys, j, k, q, rq, rk, half, positions):
    """Logits of key j, whose channels begin at k."""
    if positions:
        s = rk[0] * number(keys, j, k) + (rq[0] + number(keys, j, k)) * q[0]
        if half == 2:
            s = s + rk[1] * number(keys, j, k + 1) + (rq[1] + number(keys, j, k + 1)) * q[1]
        return s
    s = q[0] * number(keys, j, k)
    if half >= 2:
        s = s + q[1] * number(keys, j, k + 1)
    if half == 4:
        s = s + q[2] * number(keys, j, k + 2) + q[3] * number(keys, j, k + 3)
    return s


@compiled
def add(sums, p, keys, j, v, low, high, half, positions):
    """Add the values of key j, whose channels begin at v, with their weights p; and the weights."""
    v0, v1, v2, v3, v4, v5, v6, v7, total = sums
    if positions:
        v0 = v0 + p * (low[0] + number(keys, j, v))
        v1 = v1 + p * (low[1] + number(keys, j, v + 1))
        if half == 2:
            v2 = v2 + p * (high[0] + number(keys, j, v + 2))
            v3 = v3 + p * (high[1] + number(keys, j, v + 3))
        return v0, v1, v2, v3, v4, v5, v6, v7, total + p
    v0, v1 = v0 + p * number(keys, j, v), v1 + p * number(keys, j, v + 1)
    if half >= 2:
        v2, v3 = v2 + p * number(keys, j, v + 2), v3 + p * number(keys, j, v + 3)
    if half == 4:
        v4, v5 = v4 + p * number(keys, j, v + 4), v5 + p * number(keys, j, v + 5)
        v6, v7 = v6 + p * number(keys, j, v + 6), v7 + p * number(keys, j, v + 7)
    return v0, v1, v2, v3, v4, v5, v6, v7, total + p


@compiled
def put(sums, y, u, i, half):
    """Store the weighted means that :func:`add` summed up."""
    v0, v1, v2, v3, v4, v5, v6, v7, total = sums
    part = splat(y.dtype.type(1)) / total
    store(y, u, i, v0 * part)
    store(y, u + 1, i, v1 * part)
    if half >= 2:
        store(y, u + 2, i, v2 * part)
        store(y, u + 3, i, v3 * part)
    if half == 4:
        store(y, u + 4, i, v4 * part)
        store(y, u + 5, i, v5 * part)
        store(y, u + 6, i, v6 * part)
        store(y, u + 7, i, v7 * part)


def attend_at_once(half, positions):
    """Make a kernel for heads of width 2 or 4 (`half` 1 or 2), or without position terms 8.

    It attends in head h with small logits, in one pass over the keys: small logits need no shift
    by their maximum, so each is used as soon as it is known. Two rows go together, so that a
    position term is read once for both. The logits of the next key are under way while this key's
    are used: one key after the other, the processor would mostly wait for their long chains.

    A kernel's own copy of `half` and `positions` is a constant to the compiler, which drops what
    does not apply.
    """

    @compiled
    def attend_pair(queries, keys, rq, rk, rv, y, h):
        (x0, x1), (keys0, keys1), (y0, y1) = queries, keys, y
        nothing = splat(x0.dtype.type(0))
        four = nothing, nothing, nothing, nothing
        t, u, length = half * h, 2 * half * h, keys0.shape[0]
        k = 4 * half * h + half
        v, step = k + half, half - 1
        for i in range(0, length, WIDTH):
            q0, q1 = query(x0, t, i, half), query(x1, t, i, half)
            sums0 = sums1 = four + four + (nothing,)
            offset = length - 1 + i
            tq = terms(rq, t, step, offset, positions)
            tk = terms(rk, t, step, offset, positions)
            s0 = logit(keys0, 0, k, q0, tq, tk, half, positions)
            s1 = logit(keys1, 0, k, q1, tq, tk, half, positions)
            for j in range(length):
                (r0, power0), (r1, power1) = reduced(s0), reduced(s1)
                later = min(j + 1, length - 1)
                offset = length - 1 - later + i
                tq = terms(rq, t, step, offset, positions)
                tk = terms(rk, t, step, offset, positions)
                s0 = logit(keys0, later, k, q0, tq, tk, half, positions)
                s1 = logit(keys1, later, k, q1, tq, tk, half, positions)
                p0, p1 = power_of_two(r0, power0), power_of_two(r1, power1)
                offset = length - 1 - j + i
                low = terms(rv, u, 1, offset, positions)
                high = terms(rv, u + 2 * step, 1, offset, positions)
                sums0 = add(sums0, p0, keys0, j, v, low, high, half, positions)
                sums1 = add(sums1, p1, keys1, j, v, low, high, half, positions)
            put(sums0, y0, u, i, half)
            put(sums1, y1, u, i, half)

    return attend_pair


narrow, wide = attend_at_once(1, True), attend_at_once(2, True)
plain_narrow, plain_wide = attend_at_once(1, False), attend_at_once(2, False)
plain_widest = attend_at_once(4, False)


@compiled
def attend_in_steps(x, keys, rq, rk, rv, y, h, half, s):
    """Attend in head h of any width: all logits, then their maximum, then the values.

    As the kernels of :func:`attend_at_once`, one row; `s` is scratch, ``(length, WIDTH)``.
    """
    zero, one, lowest = x.dtype.type(0), x.dtype.type(1), x.dtype.type(-np.inf)
    t, u, length = half * h, 2 * half * h, keys.shape[0]
    k, v = 4 * half * h + half, 4 * half * h + 2 * half
    for i in range(0, length, WIDTH):
        # Channel by channel: the loops over keys stay short enough to be unrolled.
        top = splat(lowest)
        for c in range(half):
            qi, top = load(x, t + c, i), splat(lowest)
            for j in range(length):
                logit = splat(zero) if c == 0 else load(s, j, 0)
                if rq.shape[1]:
                    offset = length - 1 - j + i
                    logit = logit + load(rk, t + c, offset) * keys[j, k + c]
                    logit = logit + (load(rq, t + c, offset) + keys[j, k + c]) * qi
                else:
                    logit = logit + qi * keys[j, k + c]
                store(s, j, 0, logit)
                top = maximum(top, logit)
        total = splat(zero)
        for j in range(length):
            r, power = reduced(maximum(load(s, j, 0) - top, splat(LOWEST)))
            p = power_of_two(r, power)
            store(s, j, 0, p)
            total = total + p
        part = splat(one) / total
        # Two channels at once: one would leave the processor waiting for each sum.
        for c in range(0, 2 * half, 2):
            even, odd = splat(zero), splat(zero)
            for j in range(length):
                p = load(s, j, 0)
                if rv.shape[1]:
                    offset = length - 1 - j + i
                    even = even + p * (load(rv, u + c, offset) + keys[j, v + c])
                    odd = odd + p * (load(rv, u + c + 1, offset) + keys[j, v + c + 1])
                else:
                    even = even + p * keys[j, v + c]
                    odd = odd + p * keys[j, v + c + 1]
            store(y, u + c, i, even * part)
            store(y, u + c + 1, i, odd * part)


@compiled
def attend_folded(qkv, rq, rk, rv, table_tops, out, start, stop):
    """Attend in rows `start` to `stop`, for inference, with everything that scales folded in.

    Parameters
    ----------
    qkv : array, (N, M, length, heads * 2 * width)
        Per head: queries and keys, `width / 2` channels each, then values.
    rq, rk : array, (heads, width / 2, length - 1 + padded length)
        Position tables of queries and keys over i - j. The last axis is empty when there are no
        position terms; so is that of `rv`.
    rv : array, (heads, width, length - 1 + padded length)
        Position table of values.
    table_tops : array, (2, heads * width / 2)
        Largest magnitudes in every row of `rq` and of `rk`.
    out : array, (N, M, length, heads * width)
        Filled with attended values.
    start, stop : int
        Which of the N * M rows.

    Notes
    -----
    The channels of a pixel lie side by side in `qkv` and `out`, and fill whole vectors.
    """
    length, heads = qkv.shape[2], rq.shape[0]
    width = out.shape[3] // heads
    half = width // 2
    positions = rq.shape[2] > 0
    some_at_once = half <= 2 or (half == 4 and not positions)
    # Two rows at a time: queries (heads * half, lanes), all as it came, and what goes out.
    x = np.zeros((2, heads * half, padded(length)), qkv.dtype)
    z = np.zeros((2, length, qkv.shape[3]), qkv.dtype)
    y = np.zeros((2, heads * width, padded(length)), qkv.dtype)
    queries, keys, values = (x[0], x[1]), (z[0], z[1]), (y[0], y[1])
    s = np.zeros((length, WIDTH), qkv.dtype)
    # Rows of all heads in one: to make a view of every head would take longer than a short row.
    tables = heads * half, rq.shape[2]
    tq, tk, tv = rq.reshape(tables), rk.reshape(tables), rv.reshape((heads * width, rv.shape[2]))
    tops = np.zeros((1, z.shape[2]), qkv.dtype)
    for row in range(start, stop, 2):
        last = min(row + 1, stop - 1)  # of an odd number of rows the last is its own neighbour
        load_row(row, qkv, x[0], z[0], half)
        load_row(last, qkv, x[1], z[1], half)
        if some_at_once:
            find_tops(z[0], z[1], tops)
        for h in range(heads):
            bound = qkv.dtype.type(0)  # no logit is larger
            if some_at_once:
                for c in range(half):
                    q, t = 4 * half * h + c, half * h + c
                    query, key = tops[0, q], tops[0, q + half]
                    bound += query * (key + table_tops[0, t]) + key * table_tops[1, t]
            if not (some_at_once and bound <= SMALL):
                attend_in_steps(x[0], z[0], tq, tk, tv, y[0], h, half, s)
                attend_in_steps(x[1], z[1], tq, tk, tv, y[1], h, half, s)
            elif half == 4:
                plain_widest(queries, keys, tq, tk, tv, values, h)
            elif half == 2 and positions:
                wide(queries, keys, tq, tk, tv, values, h)
            elif half == 2:
                plain_wide(queries, keys, tq, tk, tv, values, h)
            elif positions:
                narrow(queries, keys, tq, tk, tv, values, h)
            else:
                plain_narrow(queries, keys, tq, tk, tv, values, h)
        store_row(row, y[0], z[0], out)
        store_row(last, y[1], z[1], out)
