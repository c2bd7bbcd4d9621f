"""The functions that the compiled engine is made of, and the cache that it is kept in."""

import math
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba.core.caching import NullCache
from numba.core.dispatcher import Dispatcher

import dtao_gym
import dtao_gym.envs.roles
import dtao_gym.world.day
from dtao_gym import numerics

PACKAGE = Path(dtao_gym.__file__).parent

random = np.random.default_rng(0)


def spread(low: float, high: float, count: int = 3000) -> np.ndarray:
    """Numbers of all magnitudes between two positive ones, the ends among them."""
    exponents = np.linspace(np.log10(low), np.log10(high), count)
    return np.clip(10 ** (exponents + random.uniform(-1e-3, 1e-3, count)), low, high)


both_signs = np.concatenate([spread(1e-300, 700.0), -spread(1e-300, 700.0)])
near_one = 1.0 + np.concatenate([spread(1e-15, 0.5), -spread(1e-15, 0.5)])
near_sqrt_half = np.sqrt(0.5) * (1.0 + np.arange(-50, 50) * 2.0**-52)

CASES = {
    "log": np.concatenate(
        [spread(2.3e-308, 1.7e308), near_one, near_sqrt_half, 2 * near_sqrt_half]
    ),
    "log1p": np.concatenate([spread(1e-300, 1e300), -spread(1e-300, 0.999999), near_one - 2.0]),
    "exp": both_signs,
    "expm1": both_signs,
    "tanh": both_signs,
}


@pytest.mark.parametrize("name", CASES)
def test_function_is_right_to_four_parts_in_10_to_the_16(name):
    mpmath = pytest.importorskip("mpmath")
    function, exact = getattr(numerics, name), getattr(mpmath, name)
    points = CASES[name]
    if name == "log1p":
        points = points[points > -1.0]
    with mpmath.workdps(50):
        errors = [
            abs(function(x) - exact(mpmath.mpf(x)))
            / max(abs(exact(mpmath.mpf(x))), mpmath.mpf("1e-320"))
            for x in points.tolist()
        ]
    worst = int(np.argmax(errors))
    assert errors[worst] < 4e-16, f"{name}({points[worst]!r})"


@pytest.mark.parametrize(
    ("name", "x", "value"),
    [
        ("log", 1.0, 0.0),
        ("log1p", 0.0, 0.0),
        ("exp", 0.0, 1.0),
        ("expm1", 0.0, 0.0),
        ("tanh", 0.0, 0.0),
        ("tanh", 1e3, 1.0),
        ("tanh", -1e3, -1.0),
        ("expm1", -1e3, -1.0),
    ],
)
def test_exact_values(name, x, value):
    assert getattr(numerics, name)(x) == value


def test_exponentials_are_clipped_and_stay_finite():
    for function in (numerics.exp, numerics.expm1):
        assert function(1e6) == function(700.0) < np.inf
    assert numerics.exp(-1e6) == numerics.exp(-700.0) > 0.0


def test_the_short_logarithm_of_a_fee_is_the_logarithm():
    edge = 0.0102
    for x in np.concatenate([[0.0], spread(1e-300, edge), -spread(1e-300, edge)]):
        assert numerics.log1p_small(x) == pytest.approx(np.log1p(x), rel=4e-16, abs=0.0)


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 16, 128, 1001])
def test_a_sum_in_parts_is_the_sum(size):
    row = random.normal(0.0, 1.0, size) * 10 ** random.uniform(-6, 6, size)
    exact = math.fsum(row)
    assert numerics.row_sum(row) == pytest.approx(exact, rel=0.0, abs=1e-15 * np.abs(row).sum())


@pytest.mark.parametrize("exponent", range(-1000, 1000, 37))
def test_next_power_of_two(exponent):
    power = 2.0**exponent
    assert numerics.next_power_of_two(power) == power
    assert numerics.next_power_of_two(np.nextafter(power, 0.0)) == power
    assert numerics.next_power_of_two(np.nextafter(power, np.inf)) == 2 * power


@numerics.rule
def _high(a, b):
    return numerics.multiply_high(a, b)


def test_upper_half_of_a_product_of_64_bits():
    words = [0, 1, 2**32 - 1, 2**32, 2**63, 2**64 - 1, 0xD2E7470EE14C6C93]
    for a in words:
        for b in words:
            assert int(_high(np.uint64(a), np.uint64(b))) == (a * b) >> 64


# --- compiled kernels follow the sources


def cached_kernels() -> dict[str, Dispatcher]:
    """Everything in the package that Numba keeps on disk."""
    return {
        f"{name}.{attribute}": value
        for name, module in list(sys.modules.items())
        if name.startswith("dtao_gym.")
        for attribute, value in vars(module).items()
        if isinstance(value, Dispatcher) and not isinstance(value._cache, NullCache)
    }


def test_every_kernel_on_disk_closes_over_the_sources():
    kernels = cached_kernels()
    assert len(kernels) >= 3
    for name, kernel in kernels.items():
        closure = kernel.py_func.__closure__ or ()
        assert numerics.source_fingerprint() in [cell.cell_contents for cell in closure], name


# A kernel of its own, small enough to compile in a moment, that calls a rule of another file.
KERNEL = """
from dtao_gym.numerics import compile_kernel, source_fingerprint
from dtao_gym.protocol.issuance import emission_per_block


def _build(fingerprint):
    def kernel(remaining):
        fingerprint
        return emission_per_block(remaining)

    return compile_kernel(kernel)


kernel = _build(source_fingerprint())
"""
RUN = """
from dtao_gym.numerics import source_fingerprint
from dtao_gym.kernel import kernel
value = kernel(21e6)
stats = kernel.stats
print(source_fingerprint(), value, sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""


def test_editing_any_rule_recompiles_the_kernels(tmp_path):
    package = tmp_path / "dtao_gym"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__", "data"))
    (package / "kernel.py").write_text(KERNEL)

    def run() -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", RUN], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        return done.stdout.split()

    first, *compiled = run()
    assert compiled == ["1.0", "0", "1"]
    again, *cached = run()
    assert again == first
    assert cached == ["1.0", "1", "0"]

    rule = package / "protocol" / "issuance.py"
    text = rule.read_text()
    assert text.count(", 1.0)") == 1
    rule.write_text(text.replace(", 1.0)", ", 0.5)"))
    edited, *recompiled = run()
    assert edited != first
    assert recompiled == ["0.5", "0", "1"]
