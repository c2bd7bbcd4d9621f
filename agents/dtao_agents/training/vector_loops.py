# pyright: reportCallIssue=false, reportGeneralTypeIssues=false
"""Products of rows, matrices and vectors in compiled loops.

Memory is passed as addresses of float32 numbers (`dtao_agents.training.float_vectors`). A matrix of `count` vectors has a
row for each of `count` inputs and a lane for each output.
"""

from dtao_agents.training.float_vectors import (
    FLOAT_BYTES,
    add,
    at,
    dot,
    filled,
    lanes_of,
    load,
    maximum,
    multiply,
    multiply_add,
    number,
    put,
    scale,
    store,
)
from dtao_gym.compiling import inlined_rule


@inlined_rule
def transpose(source, rows, columns, target):
    """Write the transpose of a matrix and return the address after it."""
    for row in range(rows):
        for column in range(columns):
            put(at(target, column * rows + row), number(at(source, row * columns + column)))
    return at(target, rows * columns)


@inlined_rule
def clear(first, end):
    """Write zeros between two addresses."""
    for address in range(first, end, FLOAT_BYTES):
        put(address, 0.0)


@inlined_rule
def increase(address, change):
    """Add a vector to the one at an address."""
    store(address, add(load(address, change), change))


@inlined_rule
def times_matrix(x, count, matrix, start):
    """Product start + x M of `count` floats x and a matrix M of `count` vectors, in two chains of sums."""
    width = lanes_of(start)
    other = filled(0.0, start)
    even = count - count % 2
    for k in range(0, even, 2):
        start = multiply_add(start, number(at(x, k)), load(at(matrix, k * width), start))
        row = load(at(matrix, (k + 1) * width), start)
        other = multiply_add(other, number(at(x, k + 1)), row)
    if even < count:
        start = multiply_add(start, number(at(x, even)), load(at(matrix, even * width), start))
    return add(start, other)


@inlined_rule
def rows_times_matrix(x, n_rows, count, matrix, start, floor, output):
    """Write max(start + x_i M, floor) for each row x_i of `count` floats and return their sum.

    Four rows are computed together, so that each vector of M is loaded once for them.
    """
    width = lanes_of(start)
    total = filled(0.0, start)
    whole = n_rows - n_rows % 4
    for i in range(0, whole, 4):
        a = b = c = d = start
        first = at(x, i * count)
        for k in range(count):
            row = load(at(matrix, k * width), start)
            a = multiply_add(a, number(at(first, k)), row)
            b = multiply_add(b, number(at(first, count + k)), row)
            c = multiply_add(c, number(at(first, 2 * count + k)), row)
            d = multiply_add(d, number(at(first, 3 * count + k)), row)
        a, b, c, d = maximum(a, floor), maximum(b, floor), maximum(c, floor), maximum(d, floor)
        place = at(output, i * width)
        store(place, a)
        store(at(place, width), b)
        store(at(place, 2 * width), c)
        store(at(place, 3 * width), d)
        total = add(total, add(add(a, b), add(c, d)))
    for i in range(whole, n_rows):
        a = start
        for k in range(count):
            a = multiply_add(a, number(at(x, i * count + k)), load(at(matrix, k * width), start))
        a = maximum(a, floor)
        store(at(output, i * width), a)
        total = add(total, a)
    return total


@inlined_rule
def add_outer_products(x, n_rows, count, vectors, matrix, like):
    """Add the outer products of rows x_i of `count` floats and as many vectors to a matrix."""
    width = lanes_of(like)
    whole = count - count % 4
    for k in range(0, whole, 4):
        place = at(matrix, k * width)
        a, b = load(place, like), load(at(place, width), like)
        c, d = load(at(place, 2 * width), like), load(at(place, 3 * width), like)
        for i in range(n_rows):
            first, vector = at(x, i * count + k), load(at(vectors, i * width), like)
            a = multiply_add(a, number(first), vector)
            b = multiply_add(b, number(at(first, 1)), vector)
            c = multiply_add(c, number(at(first, 2)), vector)
            d = multiply_add(d, number(at(first, 3)), vector)
        store(place, a)
        store(at(place, width), b)
        store(at(place, 2 * width), c)
        store(at(place, 3 * width), d)
    for k in range(whole, count):
        a = load(at(matrix, k * width), like)
        for i in range(n_rows):
            vector = load(at(vectors, i * width), like)
            a = multiply_add(a, number(at(x, i * count + k)), vector)
        store(at(matrix, k * width), a)


@inlined_rule
def add_outer_product(x, count, vector, matrix):
    """Add to a matrix of `count` vectors the outer product of `count` floats and a vector."""
    width = lanes_of(vector)
    for k in range(count):
        place = at(matrix, k * width)
        store(place, multiply_add(load(place, vector), number(at(x, k)), vector))


@inlined_rule
def affine(row, vector, rest, n_rest, bias):
    """A row of weights times a vector and `n_rest` floats, plus a bias."""
    total = dot(load(row, vector), vector) + number(bias)
    for k in range(n_rest):
        total += number(at(row, lanes_of(vector) + k)) * number(at(rest, k))
    return total


@inlined_rule
def add_affine_gradient(row, bias, vector, rest, n_rest, gradient):
    """Add to the gradients of the weights and the bias of `affine`."""
    store(row, multiply_add(load(row, vector), gradient, vector))
    for k in range(n_rest):
        place = at(row, lanes_of(vector) + k)
        put(place, number(place) + gradient * number(at(rest, k)))
    put(bias, number(bias) + gradient)


@inlined_rule
def tanh_gradient(value, gradient):
    """Gradient before a tanh, from its value and the gradient after it."""
    return multiply(gradient, add(filled(1.0, value), scale(multiply(value, value), -1.0)))
