"""Attributes and methods of single worlds of a batch, as Gymnasium's vector environments offer them."""

from typing import Any

from dtao_gym.world.config import Config, ConfigError

METHODS = ("info", "market_info", "observe", "episode_statistics")
"""Methods of `Episodes` that return one row per world."""
FIXED = frozenset(
    {
        *("genesis", "n_subnets", "empty_slots", "selection", "world_seed", "split", "n_stakers"),
        *("horizon", "horizon_days", "horizon_cap_days"),
    }
)
"""Parameters of a world that are read once, when a batch or an episode is made."""


def world_values(envs: Any, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
    """Return an attribute, or the result of a method, of each world of a `MarketVectorEnv`.

    Attributes: `observation_space`, `action_space` (of one world), `render_mode`, `spec`, `metadata`,
    `max_episode_steps`, `np_random_seed`, `config`, and the parameters of the configuration by their names. Methods:
    `METHODS`. Raises AttributeError for other names, TypeError for arguments.
    """
    episodes, n = envs.episodes, envs.num_envs
    configs = episodes.batch.configs[:n]
    shared = {
        "observation_space": envs.single_observation_space,
        "action_space": envs.single_action_space,
    }
    for each in ("render_mode", "spec", "metadata", "max_episode_steps"):
        shared[each] = getattr(envs, each)
    if args or kwargs:
        raise TypeError(f"call: got arguments of {name!r}, allowed are none")
    if name in METHODS:
        rows = getattr(episodes, name)()
        if isinstance(rows, dict):
            return tuple({key: row[k] for key, row in rows.items()} for k in range(n))
        return tuple(rows)
    if name in shared:
        return (shared[name],) * n
    if name == "np_random_seed":
        return tuple(episodes.seeds)
    if name == "config":
        return tuple(configs)
    if name in type(episodes.config).model_fields:
        return tuple(getattr(config, name) for config in configs)
    allowed = (*METHODS, *shared, "np_random_seed", "config")
    raise AttributeError(
        f"worlds: got {name!r}, allowed are {', '.join(allowed)} and the parameters of the configuration"
    )


def set_parameter(episodes: Any, name: str, values: list[Any]) -> None:
    """Change a parameter, one value per world, from the next day on.

    Raises AttributeError for names that are no parameter or are fixed, ConfigError for bad values; nothing has
    changed then.
    """
    batch = episodes.batch
    if name not in Config.model_fields or name in FIXED or not hasattr(batch, "set_parameters"):
        raise AttributeError(
            f"set_attr: got {name!r}, allowed are parameters of the market that are not fixed when it is made, "
            "such as 'era'"
        )
    if len(values) != episodes.n_worlds:
        raise ConfigError(
            f"{name}: got {len(values)} values, allowed are {episodes.n_worlds}, one per world"
        )
    for world, value in enumerate(values):
        Config.make(batch.configs[world], **{name: value})
    for place in range(batch.n_worlds):  # twins, if there are any, follow the worlds
        batch.set_parameters([place], **{name: values[place % episodes.n_worlds]})
