"""Compile everything ahead of time: `python -m dtao_gym.warmup`.

The compiled engine is kept on disk beside the package, so this is needed once after an installation, or after
an edit of any source file. Without it the first use compiles what it needs.
"""

import time
from collections.abc import Callable


def _staker() -> None:
    import gymnasium as gym

    env = gym.make("dtao_gym/Staker-v0", n_subnets=2)
    env.reset(seed=0)
    env.step(env.action_space.sample())
    env.close()


def _equal_weights() -> None:
    from dtao_gym.world.batch import Batch
    from dtao_gym.world.config import Config

    # without pools every weight is 1/2
    Batch(Config.make(era="pre_dtao", n_subnets=2)).step()


def _rules() -> None:
    from dtao_gym.comparison import compare_rules

    compare_rules()


STEPS: dict[str, Callable[[], None]] = {
    "the engine for weighted pools, and the staker environment": _staker,
    "the engine for pools of weight 1/2": _equal_weights,
    "the comparison of emission rules": _rules,
}
"""What is compiled, in words, and a use that needs it."""


def main() -> None:
    """Use each part once and print how long it took."""
    for name, use in STEPS.items():
        print(f"{name} ...", flush=True)
        start = time.perf_counter()
        use()
        print(f"    ready after {time.perf_counter() - start:.1f} s", flush=True)


if __name__ == "__main__":
    main()
