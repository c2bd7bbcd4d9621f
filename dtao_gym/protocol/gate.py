"""The gate of emission: a bar on demand shares, measured by rank or by mass, and the part that passes it.

Source: subtensor `coinbase/subnet_emissions.rs` (`maybe_update_emission_gate_bar`, `apply_emission_gate`), since July 2026.
A subnet whose demand share equals the bar keeps half of it; far above the bar the gate lets everything through, far below
nearly nothing. Demand shares come in two parts: those of the simulated subnets, and those of the frozen ones as a list in
descending order, because the bar is that of all subnets.
"""

import numpy as np

from dtao_gym.compiling import inlined_rule, rule
from dtao_gym.numerics import power, row_sum

GATE_RANK = 32
"""Rank of the demand share that is the bar (`EmissionBarRank`)."""
GATE_QUANTILE = 0.75
"""Part of all demand at or above the bar where it is measured by mass; the code's default is 0.61."""
GATE_EXPONENT = 3.0
"""Steepness of the gate (`EmissionGateExponent`), 1 to 8."""
BAR_REFRESH_BLOCKS = 360.0
"""Blocks between two measurements of the bar."""
NEAR = 1.3
"""Factor around the last bar within which the next one is looked for first."""


@inlined_rule
def pass_gate(shares, bar, exponent):
    """Replace demand shares x by the parts that pass the gate, x x**h / (x**h + bar**h); a bar of 0 passes everything."""
    if exponent == 3.0:  # a loop of its own, without logarithms
        cube = bar * bar * bar
        for i in range(shares.size):
            raised = shares[i] * shares[i] * shares[i]
            total = raised + cube
            shares[i] *= raised / total if total > 0.0 else 1.0
    else:
        height = power(bar, exponent)
        for i in range(shares.size):
            raised = power(shares[i], exponent)
            total = raised + height
            shares[i] *= raised / total if total > 0.0 else 1.0


@rule
def _sort_between(values, low, high, out):
    """Write the values above `low`, at most `high`, in descending order; return their number and that of the higher ones."""
    filled, above = 0, 0
    for i in range(values.size):
        value = values[i]
        if value > high:
            above += 1
        elif value > low:
            place = filled
            while place > 0 and out[place - 1] < value:
                out[place] = out[place - 1]
                place -= 1
            out[place] = value
            filled += 1
    return filled, above


@rule
def _rank_between(shares, frozen, frozen_part, rank, low, high, work):
    """`bar_of_rank` if it lies above `low` and is at most `high`; else a number outside of that range.

    The k-th largest number of two descending lists a and b is the largest of min(a[i], b[k - i]), counted from 1.
    """
    n, above = _sort_between(shares, low, high, work)
    bar = 0.0
    for i in range(max(above, rank - frozen.size), min(above + n, rank) + 1):
        mine = work[i - above - 1] if i > above else np.inf
        theirs = frozen_part * frozen[rank - i - 1] if i < rank else np.inf
        bar = max(bar, min(mine, theirs))
    return bar


@rule
def bar_of_rank(shares, frozen, frozen_part, rank, last_bar, work):
    """Demand share of a rank, or the smallest positive one if fewer subnets have demand.

    Parameters
    ----------
    shares : (n,) float64
        Demand shares of the simulated subnets.
    frozen : (k,) float64
        Demand of the others as parts of their sum, in descending order.
    frozen_part : float
        Their part of all demand.
    rank : int
        From 1.
    last_bar : float
        A guess, which saves time; 0 for none.
    work : (n,) float64
        Overwritten.

    Returns
    -------
    float
        0 where nobody has demand.
    """
    low, high = last_bar / NEAR, last_bar * NEAR
    if last_bar > 0.0:
        bar = _rank_between(shares, frozen, frozen_part, rank, low, high, work)
        if low < bar <= high:
            return bar
    positive = 0
    for i in range(shares.size):
        positive += 1 if shares[i] > 0.0 else 0
    for j in range(frozen.size):
        positive += 1 if frozen_part * frozen[j] > 0.0 else 0
    if positive == 0:
        return 0.0
    return _rank_between(shares, frozen, frozen_part, min(rank, positive), 0.0, np.inf, work)


@rule
def bar_of_mass(shares, frozen, frozen_part, quantile, work):
    """Demand share at which the cumulated share, largest first, reaches a part of the whole.

    Parameters as those of `bar_of_rank`; `quantile` is above 0, at most 1.

    Returns
    -------
    float
        0 where nobody has demand.
    """
    n, _ = _sort_between(shares, 0.0, np.inf, work)
    own, other, bar = 0, 0, 0.0
    wanted, passed = quantile * (row_sum(shares) + frozen_part), 0.0
    for _ in range(n + frozen.size):
        mine = work[own] if own < n else 0.0
        theirs = frozen_part * frozen[other] if other < frozen.size else 0.0
        if not max(mine, theirs) > 0.0:
            break
        bar = max(mine, theirs)
        passed += bar
        if mine >= theirs:
            own += 1
        else:
            other += 1
        if passed >= wanted:
            break
    return bar
