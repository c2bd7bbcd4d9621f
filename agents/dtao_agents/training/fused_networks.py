"""Forward and backward passes of the shared networks as compiled loops over samples.

The modules of `dtao_agents.training.networks` define the networks; `pooled_network` and `shared_actor` compute the same
outputs and gradients several times faster than a chain of torch operations: a sample's activations stay in the processor's
cache, and the backward pass computes them again instead of reading them from memory. Each row of the output depends on its
own sample only, and sums have a fixed order, so results depend neither on the split of samples into batches nor on threads.

A layer is one vector of `hidden` float32 numbers, a power of two from `HIDDEN`. Where `applies` is false the modules use
torch.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from dtao_agents.training.network_kernels import kernels, scratch_floats

HIDDEN = (8, 16, 32, 64)
"""Widths that kernels exist for; each is compiled at its first use."""
BLOCK_ROWS = 2048
"""Samples of a thread's unit of work. Gradients of blocks are added in order, whatever the number of threads."""

_threads = 1
_pools: dict[tuple[int, int], ThreadPoolExecutor] = {}
"""Thread pools by process and number of threads: a forked child makes its own."""


def set_threads(threads: int) -> None:
    """Set the number of threads that share a batch, 1 by default; results do not depend on it."""
    global _threads
    _threads = threads


def applies(observation: Tensor, n_local: int, n_common: int, weights: Sequence[Tensor]) -> bool:
    """Whether the compiled passes can be used.

    They need float32 tensors on the CPU and a width of `HIDDEN`, and give no gradient of observations.

    Parameters
    ----------
    observation : Tensor
        Shape ``(batch, n_seen * n_local + n_common)``.
    n_local : int
        Features of a subnet.
    n_common : int
        Features at the end of an observation.
    weights : sequence of Tensor
        Weights of the network; the first has `hidden` rows.
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
    """Action means of `dtao_agents.training.networks.SharedActor`.

    Parameters
    ----------
    observation, n_local, n_common
        As in `applies`, which must be true.
    weights : sequence of Tensor
        Local weight and bias, common weight, second weight and bias, context weight, logit weight and bias, overall
        weight and bias, with the shapes of the module.

    Returns
    -------
    Tensor
        Shape ``(batch, n_seen + 2)``: root, a logit for each subnet, speed.
    """
    n_seen = (observation.shape[1] - n_common) // n_local
    return _run("actor", observation, (n_seen, n_local, n_common, n_seen + 2), weights)


def pooled_network(
    observation: Tensor, n_local: int, n_common: int, weights: Sequence[Tensor]
) -> Tensor:
    """Outputs of `dtao_agents.training.networks.PooledNetwork`.

    Parameters
    ----------
    observation, n_local, n_common
        As in `applies`, which must be true.
    weights : sequence of Tensor
        Local weight and bias, common weight, and weight and bias of each of the three layers above the pooled encoding,
        with the shapes of the module.

    Returns
    -------
    Tensor
        Shape ``(batch, n_out)``.
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
    """Call `run(first row, number of rows)` for each block of a batch; results in order."""
    blocks = [(k, min(BLOCK_ROWS, n_rows - k)) for k in range(0, max(n_rows, 1), BLOCK_ROWS)]
    if len(blocks) == 1 or _threads == 1:
        return [run(*block) for block in blocks]
    key = (os.getpid(), _threads)
    if key not in _pools:
        _pools[key] = ThreadPoolExecutor(_threads, thread_name_prefix="networks")
    return list(_pools[key].map(run, *zip(*blocks, strict=True)))


def _block(observation, first, n_rows):
    """Address, stride and number of the samples of a block."""
    return observation[first:].data_ptr(), observation.stride(0), n_rows


def _addresses(tensors):
    return tuple([tensor.data_ptr() for tensor in tensors])


def _scratch(weights, sizes):
    return torch.empty(scratch_floats(weights[0].shape[0], sizes), dtype=torch.float32)
