"""Kinds of YAML files, told apart by their keys, so that a command can name a file that is meant for another one."""

from pathlib import Path
from typing import Any

import yaml

from dtao_gym.replay.config import ReplayConfig
from dtao_gym.world.config import Config, ConfigError

MAX_BYTES = 2**20
"""Larger files are of no kind."""

TRAINING, PROBE, RESULTS, ARENA = "a training", "a probe plan", "a plan of results", "an arena"
ORACLE, REPLAY, WORLD = "an oracle", "a replay", "a world"

_KEYS = {
    TRAINING: """anneal batch_size builder builders checkpoint_every clip_range daily_share_init entropy_coef env epochs
        evaluation_episodes gae_lambda gamma hidden learning_rate log_std_init max_grad_norm network num_envs
        observe_signal past_every past_kept past_share research_share_init response reward_scale role rollout_steps seed
        staker stakers torch_threads total_timesteps turn value_coef""",
    PROBE: """blocks capitalisation claims estimator first_seed outcome_worlds population smallest_effect start world""",
    RESULTS: "arena comparisons evaluation_seeds rows training_seeds workers",
    ARENA: "scenarios",
    ORACLE: "cases cem parameters ppo problem quick starts",
    REPLAY: "first_date history_days impact last_date min_pool_tao prices reserves split_date",
}
SIGNATURES = {kind: frozenset(keys.split()) for kind, keys in _KEYS.items()} | {
    WORLD: frozenset(Config.model_fields).difference(ReplayConfig.model_fields, ["pruning"])
}
"""Keys that files of a kind may have and files of no other kind."""
FITTED = frozenset(("portfolio_days", "settled_alpha", "trade_speed"))
"""Parameters that every population has which was fitted to data."""


def kind_of(keys: set[str]) -> str | None:
    """Return the one kind that keys are of, or None where they are of none or of several."""
    found = [kind for kind, own in SIGNATURES.items() if own & keys]
    return found[0] if len(found) == 1 else None


def check_kind(path: str | Path, wanted: str) -> None:
    """Raise ConfigError where a file is missing, or is of another kind than the one that a command wants.

    A file of no known kind passes: its reader says what is wrong with it.

    Parameters
    ----------
    path : str or Path
    wanted : str
        `TRAINING` or another of the kinds.
    """
    path = Path(path)
    try:
        if not path.exists():
            raise ConfigError(f"{path}: is missing")
        if not path.is_file():  # a pipe can be read once only
            return
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError:
        return
    keys = _keys(text) if len(text) <= MAX_BYTES else set()
    kind = kind_of(keys)
    if kind not in (None, wanted):
        got = "a population" if kind == WORLD and keys >= FITTED else kind
        raise ConfigError(f"{path} is {got}, not {wanted}")


def _keys(text: bytes) -> set[str]:
    """Keys of the mapping in a YAML file; what aliases stand for is not made."""
    try:
        node: Any = yaml.compose(text, yaml.SafeLoader)
    except (ValueError, yaml.YAMLError, RecursionError):
        return set()
    if not isinstance(node, yaml.MappingNode):
        return set()
    return {key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)}
