"""`render_mode="human"` of single environments: a window that follows the episode, or one line on what is missing."""

import copy
import sys

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from dtao_gym.envs.single import SingleEnv
from tests.envs.single_worlds import IDS, both_roles, zero_action

pyplot = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def _backend_without_windows():
    pyplot.switch_backend("agg")
    yield
    pyplot.close("all")


@pytest.fixture
def screen(monkeypatch) -> dict[str, list]:
    """A backend that says it has windows, and records what is asked of it."""
    calls: dict[str, list] = {"show": [], "flush": []}
    canvas = type(pyplot.figure().canvas)
    pyplot.close("all")
    monkeypatch.setattr(canvas, "required_interactive_framework", "screen")
    monkeypatch.setattr(canvas, "flush_events", lambda self: calls["flush"].append(self))
    monkeypatch.setattr(pyplot, "show", lambda block: calls["show"].append(block))
    return calls


@both_roles
@pytest.mark.filterwarnings("ignore:.*has no windows")
def test_gymnasium_checker_accepts_the_mode(role):
    env = gym.make(IDS[role], n_subnets=3, render_mode="human")
    assert "human" in env.metadata["render_modes"]
    check_env(env.unwrapped)
    env.close()


@both_roles
def test_a_window_opens_once_and_shows_every_step(role, screen):
    env = SingleEnv(role, n_subnets=3, render_mode="human")
    plain = SingleEnv(role, n_subnets=3, render_mode="rgb_array")
    env.reset(seed=1), plain.reset(seed=1)
    for _ in range(3):
        env.step(zero_action(env)), plain.step(zero_action(env))
        np.testing.assert_array_equal(env._window._image.get_array(), plain.render())
    assert env.render() is None
    assert screen["show"] == [False]  # one window, which does not block
    assert len(screen["flush"]) == 5  # reset, three steps, render
    env.reset(seed=1)
    assert len(pyplot.get_fignums()) == 1
    env.close(), env.close()
    assert pyplot.get_fignums() == []


def test_a_window_that_is_closed_by_hand_stays_closed(screen):
    env = SingleEnv(n_subnets=3, render_mode="human")
    env.reset(seed=1)
    pyplot.close("all")
    env.step(zero_action(env))
    assert pyplot.get_fignums() == []
    assert len(screen["flush"]) == 1


def test_a_copy_has_no_window_of_the_original(screen):
    env = SingleEnv(n_subnets=3, render_mode="human")
    env.reset(seed=1)
    twin = copy.deepcopy(env)
    assert twin._window._image is None
    twin.step(zero_action(twin))
    assert len(pyplot.get_fignums()) == 2


def test_a_backend_without_windows_is_named_once_with_the_remedy():
    env = SingleEnv(n_subnets=3, render_mode="human")
    with pytest.warns(
        UserWarning, match="agg has no windows: install tkinter.* set DISPLAY"
    ) as seen:
        env.reset(seed=1)
    env.step(zero_action(env))  # a second warning would be an error
    assert len(seen) == 1
    assert "\n" not in str(seen[0].message)


def test_a_backend_that_fails_is_one_line_with_the_remedy(monkeypatch):
    def no_display(*_, **__):
        raise RuntimeError("no display name\nand no $DISPLAY")

    monkeypatch.setattr(pyplot, "figure", no_display)
    env = SingleEnv(n_subnets=3, render_mode="human")
    with pytest.raises(gym.error.DependencyNotInstalled) as error:
        env.reset(seed=1)
    assert "opens no window (no display name and no $DISPLAY): install tkinter" in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_matplotlib_is_named_with_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    with pytest.raises(gym.error.DependencyNotInstalled, match=r"pip install 'dtao-gym\[plot\]'"):
        SingleEnv(n_subnets=3, render_mode="human").reset(seed=1)


def test_the_window_changes_nothing_in_the_episode(screen, same, play):
    plain, shown = SingleEnv(n_subnets=3), SingleEnv(n_subnets=3, render_mode="human")
    plain.reset(seed=1), shown.reset(seed=1)
    one, two = (np.random.default_rng(3) for _ in range(2))
    assert same(play(plain, one, 3), play(shown, two, 3))
