"""Compiled passes of the shared networks: they agree with the torch modules, and give way where they do not apply."""

import copy

import pytest
import torch
from dtao_agents.training import fused_networks
from dtao_agents.training.architecture import Architecture
from dtao_agents.training.fused_networks import BLOCK_ROWS, HIDDEN, applies, set_threads
from dtao_agents.training.networks import SharedActor

from dtao_gym.envs.staker.observation import N_GLOBAL, N_SUBNET

STAKERS = [Architecture("shared", n, hidden) for n, hidden in ((1, 8), (5, 16), (16, 16), (7, 64))]
BUILDERS = [
    Architecture("shared", 1, 16, "builder", 4),
    Architecture("shared", 2, 8, "builder", 1, 6),
    Architecture("shared", 9, 16, "builder", 2),
    Architecture("shared", 5, 32, "builder", 4, 6),
]
SHAPES = [
    pytest.param(shape, part, id=f"{shape.role}-{shape.n_subnets}-{shape.hidden}-{part}")
    for shape in STAKERS + BUILDERS
    for part in ("actor", "critic")
]


def network(shape, part, rows=37, seed=0):
    """A network with weights as large as trained ones, and observations for it."""
    generator = torch.Generator().manual_seed(seed)
    module = getattr(shape, part)()
    with torch.no_grad():
        for parameter in module.parameters():
            scale = 1.2 / max(parameter.shape[-1], 1) ** 0.5
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
    size = shape.observation_size + (shape.n_extra if part == "critic" else 0)
    return module, 2.0 * torch.rand(rows, size, generator=generator) - 1.0


def gradients(module, run, observation, seed=1):
    """Outputs, and gradients of a weighted sum of them by name of the parameter."""
    module.zero_grad()
    output = run(observation)
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randn(output.shape, generator=generator, dtype=torch.float32)
    (output * weights.to(output.dtype)).sum().backward()
    return {"output": output.detach()} | {
        name: parameter.grad.clone() for name, parameter in module.named_parameters()
    }


def assert_near(found, expected, rtol=1e-5):
    """Equal within `rtol` of the largest entry of each tensor, which is what rounding of sums depends on."""
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        error = (found[name].double() - tensor.double()).abs().max()
        assert error <= rtol * tensor.abs().max(), name


def fused(module):
    """Whether the module runs through the compiled passes."""
    observation = torch.zeros(2, module.encoder.n_local * 3 + module.encoder.n_common)
    return applies(
        observation, module.encoder.n_local, module.encoder.n_common, module.parameters_in_order()
    )


@pytest.mark.parametrize(("shape", "part"), SHAPES)
def test_outputs_and_gradients_are_those_of_torch(shape, part):
    """And those of torch in double precision, so that an error of both would show."""
    module, observation = network(shape, part)
    assert fused(module)
    found = gradients(module, module, observation)
    assert_near(found, gradients(module, module.reference, observation))
    double = copy.deepcopy(module).double()
    assert_near(found, gradients(double, double.reference, observation.double()))


@pytest.mark.parametrize(("shape", "part"), SHAPES[::3])
def test_gradients_are_slopes(shape, part):
    """Central differences of the double-precision definition along random directions."""
    module, observation = network(shape, part, rows=3)
    found = gradients(module, module, observation)
    double = copy.deepcopy(module).double()
    generator = torch.Generator().manual_seed(2)
    expected = found["output"].shape
    weights = torch.randn(expected, generator=torch.Generator().manual_seed(1)).double()
    step = 1e-6
    for name, parameter in double.named_parameters():
        direction = torch.randn(parameter.shape, generator=generator).double()
        values = []
        for sign in (1.0, -1.0):
            with torch.no_grad():
                parameter.add_(direction, alpha=sign * step)
                values.append((double.reference(observation.double()) * weights).sum())
                parameter.sub_(direction, alpha=sign * step)
        slope = (values[0] - values[1]) / (2.0 * step)
        size = found[name].double().norm() * direction.norm()
        assert abs(slope - (found[name].double() * direction).sum()) <= 1e-5 * size + 1e-7, name


@pytest.mark.parametrize("hidden", [1, 2, 6, 12, 24, 128])
@pytest.mark.parametrize("role", ["staker", "builder"])
def test_other_widths_run_in_torch(hidden, role):
    shape = Architecture("shared", 4, hidden, role)
    for part in ("actor", "critic"):
        module, observation = network(shape, part)
        assert not fused(module)
        assert_near(
            gradients(module, module, observation),
            gradients(module, module.reference, observation),
            rtol=0.0,
        )


def test_double_precision_and_gradients_of_observations_run_in_torch():
    module, observation = network(Architecture("shared", 4, 16), "actor")
    wanted = observation.clone().requires_grad_()
    module(wanted).sum().backward()
    again = observation.clone().requires_grad_()
    module.reference(again).sum().backward()
    torch.testing.assert_close(wanted.grad, again.grad, atol=0.0, rtol=0.0)
    with torch.no_grad():  # nothing is wanted here, whatever the observation says
        torch.testing.assert_close(module(wanted), module(observation), atol=0.0, rtol=0.0)
    double = module.double()
    assert double(observation.double()).dtype is torch.float64
    assert not fused(double)


def test_observations_that_do_not_fit_are_refused_by_torch():
    module, observation = network(Architecture("shared", 4, 16), "actor")
    for wrong in (observation[:, :-1], observation[0], observation[:, :3]):
        with pytest.raises((RuntimeError, ValueError)):
            module(wrong)


@pytest.mark.parametrize("layout", ["slice", "reversed", "transposed", "expanded"])
def test_observations_of_any_layout_are_read(layout):
    module, observation = network(Architecture("shared", 4, 16), "critic", rows=6)
    if layout == "slice":
        given = torch.cat([observation, torch.ones(6, 5)], 1)[:, : observation.shape[1]]
    elif layout == "reversed":
        given = observation[::2]
    elif layout == "transposed":
        given = observation.T.contiguous().T
    else:
        given = observation[:1].expand(6, -1)
    assert_near(gradients(module, module, given), gradients(module, module, given.clone()), 0.0)
    assert_near(gradients(module, module, given), gradients(module, module.reference, given))


@pytest.mark.parametrize("rows", [0, 1, BLOCK_ROWS + 1, 3 * BLOCK_ROWS])
@pytest.mark.parametrize("part", ["actor", "critic"])
def test_results_do_not_depend_on_threads_nor_on_batches(rows, part):
    module, observation = network(Architecture("shared", 3, 8), part, rows)
    alone = gradients(module, module, observation)
    try:
        set_threads(3)
        shared = gradients(module, module, observation)
    finally:
        set_threads(1)
    assert alone.keys() == shared.keys()
    for name, tensor in alone.items():
        assert torch.equal(shared[name], tensor), name
    parts = [module(part) for part in observation.split(100)] if rows else []
    if parts:
        assert torch.equal(torch.cat(parts), alone["output"])


def test_order_of_subnets_changes_no_bit_of_their_own_encoding():
    """Rows of four are computed together, the rest alone: neither must round differently."""
    module, _ = network(Architecture("shared", 8, 16), "actor")
    assert isinstance(module, SharedActor)
    generator = torch.Generator().manual_seed(0)
    one = torch.rand(2, N_SUBNET, generator=generator)
    common = torch.rand(2, N_GLOBAL, generator=generator)
    for n in (1, 4, 5, 7, 8):  # equal subnets have equal means, whatever their number
        logits = module(torch.cat([one.repeat(1, n), common], 1))[:, 1:-1]
        assert torch.equal(logits, logits[:, :1].expand(-1, n))


def test_frozen_weights_need_no_graph_and_second_derivatives_are_refused():
    module, observation = network(Architecture("shared", 4, 16), "actor")
    output = module(observation)
    slope = torch.autograd.grad(output.square().sum(), module.logit.weight, create_graph=True)[0]
    with pytest.raises(RuntimeError, match="differentiable"):
        slope.sum().backward()
    module.requires_grad_(False)
    assert not module(observation).requires_grad
    module.logit.requires_grad_(True)
    module(observation).sum().backward()
    assert module.logit.weight.grad is not None
    assert module.second.weight.grad is None


def test_not_a_number_is_passed_on():
    module, observation = network(Architecture("shared", 4, 16), "actor")
    observation[1, 3] = torch.nan
    found = module(observation)
    assert torch.isnan(found[1]).all()
    assert torch.isfinite(found[0]).all()


def test_weights_that_change_after_the_forward_pass_are_noticed():
    module, observation = network(Architecture("shared", 4, 16), "actor")
    output = module(observation).sum()
    with torch.no_grad():
        module.second.weight.add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.backward()


def test_every_width_has_kernels():
    assert all(hidden & (hidden - 1) == 0 for hidden in HIDDEN)
    assert fused_networks.kernels(16) is fused_networks.kernels(16)
