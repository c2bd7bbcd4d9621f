"""The pictures: a table that fits a terminal, a figure of fixed size, a history of bounded size."""

import copy
import pickle
import sys

import gymnasium as gym
import numpy as np
import pytest

from dtao_gym.colours import colour_of
from dtao_gym.envs import render
from dtao_gym.envs.builder.actions import builder_action
from dtao_gym.envs.single import SingleEnv
from dtao_gym.envs.staker.observation import N_SUBNET
from dtao_gym.envs.staker.picture import StakerPicture
from dtao_gym.envs.staker.role import target_action
from dtao_gym.envs.vector import MarketVectorEnv
from tests.figure_texts import check_texts

ID = "dtao_gym/Staker-v0"


def shown(days: int = 0, render_mode: str = "ansi", weights=None, **overrides) -> SingleEnv:
    env = SingleEnv(render_mode=render_mode, **({"n_subnets": 6} | overrides))
    env.reset(seed=0)
    n = env.action_space.shape[0] - 1
    action = target_action(np.eye(n)[0] if weights is None else weights)
    for _ in range(days):
        env.step(action)
    return env


def rows(table: str) -> dict[str, list[str]]:
    """Cells of the lines about subnets, by their first word."""
    lines = table.split("own weight\n")[1].splitlines()
    return {line.split()[0]: line.split()[1:] for line in lines}


# --- eras


@pytest.mark.parametrize("role", ["staker", "builder"])
@pytest.mark.parametrize("era", ["pre_dtao", "root_reborn"])
@pytest.mark.parametrize("render_mode", ["ansi", "rgb_array"])
def test_eras_without_pools_and_with_funds_are_drawn_without_a_warning(render_mode, era, role):
    pytest.importorskip("matplotlib")
    env = SingleEnv(role=role, n_subnets=6, era=era, render_mode=render_mode)
    env.reset(seed=0)
    with np.errstate(all="raise", under="ignore"):
        for _ in range(40):
            env.step(np.zeros(env.action_space.shape, np.float32))
            drawn = env.render()
    assert "nan" not in drawn if render_mode == "ansi" else drawn.std() > 0.0


def test_wealth_of_the_picture_includes_claims_on_funds():
    env = shown(60, era="root_reborn")
    points = env.episodes.batch.state.stakers[0, 0]
    assert points["fund_claim"] > 0.0
    assert f"unclaimed {points['fund_claim']:,.4f} TAO" in env.render()
    assert f"wealth {points['wealth']:,.2f} TAO" in env.render()
    assert "root 100.0%" in env.render()


# --- the table


@pytest.mark.parametrize("n", [1, 16, 17, 128])
@pytest.mark.parametrize("days", [0, 1, 40])
def test_table_is_compact(n, days):
    table = shown(days, n_subnets=n, wealth_tao=100_000.0, horizon_days=8000).render()
    assert max(map(len, table.splitlines())) <= 100
    assert len(rows(table)) == min(n, 16) + (n > 16)


def test_table_shows_the_day_and_the_position():
    env = shown(25, weights=[1.0, 1.0, 0.0, 0.0, 2.0, 0.0, 0.0])
    obs, _, _, _, info = env.step(np.full(8, -1.0))
    table = env.render()
    assert table.startswith(f"day 26 of 365   wealth {info['wealth']:,.2f} TAO (")
    assert f"root {info['root_tao'] / info['wealth']:.1%}" in table
    netuid = env.episodes.batch.state.row("stream_id")[0].astype(int)
    found = rows(table)
    assert sorted(map(int, found)) == sorted(netuid)
    for i, name in enumerate(netuid):
        price, change, share, weight, *_ = found[str(name)]
        assert float(price) == pytest.approx(info["spot_price"][i], abs=1e-6)
        assert change.endswith("%")
        assert float(share[:-1]) == pytest.approx(100 * info["emission_share"][i], abs=0.006)
        assert float(weight[:-1]) == pytest.approx(50 * (obs[N_SUBNET * i] + 1), abs=0.02)


def test_change_is_over_twenty_days():
    env = shown()
    prices = [env.episodes.info()["spot_price"][0]]
    for _ in range(45):
        prices.append(env.step(np.full(8, -1.0))[4]["spot_price"])
        table = env.render()
        days = min(len(prices) - 1, 20)
        assert f" {days} days" in table
        change = prices[-1] / prices[-1 - days] - 1
        for i, name in enumerate(env.episodes.batch.state.row("stream_id")[0].astype(int)):
            assert float(rows(table)[str(name)][1][:-1]) == pytest.approx(
                100 * change[i], abs=0.051
            )


def test_subnets_with_little_emission_show_when_held():
    env = shown(2, n_subnets=128, weights=np.eye(129)[128])
    name = str(int(env.episodes.batch.state.row("stream_id")[0, 127]))
    assert next(iter(rows(env.render()))) == name


def test_first_table_shows_the_emission_that_comes_first():
    first, second = (rows(shown(days).render()) for days in (0, 1))
    assert first.keys() == second.keys()
    for name, cells in first.items():
        assert float(cells[2][:-1]) == pytest.approx(float(second[name][2][:-1]), rel=0.02)


@pytest.mark.parametrize("era", ["price_burn", "launch"])
def test_values_of_positions_and_claims_add_up_to_wealth(era, rng, play):
    env = shown(era=era)
    for _ in range(20):
        info = play(env, rng, 1)[0][4]
        picture = env._picture
        *_, value = picture._market(picture._last)
        assert value.sum() == pytest.approx(info["wealth"], rel=1e-12)


def test_line_of_root_is_what_a_learner_in_root_gets():
    env = shown(100)
    _, wealth, index, *_ = env._picture._last
    assert np.log(wealth / 1000.0) == pytest.approx(np.log(index), rel=3e-3)


def test_a_world_of_a_vector_environment_can_be_shown(rng):
    envs = MarketVectorEnv(3, n_subnets=6)
    envs.reset(seed=0)
    single = shown()
    single.reset(seed=2)
    picture = StakerPicture(world=2)
    picture.start(envs.episodes)
    for _ in range(3):
        actions = rng.uniform(-1, 1, (3, 8)).astype(np.float32)
        envs.step(actions)
        single.step(actions[2])
        picture.add(envs.episodes)
    assert picture.ansi() == single.render()


# --- the figure


@pytest.mark.parametrize("overrides", [{}, {"n_subnets": 1}, {"n_subnets": 128}, {"era": "launch"}])
@pytest.mark.parametrize("days", [0, 1, 30])
def test_figure_has_its_size_and_is_not_empty(days, overrides):
    pytest.importorskip("matplotlib")
    picture = shown(days, "rgb_array", **overrides).render()
    assert (picture.shape, picture.dtype) == ((600, 800, 3), np.uint8)
    for panel in (np.s_[:300, :400], np.s_[:300, 400:], np.s_[300:, :400], np.s_[300:, 400:]):
        assert picture[panel].std() > 5


PLAYED = [
    *(("staker", n, days) for n in (1, 8, 9, 128) for days in (0, 1, 60)),
    *(("builder", n, days) for n in (1, 8, 128) for days in (0, 1, 60)),
]


def figure_of(role: str, n: int, days: int, **overrides):
    env = SingleEnv(role, n_subnets=n, render_mode="rgb_array", **overrides)
    env.reset(seed=0)
    action = (
        target_action(np.append(0.1, np.full(n, 0.9 / n)), 0.1)
        if role == "staker"
        else builder_action(env.config, 0.6, 0.2)
    )
    for _ in range(days):
        env.step(action)
    return env._picture.figure()


@pytest.mark.parametrize(("role", "n", "days"), PLAYED)
def test_texts_of_a_figure_do_not_overlap_and_lie_within_it(role, n, days):
    pytest.importorskip("matplotlib")
    check_texts(figure_of(role, n, days))


def test_texts_of_rich_agents_fit_too():
    pytest.importorskip("matplotlib")
    check_texts(figure_of("staker", 8, 3, wealth_tao=100_000.0, horizon_days=8000))


@pytest.mark.parametrize("role", ["staker", "builder"])
def test_many_subnets_are_few_lines_and_a_band(role):
    pytest.importorskip("matplotlib")
    figure = figure_of(role, 128, 30)
    for panel in figure.axes[:2]:
        drawn = [line for line in panel.lines if len(line.get_xdata()) > 20]
        assert len(drawn) == render.NAMED_SUBNETS + 3  # the band's edges and its median
        names = [text.get_text() for text in panel.texts]
        assert sum(name.startswith("SN ") for name in names) == render.NAMED_SUBNETS
        assert sum("123" in name for name in names) == 1


@pytest.mark.parametrize(("role", "n"), [("staker", 8), ("staker", 128), ("builder", 8)])
def test_the_first_day_is_drawn_across_the_panels(role, n):
    """No panel is empty: levels of the first day are lines and areas as wide as the panel."""
    pytest.importorskip("matplotlib")
    figure = figure_of(role, n, 0)
    for panel in figure.axes:
        left, right = panel.get_xlim()
        wide = [
            line for line in panel.lines if {left, right} <= {float(x) for x in line.get_xdata()}
        ]
        assert wide or panel.collections or "decides first" in panel.texts[-1].get_text()


def test_titles_state_what_the_agent_did_and_earned():
    pytest.importorskip("matplotlib")
    env = shown(30, "rgb_array", weights=[1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    figure, info = env._picture.figure(), env.episodes.info()
    wealth, weight = info["wealth"][0], info["root_tao"][0] / info["wealth"][0]
    index = env._picture._last[2]
    assert figure.texts[0].get_text() == (
        f"The staker has {wealth:,.0f} TAO ({wealth / 1000 - 1:+.1%}); "
        f"root alone would have made it {1000 * index:,.0f} ({index - 1:+.1%})"
    )
    held = int(env.episodes.batch.state.row("stream_id")[0, 0])
    wanted = f"Portfolio: {100 * weight:.0f} % in root, {100 - 100 * weight:.0f} % in SN {held}"
    assert figure.axes[2].get_title("left") == wanted
    gap = wealth / (1000 * index) - 1.0
    assert f"{'more' if gap > 0 else 'less'} than root alone" in figure.axes[3].get_title("left")


def test_a_subnet_has_one_colour_in_all_panels():
    pytest.importorskip("matplotlib")
    seen: dict[str, set] = {}
    for panel in figure_of("staker", 128, 60).axes[:3]:
        for text in panel.texts:
            if text.get_text().startswith("SN "):
                seen.setdefault(" ".join(text.get_text().split()[:2]), set()).add(text.get_color())
    assert len(seen) > 5
    assert all(len(colours) == 1 for colours in seen.values())
    own = figure_of("builder", 8, 5).axes[1].texts
    assert [t.get_color() for t in own if t.get_text().startswith("SN 3 ")] == [colour_of("own")]


def test_figures_are_fresh_equal_and_change_with_the_days():
    pytest.importorskip("matplotlib")
    env = shown(5, "rgb_array")
    one, two = env.render(), env.render()
    assert not np.shares_memory(one, two)
    assert one.flags.owndata
    assert np.array_equal(one, two)
    env.step(np.full(8, -1.0))
    assert not np.array_equal(env.render(), one)


def test_figure_leaves_no_trace_in_matplotlib():
    matplotlib = pytest.importorskip("matplotlib")
    before, pyplot = dict(matplotlib.rcParams), "matplotlib.pyplot" in sys.modules
    shown(3, "rgb_array").render()
    assert dict(matplotlib.rcParams) == before
    assert ("matplotlib.pyplot" in sys.modules) == pyplot


def test_extreme_prices_can_be_drawn():
    pytest.importorskip("matplotlib")
    env = shown(3, "rgb_array")
    price = env.episodes.batch.state.row("spot_price")
    for factors in ([1e6, 1e-6, 1, 1, 1, 1], [0, 1, 1, 1, 1, 1]):
        price *= factors
        env._picture.add(env.episodes)
        assert env.render().shape == (600, 800, 3)
        assert len(env._picture.ansi().splitlines()) == 10


def test_missing_matplotlib_is_named_with_the_remedy(monkeypatch):
    env = shown(1, "rgb_array")
    for name in [name for name in sys.modules if name.startswith("matplotlib.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(gym.error.DependencyNotInstalled, match=r"pip install 'dtao-gym\[plot\]'"):
        env.render()
    assert shown(1).render()  # the table needs nothing


def test_rendering_before_a_reset_is_refused():
    with pytest.raises(gym.error.ResetNeeded, match="call reset first"):
        SingleEnv(n_subnets=3, render_mode="ansi").render()


def test_lists_of_frames_come_from_gymnasium():
    pytest.importorskip("matplotlib")
    env = gym.make(ID, n_subnets=3, render_mode="rgb_array_list")
    env.reset(seed=0)
    env.step(np.zeros(5, np.float32))
    assert [frame.shape for frame in env.render()] == [(600, 800, 3)] * 2


# --- a builder's


def shown_builder(days: int, render_mode: str = "ansi", **overrides) -> SingleEnv:
    env = SingleEnv("builder", render_mode=render_mode, **({"n_subnets": 6} | overrides))
    env.reset(seed=0)
    action = builder_action(env.config, 0.6, 0.2)
    for _ in range(days):
        env.step(action)
    return env


@pytest.mark.parametrize("n", [1, 17, 128])
def test_table_of_a_builder_is_compact(n):
    table = shown_builder(3, n_subnets=n).render()
    assert max(map(len, table.splitlines())) <= 100
    assert len(table.splitlines()) == 6 + min(n, 16) + (n > 16)


def test_table_of_a_builder_shows_its_spending_and_stocks():
    env = shown_builder(30, influence=True, builder_slot=2)
    info, table = {k: v[0] for k, v in env.episodes.info().items()}, env.render()
    assert table.startswith(
        f"day 30 of 365   SN {int(env.episodes.batch.state.row('stream_id')[0, 2])} "
    )
    spent = np.array([0.4 * 0.8, 0.6 * 0.8, 0.2]) * info["budget"]
    assert "product {:.2f}, research {:.2f}, influence {:.2f} TAO".format(*spent) in table
    assert f"treasury {info['treasury']:,.2f} TAO   consumed {info['consumed']:,.2f} TAO" in table
    assert f"knowledge {info['knowledge']:.2f}" in table
    own = [line for line in table.splitlines() if line.endswith("  own")]
    assert len(own) == 1
    drawn = shown_builder(3, horizon="geometric").render()
    assert drawn.startswith("day 3   SN")  # nobody knows the end


@pytest.mark.parametrize("days", [0, 1, 30])
def test_figure_of_a_builder_has_its_size_and_is_not_empty(days):
    pytest.importorskip("matplotlib")
    picture = shown_builder(days, "rgb_array").render()
    assert (picture.shape, picture.dtype) == ((600, 800, 3), np.uint8)
    for panel in (np.s_[:300, :400], np.s_[:300, 400:], np.s_[300:, :400], np.s_[300:, 400:]):
        assert picture[panel].std() > 5


# --- the history


def test_history_is_thinned_and_keeps_first_and_last(monkeypatch):
    monkeypatch.setattr(render, "MAX_POINTS", 16)
    env = shown(horizon_days=200)
    for day in range(1, 101):
        env.step(np.full(8, -1.0))
        history = env._picture._history()
        assert len(env._picture._points) < 16
        assert (history[0, 0], history[-1, 0]) == (0.0, day)
        assert (np.diff(history[:, 0]) > 0).all()
    steps = np.diff(history[:-1, 0])
    assert (steps == steps[0]).all()


def test_a_new_episode_forgets_the_old_one():
    env = shown(10)
    env.reset(seed=0)
    assert env.render() == shown().render()


def test_pictures_do_not_change_the_episode(same, play):
    plain, drawn = shown(render_mode=None), shown()
    for _ in range(3):
        assert same(
            play(plain, np.random.default_rng(3), 2), play(drawn, np.random.default_rng(3), 2)
        )
        drawn.render()


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["deepcopy", "pickle"]
)
def test_a_copy_draws_the_same(copied):
    pytest.importorskip("matplotlib")
    env = shown(7, "rgb_array")
    env.render()
    twin = copied(env)
    for one in (env, twin):
        one.step(np.full(8, -1.0))
    assert np.array_equal(env.render(), twin.render())
    assert env._picture.ansi() == twin._picture.ansi()
