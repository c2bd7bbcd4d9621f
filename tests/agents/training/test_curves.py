"""Figures of learning curves: what is averaged, what the title says, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from dtao_agents.commands import plot as command
from dtao_agents.evaluation.statistics import bootstrap
from dtao_agents.training import curves
from dtao_agents.training.curves import Curve, colours_of, finding, plot_runs, read_curve

from dtao_gym.colours import colour_of
from dtao_gym.world.config import ConfigError
from tests.agents.worlds import builder_settings, settings

HEAD = "timesteps,seconds,steps_per_second,reward_per_year,episode_reward_per_year"


def run_of(folder: Path, *rewards: float, made=None) -> Path:
    """Folder of a run with made-up metrics, a row for every 100 steps."""
    folder.mkdir(parents=True)
    rows = [f"{100 * k},{k},100,{reward},{reward + 1}" for k, reward in enumerate(rewards, start=1)]
    (folder / "metrics.csv").write_text("\n".join([HEAD, *rows]) + "\n")
    (folder / "config.yaml").write_text((made or settings()).to_yaml())
    return folder


def curve(name: str, end: float, half_width: float = 0.0, n_seeds: int = 3) -> Curve:
    one = np.array([end])
    return Curve(name, n_seeds, np.array([1]), one, one - half_width, one + half_width)


def test_training_seeds_are_averaged_at_the_steps_that_all_have(tmp_path):
    values = [(1.0, 2.0, 9.0), (3.0, 5.0), (5.0, float("nan"), 1.0)]
    runs = [run_of(tmp_path / f"seed_{k}", *rewards) for k, rewards in enumerate(values)]
    found = read_curve("x", runs, "reward_per_year")
    assert found.steps.tolist() == [100]
    expected = bootstrap(np.array([1.0, 3.0, 5.0]), resamples=2_000)
    assert (found.value[0], found.low[0], found.high[0]) == expected
    alone = read_curve("x", runs[:1], "reward_per_year")
    assert alone.steps.tolist() == [100, 200, 300]
    np.testing.assert_array_equal(alone.value, values[0])
    np.testing.assert_array_equal(alone.low, alone.high)


@pytest.mark.parametrize(
    ("given", "title"),
    [
        ([curve("a", 0.25)], "a ends at +0.25"),
        ([curve("a", 1.0, 0.1), curve("b", 2.0, 0.1)], "b ends highest, at +2"),
        (
            [curve("a", 1.0, 0.7), curve("b", 2.0, 0.7)],
            "b ends highest, at +2; its interval overlaps that of a",
        ),
        (
            [curve("a", 1.0, n_seeds=1), curve("b", 2.0, 0.1)],
            "b ends highest, at +2; one training seed cannot tell it from a",
        ),
    ],
)
def test_the_title_is_the_finding(given, title):
    assert finding(given) == title


def test_a_run_has_the_colour_of_its_name_and_no_two_share_one():
    assert colours_of(["learned", "half"]) == [colour_of("learned"), colour_of("half")]
    assert colour_of("all_root") == colour_of("do_nothing")
    assert len(set(colours_of(["do_nothing", "all_root", "root"]))) == 3


def test_the_command_writes_a_figure_into_the_first_folder(tmp_path, capsys, monkeypatch):
    titles: list[tuple] = []
    style = curves.style
    monkeypatch.setattr(
        curves, "style", lambda axes, *text: titles.append(text) or style(axes, *text)
    )
    for k in range(3):
        run_of(tmp_path / "many" / f"seed_{k}", 0.1 + k, 0.2 + k, 0.3 + k)
    one = run_of(tmp_path / "one", -0.5, -0.4, -0.3)
    command.main([str(tmp_path / "many"), str(one)])
    out = tmp_path / "many" / "plot.png"
    assert capsys.readouterr().out == f"Written: {out}\n"
    assert out.read_bytes()[:4] == b"\x89PNG"
    ((title, unit),) = titles
    assert title == "many ends highest, at +2.3; one training seed cannot tell it from one"
    assert unit == (
        "growth of log wealth per year, last episodes, with exploration; band: 95 % interval over seeds"
    )
    command.main([str(one), "--column", "seconds", "--output", str(tmp_path / "speed.svg")])
    assert titles[1] == ("one ends at +3", "seconds")
    assert (tmp_path / "speed.svg").is_file()


def test_many_learners_have_a_panel_each(tmp_path, monkeypatch):
    titles: list[str] = []
    monkeypatch.setattr(
        curves, "style", lambda axes, title, unit: titles.append(f"{title} ({unit})")
    )
    (tmp_path / "metrics.csv").write_text(
        "timesteps,seconds,steps_per_second,staker_reward_per_year,builder_reward_per_year\n64,1,42,0.25,-1\n"
    )
    (tmp_path / "config.yaml").write_text("stakers: 2\n")
    plot_runs([tmp_path])
    name = tmp_path.name
    assert titles == [
        f"Stakers: {name} ends at +0.25 (growth of log wealth per year, with exploration)",
        f"Builders: {name} ends at -1 (consumption over its scale, per year, with exploration)",
    ]


def test_what_cannot_be_drawn_is_named(tmp_path):
    run = run_of(tmp_path / "run", 1.0)
    builder = run_of(tmp_path / "builder", 1.0, made=builder_settings())
    with pytest.raises(ConfigError, match=r"none: has no metrics\.csv, allowed is the folder"):
        plot_runs([tmp_path / "none"])
    with pytest.raises(ConfigError, match="column: got 'lost', allowed are seconds, steps_per_"):
        plot_runs([run], "lost")
    with pytest.raises(ConfigError, match="builder: got 'consumption over its scale, per year"):
        plot_runs([run, builder])
    (run / "metrics.csv").write_text(HEAD + "\n")
    with pytest.raises(ConfigError, match="got no row"):
        plot_runs([run])
    (run / "metrics.csv").write_text(HEAD + "\n100,1,100,nan,nan\n")
    with pytest.raises(ConfigError, match="reward_per_year: got no value yet"):
        plot_runs([run])
    with pytest.raises(SystemExit) as stopped:
        command.main([])
    assert "run: got none, allowed are one or more" in str(stopped.value.code)
