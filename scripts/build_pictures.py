"""Renew the pictures of the documentation: `python scripts/build_pictures.py [NAME ...]` (three minutes for all).

`python scripts/build_year.py` and `python scripts/build_finding_picture.py` make the two of the README.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import gymnasium as gym
import matplotlib.image
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # a checkout needs no installation

from dtao_gym.envs.builder.actions import builder_action  # noqa: E402
from dtao_gym.envs.staker.role import target_action  # noqa: E402

IMAGES = ROOT / "docs" / "images"
DAYS = 200


def staker_episode(n_subnets: int, days: int = DAYS) -> np.ndarray:
    """Draw a staker with a tenth of its wealth in root and equal parts in all subnets, rebalanced slowly."""
    targets = np.append(0.1, np.full(n_subnets, 0.9 / n_subnets))
    return _episode(
        "dtao_gym:dtao_gym/Staker-v0", n_subnets, lambda env: target_action(targets, 0.1), days
    )


def builder_episode(n_subnets: int, days: int = DAYS) -> np.ndarray:
    """Draw a builder that puts 60 % of its work into research."""

    def action(env: gym.Env) -> np.ndarray:
        return builder_action(env.get_wrapper_attr("config"), research_share=0.6)

    return _episode("dtao_gym:dtao_gym/Builder-v0", n_subnets, action, days)


def _episode(
    name: str, n_subnets: int, action: Callable[[gym.Env], np.ndarray], days: int
) -> np.ndarray:
    env = gym.make(name, n_subnets=n_subnets, render_mode="rgb_array")
    env.reset(seed=0)
    for _ in range(days):
        _, _, terminated, truncated, _ = env.step(action(env))
        if terminated or truncated:  # a subnet that is dissolved has another owner afterwards
            break
    picture = env.render()
    assert isinstance(picture, np.ndarray)
    return picture


def write_command(arguments: str, path: Path) -> None:
    """Write the picture of a command with `--plot`."""
    command = [sys.executable, "-m", *arguments.split(), "--plot", str(path)]
    subprocess.run(command, cwd=ROOT, check=True)


EPISODES: dict[str, Callable[[], np.ndarray]] = {
    "episode": lambda: staker_episode(8),
    "episode_128": lambda: staker_episode(128),
    "builder": lambda: builder_episode(8),
}
"""Pictures of `render_mode="rgb_array"` by the names of their files."""
COMMANDS = {
    "history": "dtao_gym.history --config configs/launch_2025.yaml --worlds 16",
    "rules": "dtao_gym.rules mainnet-2026-09-06",
    "realism": "dtao_gym.realism",
}
"""Modules and arguments of commands that draw a picture, by the names of their files."""


def main() -> None:
    """Write the pictures that are named, or all."""
    names = (*EPISODES, *COMMANDS)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "names", nargs="*", choices=[[], *names], metavar="NAME", help=", ".join(names)
    )
    for name in parser.parse_args().names or names:
        path = IMAGES / f"{name}.png"
        if name in EPISODES:
            matplotlib.image.imsave(path, EPISODES[name](), metadata={"Software": None})
        else:
            write_command(COMMANDS[name], path)


if __name__ == "__main__":
    main()
