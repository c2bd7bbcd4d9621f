# pyright: reportOptionalMemberAccess=false
"""Compiler passes that turn rules into parts and kernels into wholes; see `dtao_gym.compiling`.

Everything here relies on internals of Numba. A part is left as intermediate code where Numba would optimise it and
generate machine code. A whole is linked with its parts, and theirs, and then optimised. `PART_OPTIONS` and `KERNEL_OPTIONS` are the options of `numba.njit`.
"""

import itertools
import re
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core import cgutils
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import AnalysisPass, register_pass
from numba.core.ir import Jump
from numba.core.lowering import Lower
from numba.core.typed_passes import AnnotateTypes, NativeLowering


class _Marked(JITCodeLibrary):
    """A library whose loops are not interleaved: rows are too short for that."""

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
    """Text of a module with the marks of `_Lower` in LLVM's form: metadata nodes that refer to themselves."""
    last = max((int(n) for n in re.findall(r"^!(\d+) = ", code, re.M)), default=-1) + 1
    mark = rf'^!(\d+) = !{{ !"{_LOOP}", i64 \d+ }}$'
    code, count = re.subn(mark, rf"!\1 = distinct !{{ !\1, !{last} }}", code, flags=re.M)
    once = f'!{last} = !{{ !"llvm.loop.interleave.count", i32 1 }}\n'
    return f"{code}\n{once}" if count else code


class _Part(_Marked):
    """Intermediate code of one function, to be linked into kernels."""

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
        """Machine code; the code for linking, which is never used, is replaced by the names that it defines."""
        self._ensure_finalized()
        module = self._final_module
        functions = [f.name for f in module.functions if not f.is_declaration]
        variables = [v.name for v in module.global_variables if not v.is_declaration]
        lines = [f'define void @"{name}"() {{ ret void }}' for name in functions]
        lines += [f'@"{name}" = global i8 0' for name in variables]
        outline = llvm.parse_assembly("\n".join(lines))
        return (self.name, "object", (self._get_compiled_object(), outline.as_bitcode()))


def _link_all(module: Any, library: JITCodeLibrary) -> None:
    """Link into a module, once each, all functions that a library calls directly or through parts."""
    libraries: dict[int, JITCodeLibrary] = {}

    def collect(caller):
        for called in caller._linking_libraries:
            if id(called) not in libraries:
                libraries[id(called)] = called
                if isinstance(called, _Part):
                    collect(called)

    collect(library)
    for called in libraries.values():
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
    """Numba's passes, with `_Lowering` in place of its own lowering."""
    passes = DefaultPassBuilder.define_nopython_pipeline(state)
    passes.passes = [
        (_Lowering if one is NativeLowering else one, why) for one, why in passes.passes
    ]
    return passes


def _choose_library(kind: type, name: str, compiles: bool) -> type:
    """A compiler pass that chooses the kind of library a function becomes."""

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
    """Register the library that callers link; its entry point for Python is never called."""

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


PART_OPTIONS = {
    "pipeline_class": _PartCompiler,
    "_nrt": False,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}
KERNEL_OPTIONS = {"pipeline_class": _KernelCompiler, "_nrt": False}
