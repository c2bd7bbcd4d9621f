"""Renew the animated picture of the README: a year of the learned staker and of stakers who do not learn, in one world.

    python scripts/build_year.py [--output docs/images/year.webp]

The world is chosen by a rule, whatever happens in it: of the first `WORLDS` evaluation seeds, the one in which the
final wealth of the learned staker is the median. No policy was trained on these seeds.
"""

import argparse
import io
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "agents")]  # a checkout needs no installation

from dtao_agents.evaluation.evaluate import play  # noqa: E402
from dtao_agents.evaluation.policy_files import load_policy  # noqa: E402
from dtao_agents.results.pretrained import read_published  # noqa: E402
from dtao_agents.roles.policies import Policy, action_generators  # noqa: E402
from dtao_agents.roles.registry import agent_role  # noqa: E402
from dtao_agents.roles.staker_policies import EXPLOITS, SCRIPTED, subnet_feature  # noqa: E402

from dtao_gym import figures  # noqa: E402
from dtao_gym.colours import FAINT_INK, INK, MUTED, colour_of  # noqa: E402
from dtao_gym.envs.single import SingleEnv  # noqa: E402
from dtao_gym.envs.task import TaskConfig  # noqa: E402

POLICY = ROOT / "policies" / "staker_quickstart"
PICTURE = ROOT / "docs" / "images" / "year.webp"
WORLDS = 33
"""Evaluation seeds, 0 and up, among which the median world is chosen."""
DAYS_PER_FRAME, MILLISECONDS, LAST_MILLISECONDS = 5, 90, 4000
WIDTH, HEIGHT = 800, 450
NAMES = {"learned": "learned", "do_nothing": "doing nothing", "market_weight": "market weights"}
"""Players, and their names in the picture."""
LINES = {"do_nothing": 4.5, "market_weight": 1.6, "learned": 1.8}
"""Widths, in the order of drawing: a learned staker that does nothing is seen on top of doing nothing."""
NAMED_SUBNETS = 6
"""Subnets with bars of their own."""


@dataclass(frozen=True)
class Year:
    """What one player had on each day: liquidation wealth, TAO, and weights, root first."""

    wealth: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class Scene:
    """Several players in copies of one world."""

    years: dict[str, Year]
    netuid: np.ndarray
    note: str


def played_year(policy: Policy, config: TaskConfig, seed: int) -> tuple[Year, np.ndarray]:
    """Play one episode; return wealth and weights of every day, and the netuids."""
    env = SingleEnv("staker", config)
    observation, info = env.reset(seed=seed)
    batch = env.episodes.batch
    rngs = action_generators(batch)
    netuid = batch.state.row("stream_id")[0].astype(int)
    wealth, weights, over = [info["wealth"]], [_weights(observation)], False
    while not over:
        action = policy(observation[None], batch, rngs)[0]
        observation, _, terminated, truncated, info = env.step(action)
        wealth.append(info["wealth"])
        weights.append(_weights(observation))
        over = terminated or truncated
    return Year(np.array(wealth), np.stack(weights)), netuid


def _weights(observation: np.ndarray) -> np.ndarray:
    """Portfolio weights from an observation, root first."""
    held = 0.5 * (subnet_feature(observation[None], "own_weight")[0].astype(float) + 1.0)
    return np.append(1.0 - held.sum(), held)


def scene(folder: Path = POLICY, worlds: int = WORLDS, **changes: Any) -> Scene:
    """Play the median world of a trained policy, whose task `changes` may shorten."""
    role = agent_role("staker")
    _, content = read_published(folder)
    config = role.evaluation_task(TaskConfig.make(content["world"], **changes))
    learned = load_policy(folder)
    final = play(learned, config, range(worlds)).values["final_wealth"]
    seed = int(np.argsort(final, kind="stable")[(worlds - 1) // 2])
    players = {"learned": learned, **EXPLOITS, **SCRIPTED}
    played = {name: played_year(players[name], config, seed) for name in NAMES}
    if not np.isclose(played["learned"][0].wealth[-1], final[seed], rtol=1e-9):
        raise RuntimeError(f"seed {seed}: alone the world differs from the one of the batch")
    note = (
        f"{config.n_subnets} subnets from {config.genesis}. Evaluation seed {seed}: of seeds 0 to {worlds - 1} "
        "the one where the learned staker's final wealth is the median."
    )
    return Scene({name: year for name, (year, _) in played.items()}, played["learned"][1], note)


def finding(years: dict[str, Year]) -> str:
    """What the year says of the learned staker against doing nothing."""
    growth = {name: year.wealth[-1] / year.wealth[0] - 1.0 for name, year in years.items()}
    ratio = (1.0 + growth["learned"]) / (1.0 + growth["do_nothing"]) - 1.0
    stays = years["learned"].weights[:, 0].min() > 0.99
    does = "leaves its TAO in root" if stays else "moves TAO between root and subnets"
    if abs(ratio) < 5e-4:
        return f"The learned staker {does}: {growth['learned']:+.1%}, the same as doing nothing"
    more = f"{abs(ratio):.1%} {'more' if ratio > 0.0 else 'less'} than doing nothing"
    return f"The learned staker {does}: {growth['learned']:+.1%}, {more}"


def draw(shown: Scene, day: int) -> np.ndarray:
    """Draw the year until a day as pixels `(450, 800, 3)` uint8."""
    figure = figures.new_figure(WIDTH, HEIGHT)
    left = figure.add_axes((0.065, 0.17, 0.375, 0.56))
    right = figure.add_axes((0.725, 0.17, 0.21, 0.56))
    _draw_wealth(left, shown, day)
    _draw_weights(right, shown, day)
    days = len(shown.years["learned"].wealth) - 1
    figure.text(
        0.012, 0.945, finding(shown.years), fontsize=12.5, weight="bold", color=INK, va="center"
    )
    figure.text(0.012, 0.88, f"day {day} of {days}", fontsize=11, color=INK, va="center")
    figure.text(0.012, 0.03, shown.note, fontsize=7.5, color=FAINT_INK, va="center")
    return figures.pixels(figure)


def _draw_wealth(axes: Any, shown: Scene, day: int) -> None:
    figures.style(axes, "Wealth if everything were sold today", "TAO, log scale")
    axes.set_xlim(0, len(shown.years["learned"].wealth) - 1)
    everything = np.concatenate([year.wealth for year in shown.years.values()])
    figures.log_axis(axes, everything, figures.amount)
    axes.set_xlabel("day", fontsize=figures.NAME_SIZE, color=FAINT_INK, labelpad=1)
    labels = []
    for name, width in LINES.items():
        wealth, colour = shown.years[name].wealth[: day + 1], colour_of(name)
        axes.plot(np.arange(day + 1), wealth, color=colour, linewidth=width)
        axes.plot(day, wealth[-1], "o", color=colour, markersize=2.2 + width, clip_on=False)
        text = f"{NAMES[name]} {wealth[-1]:,.0f} ({wealth[-1] / wealth[0] - 1.0:+.1%})"
        labels.append(figures.EndLabel(text, wealth[-1], colour))
    figures.label_ends(axes, labels)


def _draw_weights(axes: Any, shown: Scene, day: int) -> None:
    """Bars of the present weights of the players who may trade: root, the largest subnets, the others."""
    traders = ("learned", "market_weight")
    held = np.mean([shown.years[name].weights[:, 1:].mean(0) for name in traders], axis=0)
    top = np.sort(np.argsort(-held, kind="stable")[:NAMED_SUBNETS])
    rest = np.setdiff1d(np.arange(held.size), top)
    names = ["root", *(f"SN {shown.netuid[i]}" for i in top)]
    names += [f"{rest.size} others"] if rest.size else []
    figures.style(axes, "Portfolio today", "learned above, market weights below")
    places = np.arange(len(names))
    for name, shift in zip(traders, (-0.2, 0.2), strict=True):
        weights = shown.years[name].weights[day]
        parts = [weights[0], *weights[1 + top], *([weights[1 + rest].sum()] if rest.size else [])]
        axes.barh(places + shift, parts, height=0.38, color=colour_of(name))
        for place, part in zip(places + shift, parts, strict=True):
            axes.text(
                part + 0.02, place, figures.percent(round(part, 3) + 0.0), fontsize=6.5,
                color=colour_of(name), va="center",
            )  # fmt: skip
    axes.set_yticks(places, names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(0.0, 1.0)
    axes.set_xticks([0.0, 0.5, 1.0], ["0 %", "50 %", "100 %"])
    axes.grid(visible=False, axis="y")
    axes.axvline(0.0, color=MUTED, linewidth=0.8)


def build(path: Path, shown: Scene, days_per_frame: int = DAYS_PER_FRAME) -> int:
    """Write the animation as WebP or GIF, by the suffix; return the number of frames."""
    days = len(shown.years["learned"].wealth) - 1
    chosen = sorted({*range(0, days, days_per_frame), days})
    frames = [Image.fromarray(draw(shown, day)) for day in chosen]
    options: dict[str, Any] = {"lossless": True, "quality": 60, "method": 4, "minimize_size": True}
    buffer = io.BytesIO()
    frames[0].save(
        buffer,
        format=path.suffix[1:].upper(),
        save_all=True,
        append_images=frames[1:],
        duration=[MILLISECONDS] * (len(frames) - 1) + [LAST_MILLISECONDS],
        loop=0,
        **(options if path.suffix == ".webp" else {}),
    )
    path.write_bytes(buffer.getvalue())
    return len(frames)


def main() -> None:
    """Write the picture, and print what it says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=PICTURE)
    output = parser.parse_args().output
    shown = scene()
    frames = build(output, shown)
    print(finding(shown.years))
    print(f"{output}: {frames} frames, {output.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
