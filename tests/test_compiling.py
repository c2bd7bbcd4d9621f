"""Compilation of the engine: parts and kernels give the results of plain Numba, on the installed Numba."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numba import njit

from dtao_gym import compiling
from dtao_gym.compiling import address_of, inlined_rule, kernel, rule, stage
from dtao_gym.views import array_of, call_address, constants, row_reader, section_reader

REPOSITORY = Path(__file__).parents[1]


@rule
def half(x):
    return 0.5 * x


@inlined_rule
def grown(x, by=1.0):
    return half(x) + by


@rule
def total(row):
    result = 0.0
    for i in range(row.size):
        result += row[i]
    return result


def test_without_compiling_there_is_one_line_that_says_so():
    done = subprocess.run(
        [sys.executable, "-c", "import gymnasium, dtao_gym; gymnasium.make('dtao_gym/Staker-v0')"],
        cwd=REPOSITORY,
        env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    last = done.stderr.splitlines()[-1]
    assert last.startswith("RuntimeError: NUMBA_DISABLE_JIT: got 1, allowed is 0 or no value")
    assert done.stderr.count("Traceback") == 1


def test_the_installed_numba_is_known():
    assert compiling.fast_pipeline()


def test_rules_answer_to_python():
    assert grown(3.0) == 2.5
    assert grown(3.0, by=0.0) == 1.5
    assert total(np.arange(4.0)) == 6.0
    assert grown.__name__ == "grown"
    assert grown.py_func(3.0) == 2.5


def test_a_kernel_is_compiled_with_its_parts():
    @kernel
    def fill(out):
        for i in range(out.size):
            out[i] = grown(out[i])

    row = np.arange(5.0)
    fill(row)
    assert row.tolist() == [1.0, 1.5, 2.0, 2.5, 3.0]
    (whole,) = fill.overloads.values()
    # parts leave no function of their own behind
    names = [f.name for f in whole.library._final_module.functions if not f.is_declaration]
    assert not [name for name in names if "grown" in name or "half" in name]


def test_users_code_that_plain_numba_compiles_may_call_rules():
    @njit
    def user(x):
        return grown(x) + grown(x, 2.0)

    assert user(3.0) == 6.0


def test_results_are_those_of_plain_numba():
    @njit(error_model="numpy")
    def plain(x):
        return np.sqrt(0.5 * x + 1.0) / 3.0

    @kernel
    def fill(out):
        for i in range(out.size):
            out[i] = np.sqrt(grown(out[i])) / 3.0

    row = np.random.default_rng(0).uniform(0.0, 1e6, 1001)
    expected = [plain(x) for x in row]
    fill(row)
    assert row.tolist() == expected


def test_a_kernel_of_whole_numbers_has_an_address_for_compiled_callers():
    @kernel
    def add(a, b):
        return a + 2 * b

    address = address_of(add)

    @kernel
    def call(address, a):
        return call_address(address, (a, a))

    assert call(address, 5) == 15


def test_loops_are_marked_not_to_be_interleaved():
    @kernel
    def recurrence(row):
        last = 0.0
        for i in range(row.size):
            last = 0.5 * last + row[i]
            row[i] = last

    row = np.ones(3)
    recurrence(row)
    assert row.tolist() == [1.0, 1.5, 1.75]
    (whole,) = recurrence.overloads.values()
    assert "llvm.loop.interleave.count" in str(whole.library._final_module)


# --- rows by name


class Names(NamedTuple):
    price: np.ndarray
    value: np.ndarray
    sum: np.ndarray


rows = row_reader(Names)
history = section_reader("history")


@stage
def _add(s, past):
    for i in range(s.price.size):
        s.sum[i] = s.price[i] + 10.0 * s.value[i] + 100.0 * past[i]


@kernel
def add_rows(block, k):
    """Add up rows."""
    s = rows(block)
    _add(s, history(block, 3 + k))
    return total(s.sum) + array_of(s.price)[1]


@pytest.mark.parametrize("n", [1, 2, 7, 8, 33])
def test_rows_are_read_and_written_by_name(n):
    block = np.random.default_rng(n).uniform(size=(5, n + (n == 1)))
    expected = block[0] + 10.0 * block[1] + 100.0 * block[4]
    returned = add_rows(block, 1)
    assert np.array_equal(block[2], expected)
    assert returned == total(expected) + block[0, 1]


def test_fields_of_a_record_are_constants():
    @kernel
    def product(records, k):
        p = constants(records[k])
        return p.rate * p.count

    records = np.array([(0.5, 3), (0.25, 7)], [("rate", float), ("count", np.int64)])
    assert product(records, 1) == 1.75


# --- a Numba that is not known

SMALL = """
import warnings
import numpy as np
{before}
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    from dtao_gym.compiling import fast_pipeline, kernel
    from dtao_gym.protocol.issuance import emission_per_block
    @kernel
    def fill(out):
        out[0] = emission_per_block(out[0])
    out = np.array([21e6])
    fill(out)
print(fast_pipeline(), out[0], *(w.message for w in said))
"""
UNKNOWN = {
    "a missing part": "import numba.core.typed_passes; del numba.core.typed_passes.AnnotateTypes",
    "another way of making pipelines": (
        "from numba.core.compiler_machinery import PassManager; del PassManager.add_pass_after"
    ),
}


def small(before: str = "", **environment: str) -> str:
    """Output of a process that compiles a kernel after a change of Numba."""
    done = subprocess.run(
        [sys.executable, "-c", SMALL.format(before=before)],
        cwd=REPOSITORY,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_the_known_numba_warns_of_nothing():
    assert small() == "True 1.0"


@pytest.mark.parametrize("change", UNKNOWN)
def test_an_unknown_numba_compiles_in_its_own_way(change, tmp_path):
    output = small(UNKNOWN[change], NUMBA_CACHE_DIR=str(tmp_path))
    assert output.startswith("False 1.0 ")
    assert "dtao_gym compiles by plain Numba, which takes minutes" in output


def test_plain_numba_can_be_asked_for():
    assert small(DTAO_GYM_PLAIN_NUMBA="1") == "False 1.0"


ENGINE = """
import hashlib
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config
batch = Batch([Config.make(n_subnets=5, era=era) for era in ("launch", "price_burn")])
batch.step(days=30)
print(hashlib.sha256(batch.state.fields.tobytes()).hexdigest())
"""


@pytest.mark.slow
def test_the_engine_by_plain_numba_is_the_same_to_the_bit():
    outputs = [
        subprocess.run(
            [sys.executable, "-c", ENGINE],
            cwd=REPOSITORY,
            env=os.environ | {"DTAO_GYM_PLAIN_NUMBA": plain},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for plain in ("0", "1")
    ]
    assert outputs[0] == outputs[1]
