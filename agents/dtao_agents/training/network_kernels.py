# pyright: reportCallIssue=false, reportGeneralTypeIssues=false
"""Compiled forward and backward passes of the shared networks, over the samples of a batch.

`dtao_agents.training.networks` defines the networks, `dtao_agents.training.fused_networks` calls these kernels with
tensors. A layer is one vector of `hidden` lanes. Torch stores a weight with a row for each output; products with a row of
inputs need a row for each input, so kernels transpose the weights at their start and the gradients at their end.
Activations of one sample stay in the processor's cache; the backward pass computes them again instead of reading those of
a whole batch from memory.

All arguments but `sizes` are addresses of float32 memory, or numbers:
    observations, stride: samples, and the floats from one to the next.
    n_rows: number of samples.
    sizes: (subnets seen, features of each, common features, outputs).
    weights, gradients: tuples of addresses, in the order of the unpacking below; gradients start as zeros.
    output, output_gradient: `(n_rows, outputs)`, contiguous.
    scratch: `scratch_floats` floats.
"""

import functools
from typing import Any, NamedTuple

import numpy as np

from dtao_agents.training.float_vectors import (
    add,
    at,
    filled,
    load,
    multiply_add,
    number,
    put,
    scale,
    store,
    tanh,
    where_positive,
    zeros,
)
from dtao_agents.training.vector_loops import (
    add_affine_gradient,
    add_outer_product,
    add_outer_products,
    affine,
    clear,
    increase,
    rows_times_matrix,
    tanh_gradient,
    times_matrix,
    transpose,
)
from dtao_gym.compiling import inlined_rule, kernel


class Kernels(NamedTuple):
    """Compiled passes of both networks, for one width."""

    actor_forward: Any
    actor_backward: Any
    pooled_forward: Any
    pooled_backward: Any


def scratch_floats(hidden: int, sizes: tuple[int, int, int, int]) -> int:
    """Size of a kernel's scratch memory, in floats.

    It holds transposed weights and gradients, two vectors for each subnet, and six others.
    """
    n_seen, n_local, n_common, _ = sizes
    transposed = n_local + 2 * n_common + 2 * hidden
    return hidden * (2 * transposed + 2 * n_seen + 6)


@inlined_rule
def _encode(x, sizes, local, bias, common, floor, encoded):
    """Write the encodings of a sample's subnets and return their sum."""
    n_seen, n_local, n_common, _ = sizes
    start = times_matrix(at(x, n_seen * n_local), n_common, common, load(bias, floor))
    return rows_times_matrix(x, n_seen, n_local, local, start, floor, encoded)


@inlined_rule
def _add_encoder_gradient(x, sizes, encoded_gradient, summed, local, bias, common):
    """Add to the encoder's gradients, given those of its values before the relu and their sum."""
    n_seen, n_local, n_common, _ = sizes
    add_outer_products(x, n_seen, n_local, encoded_gradient, local, summed)
    increase(bias, summed)
    add_outer_product(at(x, n_seen * n_local), n_common, summed, common)


@functools.cache
def kernels(hidden: int) -> Kernels:
    """Kernels of the networks of one width, each compiled at its first call.

    Parameters
    ----------
    hidden : int
        Units of a layer, a power of two.
    """

    @kernel
    def actor_forward(observations, stride, n_rows, sizes, weights, output, scratch):
        """The policy's network, forwards."""
        n_seen, n_local, n_common, n_out = sizes
        (local, bias, common, second, second_bias, context, logit, logit_bias) = weights[:8]
        overall, overall_bias = weights[8], weights[9]
        zero, inverse = zeros(hidden), np.float32(1.0 / n_seen)
        local_t = scratch
        common_t = transpose(local, hidden, n_local, local_t)
        second_t = transpose(common, hidden, n_common, common_t)
        context_t = transpose(second, hidden, hidden, second_t)
        encoded = transpose(context, hidden, hidden, context_t)
        embedded = at(encoded, n_seen * hidden)
        mean = at(embedded, n_seen * hidden)
        for b in range(n_rows):
            x, out = at(observations, b * stride), at(output, b * n_out)
            rest = at(x, n_seen * n_local)
            summed = _encode(x, sizes, local_t, bias, common_t, zero, encoded)
            store(mean, scale(summed, inverse))
            start = times_matrix(mean, hidden, context_t, load(second_bias, zero))
            summed = rows_times_matrix(encoded, n_seen, hidden, second_t, start, zero, embedded)
            mean_embedding = scale(summed, inverse)
            for i in range(n_seen):
                embedding = load(at(embedded, i * hidden), zero)
                put(at(out, 1 + i), affine(logit, embedding, rest, 0, logit_bias))
            last, width = at(out, n_out - 1), hidden + n_common
            put(out, affine(overall, mean_embedding, rest, n_common, overall_bias))
            row, row_bias = at(overall, width), at(overall_bias, 1)
            put(last, affine(row, mean_embedding, rest, n_common, row_bias))

    @kernel
    def actor_backward(
        observations, stride, n_rows, sizes, weights, output_gradient, gradients, scratch
    ):
        """The policy's network, backwards."""
        n_seen, n_local, n_common, n_out = sizes
        (local, bias, common, second, second_bias, context, logit) = weights[:7]
        overall = weights[8]
        (g_local, g_bias, g_common, g_second, g_second_bias, g_context) = gradients[:6]
        (g_logit, g_logit_bias, g_overall, g_overall_bias) = gradients[6:]
        zero, inverse = zeros(hidden), np.float32(1.0 / n_seen)
        lowest = filled(-np.inf, zero)
        local_t = scratch
        common_t = transpose(local, hidden, n_local, local_t)
        second_t = transpose(common, hidden, n_common, common_t)
        context_t = transpose(second, hidden, hidden, second_t)
        g_local_t = transpose(context, hidden, hidden, context_t)
        g_common_t = at(g_local_t, n_local * hidden)
        g_second_t = at(g_common_t, n_common * hidden)
        g_context_t = at(g_second_t, hidden * hidden)
        encoded = at(g_context_t, hidden * hidden)
        clear(g_local_t, encoded)
        embedded = at(encoded, n_seen * hidden)
        mean = at(embedded, n_seen * hidden)
        summed_gradient = at(mean, hidden)
        weight, width = load(logit, zero), hidden + n_common
        weights_root, weights_speed = load(overall, zero), load(at(overall, width), zero)
        for b in range(n_rows):
            x, g_out = at(observations, b * stride), at(output_gradient, b * n_out)
            rest = at(x, n_seen * n_local)
            summed = _encode(x, sizes, local_t, bias, common_t, zero, encoded)
            store(mean, scale(summed, inverse))
            start = times_matrix(mean, hidden, context_t, load(second_bias, zero))
            summed = rows_times_matrix(encoded, n_seen, hidden, second_t, start, zero, embedded)
            mean_embedding = scale(summed, inverse)

            root, speed = number(g_out), number(at(g_out, n_out - 1))
            add_affine_gradient(g_overall, g_overall_bias, mean_embedding, rest, n_common, root)
            row, row_bias = at(g_overall, width), at(g_overall_bias, 1)
            add_affine_gradient(row, row_bias, mean_embedding, rest, n_common, speed)
            shared = multiply_add(scale(weights_root, root), speed, weights_speed)
            shared, summed = scale(shared, inverse), zero
            weight_gradient, bias_gradient = load(g_logit, zero), number(g_logit_bias)
            for i in range(n_seen):
                place, gradient = at(embedded, i * hidden), number(at(g_out, 1 + i))
                embedding = load(place, zero)
                bias_gradient += gradient
                weight_gradient = multiply_add(weight_gradient, gradient, embedding)
                inner = where_positive(embedding, multiply_add(shared, gradient, weight))
                summed = add(summed, inner)
                store(place, inner)  # from here on `embedded` holds gradients
            store(g_logit, weight_gradient)
            put(g_logit_bias, bias_gradient)
            add_outer_products(encoded, n_seen, hidden, embedded, g_second_t, zero)
            increase(g_second_bias, summed)
            add_outer_product(mean, hidden, summed, g_context_t)
            store(summed_gradient, summed)
            shared = scale(times_matrix(summed_gradient, hidden, context, zero), inverse)
            rows_times_matrix(embedded, n_seen, hidden, second, shared, lowest, embedded)
            summed = zero
            for i in range(n_seen):
                place = at(embedded, i * hidden)
                encoding = load(at(encoded, i * hidden), zero)
                inner = where_positive(encoding, load(place, zero))
                summed = add(summed, inner)
                store(place, inner)
            _add_encoder_gradient(x, sizes, embedded, summed, g_local_t, g_bias, g_common_t)
        transpose(g_local_t, n_local, hidden, g_local)
        transpose(g_common_t, n_common, hidden, g_common)
        transpose(g_second_t, hidden, hidden, g_second)
        transpose(g_context_t, hidden, hidden, g_context)

    @kernel
    def pooled_forward(observations, stride, n_rows, sizes, weights, output, scratch):
        """The critic's network, forwards."""
        n_seen, n_local, n_common, n_out = sizes
        local, bias, common, first, first_bias, second, second_bias, last, last_bias = weights
        zero, inverse = zeros(hidden), np.float32(1.0 / max(n_seen, 1))
        local_t = scratch
        common_t = transpose(local, hidden, n_local, local_t)
        first_t = transpose(common, hidden, n_common, common_t)
        second_t = transpose(first, hidden, hidden + n_common, first_t)
        encoded = transpose(second, hidden, hidden, second_t)
        mean = at(encoded, n_seen * hidden)
        inner = at(mean, hidden)
        for b in range(n_rows):
            x = at(observations, b * stride)
            rest = at(x, n_seen * n_local)
            summed = _encode(x, sizes, local_t, bias, common_t, zero, encoded)
            store(mean, scale(summed, inverse))
            start = times_matrix(mean, hidden, first_t, load(first_bias, zero))
            rows = at(first_t, hidden * hidden)
            store(inner, tanh(times_matrix(rest, n_common, rows, start)))
            top = tanh(times_matrix(inner, hidden, second_t, load(second_bias, zero)))
            for j in range(n_out):
                row, row_bias = at(last, j * hidden), at(last_bias, j)
                put(at(output, b * n_out + j), affine(row, top, rest, 0, row_bias))

    @kernel
    def pooled_backward(
        observations, stride, n_rows, sizes, weights, output_gradient, gradients, scratch
    ):
        """The critic's network, backwards."""
        n_seen, n_local, n_common, n_out = sizes
        local, bias, common, first, first_bias, second, second_bias, last, _last_bias = weights
        (g_local, g_bias, g_common, g_first, g_first_bias) = gradients[:5]
        (g_second, g_second_bias, g_last, g_last_bias) = gradients[5:]
        zero, inverse = zeros(hidden), np.float32(1.0 / max(n_seen, 1))
        local_t = scratch
        common_t = transpose(local, hidden, n_local, local_t)
        first_t = transpose(common, hidden, n_common, common_t)
        second_t = transpose(first, hidden, hidden + n_common, first_t)
        g_local_t = transpose(second, hidden, hidden, second_t)
        g_common_t = at(g_local_t, n_local * hidden)
        g_first_t = at(g_common_t, n_common * hidden)
        g_second_t = at(g_first_t, (hidden + n_common) * hidden)
        encoded = at(g_second_t, hidden * hidden)
        clear(g_local_t, encoded)
        encoded_gradient = at(encoded, n_seen * hidden)
        mean = at(encoded_gradient, n_seen * hidden)
        inner = at(mean, hidden)
        layer = at(inner, hidden)
        for b in range(n_rows):
            x, g_out = at(observations, b * stride), at(output_gradient, b * n_out)
            rest = at(x, n_seen * n_local)
            summed = _encode(x, sizes, local_t, bias, common_t, zero, encoded)
            store(mean, scale(summed, inverse))
            start = times_matrix(mean, hidden, first_t, load(first_bias, zero))
            rows = at(first_t, hidden * hidden)
            middle = tanh(times_matrix(rest, n_common, rows, start))
            store(inner, middle)
            top = tanh(times_matrix(inner, hidden, second_t, load(second_bias, zero)))

            gradient = zero
            for j in range(n_out):
                row, one = at(last, j * hidden), number(at(g_out, j))
                gradient = multiply_add(gradient, one, load(row, zero))
                row, row_bias = at(g_last, j * hidden), at(g_last_bias, j)
                add_affine_gradient(row, row_bias, top, rest, 0, one)
            gradient = tanh_gradient(top, gradient)
            add_outer_product(inner, hidden, gradient, g_second_t)
            increase(g_second_bias, gradient)
            store(layer, gradient)
            gradient = tanh_gradient(middle, times_matrix(layer, hidden, second, zero))
            add_outer_product(mean, hidden, gradient, g_first_t)
            add_outer_product(rest, n_common, gradient, at(g_first_t, hidden * hidden))
            increase(g_first_bias, gradient)
            store(layer, gradient)
            gradient = zero  # of the mean: rows of `first` are longer than a vector
            for k in range(hidden):
                row = load(at(first, k * (hidden + n_common)), zero)
                gradient = multiply_add(gradient, number(at(layer, k)), row)
            gradient, summed = scale(gradient, inverse), zero
            for i in range(n_seen):
                encoding = load(at(encoded, i * hidden), zero)
                one = where_positive(encoding, gradient)
                summed = add(summed, one)
                store(at(encoded_gradient, i * hidden), one)
            _add_encoder_gradient(x, sizes, encoded_gradient, summed, g_local_t, g_bias, g_common_t)
        transpose(g_local_t, n_local, hidden, g_local)
        transpose(g_common_t, n_common, hidden, g_common)
        transpose(g_first_t, hidden + n_common, hidden, g_first)
        transpose(g_second_t, hidden, hidden, g_second)

    return Kernels(actor_forward, actor_backward, pooled_forward, pooled_backward)
