"""Compile everything ahead of time: `python -m dtao_gym.warmup`.

Compiled kernels are kept in a cache of the user's, so this is needed once on a machine, and again after an edit of a
compiled source. Without it the first use compiles what it needs.
"""

import time
from collections.abc import Callable

from dtao_gym.kernel_cache import cache_root, progress


def _environments() -> None:
    import gymnasium as gym

    import dtao_gym

    for name in ("Staker", "Builder", "Replay"):
        env = gym.make(f"dtao_gym/{name}-v0", n_subnets=2)
        env.reset(seed=0)
        env.step(env.action_space.sample())
        many = gym.make_vec(
            f"dtao_gym/{name}-v0", 2, vectorization_mode="vector_entry_point", n_subnets=2
        )
        many.reset(seed=0)
        many.step(many.action_space.sample())
    env = dtao_gym.parallel_env(stakers=1, builders=(0,), n_subnets=2)
    env.reset(seed=0)
    env.step({agent: env.action_space(agent).sample() for agent in env.agents})


def _equal_weights() -> None:
    from dtao_gym.world.batch import Batch
    from dtao_gym.world.config import Config

    Batch(Config.make(era="pre_dtao", n_subnets=2)).step()  # without pools every weight is 1/2


def _rules() -> None:
    from dtao_gym.comparison import compare_rules

    compare_rules()


STEPS: dict[str, Callable[[], None]] = {
    "environments, pools of any weight": _environments,
    "pools of weight 1/2": _equal_weights,
    "comparison of emission rules": _rules,
}
"""What is compiled, in words, and a use that needs it."""


def main() -> None:
    """Use each part once; a line for each kernel that has to be compiled, and how long each part took."""
    progress.always = True
    for name, use in STEPS.items():
        start = time.perf_counter()
        use()
        print(f"{name}: ready after {time.perf_counter() - start:.1f} s", flush=True)
    print(f"kernels are kept in {cache_root()}")


if __name__ == "__main__":
    main()
