"""Flows of TAO into subnets: their moving averages, and the weights that the flow rules give them.

Source: subtensor `coinbase/subnet_emissions.rs` (`get_ema_flow`, `get_shares_flow`), November 2025 to June 2026.
"""

from dtao_gym.compiling import inlined_rule, rule
from dtao_gym.numerics import LEAST_DIVISOR, exp, log1p, power

FLOW_EMA_BASE = 29_597_889_189_277 / (2**63 - 1)
"""Weight of one block in the flow averages: a half-life of 216,000 blocks, 30 days."""


@inlined_rule
def flow_ema_decay(base, blocks):
    """Factor by which a flow average falls in `blocks` blocks without flow."""
    return exp(blocks * log1p(-base))


@inlined_rule
def next_flow_ema(flow_ema, flow_per_block, decay):
    """Flow average after a span with the same flow in every block; `decay` is that of the span."""
    return flow_per_block + (flow_ema - flow_per_block) * decay


@rule
def net_flow_factor(user_flow_ema, protocol_flow_ema):
    """Normalisation of the protocol's flow: positive user flow over positive protocol flow, at most 1."""
    users = protocol = 0.0
    for i in range(user_flow_ema.size):
        users += max(user_flow_ema[i], 0.0)
        protocol += max(protocol_flow_ema[i], 0.0)
    return min(users / protocol, 1.0) if protocol > 0.0 else 0.0


@inlined_rule
def net_flow(user_flow_ema, protocol_flow_ema, factor):
    """User flow less the protocol's; the factor scales a positive protocol flow only."""
    protocol = protocol_flow_ema * factor if protocol_flow_ema > 0.0 else protocol_flow_ema
    return user_flow_ema - protocol


@rule
def flow_weights(flows, cutoff, exponent):
    """Replace flows by weights: the excess over max(cutoff, the worst flow if negative), to a power."""
    worst = largest = 0.0
    for i in range(flows.size):
        worst = min(worst, flows[i])
        largest = max(largest, flows[i])
    floor = max(cutoff, worst)
    gap = largest - floor
    scale = 1.0 / gap if gap > LEAST_DIVISOR else 0.0
    for i in range(flows.size):
        flows[i] = power(max(flows[i] - floor, 0.0) * scale, exponent)
