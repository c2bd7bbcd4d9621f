"""Compilation of the engine: rules are parts of kernels, and kernels are compiled as a whole.

By default Numba optimises every function by itself and again inside each of its callers, and counts references to
every array on the way. An engine of 180 small functions compiles in a sixth of the time, to code that is not slower,
when its parts stay intermediate code and only kernels are optimised, each at once with everything that it calls.

* A `Rule` (decorators `rule`, `inlined_rule`, `stage`) is a pure function. Compiled callers include it as intermediate
  code: not optimised, no machine code, no reference counts, since arrays belong to the caller. Called from Python it is
  compiled as a kernel of its own.
* A kernel (decorator `kernel`) is optimised as a whole, runs without Python's lock, and is kept on disk
  (`dtao_gym.kernel_cache`). It allocates nothing: callers pass the arrays that it works on.

This relies on internals of Numba (`dtao_gym.numba_passes`). Where an installed version differs (`fast_pipeline()` is
False) everything is compiled by plain Numba: the same results, after minutes instead of seconds.
`DTAO_GYM_PLAIN_NUMBA=1` asks for that. Without any compiling (`NUMBA_DISABLE_JIT=1`) there is no engine.
"""

import contextlib
import functools
import re
import warnings
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from numba import njit, types
from numba.core import config as numba_config
from numba.extending import models, register_model, typeof_impl

from dtao_gym.kernel_cache import KernelCache, plain_wanted, progress

Function = TypeVar("Function", bound=Callable)

if getattr(numba_config, "DISABLE_JIT", False):
    raise RuntimeError(
        "NUMBA_DISABLE_JIT: got 1, allowed is 0 or no value: the engine works on addresses, which only compiled code does"
    )

try:
    from dtao_gym.numba_passes import KERNEL_OPTIONS, PART_OPTIONS
except ImportError as error:  # an unknown Numba
    KERNEL_OPTIONS, PART_OPTIONS = {}, {}
    _missing: str | None = str(error)
else:
    _missing = None


@functools.cache
def fast_pipeline() -> bool:
    """Whether the installed Numba compiles as described above; tried on a kernel of two lines."""
    if plain_wanted():
        return False
    reason = _missing
    if reason is None:
        try:
            inner = njit(error_model="numpy", **PART_OPTIONS)(lambda x: x + 1.0)
            outer = njit(error_model="numpy", **KERNEL_OPTIONS)(lambda x: 2.0 * inner(x))
            reason = None if outer(1.5) == 5.0 else f"2 (1.5 + 1) came out as {outer(1.5)}"
        except Exception as error:  # whatever an unknown version raises
            reason = f"{type(error).__name__}: {error}"
    if reason is not None:
        warnings.warn(
            f"dtao_gym compiles by plain Numba, which takes minutes: Numba {numba.__version__} is not known ({reason})",
            RuntimeWarning,
            stacklevel=2,
        )
    return reason is None


class RowType(types.Type):
    """One named row of an array; rows of different names do not overlap. See `dtao_gym.views`."""

    def __init__(self, name: str):
        super().__init__(name=f"Row({name})")


class Rule:
    """A function that kernels and plain Python both call.

    Attributes
    ----------
    py_func : callable
        The function as it was written.
    keeps_rows : bool
        Whether named rows are passed on as such; else as plain arrays, so that the rule is compiled once for all names.
    """

    def __init__(self, function: Callable, keeps_rows: bool = False, **options: Any):
        functools.update_wrapper(self, function)
        self.py_func, self.keeps_rows, self._options = function, keeps_rows, options

    @functools.cached_property
    def part(self) -> Any:
        """The dispatcher that compiled callers use."""
        pipeline = PART_OPTIONS if fast_pipeline() else {}
        return njit(error_model="numpy", **pipeline, **self._options)(self.py_func)

    @functools.cached_property
    def _alone(self) -> Any:
        return _compiled(self.py_func, announced=False)

    def __call__(self, *args, **kwargs):
        """Call from plain Python, through a kernel of its own."""
        return self._alone(*args, **kwargs)


PLAIN_ROW = types.Array(types.float64, 1, "C")
"""Type of a row in rules that do not distinguish rows by name."""


class _RuleType(types.Dispatcher):
    """Numba's type of a rule."""

    def __init__(self, rule: Rule):
        self.keeps_rows = rule.keeps_rows
        super().__init__(rule.part)

    def get_call_type(self, context, args, kws):
        """Resolve a call; unless the rule keeps rows, named rows are passed as plain arrays."""
        if not self.keeps_rows:
            args = tuple(PLAIN_ROW if isinstance(a, RowType) else a for a in args)
            kws = {k: PLAIN_ROW if isinstance(a, RowType) else a for k, a in kws.items()}
        return super().get_call_type(context, args, kws)


register_model(_RuleType)(models.OpaqueModel)


@typeof_impl.register(Rule)
def _type_of_rule(value, context):
    return _RuleType(value)


def rule(function: Function) -> Function:
    """Make a pure function a `Rule`, which kernels and plain Python both call."""
    return cast(Function, Rule(function))


def inlined_rule(function: Function) -> Function:
    """Make a function of the innermost loops a `Rule`: inlining lets whole loops become SIMD code."""
    return cast(Function, Rule(function, forceinline=True))


def stage(function: Function) -> Function:
    """Make a loop over the subnets of a world an inlined `Rule` that takes its rows by name."""
    return cast(Function, Rule(function, keeps_rows=True, forceinline=True))


def kernel(function: Function) -> Function:
    """Decorator of a compiled function that Python calls with arrays; kept on disk.

    The first words of its docstring are shown while it is compiled. A kernel of any regular package is kept, under the
    content of its module and of every module that this imports from its own package or from `dtao_gym`.

    Parameters
    ----------
    function : callable
        Function in the subset of Python that Numba compiles.

    Returns
    -------
    callable
        Dispatcher of Numba, which compiles or loads code at the first call with arguments of new types.
    """
    return cast(Function, _compiled(function))


def _compiled(function: Callable, announced: bool = True) -> Any:
    """A dispatcher that compiles a function as a whole, in one process for all."""
    dispatcher: Any = njit(error_model="numpy", nogil=True, **KERNEL_OPTIONS)(function)
    cache, context = KernelCache(function), dispatcher.targetctx
    compile_fast = dispatcher._compiler.compile

    def compile_once(args, return_type):
        with cache.lock(args, context):
            # another process may have compiled it meanwhile
            result = cache.load_overload(args, context)
            if result is None:
                message = (
                    progress(_first_words(function)) if announced else contextlib.nullcontext()
                )
                with message:
                    if fast_pipeline():
                        result = compile_fast(args, return_type)
                    else:
                        plain: Any = njit(error_model="numpy", nogil=True)(function)
                        result = plain._compiler.compile(args, return_type)
                cache.store(args, result, context)
        return result

    dispatcher._cache, dispatcher._compiler.compile = cache, compile_once
    return dispatcher


def _first_words(function: Callable) -> str:
    """Description of a kernel by its docstring."""
    words = re.split(r"[.:;\n]", (function.__doc__ or function.__name__).strip())[0]
    return words[:1].lower() + words[1:]


def address_of(dispatcher: Any) -> int:
    """Address of a kernel as a C function, for compiled callers.

    Parameters
    ----------
    dispatcher : object
        A kernel whose parameters and result are 64-bit integers; it must stay alive while the address is used.

    Returns
    -------
    int
        The address.
    """
    signature = (types.int64,) * dispatcher.py_func.__code__.co_argcount
    dispatcher.compile(signature)
    result = dispatcher.overloads[signature]
    return result.library.get_pointer_to_function(result.fndesc.llvm_cfunc_wrapper_name)
