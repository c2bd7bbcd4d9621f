"""Colours of the figures: one for each policy, player and emission rule, the same everywhere.

Every colour has a contrast of at least 3:1 to white, and within a set (policies of stakers, policies of builders,
emission rules) people who see no red or no green can tell any two apart. Figures name their lines directly as well,
so that no reading depends on colour alone.
"""

from types import MappingProxyType
from zlib import crc32

PALETTE = MappingProxyType(
    {
        "vermilion": "#d55e00",
        "slate": "#2f3e4e",
        "blue": "#006fd0",
        "sky": "#4f9bc4",
        "green": "#009966",
        "purple": "#540073",
        "olive": "#735600",
        "brown": "#7a3b1d",
        "grey": "#8a949c",
        "crimson": "#f0005f",
        "violet": "#4527c4",
        "forest": "#2d402e",
    }
)
"""Colours by name; the first six are the easiest to tell apart."""
MUTED = "#868e96"
"""Lines and texts of everything that a figure does not name."""
BAND = "#dde1e5"
"""Filled areas of the rest; their edges are `MUTED`."""
INK, FAINT_INK, GRID = "#1f2328", "#57606a", "#e8eaec"
"""Titles and values; axes and notes; grid lines."""
SUBNETS = (
    "#0072b2", "#b07f00", "#009e73", "#c2478f", "#8c6bb1", "#4f9bc4", "#6a7d00", "#7a3b1d"
)  # fmt: skip
"""Subnets of a figure, in the order of their first emission; none of them is the agent's or root's."""

OBSERVED, SIMULATED = "#d55e00", "#0072b2"
"""The chain's own data, and worlds of the simulator."""

STAKER_POLICIES = MappingProxyType(
    {
        "learned": "vermilion",
        "do_nothing": "slate",
        "all_root": "slate",
        "market_weight": "blue",
        "buy_and_hold": "sky",
        "equal_weight": "green",
        "momentum": "purple",
        "value": "olive",
        "yield_chaser": "brown",
        "random": "grey",
        "wash_trading": "crimson",
        "pump": "violet",
        "in_and_out": "forest",
    }
)
"""Colour names of policies of stakers. `all_root` is what `do_nothing` does: both leave everything in root."""
BUILDER_POLICIES = MappingProxyType(
    {
        "learned": "vermilion",
        "do_nothing": "slate",
        "as_configured": "blue",
        "closed_form": "sky",
        "half": "green",
        "all_long": "purple",
        "all_short": "olive",
        "myopic": "brown",
        "random": "grey",
        "register_to_be_dissolved": "crimson",
    }
)
"""Colour names of policies of builders."""
RULES = MappingProxyType(
    {
        "price": "blue",
        "price_burn": "vermilion",
        "price_rootprop": "green",
        "price_burn_gate": "olive",
        "price_burn_gate_rank": "brown",
        "tao_flow": "purple",
        "net_flow": "violet",
        "root_vote": "slate",
        "uniform": "grey",
        "fee": "sky",
    }
)
"""Colour names of emission rules, and of fees, the reference that they are compared with."""
ALIASES = MappingProxyType(
    {
        "ppo": "learned",
        "own": "learned",
        "agent": "learned",
        "root": "do_nothing",
        "hold": "do_nothing",
        "market": "market_weight",
    }
)
"""Other names of the same policies."""

_NAMED = {**RULES, **BUILDER_POLICIES, **STAKER_POLICIES}


def colour_of(name: str) -> str:
    """Return the colour of a policy, a player or an emission rule as ``#rrggbb``.

    Names are compared without regard to case, and to blanks and hyphens for underscores. A name that no table has gets a
    colour of `PALETTE` that depends on the name alone, so that it is the same in all figures and processes.
    """
    key = name.strip().lower().replace(" ", "_").replace("-", "_")
    key = ALIASES.get(key, key)
    if key in _NAMED:
        return PALETTE[_NAMED[key]]
    colours = [
        colour for hue, colour in PALETTE.items() if hue not in ("vermilion", "slate", "grey")
    ]
    return colours[crc32(key.encode()) % len(colours)]
