"""A Gymnasium environment of Bittensor's dTAO market: emissions, pools and root staking.

Importing the package registers `dtao_gym/Staker-v0`; the engine itself is imported at first use.
"""

from gymnasium.envs.registration import register

__version__ = "0.1.0"

register(
    id="dtao_gym/Staker-v0",
    entry_point="dtao_gym.envs.single:SingleEnv",
    vector_entry_point="dtao_gym.envs.vector:MarketVectorEnv",
    kwargs={"role": "staker"},
)
