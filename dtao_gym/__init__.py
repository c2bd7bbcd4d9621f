"""A Gymnasium environment of Bittensor's dTAO market: emissions, pools and root staking.

Importing the package registers `dtao_gym/Staker-v0`, `dtao_gym/Builder-v0` and `dtao_gym/Replay-v0`, and for scripts
that take no more than an id `dtao_gym/StakerSmall-v0` (16 subnets), `dtao_gym/BuilderSmall-v0` (8 subnets) and
`dtao_gym/BuilderDiscrete-v0` (8 subnets, a few actions). `parallel_env` makes an environment of many agents,
`backtest` plays a policy on real prices. The engine itself is imported at first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gymnasium.envs.registration import WrapperSpec, register

if TYPE_CHECKING:
    from dtao_gym.backtesting import backtest as backtest
    from dtao_gym.comparison import compare_rules as compare_rules
    from dtao_gym.comparison import emission_shares as emission_shares
    from dtao_gym.envs.parallel import parallel_env as parallel_env
    from dtao_gym.protocol.plugins import RuleError as RuleError
    from dtao_gym.protocol.plugins import allocation_rule as allocation_rule
    from dtao_gym.world.snapshot import Snapshot as Snapshot

__version__ = "0.1.0"

_HOMES = {
    "RuleError": "dtao_gym.protocol.plugins",
    "allocation_rule": "dtao_gym.protocol.plugins",
    "backtest": "dtao_gym.backtesting",
    "compare_rules": "dtao_gym.comparison",
    "emission_shares": "dtao_gym.comparison",
    "parallel_env": "dtao_gym.envs.parallel",
    "Snapshot": "dtao_gym.world.snapshot",
}

_KWARGS: dict[str, dict[str, Any]] = {
    "Staker": {"role": "staker"},
    "Builder": {"role": "builder"},
    "Replay": {"role": "replay"},
    "StakerSmall": {"role": "staker", "n_subnets": 16},
    "BuilderSmall": {"role": "builder", "n_subnets": 8},
}
for _name, _kwargs in _KWARGS.items():
    register(
        id=f"dtao_gym/{_name}-v0",
        entry_point="dtao_gym.envs.single:SingleEnv",
        vector_entry_point="dtao_gym.envs.vector:MarketVectorEnv",
        kwargs=_kwargs,
    )
register(  # without a vector entry point, which Gymnasium does not combine with wrappers
    id="dtao_gym/BuilderDiscrete-v0",
    entry_point="dtao_gym.envs.single:SingleEnv",
    additional_wrappers=(
        WrapperSpec("DiscreteBuilder", "dtao_gym.envs.builder.discrete:DiscreteBuilder", {}),
    ),
    kwargs={"role": "builder", "n_subnets": 8},
)


def __getattr__(name: str) -> Any:
    """Import a public name at its first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
