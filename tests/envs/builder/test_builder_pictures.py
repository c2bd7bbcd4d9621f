"""The builder's table of text and its figure."""

import numpy as np
import pytest

from dtao_gym.envs.builder.actions import builder_action
from dtao_gym.envs.single import SingleEnv
from tests.envs.builder.builder_worlds import FEES, TWINS, start


@pytest.mark.parametrize("n", [1, 16, 128])
def test_table_is_compact_and_shows_the_own_subnet(n):
    env = start(n_subnets=n, builder_slot=n - 1, render_mode="ansi", horizon_days=8000)
    for _ in range(3):
        *_, info = env.step(np.zeros(4))
    table = env.render()
    lines = table.splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[0].startswith("day 3 of 8000   SN ")
    assert f"treasury {info['treasury']:,.2f} TAO" in lines[0]
    assert f"consumed {info['consumed']:,.2f} TAO" in lines[0]
    assert f"knowledge {info['knowledge']:.2f}" in lines[2]
    netuid = int(env.episodes.batch.state.row("stream_id")[0, n - 1])
    assert [line.split()[0] for line in lines if line.endswith(" own")] == [str(netuid)]


def test_table_omits_an_unknown_horizon():
    table = start(horizon="geometric", render_mode="ansi").render()
    assert table.startswith("day 0   SN ")


@pytest.mark.parametrize("overrides", [{}, {"n_subnets": 1}, {"era": "launch"}, TWINS | FEES])
@pytest.mark.parametrize("days", [0, 1, 20])
def test_figure_has_its_size_and_is_not_empty(days, overrides):
    pytest.importorskip("matplotlib")
    env = start(render_mode="rgb_array", **overrides)
    for _ in range(days):
        env.step(np.zeros(4))
    picture = env.render()
    assert (picture.shape, picture.dtype) == ((600, 800, 3), np.uint8)
    for panel in (np.s_[:300, :400], np.s_[:300, 400:], np.s_[300:, :400], np.s_[300:, 400:]):
        assert picture[panel].std() > 5


def test_a_dissolved_subnet_is_said_to_be_one_and_its_successor_is_not_shown():
    pytest.importorskip("matplotlib")
    env = SingleEnv("builder", n_subnets=8, render_mode="rgb_array")
    env.reset(seed=0)
    action, info, before, terminated = builder_action(env.config, 0.6), {}, {}, False
    while not terminated:
        before = info
        _, _, terminated, truncated, info = env.step(action)
        assert not truncated
    figure = env._picture.figure()
    netuid = int(env.episodes.batch.state.row("stream_id")[0, 0])
    headline = figure.texts[0].get_text()
    assert headline.startswith(
        f"SN {netuid} was dissolved for a newcomer after {before['day']:.0f} days"
    )
    stocks = figure.axes[3].lines[0].get_ydata()
    assert stocks[-1] == pytest.approx(before["short_stock"], rel=1e-9)
