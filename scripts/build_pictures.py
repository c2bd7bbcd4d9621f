"""Renew the figures of the README: `python scripts/build_pictures.py` (a minute)."""

import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import matplotlib.image
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # a checkout needs no installation

from dtao_gym.envs.staker.role import target_action  # noqa: E402

IMAGES = ROOT / "docs" / "images"
DAYS, SUBNETS = 200, 16


def draw_episode(path: Path) -> None:
    """Draw an episode: a tenth of wealth in root, equal parts in all subnets, rebalanced slowly."""
    env = gym.make("dtao_gym:dtao_gym/Staker-v0", n_subnets=SUBNETS, render_mode="rgb_array")
    env.reset(seed=0)
    targets = np.append(0.1, np.full(SUBNETS, 0.9 / SUBNETS))
    for _ in range(DAYS):
        env.step(target_action(targets, 0.1))
    picture = env.render()
    assert isinstance(picture, np.ndarray)
    matplotlib.image.imsave(path, picture)


def draw_history(path: Path) -> None:
    """Draw the history of the launch population with the chain's."""
    command = "-m dtao_gym.history --config configs/launch_2025.yaml --worlds 16"
    subprocess.run([sys.executable, *command.split(), "--plot", str(path)], cwd=ROOT, check=True)


if __name__ == "__main__":
    draw_episode(IMAGES / "episode.png")
    draw_history(IMAGES / "history.png")
