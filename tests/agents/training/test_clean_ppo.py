"""PPO in one file: its advantages by hand, what it ignores, what it repeats, that it learns."""

import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
import torch
from dtao_agents.evaluation.evaluate import evaluation_config, play
from dtao_agents.roles.staker_policies import SCRIPTED as STAKERS
from dtao_agents.training.clean_ppo import (
    Agent,
    Collector,
    Options,
    Rollout,
    advantages,
    train,
    update,
)
from gymnasium.vector import AutoresetMode
from safetensors.torch import load_file

from dtao_gym.envs.staker.observation import observation_size as staker_size
from dtao_gym.envs.vector import MarketVectorEnv
from dtao_gym.world.config import Config, ConfigError
from dtao_gym.world.config_people import PREDICTABLE

WORLD = {"spans_per_day": 1, "horizon_days": 3}
TINY = {"n_subnets": 4, "world": WORLD, "num_envs": 5, "rollout_steps": 10, "hidden": 8}


def rollout_of(rewards, values, terminated, ignored) -> Rollout:
    """One with the figures that advantages are made of; rows are steps, columns worlds."""
    nothing = torch.zeros(0)
    flags = [torch.tensor(rows, dtype=torch.bool) for rows in (terminated, ignored)]
    return Rollout(nothing, nothing, nothing, torch.tensor(rewards), *flags, torch.tensor(values))


def weights(agent: Agent) -> torch.Tensor:
    return torch.nn.utils.parameters_to_vector(agent.parameters()).detach()


def test_advantages_by_hand_over_a_termination_and_a_truncation():
    """With gamma and lambda 1/2, so that a later surprise counts a quarter a step.

    The first world terminates at step 1 and is truncated at step 4, each followed by a step that is ignored.
    The second plays on beyond the rollout.
    """
    never = [0] * 6
    rollout = rollout_of(
        rewards=[[1.0, 1.0], [5.0, 1.0], [0.0, 1.0], [3.0, 1.0], [4.0, 1.0], [0.0, 1.0]],
        values=[[1.0, 2.0], [2.0, 2.0], [8.0, 2.0], [3.0, 2.0], [4.0, 2.0], [6.0, 2.0], [5.0, 6.0]],
        terminated=list(zip([0, 1, 0, 0, 0, 0], never, strict=True)),
        ignored=list(zip([0, 0, 1, 0, 0, 1], never, strict=True)),
    )
    last = 4.0 + 6.0 / 2 - 4.0  # truncated: the value of the true last observation, 6, is not lost
    wanted = [
        (1.0 + 2.0 / 2 - 1.0) + (5.0 - 2.0) / 4,
        5.0 - 2.0,  # terminated: nothing of the 8 that the last observation seems to be worth
        0.0,
        (3.0 + 4.0 / 2 - 3.0) + last / 4,
        last,
        0.0,
    ]
    found = advantages(rollout, gamma=0.5, gae_lambda=0.5)
    torch.testing.assert_close(found[:, 0], torch.tensor(wanted))
    # the only surprise of the second world is its last, 1 + 6 / 2 - 2
    torch.testing.assert_close(found[:, 1], 2.0 * 0.25 ** torch.arange(5.0, -1.0, -1.0))


def test_a_rollout_holds_true_last_observations_and_marks_the_steps_without_effect():
    """Against the same worlds that restart at once and hand out last observations by the side."""
    options = Options(**TINY)
    collector = Collector(options)
    rollout = collector.rollout(Agent(staker_size(4), 4 + 2, options))
    same_step = MarketVectorEnv(5, autoreset_mode=AutoresetMode.SAME_STEP, n_subnets=4, **WORLD)
    observation, restarted = same_step.reset(seed=options.seed)[0], 0
    for step in range(10):
        ignored = step % 4 == 3  # three days, and the call that starts the next episode
        assert rollout.ignored[step].tolist() == [ignored] * 5
        np.testing.assert_array_equal(rollout.observations[step + ignored], observation)
        if ignored:
            assert not rollout.rewards[step].any()
            restarted += 1
            continue
        played = rollout.actions[step].clamp(-1.0, 1.0).numpy()
        observation, reward, _, truncated, infos = same_step.step(played)
        np.testing.assert_allclose(rollout.rewards[step], 20.0 * reward, rtol=1e-6)
        assert truncated.tolist() == [step % 4 == 2] * 5
        after = np.stack(infos["final_obs"]) if truncated.all() else observation
        np.testing.assert_array_equal(rollout.observations[step + 1], after)
    assert restarted == 2
    assert collector.ended.tolist() == [False] * 5
    assert not rollout.terminated.any()


def test_what_an_ignored_step_holds_changes_nothing():
    options = Options(**TINY)
    learned = []
    for spoil in (False, True):
        agent = Agent(staker_size(4), 4 + 2, options)
        rollout = Collector(options).rollout(agent)
        if spoil:
            for part in (rollout.observations[:-1], rollout.actions, rollout.log_probs):
                part[rollout.ignored] += 3.0
        adam = torch.optim.Adam(agent.parameters(), 1e-2)
        before = weights(agent)
        update(agent, adam, rollout, options, torch.Generator().manual_seed(0))
        assert (weights(agent) != before).any()
        learned.append(weights(agent))
    assert torch.equal(*learned)


def test_the_same_options_give_the_same_agent_whatever_else_draws_numbers():
    short = TINY | {"total_timesteps": 200}
    first = weights(train(Options(**short)))
    torch.rand(7)
    np.testing.assert_array_equal(first, weights(train(Options(**short))))
    assert (first != weights(train(Options(**short, seed=1)))).any()


@pytest.mark.slow
def test_the_command_prints_a_line_per_tenth_and_saves_what_it_learned(tmp_path):
    file = tmp_path / "agent.safetensors"
    flags = "--n-subnets 4 --num-envs 5 --rollout-steps 10 --hidden 8 --total-timesteps 1000"
    command = f"-m dtao_agents.training.clean_ppo {flags} --save {file} --world horizon_days 3 spans_per_day 1"
    run = subprocess.run([sys.executable, *command.split()], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert [line.split(" steps")[0].strip() for line in lines] == [
        *(f"{n}" for n in range(100, 1000, 100)),
        "1,000",
    ]
    assert all(line.endswith(" steps/s") and "nan" not in line for line in lines)
    options = Options(**TINY, total_timesteps=1000)
    again = Agent(staker_size(4), 4 + 2, options)
    again.load_state_dict(load_file(file))
    np.testing.assert_allclose(weights(again), weights(train(options)), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_envs": 0}, "num_envs: got 0, allowed are numbers from 1"),
        ({"minibatches": -1}, "minibatches: got -1, allowed are numbers from 1"),
    ],
)
def test_bad_options_are_one_error(changes, message):
    with pytest.raises(ConfigError, match=message):
        Options(**changes)


def test_a_file_that_could_not_be_written_is_an_error_before_training(tmp_path):
    with pytest.raises(ConfigError, match=r"save: got .*allowed are files in a folder that exists"):
        Options(save=tmp_path / "nowhere" / "agent.safetensors")


def test_it_plays_a_builder_too():
    options = Options(env_id="dtao_gym/Builder-v0", **TINY, total_timesteps=100)
    agent = train(options)
    envs = gym.make_vec(options.env_id, 2, "vector_entry_point", n_subnets=4, **WORLD)
    actions = agent.act(envs.reset(seed=9)[0])
    assert envs.action_space.contains(actions)


@pytest.mark.slow
def test_it_learns_to_stake(capsys):
    """Two months among eight subnets, on evaluation seeds: better than untrained, and than doing nothing.

    In the predictable population: in that of spring 2026 the optimum is to do nothing.
    """
    world = PREDICTABLE | {"spans_per_day": 1, "horizon_days": 60}
    options = Options(n_subnets=8, world=world, num_envs=64, total_timesteps=100_000)
    learned, untrained = train(options), Agent(staker_size(8), 8 + 2, options)
    config = evaluation_config(Config.make(n_subnets=8, **world))

    def growth(policy) -> np.ndarray:
        return play(policy, config, range(64)).values["log_growth"]

    reached = growth(lambda observation, *_: learned.act(observation))
    rivals = {
        "untrained": (growth(lambda observation, *_: untrained.act(observation)), 0.1),
        "all_root": (growth(STAKERS["all_root"]), 0.0),
    }
    for name, (values, least) in rivals.items():
        gain = reached - values
        error = gain.std(ddof=1) / np.sqrt(len(gain))
        print(f"learned minus {name}: {gain.mean():+.3f}, standard error {error:.3f}")
        assert gain.mean() - 2.0 * error > least, name
