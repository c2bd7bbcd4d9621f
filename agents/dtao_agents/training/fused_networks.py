"""Forward and backward passes of the shared networks as compiled loops over samples.

The modules of `dtao_agents.training.networks` define what is computed; `pooled_network` and `shared_actor` compute the same, and its
gradients, several times faster than a chain of torch operations: a sample's activations stay in the cache, and the
backward pass computes them again instead of reading them from memory. Each row of the output depends on its own
sample alone, and sums are made in a fixed order, so results do not depend on how samples are split into batches
nor on threads.

Width: a layer is one vector of `hidden` float32 numbers, a power of two from `HIDDEN`. `applies` says whether the
compiled passes fit; where they do not, the modules use torch.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dtao_agents.training.network_kernels import kernels, scratch_floats

HIDDEN = (8, 16, 32, 64)
"""Widths that kernels are compiled for, each when it is first used."""


BLOCK_ROWS = 2048
"""Samples that a thread works on at a time. Gradients of blocks are added in order, whatever the number of threads."""

_threads = 1
_pools: dict[tuple[int, int], ThreadPoolExecutor] = {}
"""By process and number of threads: a forked child makes its own."""


def set_threads(threads: int) -> None:
    """Let this number of threads share the blocks of a batch; 1 until then. Results do not depend on it."""
    global _threads
    _threads = threads


def applies(observation: Tensor, n_local: int, n_common: int, weights: Sequence[Tensor]) -> bool:
    """Whether the compiled passes fit: float32 on the CPU, a width of `HIDDEN`, no gradient of observations wanted.

    Args:
        observation: `(batch, n_seen * n_local + n_common)`.
        n_local: features of a subnet.
        n_common: features at the end of an observation.
        weights: of the network; the first has `hidden` rows.
    """
    if observation.dim() != 2 or weights[0].shape[0] not in HIDDEN:
        return False
    rest = observation.shape[1] - n_common
    return (
        rest >= 0
        and rest % n_local == 0
        and observation.dtype is torch.float32
        and observation.is_cpu
        and not (observation.requires_grad and torch.is_grad_enabled())
        and all(w.dtype is torch.float32 and w.is_cpu and w.is_contiguous() for w in weights)
        and not torch.compiler.is_compiling()
    )


def shared_actor(
    observation: Tensor, n_local: int, n_common: int, weights: Sequence[Tensor]
) -> Tensor:
    """Means `(batch, n_seen + 2)` of `dtao_agents.training.networks.SharedActor`: root, a logit for each subnet, speed.

    Args:
        observation, n_local, n_common: as in `applies`, which must hold.
        weights: local weight and bias, common weight, second weight and bias, context weight, logit weight and
            bias, overall weight and bias, with the shapes of the module.
    """
    n_seen = (observation.shape[1] - n_common) // n_local
    return _run("actor", observation, (n_seen, n_local, n_common, n_seen + 2), weights)


def pooled_network(
    observation: Tensor, n_local: int, n_common: int, weights: Sequence[Tensor]
) -> Tensor:
    """Outputs `(batch, n_out)` of `dtao_agents.training.networks.PooledNetwork`.

    Args:
        observation, n_local, n_common: as in `applies`, which must hold.
        weights: local weight and bias, common weight, and weight and bias of each of the three layers above the
            pooled encoding, with the shapes of the module.
    """
    n_seen = (observation.shape[1] - n_common) // n_local
    return _run("pooled", observation, (n_seen, n_local, n_common, len(weights[-1])), weights)


def _run(name, observation, sizes, weights):
    if observation.stride(1) != 1:
        observation = observation.contiguous()
    if torch.is_grad_enabled() and any(w.requires_grad for w in weights):
        return _Fused.apply(name, sizes, observation, *weights)
    return _forward(name, sizes, observation, weights)


def _forward(name, sizes, observation, weights):
    output = torch.empty(len(observation), sizes[-1], dtype=torch.float32)
    kernel = getattr(kernels(weights[0].shape[0]), f"{name}_forward")
    addresses = _addresses(weights)

    def run(first, n_rows):
        scratch = _scratch(weights, sizes)
        samples = _block(observation, first, n_rows)
        kernel(*samples, sizes, addresses, output[first:].data_ptr(), scratch.data_ptr())

    _for_each_block(run, len(observation))
    return output


class _Fused(torch.autograd.Function):
    """A network as one differentiable operation on its weights."""

    @staticmethod
    def forward(ctx, name, sizes, observation, *weights):
        ctx.name, ctx.sizes = name, sizes
        ctx.save_for_backward(observation, *weights)
        return _forward(name, sizes, observation, weights)

    @staticmethod
    @once_differentiable
    def backward(ctx, output_gradient):  # pyright: ignore[reportIncompatibleMethodOverride]
        observation, *weights = ctx.saved_tensors
        output_gradient, sizes = output_gradient.contiguous(), ctx.sizes
        kernel = getattr(kernels(weights[0].shape[0]), f"{ctx.name}_backward")
        addresses = _addresses(weights)

        def run(first, n_rows):
            gradients = [torch.zeros_like(w) for w in weights]
            scratch = _scratch(weights, sizes)
            coming = output_gradient[first:].data_ptr()
            samples = _block(observation, first, n_rows)
            kernel(*samples, sizes, addresses, coming, _addresses(gradients), scratch.data_ptr())
            return gradients

        total, *others = _for_each_block(run, len(observation))
        for gradients in others:
            for part, more in zip(total, gradients, strict=True):
                part += more
        return None, None, None, *total


def _for_each_block(run, n_rows):
    """Results of `run(first row, number of rows)` for each block of a batch, in order."""
    blocks = [(k, min(BLOCK_ROWS, n_rows - k)) for k in range(0, max(n_rows, 1), BLOCK_ROWS)]
    if len(blocks) == 1 or _threads == 1:
        return [run(*block) for block in blocks]
    key = (os.getpid(), _threads)
    if key not in _pools:
        _pools[key] = ThreadPoolExecutor(_threads, thread_name_prefix="networks")
    return list(_pools[key].map(run, *zip(*blocks, strict=True)))


def _block(observation, first, n_rows):
    """Address and stride of samples, and their number."""
    return observation[first:].data_ptr(), observation.stride(0), n_rows


def _addresses(tensors):
    return tuple([tensor.data_ptr() for tensor in tensors])


def _scratch(weights, sizes):
    return torch.empty(scratch_floats(weights[0].shape[0], sizes), dtype=torch.float32)
