"""How the engine is compiled: rules as parts of kernels, kernels as wholes.

By default Numba optimises every function by itself and again inside each of its callers, and counts references to
every array on the way. An engine of 180 small functions compiles in a sixth of the time, to code that is not slower,
when its parts stay intermediate code and only kernels are optimised, each at once with everything that it calls.

* A `Rule` (decorators `rule`, `inlined_rule`, `stage`) is a pure function. Compiled code that calls it takes it in as
  intermediate code: not optimised, no machine code, no reference counts, since arrays belong to the caller. Called
  from Python it is compiled as a kernel of its own.
* A kernel (decorator `kernel`) is optimised as a whole, without Python's lock while it runs, and kept on disk
  (`dtao_gym.kernel_cache`). It allocates nothing: callers pass the arrays that it works on.

This relies on internals of Numba. Where an installed version differs (`fast_pipeline()` is False) everything is compiled
by plain Numba: the same results, after minutes instead of seconds. `DTAO_GYM_PLAIN_NUMBA=1` asks for that.
"""

import contextlib
import functools
import itertools
import re
import warnings
from collections.abc import Callable
from typing import Any, TypeVar, cast

import llvmlite.binding as llvm
import numba
from llvmlite import ir
from numba import njit, types
from numba.extending import models, register_model, typeof_impl

from dtao_gym.kernel_cache import KernelCache, plain_wanted, progress

Function = TypeVar("Function", bound=Callable)

try:
    from numba.core import cgutils
    from numba.core.codegen import JITCodeLibrary
    from numba.core.compiler import CompilerBase, DefaultPassBuilder
    from numba.core.compiler_machinery import AnalysisPass, register_pass
    from numba.core.ir import Jump
    from numba.core.lowering import Lower
    from numba.core.typed_passes import AnnotateTypes, NativeLowering
except ImportError as error:  # an unknown Numba
    _missing: str | None = str(error)
else:
    _missing = None

if _missing is None:

    class _Marked(JITCodeLibrary):
        """A library whose loops are not interleaved: rows are short, and would never be long enough for that."""

        def add_ir_module(self, ir_module):
            code = llvm.parse_assembly(_mark_loops(cgutils.normalize_ir_text(str(ir_module))))
            code.name = ir_module.name
            code.verify()
            self.add_llvm_module(code)

    class _Lower(Lower):
        """Numba's lowering, with a mark on every jump back."""

        def lower_inst(self, inst):
            super().lower_inst(inst)
            if isinstance(inst, Jump) and inst.target <= self._block:
                number = ir.Constant(ir.IntType(64), next(_loop_numbers))
                mark = self.builder.module.add_metadata([_LOOP, number])
                self.builder.block.terminator.set_metadata("llvm.loop", mark)

        def lower_block(self, block):
            self._block = next(label for label, one in self.blocks.items() if one is block)
            super().lower_block(block)

    _LOOP, _loop_numbers = "dtao_gym loop", itertools.count()

    def _mark_loops(code: str) -> str:
        """Text of a module in which the marks of `_Lower` are what LLVM wants there: nodes that refer to themselves."""
        last = max((int(n) for n in re.findall(r"^!(\d+) = ", code, re.M)), default=-1) + 1
        mark = rf'^!(\d+) = !{{ !"{_LOOP}", i64 \d+ }}$'
        code, count = re.subn(mark, rf"!\1 = distinct !{{ !\1, !{last} }}", code, flags=re.M)
        once = f'!{last} = !{{ !"llvm.loop.interleave.count", i32 1 }}\n'
        return f"{code}\n{once}" if count else code

    class _Part(_Marked):
        """Intermediate code of one function, for kernels to take in."""

        def finalize(self):
            self._raise_if_finalized()
            self._finalize_dynamic_globals()
            self._finalized = True

        def own_module(self):
            """LLVM module of this function alone."""
            return super()._get_module_for_linking()

        def _get_module_for_linking(self):
            """LLVM module with everything that is called from here, for a caller that plain Numba compiles."""
            whole = self.own_module().clone()
            _link_all(whole, self)
            return whole

    class _Whole(_Marked):
        """A kernel: linked with its parts, and theirs, before anything is optimised."""

        def finalize(self):
            _link_all(self._final_module, self)
            self._linking_libraries = []
            super().finalize()

        def serialize_using_object_code(self):
            """Machine code, and in place of the code for linking, which nobody does, the names that are defined."""
            self._ensure_finalized()
            outline = llvm.parse_assembly(
                "\n".join(
                    [
                        *(
                            f'define void @"{name}"() {{ ret void }}'
                            for name in self._defined("functions")
                        ),
                        *(f'@"{name}" = global i8 0' for name in self._defined("global_variables")),
                    ]
                )
            )
            return (self.name, "object", (self._get_compiled_object(), outline.as_bitcode()))

        def _defined(self, kind: str) -> list[str]:
            found = getattr(self._final_module, kind)
            return [one.name for one in found if not one.is_declaration]

    def _link_all(module: Any, library: JITCodeLibrary) -> None:
        """Link into a module, once each, all functions that a library calls directly or through parts."""
        found: dict[int, JITCodeLibrary] = {}

        def collect(caller):
            for called in caller._linking_libraries:
                if id(called) not in found:
                    found[id(called)] = called
                    if isinstance(called, _Part):
                        collect(called)

        collect(library)
        for called in found.values():
            if hasattr(library, "_reload_init"):  # older versions have none
                library._reload_init.update(called._reload_init)
            part = isinstance(called, _Part)
            code = called.own_module() if part else called._get_module_for_linking()
            module.link_in(code, preserve=True)

    @register_pass(mutates_CFG=True, analysis_only=False)
    class _Lowering(NativeLowering):
        _name = "dtao_gym_lowering"

        @property
        def lowering_class(self):
            return _Lower

    def _pipeline(state) -> Any:
        """Numba's passes, with `_Lowering` in the place of its own."""
        passes = DefaultPassBuilder.define_nopython_pipeline(state)
        passes.passes = [
            (_Lowering if one is NativeLowering else one, why) for one, why in passes.passes
        ]
        return passes

    def _choose_library(kind: type, name: str, compiles: bool) -> type:
        """A compiler pass that decides what kind of library a function becomes."""

        class ChooseLibrary(AnalysisPass):
            _name = name

            def __init__(self):
                super().__init__()

            def run_pass(self, state):
                state.library = kind(state.targetctx.codegen(), state.func_id.func_qualname)
                state.library.enable_object_caching()
                state.flags.no_compile = not compiles
                return False

        return register_pass(mutates_CFG=False, analysis_only=True)(ChooseLibrary)

    _BecomePart = _choose_library(_Part, "dtao_gym_part", compiles=False)
    _BecomeWhole = _choose_library(_Whole, "dtao_gym_whole", compiles=True)

    @register_pass(mutates_CFG=False, analysis_only=True)
    class _RegisterPart(AnalysisPass):
        """Tell callers of a part what to link: in place of an entry for Python it has a key that nothing calls."""

        _name = "dtao_gym_register_part"

        def __init__(self):
            super().__init__()

        def run_pass(self, state):
            state.library._ensure_finalized()
            result = state["cr"]
            key = [].append  # dispatchers insist on a builtin; this one is unlike any other
            state.targetctx.insert_user_function(key, result.fndesc, [state.library])
            state["cr"] = result._replace(cfunc=key)
            return False

    class _KernelCompiler(CompilerBase):
        def define_pipelines(self):
            passes = _pipeline(self.state)
            passes.add_pass_after(_BecomeWhole, AnnotateTypes)
            passes.finalize()
            return [passes]

    class _PartCompiler(CompilerBase):
        def define_pipelines(self):
            passes = _pipeline(self.state)
            passes.add_pass_after(_BecomePart, AnnotateTypes)
            passes.add_pass_after(_RegisterPart, _Lowering)
            passes.finalize()
            return [passes]

    _OF_PARTS = {
        "pipeline_class": _PartCompiler,
        "_nrt": False,
        "no_cpython_wrapper": True,
        "no_cfunc_wrapper": True,
    }
    _OF_KERNELS = {"pipeline_class": _KernelCompiler, "_nrt": False}


@functools.cache
def fast_pipeline() -> bool:
    """Whether the installed Numba compiles as described above; tried on a kernel of two lines."""
    if plain_wanted():
        return False
    reason = _missing
    if reason is None:
        try:
            inner = njit(error_model="numpy", **_OF_PARTS)(lambda x: x + 1.0)
            outer = njit(error_model="numpy", **_OF_KERNELS)(lambda x: 2.0 * inner(x))
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
    """One named row of an array; rows of different names do not overlap. See `dtao_gym.rows`."""

    def __init__(self, name: str):
        super().__init__(name=f"Row({name})")


class Rule:
    """A function that kernels and plain Python both call.

    Attributes:
        py_func: the function as it was written.
        keeps_rows: whether named rows are passed on as such; else as plain arrays, so that the rule is compiled once
            for all of them.
    """

    def __init__(self, function: Callable, keeps_rows: bool = False, **options: Any):
        functools.update_wrapper(self, function)
        self.py_func, self.keeps_rows, self._options = function, keeps_rows, options

    @functools.cached_property
    def part(self) -> Any:
        """The dispatcher that compiled callers use."""
        pipeline = _OF_PARTS if fast_pipeline() else {}
        return njit(error_model="numpy", **pipeline, **self._options)(self.py_func)

    @functools.cached_property
    def _alone(self) -> Any:
        return _compiled(self.py_func, announced=False)

    def __call__(self, *args, **kwargs):
        return self._alone(*args, **kwargs)


PLAIN_ROW = types.Array(types.float64, 1, "C")
"""What a row is to a rule that does not ask for its name."""


class _RuleType(types.Dispatcher):
    """Numba's type of a rule."""

    def __init__(self, rule: Rule):
        self.keeps_rows = rule.keeps_rows
        super().__init__(rule.part)

    def get_call_type(self, context, args, kws):
        if not self.keeps_rows:
            args = [PLAIN_ROW if isinstance(a, RowType) else a for a in args]
            kws = {k: PLAIN_ROW if isinstance(a, RowType) else a for k, a in kws.items()}
        return super().get_call_type(context, args, kws)


register_model(_RuleType)(models.OpaqueModel)


@typeof_impl.register(Rule)
def _type_of_rule(value, context):
    return _RuleType(value)


def rule(function: Function) -> Function:
    """Decorator of a pure function that the engine and plain Python both call."""
    return cast(Function, Rule(function))


def inlined_rule(function: Function) -> Function:
    """`rule` for functions in the innermost loops: inlining lets whole loops become SIMD code."""
    return cast(Function, Rule(function, forceinline=True))


def stage(function: Function) -> Function:
    """`inlined_rule` for loops over the subnets of a world, which take its rows by name."""
    return cast(Function, Rule(function, keeps_rows=True, forceinline=True))


def kernel(function: Function) -> Function:
    """Decorator of a compiled function that Python calls with arrays; kept on disk.

    Its docstring says first what it does, for those who wait until it is compiled. It must stand in a module of the
    package that imports this one: such sources are the key under which compiled code is kept.
    """
    return cast(Function, _compiled(function))


def kernel_of(*sources: str) -> Callable[[Function], Function]:
    """`kernel` for modules outside of the package; `sources` are the files that it is compiled from."""
    return lambda function: cast(Function, _compiled(function, sources))


def _compiled(function: Callable, sources: tuple[str, ...] = (), announced: bool = True) -> Any:
    """A dispatcher of a function that is compiled as a whole, by one process for all."""
    fast = {} if _missing else _OF_KERNELS
    dispatcher = njit(error_model="numpy", nogil=True, **fast)(function)
    cache, context = KernelCache(function, sources), dispatcher.targetctx
    compile_fast = dispatcher._compiler.compile

    def compile_once(args, return_type):
        with cache.lock(args, context):
            result = cache.load_overload(
                args, context
            )  # another process may have compiled it meanwhile
            if result is None:
                said = progress(_first_words(function)) if announced else contextlib.nullcontext()
                with said:
                    if fast_pipeline():
                        result = compile_fast(args, return_type)
                    else:
                        plain = njit(error_model="numpy", nogil=True)(function)
                        result = plain._compiler.compile(args, return_type)
                cache.store(args, result, context)
        return result

    dispatcher._cache, dispatcher._compiler.compile = cache, compile_once
    return dispatcher


def _first_words(function: Callable) -> str:
    """What a kernel does, by its docstring."""
    said = re.split(r"[.:;\n]", (function.__doc__ or function.__name__).strip())[0]
    return said[:1].lower() + said[1:]


def address_of(dispatcher: Any) -> int:
    """Address of a kernel of 64-bit integers as a C function, for compiled callers; the kernel must stay alive."""
    signature = (types.int64,) * dispatcher.py_func.__code__.co_argcount
    dispatcher.compile(signature)
    result = dispatcher.overloads[signature]
    return result.library.get_pointer_to_function(result.fndesc.llvm_cfunc_wrapper_name)
