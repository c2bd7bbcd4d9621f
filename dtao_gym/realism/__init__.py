"""Realism of simulated prices: moments of daily closes, real and simulated, and gates.

from dtao_gym.realism import realism_gate

comparison = realism_gate("quickstart")
print(comparison.j, comparison.failed)
"""

from dtao_gym.realism.gate import GATES, Realism, realism_gate
from dtao_gym.realism.moments import MOMENTS, MomentEstimate, estimate, moments
from dtao_gym.realism.panel import PERIODS, Panel, observed_panel, simulated_panels

__all__ = [
    "GATES",
    "MOMENTS",
    "PERIODS",
    "MomentEstimate",
    "Panel",
    "Realism",
    "estimate",
    "moments",
    "observed_panel",
    "realism_gate",
    "simulated_panels",
]
