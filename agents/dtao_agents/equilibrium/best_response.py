"""Exploitability of learned policies: the largest gain of one deviating member, others frozen.

Responses are searched for in three ways: by PPO, from several fresh starts and from the learned policy; by the
cross-entropy method over constants with linear feedback; and among scripted policies. The one that does best on seeds set
aside is compared with the learned policy on evaluation seeds, the same for both. No search proves that nothing better
exists: the result is a lower bound of the exploitability epsilon.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from torch import nn

from dtao_agents.equilibrium.cem import CemSettings, maximise
from dtao_agents.evaluation.policy_files import mean_action
from dtao_agents.evaluation.statistics import Estimate, bootstrap
from dtao_agents.roles.policies import Policy
from dtao_agents.roles.registry import agent_role, multi_agent_roles
from dtao_agents.roles.role import AgentRole
from dtao_agents.training.linear_critic import LinearCriticPPO
from dtao_agents.training.multi_agent_settings import MultiAgentConfig
from dtao_agents.training.ppo import policy_options, ppo_arguments
from dtao_agents.training.sb3_policy import SubnetPolicy
from dtao_gym.envs.multi_agent import MultiAgentWorlds
from dtao_gym.envs.sb3 import SharedVecEnv
from dtao_gym.envs.task import TaskConfig
from dtao_gym.world.genesis import layout_of

SEARCH_SEEDS, CHOICE_SEEDS = 1_000_000, 2_000_000
"""First evaluation seeds of the cross-entropy method, and of the choice among responses."""

Progress = Callable[[str], Any]


class Played(NamedTuple):
    """Results of one member of a role.

    Attributes
    ----------
    paid : `(n_seeds,)`
        Payoff, in the role's `payoff_unit`.
    statistic : `(n_seeds,)`
        Mean over the episode of the role's `tracked` statistic; nan where it has none.
    """

    paid: np.ndarray
    statistic: np.ndarray


def play(
    config: TaskConfig,
    policies: dict[str, Policy],
    role: str,
    seeds: Sequence[int] | np.ndarray,
    deviation: Policy | None = None,
    threads: int = 1,
) -> Played:
    """Play all policies, and a deviation in the place of the first member of a role.

    Parameters
    ----------
    config : TaskConfig
        A `response_task` of the role.
    policies : dict
        Policy of each role that decides.
    role : str
        Role whose first member is observed.
    seeds : sequence of int
        World seeds, one world each.
    deviation : callable, optional
        Policy of that member; by default that of its role.
    threads : int
        Threads that share the worlds.
    """
    its = agent_role(role)
    worlds = _started_worlds(config, policies, seeds, threads)
    n_members = {name: len(members) for name, members in worlds.members.items()}
    first_rows = np.arange(len(seeds)) * n_members[role]
    rewards, lived, statistic = np.zeros((3, len(seeds)))
    alive = np.ones(len(seeds), bool)
    for _ in range(worlds.max_steps):
        observations, actions = worlds.observe(), {}
        for name, policy in policies.items():
            # finished worlds need no decisions
            playing = np.repeat(alive, n_members[name])
            space = worlds.roles[name].action_space
            actions[name] = np.zeros((len(playing), *space.shape), np.float32)
            actions[name][playing] = policy(observations[name][playing], worlds.batch, ())
        if deviation is not None:
            actions[role][first_rows] = deviation(observations[role][first_rows], worlds.batch, ())
        transition = worlds.step(actions)[role]
        rewards += alive * transition.reward[first_rows]
        tracked = its.tracked(worlds.batch)
        statistic += alive * (np.nan if tracked is None else tracked)
        lived += alive
        alive &= ~(transition.terminated | transition.truncated)[first_rows]
        if not alive.any():
            break
    return Played(its.payoff(rewards, config, worlds.max_steps), statistic / lived)


def _started_worlds(
    config: TaskConfig,
    policies: dict[str, Policy],
    seeds: Sequence[int] | np.ndarray,
    threads: int,
) -> MultiAgentWorlds:
    members = {
        role.name: role.response_members(config)
        for role in multi_agent_roles()
        if role.name in policies
    }
    worlds = MultiAgentWorlds(config, len(seeds), members, respawn=True, threads=threads)
    worlds.start(int(seed) for seed in seeds)
    return worlds


class ResponseEnv(SharedVecEnv):
    """Worlds in which one member learns; rewards times a factor, first episodes of staggered length.

    Parameters
    ----------
    settings : MultiAgentConfig
    role : str
        Role of the member that learns.
    policies : dict
        Frozen policy of each role.
    start : int
        Number of the search; each has its own world seeds.
    """

    def __init__(
        self, settings: MultiAgentConfig, role: str, policies: dict[str, Policy], start: int
    ):
        others = [policy for name, policy in policies.items() if name != role]
        members = {name: it for name, it in settings.members.items() if name in policies}
        super().__init__(
            settings.response.num_envs,
            role,
            settings.env,
            members=members,
            companion=others[0] if others else None,
            learner=0,
            peers=policies[role],
            threads=settings.threads,
        )
        self.reward_scale = np.float32(settings.roles[role].reward_scale)
        self.truncations: list[np.ndarray] = []  # of each step since a critic read them
        self.first_seed = settings.first_world_seed() + (1 + start) * settings.num_envs

    def reset(self) -> np.ndarray:
        """Start again; return the first observations."""
        self.seed(self.first_seed)
        observation = super().reset()
        self.worlds.stagger()
        return observation

    def step_wait(self):
        """Advance all environments; return observations, rewards, dones, infos."""
        observation, reward, done, infos = super().step_wait()
        truncated = [info.get("TimeLimit.truncated", False) for info in infos]
        self.truncations.append(np.array(truncated))
        return observation, reward * self.reward_scale, done, infos


def ppo_response(
    settings: MultiAgentConfig,
    role: str,
    policies: dict[str, Policy],
    start: int,
    learned: nn.Module | None = None,
) -> Policy:
    """Return the policy that one member learns by PPO against the frozen others.

    It starts untrained, or from the `learned` actor; `start` is the number of the search.
    """
    wanted = settings.response
    changes = {"batch_size": wanted.batch_size, "epochs": wanted.epochs}
    learner = settings.roles[role].model_copy(
        update=changes | agent_role(role).response_settings(start)
    )
    env = ResponseEnv(settings, role, policies, start)
    model = LinearCriticPPO(
        SubnetPolicy,
        env,
        **ppo_arguments(learner, env.num_envs, wanted.rollout_steps),
        policy_kwargs=policy_options(learner, role, settings.env),
        seed=(settings.seed + 1_000 * (start + 1)) % 2**32,
    )
    assert isinstance(model.policy, SubnetPolicy)
    if learned is not None:
        model.policy.actor.load_state_dict(learned.state_dict())
    model.learn(wanted.timesteps)
    actor = model.policy.actor.requires_grad_(False).eval()
    return lambda observation, batch, rngs: mean_action(actor, observation)


class LinearDeviation:
    """Constants plus linear feedback (`AgentRole.linear_deviation`), one set of parameters per row.

    Parameters
    ----------
    role : AgentRole
    n_subnets, n_actions : int
        Subnets of the world, and size of an action.
    parameters : `(k,)` or `(rows, k)`
    """

    def __init__(self, role: AgentRole, n_subnets: int, n_actions: int, parameters: np.ndarray):
        self.role, self.n_subnets, self.n_actions = role, n_subnets, n_actions
        self.parameters = parameters

    def __call__(self, observation: np.ndarray, batch: Any, rngs: Any) -> np.ndarray:
        """Return actions `(rows, n_actions)` float32."""
        shape = (len(observation), self.parameters.shape[-1])
        parameters = np.broadcast_to(self.parameters, shape)
        actions = self.role.linear_deviation(
            parameters, observation, self.n_subnets, self.n_actions
        )
        return actions.astype(np.float32)


def searched_response(
    settings: MultiAgentConfig, role: str, policies: dict[str, Policy]
) -> LinearDeviation:
    """Return the best linear deviation that the cross-entropy method finds against the frozen others."""
    its = agent_role(role)
    config = its.response_task(settings.env)
    generations = settings.response.generations
    search = CemSettings.model_validate({"generations": generations, "population": 24})
    n_seeds, n_subnets = 8, layout_of(config).n_subnets
    n_actions = its.task_action_size(config, n_subnets)

    def payoff(candidates: np.ndarray, generation: int) -> np.ndarray:
        # one world for each candidate and seed; seeds are the same for all candidates
        first = SEARCH_SEEDS + n_seeds * generation
        parameters = np.repeat(candidates, n_seeds, axis=0)
        deviation = LinearDeviation(its, n_subnets, n_actions, parameters)
        seeds = np.tile(np.arange(first, first + n_seeds), len(candidates))
        played = play(config, policies, role, seeds, deviation, settings.threads)
        return played.paid.reshape(len(candidates), n_seeds).mean(axis=1)

    start = np.zeros(its.deviation_size(n_actions))
    rng = np.random.default_rng([settings.seed, 7])
    best = maximise(payoff, start, search, rng).parameters
    return LinearDeviation(its, n_subnets, n_actions, best)


class Response(NamedTuple):
    """One deviation.

    Attributes
    ----------
    method : str
        The search that found it.
    choice : float
        Mean gain on the seeds that the best response is chosen by.
    gain : Estimate
        Gain on evaluation seeds, over the role's `payoff_scale`.
    """

    method: str
    choice: float
    gain: Estimate


def exploitability(
    settings: MultiAgentConfig,
    policies: dict[str, Policy],
    progress: Progress = lambda line: None,
) -> dict[str, Any]:
    """Search best responses of each role to the others and measure their gains.

    Parameters
    ----------
    settings : MultiAgentConfig
    policies : dict
        Policy of each role, frozen.
    progress : callable
        Called with a line of text for each result.

    Returns
    -------
    dict
        JSON values by role: `paid`, mean payoff; `unit` of it; `responses`, each with its method, its gain on the seeds
        that the best is chosen by, and its gain with 95 % bounds over evaluation seeds; `best`, the method of the
        best one; `epsilon`, its gain with bounds, not below 0; `is_equilibrium`, False if the lower bound of the gain is
        above 0; and the entries of `AgentRole.analyse_response`.
    """
    return {role: _of_role(settings, policies, role, progress) for role in policies}


def _of_role(
    settings: MultiAgentConfig, policies: dict[str, Policy], role: str, progress: Progress
) -> dict[str, Any]:
    its, wanted = agent_role(role), settings.response
    config = its.response_task(settings.env)
    choice_seeds = range(CHOICE_SEEDS, CHOICE_SEEDS + wanted.episodes)
    gain_seeds = range(wanted.episodes)

    def played(deviation: Policy | None) -> tuple[Played, Played]:
        choice, gain = (
            play(config, policies, role, seeds, deviation, settings.threads)
            for seeds in (choice_seeds, gain_seeds)
        )
        return choice, gain

    usual_choice, usual = played(None)
    scale = its.payoff_scale(usual.paid)
    responses = []

    def measure(method: str, deviation: Policy) -> None:
        choice, gain = played(deviation)
        mean_choice = float(((choice.paid - usual_choice.paid) / scale).mean())
        estimate = bootstrap((gain.paid - usual.paid) / scale)
        responses.append(Response(method, mean_choice, estimate))
        progress(f"{role}: {method} gains {estimate.value:+.4f}")

    for start in range(wanted.starts):
        measure(f"PPO, start {start}", ppo_response(settings, role, policies, start))
    learned = getattr(policies[role], "actor", None)
    if learned is not None:
        tuned = ppo_response(settings, role, policies, wanted.starts, learned)
        measure("PPO, from the learned", tuned)
    for name in its.tried_deviations:
        measure(f"scripted: {name}", its.scripted[name])
    measure("cross-entropy", searched_response(settings, role, policies))
    best = max(responses, key=lambda response: response.choice)
    record: dict[str, Any] = {
        "paid": bootstrap(usual.paid)._asdict(),
        "unit": its.payoff_unit,
        "responses": [r._asdict() | {"gain": r.gain._asdict()} for r in responses],
        "best": best.method,
        "epsilon": {name: max(end, 0.0) for name, end in best.gain._asdict().items()},
        "is_equilibrium": not best.gain.low > 0.0,
    }
    statistic = float(usual.statistic.mean())
    return record | its.analyse_response(settings, statistic, record["epsilon"], progress)
