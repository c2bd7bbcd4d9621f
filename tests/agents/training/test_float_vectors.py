"""Vectors of floats in compiled code."""

import numpy as np
import pytest
from dtao_agents.training.float_vectors import (
    at,
    dot,
    filled,
    lanes_of,
    load,
    maximum,
    multiply_add,
    number,
    put,
    scale,
    store,
    tanh,
    where_positive,
    zeros,
)
from numba import njit


def unary(function, lanes):
    """A compiled loop that applies a function of vectors to arrays of a whole number of vectors."""

    @njit
    def run(source, target, count):
        like = zeros(lanes)
        for k in range(0, count, lanes):
            store(at(target, k), function(load(at(source, k), like)))

    def apply(values):
        values = np.ascontiguousarray(values, np.float32)
        result = np.empty_like(values)
        run(values.ctypes.data, result.ctypes.data, values.size)
        return result

    return apply


@pytest.mark.parametrize("lanes", [4, 8, 16, 64])
def test_tanh(lanes):
    """Within 3e-7 relative at every scale, exactly odd, 1 at last, and not a number where x is none."""
    x = np.concatenate([np.geomspace(1e-30, 30.0, 4096), np.linspace(0.0, 12.0, 4096)])
    x = x.astype(np.float32)
    compiled = unary(tanh, lanes)
    found = compiled(x)
    np.testing.assert_allclose(found, np.tanh(x.astype(float)), rtol=3e-7)
    np.testing.assert_array_equal(compiled(-x), -found)
    special = np.zeros(64, np.float32)
    special[:3] = np.inf, -np.inf, np.nan
    np.testing.assert_array_equal(compiled(special)[:4], [1.0, -1.0, np.nan, 0.0])


def test_vectors_do_what_arrays_do():
    lanes = 8

    @njit
    def run(x, y, out):
        like = zeros(lanes)
        a, b = load(x, like), load(y, like)
        store(out, multiply_add(a, number(at(y, 1)), b))
        store(at(out, lanes), scale(a, -2.0))
        store(at(out, 2 * lanes), maximum(a, b))
        store(at(out, 3 * lanes), where_positive(a, b))
        store(at(out, 4 * lanes), filled(3.0, a))
        put(at(out, 5 * lanes), dot(a, b))
        put(at(out, 5 * lanes + 1), lanes_of(a))

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, lanes)).astype(np.float32)
    out = np.zeros(6 * lanes, np.float32)
    run(x.ctypes.data, y.ctypes.data, out.ctypes.data)
    expected = [x + y[1] * y, -2.0 * x, np.maximum(x, y), np.where(x > 0, y, 0.0), 0.0 * x + 3.0]
    np.testing.assert_allclose(out[: 5 * lanes], np.concatenate(expected), rtol=1e-6)
    np.testing.assert_allclose(out[5 * lanes : 5 * lanes + 2], [x @ y, lanes], rtol=1e-6)
