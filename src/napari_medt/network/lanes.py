"""Vectors of sixteen numbers inside Numba kernels.

Numba leaves vector code to LLVM's loop vectorizer, which pays for short loops with checks and
remainders that take longer than the work. With a vector type of its own a kernel says what it
means: ``load`` and ``store`` move sixteen neighbours of an array's last axis, ``+ - *`` work lane
by lane (a number stands for sixteen equal ones), and LLVM splits the vectors as the CPU needs.

Multiplications and additions may be fused. Only `add_up` may reorder a sum: in `exp` that would
ruin the accuracy.
"""

from __future__ import annotations

import math
import operator

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

WIDTH = 16

I32 = ir.IntType(32)
CONTRACT = ("contract",)


class Lanes(types.Type):
    """Numba type of sixteen numbers of one type."""

    def __init__(self, dtype: types.Type) -> None:
        self.dtype = dtype
        super().__init__(name=f"Lanes({dtype})")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager, lanes):
        number = manager.lookup(lanes.dtype).get_value_type()
        super().__init__(manager, lanes, ir.VectorType(number, WIDTH))


def _vector(context, lanes):
    return context.get_value_type(lanes)


@intrinsic
def splat(context, number):
    """Repeat a number in all lanes."""

    def generate(context, builder, signature, args):
        vector = ir.Constant(_vector(context, signature.return_type), ir.Undefined)
        vector = builder.insert_element(vector, args[0], I32(0))
        zeros = ir.Constant(ir.VectorType(I32, WIDTH), None)
        return builder.shuffle_vector(vector, vector, zeros)

    return Lanes(number)(number), generate


def _pointer(context, builder, signature, args):
    """Point to ``array[..., i:]``: the array is the first argument, its indices come after it."""
    array_type = signature.args[0]
    array = context.make_array(array_type)(context, builder, args[0])
    *places, i = (
        context.cast(builder, args[axis], signature.args[axis], types.intp)
        for axis in range(1, array_type.ndim + 1)
    )
    pointer = array.data
    for place, stride in zip(places, cgutils.unpack_tuple(builder, array.strides), strict=False):
        pointer = cgutils.pointer_add(builder, pointer, builder.mul(place, stride))
    pointer = builder.gep(pointer, [i])
    return builder.bitcast(pointer, _vector(context, Lanes(array_type.dtype)).as_pointer())


def _load(context, builder, signature, args):
    pointer = _pointer(context, builder, signature, args)
    return builder.load(pointer, align=signature.args[0].dtype.bitwidth // 8)


def _store(context, builder, signature, args):
    pointer = _pointer(context, builder, signature, args)
    builder.store(args[-1], pointer, align=signature.args[0].dtype.bitwidth // 8)
    return context.get_dummy_value()


@intrinsic
def load(context, array, row, i):
    """Read ``array[row, i : i + 16]``."""
    return Lanes(array.dtype)(array, row, i), _load


@intrinsic
def number(context, array, row, i):
    """Read ``array[row, i]``. Unlike in an index, neither is ever negative: that saves checks."""

    def generate(context, builder, signature, args):
        pointer = _pointer(context, builder, signature, args)
        kind = context.get_value_type(array.dtype).as_pointer()
        return builder.load(builder.bitcast(pointer, kind))

    return array.dtype(array, row, i), generate


@intrinsic
def load_pixel(context, array, n, m, i, c):
    """Read ``array[n, m, i, c : c + 16]``."""
    return Lanes(array.dtype)(array, n, m, i, c), _load


@intrinsic
def store(context, array, row, i, lanes):
    """Assign to ``array[row, i : i + 16]``."""
    return types.void(array, row, i, lanes), _store


@intrinsic
def store_pixel(context, array, n, m, i, c, lanes):
    """Assign to ``array[n, m, i, c : c + 16]``."""
    return types.void(array, n, m, i, c, lanes), _store


def _lanewise(name):
    """Make an intrinsic that applies one LLVM instruction lane by lane."""

    def instruction(context, a, b):
        def generate(context, builder, signature, args):
            return getattr(builder, name)(*args, flags=CONTRACT)

        return (a(a, b), generate) if a == b else None

    instruction.__name__ = name
    return intrinsic(instruction)


fadd, fsub, fmul, fdiv = map(_lanewise, ("fadd", "fsub", "fmul", "fdiv"))


def _overload(operation, instruction):
    @overload(operation)
    def _operate(a, b):
        if isinstance(a, Lanes) and isinstance(b, Lanes):
            return lambda a, b: instruction(a, b)
        if isinstance(a, Lanes) and isinstance(b, types.Number):
            return lambda a, b: instruction(a, splat(b))
        if isinstance(b, Lanes) and isinstance(a, types.Number):
            return lambda a, b: instruction(splat(a), b)
        return None


_overload(operator.add, fadd)
_overload(operator.sub, fsub)
_overload(operator.mul, fmul)
_overload(operator.truediv, fdiv)


@intrinsic
def maximum(context, a, b):
    """Take the larger number of each lane."""

    def generate(context, builder, signature, args):
        return builder.select(builder.fcmp_ordered(">", *args), *args)

    return a(a, b), generate


@intrinsic
def add_up(context, lanes):
    """Sum the lanes, in whatever order is fast."""

    def generate(context, builder, signature, args):
        number = context.get_value_type(lanes.dtype)
        bits = lanes.dtype.bitwidth
        kind = ir.FunctionType(number, [number, args[0].type])
        function = cgutils.get_or_insert_function(
            builder.module, kind, f"llvm.vector.reduce.fadd.v{WIDTH}f{bits}"
        )
        return builder.call(function, [number(-0.0), args[0]], fastmath=("reassoc",))

    return lanes.dtype(lanes), generate


@intrinsic
def _library_exp(context, lanes):
    def generate(context, builder, signature, args):
        kind = ir.FunctionType(args[0].type, [args[0].type])
        name = f"llvm.exp.v{WIDTH}f{lanes.dtype.bitwidth}"
        function = cgutils.get_or_insert_function(builder.module, kind, name)
        return builder.call(function, args)

    return lanes(lanes), generate


@intrinsic
def _times_power_of_two(context, lanes, power):
    """Multiply `lanes` by two to the integer in the low bits of `power`."""

    def generate(context, builder, signature, args):
        integers = ir.VectorType(I32, WIDTH)
        value, power = (builder.bitcast(arg, integers) for arg in args)
        places = ir.Constant(integers, [23] * WIDTH)  # to the bits of the exponent
        return builder.bitcast(builder.add(value, builder.shl(power, places)), args[0].type)

    return lanes(lanes, power), generate


LOWEST = np.float32(-87)  # down to here exp is a normal float32
LOG2_E = np.float32(math.log2(math.e))
LN2_HIGH, LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
ROUND = np.float32(1.5 * 2**23)  # adding it rounds and leaves the integer in the low bits
# Coefficients of Cephes' expf.
E7, E6, E5 = np.float32(1.9875691500e-4), np.float32(1.3981999507e-3), np.float32(8.3334519073e-3)
E4, E3, E2 = np.float32(4.1665795894e-2), np.float32(1.6666665459e-1), np.float32(0.5)
ONE = np.float32(1)


def exp(lanes):
    """Exponential of lanes that are not above 87; :func:`_exp` is the compiled form."""


@overload(exp)
def _exp(lanes):
    if lanes.dtype != types.float32:
        return lambda lanes: _library_exp(lanes)

    def single(lanes):
        x = maximum(lanes, splat(LOWEST))
        power = x * LOG2_E + ROUND
        n = power - ROUND
        r = x - n * LN2_HIGH
        r = r - n * LN2_LOW
        p = r * E7 + E6
        p = p * r + E5
        p = p * r + E4
        p = p * r + E3
        p = p * r + E2
        p = p * (r * r) + r + ONE
        return _times_power_of_two(p, power)

    return single
