# pyright: reportOptionalCall=false
"""Views of memory for compiled code: named rows, constant records, arrays at an address.

`s = subnet_rows(block)` is an address and a length, however many rows there are, and `s.spot_price[i]` one load. The
compiler is told that rows of different names never overlap (each name is a type of its own in its alias analysis),
so that loops over many rows become SIMD code without checks at run time. `p = parameters_of(record)` is the
record's address; the compiler may assume that its fields do not change while a kernel runs.

Rows passed to a rule become plain arrays unless the rule is a `stage`. Passing an address instead of an array saves the
time of unpacking the array at each call. The functions work in compiled code only.
"""

import operator
from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import extending, types
from numba.core import cgutils
from numba.core.imputils import lower_builtin, lower_cast, lower_getattr_generic
from numba.core.typing.templates import (
    AbstractTemplate,
    AttributeTemplate,
    infer_getattr,
    infer_global,
    signature,
)
from numba.extending import models, register_model
from numba.np.arrayobj import make_array, populate_array
from numba.np.numpy_support import from_dtype

from dtao_gym.compiling import PLAIN_ROW, RowType

intrinsic = cast(Callable[[Callable[..., Any]], Callable[..., Any]], extending.intrinsic)
"""Numba's decorator; decorated functions are called without their first parameter."""


class RowsType(types.Type):
    """All rows of an array, named by the fields of a NamedTuple."""

    def __init__(self, names: type, memory: str = ""):
        self.fields, self.label, self.memory = names._fields, names.__name__, memory
        super().__init__(name=f"Rows({self.label})")

    def row(self, name: str) -> RowType:
        """Type of the row of a name."""
        if self.memory:  # rows of one number are one row, whatever they are called
            return RowType(f"{self.memory}.{self.fields.index(name)}")
        return RowType(f"{self.label}.{name}")


class ConstantsType(types.Type):
    """A record that does not change while compiled code runs."""

    def __init__(self, record: types.Record):
        self.record = record
        super().__init__(name=f"Constants({record.name})")


@register_model(RowsType)
@register_model(RowType)
class _RowModel(models.StructModel):
    def __init__(self, manager, kind):
        members = [("data", types.CPointer(types.float64)), ("size", types.intp)]
        super().__init__(manager, kind, members)


@register_model(ConstantsType)
class _ConstantsModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, ir.IntType(8).as_pointer())


# ---------------------------------------------------------------- rows.name, row.size, row[i]


@infer_getattr
class _AttributesOfRows(AttributeTemplate):
    key = RowsType

    def generic_resolve(self, kind, name):
        return kind.row(name) if name in kind.fields else None


@lower_getattr_generic(RowsType)
def _get_row(context, builder, kind, value, name):
    rows = cgutils.create_struct_proxy(kind)(context, builder, value)
    return _row(context, builder, kind.row(name), rows.data, rows.size, kind.fields.index(name))


def _row(context, builder, kind, data, size, index):
    """Row `index` of an array of rows of `size` numbers that starts at `data`."""
    row = cgutils.create_struct_proxy(kind)(context, builder)
    if isinstance(index, int):
        index = ir.Constant(size.type, index)
    row.data = builder.gep(data, [builder.mul(index, size, flags=("nuw", "nsw"))], inbounds=True)
    row.size = size
    return row._getvalue()


@infer_getattr
class _AttributesOfRow(AttributeTemplate):
    key = RowType

    def generic_resolve(self, kind, name):
        return types.intp if name == "size" else None


@lower_getattr_generic(RowType)
def _get_size(context, builder, kind, value, name):
    return cgutils.create_struct_proxy(kind)(context, builder, value).size


@infer_global(operator.getitem)
class _GetItem(AbstractTemplate):
    def generic(self, args, kws):
        if isinstance(args[0], RowType) and isinstance(args[1], types.Integer):
            return signature(types.float64, args[0], types.intp)
        return None


@infer_global(operator.setitem)
class _SetItem(AbstractTemplate):
    def generic(self, args, kws):
        if isinstance(args[0], RowType) and isinstance(args[1], types.Integer):
            return signature(types.none, args[0], types.intp, types.float64)
        return None


def _item(context, builder, kind, value, index):
    row = cgutils.create_struct_proxy(kind)(context, builder, value)
    return builder.gep(row.data, [index], inbounds=True)


def _only_this_row(builder, kind):
    """Metadata of an access for LLVM's type-based alias analysis ("tbaa")."""
    module, zero = builder.module, ir.Constant(ir.IntType(64), 0)
    node = module.add_metadata([kind.name, module.add_metadata(["rows"]), zero])
    return module.add_metadata([node, node, zero])


@lower_builtin(operator.getitem, RowType, types.Integer)
def _load_item(context, builder, sig, args):
    loaded = builder.load(_item(context, builder, sig.args[0], *args))
    loaded.set_metadata("tbaa", _only_this_row(builder, sig.args[0]))
    return loaded


@lower_builtin(operator.setitem, RowType, types.Integer, types.Float)
def _store_item(context, builder, sig, args):
    stored = builder.store(args[2], _item(context, builder, sig.args[0], *args[:2]))
    stored.set_metadata("tbaa", _only_this_row(builder, sig.args[0]))
    return context.get_dummy_value()


@lower_cast(RowType, types.Array)
def _row_to_array(context, builder, kind, array_type, value):
    row = cgutils.create_struct_proxy(kind)(context, builder, value)
    array = make_array(array_type)(context, builder)
    item = context.get_constant(types.intp, 8)
    populate_array(array, row.data, [row.size], [item], item, None)
    return array._getvalue()


# ---------------------------------------------------------------- from arrays to rows


def row_reader(names: type, memory: str = "") -> Callable[..., Any]:
    """Make a compiled function that gives access to the rows of an array by name.

    Parameters
    ----------
    names : type
        A NamedTuple with a field for each row, in order.
    memory : str
        Name of the array where several NamedTuples name its rows: rows of one number may then overlap.

    Returns
    -------
    callable
        From a contiguous float64 array ``(rows, n)`` to an object whose attributes are rows.
    """
    kind = RowsType(names, memory)

    @intrinsic
    def rows(typingctx, array):
        def build(context, builder, sig, args):
            source = context.make_array(sig.args[0])(context, builder, args[0])
            made = cgutils.create_struct_proxy(kind)(context, builder)
            made.data, made.size = source.data, cgutils.unpack_tuple(builder, source.shape, 2)[1]
            return made._getvalue()

        return kind(array), build

    return rows


def section_reader(name: str) -> Callable[..., Any]:
    """Make a compiled function that gives access to the rows of an array by index.

    Parameters
    ----------
    name : str
        Name for the alias analysis: rows of one name may overlap, and overlap no row of another name.

    Returns
    -------
    callable
        From a contiguous float64 array ``(rows, n)`` and an index to that row.
    """
    kind = RowType(name)

    @intrinsic
    def row(typingctx, array, index):
        def build(context, builder, sig, args):
            source = context.make_array(sig.args[0])(context, builder, args[0])
            size = cgutils.unpack_tuple(builder, source.shape, 2)[1]
            return _row(context, builder, kind, source.data, size, args[1])

        return kind(array, types.intp), build

    return row


@intrinsic
def array_of(typingctx, row):
    """Convert a row to a plain float64 array ``(n,)``."""

    def build(context, builder, sig, args):
        return context.cast(builder, args[0], sig.args[0], PLAIN_ROW)

    return PLAIN_ROW(row), build


# ---------------------------------------------------------------- constants


@intrinsic
def constants(typingctx, record):
    """Give access to the fields of a record as constants."""

    def build(context, builder, sig, args):
        return builder.bitcast(args[0], ir.IntType(8).as_pointer())

    return ConstantsType(record)(record), build


@infer_getattr
class _AttributesOfConstants(AttributeTemplate):
    key = ConstantsType

    def generic_resolve(self, kind, name):
        return kind.record.typeof(name) if name in kind.record.fields else None


@lower_getattr_generic(ConstantsType)
def _get_constant(context, builder, kind, value, name):
    field = kind.record.typeof(name)
    place = builder.gep(
        value, [ir.Constant(ir.IntType(64), kind.record.offset(name))], inbounds=True
    )
    pointer = builder.bitcast(place, context.get_data_type(field).as_pointer())
    loaded = builder.load(pointer, align=8)
    loaded.set_metadata("invariant.load", builder.module.add_metadata([]))
    return context.data_model_manager[field].from_data(builder, loaded)


# ---------------------------------------------------------------- memory at an address


def address_of_array(array: np.ndarray) -> int:
    """Address of the first number of a contiguous array, which must stay alive while the address is used."""
    return array.ctypes.data


def array_at(dtype: np.dtype | type, ndim: int) -> Callable[..., Any]:
    """Make a compiled function from an address and a shape to the contiguous array there.

    Parameters
    ----------
    dtype : dtype or type
        Type of the elements.
    ndim : int
        Number of dimensions.
    """
    dtype = np.dtype(dtype)
    kind = types.Array(from_dtype(dtype), ndim, "C", aligned=dtype.fields is None)

    @intrinsic
    def view(typingctx, address, shape):
        def build(context, builder, sig, args):
            array = make_array(kind)(context, builder)
            item = context.get_constant(types.intp, dtype.itemsize)
            sizes, strides = cgutils.unpack_tuple(builder, args[1], ndim), [item]
            for size in sizes[:0:-1]:
                strides.insert(0, builder.mul(strides[0], size))
            data = builder.inttoptr(args[0], context.get_data_type(kind.dtype).as_pointer())
            populate_array(array, data, sizes, strides, item, None)
            return array._getvalue()

        return kind(types.int64, types.UniTuple(types.int64, ndim)), build

    return view


def constants_at(dtype: np.dtype) -> Callable[..., Any]:
    """Make a compiled function from an address to the fields of the record there, which are constants."""
    kind = ConstantsType(from_dtype(dtype))

    @intrinsic
    def view(typingctx, address):
        def build(context, builder, sig, args):
            return builder.inttoptr(args[0], ir.IntType(8).as_pointer())

        return kind(types.int64), build

    return view


@intrinsic
def call_address(typingctx, function, arguments):
    """Call the C function at an address with a tuple of 64-bit integers; the result is one too."""
    count = arguments.count

    def build(context, builder, sig, args):
        word = ir.IntType(64)
        kind = ir.FunctionType(word, [word] * count)
        words = cgutils.unpack_tuple(builder, args[1], count)
        return builder.call(builder.inttoptr(args[0], kind.as_pointer()), words)

    return types.int64(types.int64, types.UniTuple(types.int64, count)), build
