"""The elementary functions that the compiled engine is made of."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtao_gym import numerics
from dtao_gym.compiling import rule

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


@rule
def _high(a, b):
    return numerics.multiply_high(a, b)


def test_upper_half_of_a_product_of_64_bits():
    words = [0, 1, 2**32 - 1, 2**32, 2**63, 2**64 - 1, 0xD2E7470EE14C6C93]
    for a in words:
        for b in words:
            assert int(_high(np.uint64(a), np.uint64(b))) == (a * b) >> 64


@rule
def _fused(a, b, c):
    return numerics.fma(a, b, c)


factors = st.floats(-1e100, 1e100, allow_subnormal=False)


@given(factors, factors, factors)
def test_a_fused_product_and_sum_is_rounded_once(a, b, c):
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    if 0 < abs(exact) < Fraction(2.0**-1000):
        return  # a subnormal result has fewer bits
    assert _fused(a, b, c) == float(exact)
