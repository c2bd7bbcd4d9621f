# pyright: reportCallIssue=false, reportGeneralTypeIssues=false
"""Vectors of float32 numbers for compiled loops: SIMD values with a fixed number of lanes.

LLVM splits a vector that is wider than the registers of the machine into several. Memory is addressed by integers
(`tensor.data_ptr()`), so that compiled code holds no arrays and counts no references; the caller keeps the memory
alive and checks its size. The product of a row `x` of `count` floats and a matrix whose rows are vectors:

    total = zeros(16)
    for k in range(count):
        total = multiply_add(total, number(at(x, k)), load(at(matrix, 16 * k), total))
    store(output, total)
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

from dtao_gym.compiling import inlined_rule

FLOAT_BYTES = 4
FLOAT = ir.FloatType()


class FloatVector(types.Type):
    """Numba's type of a vector of `lanes` float32 numbers."""

    def __init__(self, lanes: int):
        self.lanes = lanes
        self.llvm = ir.VectorType(FLOAT, lanes)
        super().__init__(name=f"FloatVector({lanes})")


@register_model(FloatVector)
class _FloatVectorModel(models.PrimitiveModel):
    def __init__(self, manager, vector):
        super().__init__(manager, vector, vector.llvm)


def _constant(vector, value):
    return ir.Constant(vector.llvm, [value] * vector.lanes)


def _selection(indices):
    indices = list(indices)
    return ir.Constant(ir.VectorType(ir.IntType(32), len(indices)), indices)


def _repeat(builder, vector, value):
    """LLVM's vector with a value in every lane."""
    undefined = ir.Constant(vector.llvm, ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, undefined, _selection([0] * vector.lanes))


def _fused_multiply_add(builder, vector, x, y, z):
    """LLVM's x y + z, rounded once where the machine has such an instruction."""
    kind = ir.FunctionType(vector.llvm, [vector.llvm] * 3)
    name = f"llvm.fmuladd.v{vector.lanes}f32"
    function = cgutils.get_or_insert_function(builder.module, kind, name)
    return builder.call(function, [x, y, z])


@intrinsic
def zeros(typingctx, lanes):
    """Make a vector of zeros; `lanes` is a constant of the compiled function."""
    if not isinstance(lanes, types.IntegerLiteral):
        return None  # Numba asks again with the constant
    vector = FloatVector(lanes.literal_value)

    def build(context, builder, signature, args):
        return _constant(vector, 0.0)

    return vector(lanes), build


@intrinsic
def filled(typingctx, value, like):
    """Make a vector with a float32 `value` in every lane and as many lanes as `like`."""

    def build(context, builder, signature, args):
        return _repeat(builder, like, args[0])

    return like(types.float32, like), build


@intrinsic
def lanes_of(typingctx, vector):
    """Number of lanes, a constant."""

    def build(context, builder, signature, args):
        return ir.Constant(ir.IntType(64), vector.lanes)

    return types.int64(vector), build


@inlined_rule
def at(address, index):
    """Address of the float `index` places after the one at `address`."""
    return address + FLOAT_BYTES * index


@intrinsic
def number(typingctx, address):
    """The float at an address."""

    def build(context, builder, signature, args):
        return builder.load(builder.inttoptr(args[0], FLOAT.as_pointer()))

    return types.float32(types.int64), build


@intrinsic
def put(typingctx, address, value):
    """Write a float to an address."""

    def build(context, builder, signature, args):
        builder.store(args[1], builder.inttoptr(args[0], FLOAT.as_pointer()))
        return context.get_dummy_value()

    return types.void(types.int64, types.float32), build


@intrinsic
def load(typingctx, address, like):
    """The vector at an address, with as many lanes as `like`."""

    def build(context, builder, signature, args):
        return builder.load(builder.inttoptr(args[0], like.llvm.as_pointer()), align=FLOAT_BYTES)

    return like(types.int64, like), build


@intrinsic
def store(typingctx, address, vector):
    """Write a vector to an address."""

    def build(context, builder, signature, args):
        place = builder.inttoptr(args[0], vector.llvm.as_pointer())
        builder.store(args[1], place, align=FLOAT_BYTES)
        return context.get_dummy_value()

    return types.void(types.int64, vector), build


@intrinsic
def add(typingctx, x, y):
    """x + y, lane by lane."""

    def build(context, builder, signature, args):
        return builder.fadd(*args)

    return x(x, x), build


@intrinsic
def multiply(typingctx, x, y):
    """x y, lane by lane."""

    def build(context, builder, signature, args):
        return builder.fmul(*args)

    return x(x, x), build


@intrinsic
def scale(typingctx, x, factor):
    """x times a float32 number."""

    def build(context, builder, signature, args):
        return builder.fmul(args[0], _repeat(builder, x, args[1]))

    return x(x, types.float32), build


@intrinsic
def multiply_add(typingctx, total, factor, x):
    """total + factor x, for a float32 `factor`."""

    def build(context, builder, signature, args):
        total_, factor_, x_ = args
        return _fused_multiply_add(builder, x, _repeat(builder, x, factor_), x_, total_)

    return total(total, types.float32, total), build


@intrinsic
def maximum(typingctx, x, floor):
    """The larger of both, lane by lane; x where it is not a number."""

    def build(context, builder, signature, args):
        return builder.select(builder.fcmp_ordered("<", *args), args[1], args[0])

    return x(x, x), build


@intrinsic
def where_positive(typingctx, condition, x):
    """x in the lanes where `condition` is positive, 0 in the others."""

    def build(context, builder, signature, args):
        zero = _constant(x, 0.0)
        return builder.select(builder.fcmp_ordered(">", args[0], zero), args[1], zero)

    return x(x, x), build


@intrinsic
def dot(typingctx, x, y):
    """Dot product of vectors of 2**k lanes; halves are added pairwise, in a fixed order."""

    def build(context, builder, signature, args):
        total, half = builder.fmul(*args), x.lanes
        while half > 1:
            half //= 2
            low = builder.shuffle_vector(total, total, _selection(range(half)))
            high = builder.shuffle_vector(total, total, _selection(range(half, 2 * half)))
            total = builder.fadd(low, high)
        return builder.extract_element(total, ir.Constant(ir.IntType(32), 0))

    return types.float32(x, x), build


_LOG2_E, _LN2_HIGH, _LN2_LOW = 1.44269504, 0.693359375, -2.12194440e-4
"""1 / ln 2; ln 2 in two parts, the first with trailing zeros."""
_ROUND = 12582912.0
"""1.5 * 2**23: adding it rounds to an integer, held in the last bits of the sum."""
_EXPM1_SERIES = (1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5)
_TANH_LARGEST = 20.0
"""Above this tanh is 1 in float32."""


@intrinsic
def tanh(typingctx, x):
    """Hyperbolic tangent, lane by lane, to 2e-7 relative: -m / (2 + m), m = exp(-2 |x|) - 1."""

    def build(context, builder, signature, args):
        def constant(value):
            return _constant(x, value)

        def times_plus(*factors):
            return _fused_multiply_add(builder, x, *factors)

        negative = builder.fcmp_ordered("<", args[0], constant(0.0))
        size = builder.select(negative, builder.fneg(args[0]), args[0])
        too_large = builder.fcmp_ordered(">", size, constant(_TANH_LARGEST))
        size = builder.select(too_large, constant(_TANH_LARGEST), size)
        # exp(-2 |x|) = 2**k exp(r)
        exponent = builder.fmul(size, constant(-2.0))
        rounded = times_plus(exponent, constant(_LOG2_E), constant(_ROUND))
        k = builder.fsub(rounded, constant(_ROUND))
        r = times_plus(k, constant(-_LN2_HIGH), exponent)
        r = times_plus(k, constant(-_LN2_LOW), r)
        series = constant(_EXPM1_SERIES[0])
        for coefficient in _EXPM1_SERIES[1:]:
            series = times_plus(series, r, constant(coefficient))
        small = times_plus(builder.fmul(r, r), series, r)
        integers = ir.VectorType(ir.IntType(32), x.lanes)
        bits = builder.shl(
            builder.bitcast(rounded, integers), ir.Constant(integers, [23] * x.lanes)
        )
        bits = builder.add(bits, ir.Constant(integers, [127 << 23] * x.lanes))
        power = builder.bitcast(bits, x.llvm)
        m = times_plus(power, small, builder.fsub(power, constant(1.0)))
        value = builder.fdiv(builder.fneg(m), builder.fadd(constant(2.0), m))
        return builder.select(negative, builder.fneg(value), value)

    return x(x), build
