"""Compile everything ahead of time: `python -m dtao_gym.warmup`.

Compiled kernels are kept in the user's cache folder, so this is needed once on a machine, and again after an edit of a
compiled source. Without it the first use of each kernel compiles it.
"""

import argparse
import importlib.util
import time
from collections.abc import Callable, Sequence

from dtao_gym.command_line import quiet_pipe
from dtao_gym.kernel_cache import cache_root, progress


def _environments() -> None:
    import gymnasium as gym

    import dtao_gym  # noqa: F401, registers the environments

    for name in ("Staker", "Builder", "Replay"):
        env = gym.make(f"dtao_gym/{name}-v0", n_subnets=2)
        env.reset(seed=0)
        env.step(env.action_space.sample())
        many = gym.make_vec(
            f"dtao_gym/{name}-v0", 2, vectorization_mode="vector_entry_point", n_subnets=2
        )
        many.reset(seed=0)
        many.step(many.action_space.sample())


def _many_agents() -> None:
    import dtao_gym

    if importlib.util.find_spec("pettingzoo") is None:
        return  # an extra; without it nothing here can be used
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
    "many agents in a world": _many_agents,
    "pools of weight 1/2": _equal_weights,
    "comparison of emission rules": _rules,
}
"""Description of each part of the engine, and a function that uses it."""


def main(
    arguments: Sequence[str] | None = None, program: str = "python -m dtao_gym.warmup"
) -> None:
    """Use each part once; print a line for each kernel that is compiled, and the seconds of each part."""
    parser = argparse.ArgumentParser(
        program, description="Compile the engine ahead of its first use."
    )
    with quiet_pipe():
        parser.parse_args(arguments)
        _use_all()


def _use_all() -> None:
    progress.always = True
    for name, use in STEPS.items():
        start = time.perf_counter()
        use()
        print(f"{name}: ready after {time.perf_counter() - start:.1f} s", flush=True)
    print(f"kernels are kept in {cache_root()}")


if __name__ == "__main__":
    main()
