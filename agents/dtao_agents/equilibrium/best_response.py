"""Is what was learned an equilibrium? The most that one staker, or one builder, gains by doing something else.

Everybody else is frozen. Against them a policy learns by PPO, from several fresh starts and from the learned one, the cross-entropy method
looks for constants with linear feedback, and scripted policies are tried. Whatever does best on seeds set aside is held against the learned policy on
evaluation seeds, the same for both. Three ways to look find more than one, but none proves that nothing better
exists: what is found is a lower bound of the exploitability epsilon.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from torch import nn

from dtao_agents.equilibrium.builder_game import BuilderGame
from dtao_agents.equilibrium.cem import CemSettings, linear_policy, maximise
from dtao_agents.equilibrium.game import log_odds
from dtao_agents.equilibrium.nash import NashSettings, identified_set, solve
from dtao_agents.evaluation.policy_files import mean_action
from dtao_agents.evaluation.statistics import Estimate, bootstrap
from dtao_agents.roles.scripted import SCRIPTED
from dtao_agents.training.linear_critic import LinearCriticPPO
from dtao_agents.training.multi_agent_settings import MultiAgentConfig
from dtao_agents.training.ppo import policy_options, ppo_arguments
from dtao_agents.training.sb3_policy import SubnetPolicy
from dtao_gym.envs.builder.actions import action_size
from dtao_gym.envs.builder.observation import OWN_FEATURES, RIVAL_FEATURES
from dtao_gym.envs.multi_agent import MultiAgentWorlds
from dtao_gym.envs.sb3 import SharedVecEnv
from dtao_gym.envs.staker.observation import GLOBAL_FEATURES, SUBNET_FEATURES
from dtao_gym.envs.task import TaskConfig
from dtao_gym.world.genesis import layout_of
from dtao_gym.world.parameters import DAYS_PER_YEAR

Policy = Callable[[np.ndarray, Any, Any], np.ndarray]
SEARCH_SEEDS, CHOICE_SEEDS = 1_000_000, 2_000_000
"""First evaluation seeds that the cross-entropy method sees, and that starts are chosen by."""
STAKER_DAYS = 364
"""A staker is judged by its growth over a year."""
FEEDBACK = ("short_stock_log", "knowledge_log", "momentum_long", "prune_margin")
"""Own features that a builder of the cross-entropy method reacts to."""
STARTS = (0.1, 0.5, 0.9, 0.02, 0.98, 0.3)
"""First research shares of fresh builders."""

TRIED = {
    "staker": ("all_root", "market_weight", "momentum", "value"),
    "builder": ("as_configured", "myopic", "kernel", "all_long"),
}
"""Scripted policies that a member may turn to."""


class Played(NamedTuple):
    """What one member of a role got, one entry per seed.

    Attributes:
        paid: log growth of wealth a year of a staker; consumption of a builder, TAO.
        research_share: of all builders, mean over their decisions; nan where none learns.
    """

    paid: np.ndarray
    research_share: np.ndarray


def judged(config: TaskConfig, role: str) -> TaskConfig:
    """The world in which a role is judged: a year for a staker, a drawn life for a builder."""
    made = TaskConfig.make(config, split="evaluation", world_seed=0)
    if role == "staker":
        return TaskConfig.make(made, horizon="fixed", horizon_days=STAKER_DAYS)
    return TaskConfig.make(made, horizon="geometric", terminal_value=False)


def play(
    config: TaskConfig,
    policies: dict[str, Policy],
    role: str,
    seeds: Sequence[int] | np.ndarray,
    deviation: Policy | None = None,
    threads: int = 1,
) -> Played:
    """Play all policies, and a deviation in the place of the first member of a role.

    Args:
        config: of the world, with as many learners as there are stakers; see `judged`.
        policies: of each role that decides.
        role: whose first member is paid attention to.
        seeds: world seeds, one world each.
        deviation: what that member does; None: as its role does.
    """
    members = wanted_of(config, policies)
    worlds = MultiAgentWorlds(config, len(seeds), members, respawn=True, threads=threads)
    for world, seed in enumerate(seeds):
        worlds.reset(world, int(seed))
    worlds.reset_done()
    n_members = {name: len(its.members) for name, its in worlds.roles.items()}
    mine = np.arange(len(seeds)) * n_members[role]
    paid, alive, shares = np.zeros(len(seeds)), np.ones(len(seeds), bool), np.zeros(len(seeds))
    lived = np.zeros(len(seeds))
    for _ in range(worlds.max_steps):
        seen, actions = worlds.observe(), {}
        for name, policy in policies.items():
            # nobody has to decide in worlds where all is over
            going_on = np.repeat(alive, n_members[name])
            space = worlds.roles[name].action_space
            actions[name] = np.zeros((len(going_on), *space.shape), np.float32)
            actions[name][going_on] = policy(seen[name][going_on], worlds.batch, ())
        if deviation is not None:
            actions[role][mine] = deviation(seen[role][mine], worlds.batch, ())
        found = worlds.step(actions)[role]
        paid += alive * found.reward[mine]
        shares += alive * worlds.batch.state.row("research_share").mean(axis=1)
        lived += alive
        alive &= ~(found.terminated | found.truncated)[mine]
        if not alive.any():
            break
    if role == "staker":
        paid *= DAYS_PER_YEAR / (worlds.max_steps * config.days_per_step)
    else:
        paid *= config.consumption_scale_tao
    return Played(paid, shares / lived if "builder" in policies else np.full(len(seeds), np.nan))


def wanted_of(config: TaskConfig, policies: dict[str, Policy]) -> dict[str, Any]:
    """Members of each world: the configured stakers, and all builders where these decide."""
    return {"staker": config.n_stakers, "builder": "all" if "builder" in policies else ()}


class ResponseEnv(SharedVecEnv):
    """Worlds in which one member learns; rewards times a factor, first episodes of staggered length."""

    def __init__(
        self, settings: MultiAgentConfig, role: str, policies: dict[str, Policy], seed: int
    ):
        others = [policy for name, policy in policies.items() if name != role]
        super().__init__(
            settings.response.num_envs,
            role,
            settings.env,
            stakers=settings.stakers,
            builders="all" if "builder" in policies else (),
            companion=others[0] if others else None,
            learner=0,
            peers=policies[role],
            threads=settings.threads,
        )
        self.reward_scale = np.float32(settings.roles[role].reward_scale)
        self.cuts: list[np.ndarray] = []  # of each step since a critic read them: truncations
        self.first_seed = settings.first_world_seed() + (1 + seed) * settings.num_envs

    def reset(self) -> np.ndarray:
        self.seed(self.first_seed)
        observation = super().reset()
        self.worlds.stagger()
        return observation

    def step_wait(self):
        observation, reward, done, infos = super().step_wait()
        self.cuts.append(np.array([info.get("TimeLimit.truncated", False) for info in infos]))
        return observation, reward * self.reward_scale, done, infos


def ppo_response(
    settings: MultiAgentConfig,
    role: str,
    policies: dict[str, Policy],
    start: int,
    learned: nn.Module | None = None,
) -> Policy:
    """What one member learns by PPO against the frozen others: from nothing, or from the learned actor."""
    wanted = settings.response
    changes: dict[str, Any] = {"batch_size": wanted.batch_size, "epochs": wanted.epochs}
    if role == "builder":
        changes["research_share_init"] = STARTS[start % len(STARTS)]
    learner = settings.roles[role].model_copy(update=changes)
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
    """Constants plus linear feedback, one set of parameters per row.

    A builder's actions are linear in `FEEDBACK`; the logit of each of a staker's subnets is the same linear function
    of its features, and those of root and speed are constants.

    Args:
        parameters: `(k,)` or `(rows, k)`.
    """

    def __init__(self, role: str, n_subnets: int, n_actions: int, parameters: np.ndarray):
        self.role, self.n_subnets, self.n_actions = role, n_subnets, n_actions
        self.parameters = parameters

    @staticmethod
    def size(role: str, n_actions: int) -> int:
        """Number of parameters."""
        return len(SUBNET_FEATURES) + 3 if role == "staker" else n_actions * (1 + len(FEEDBACK))

    def __call__(self, observation: np.ndarray, batch: Any, rngs: Any) -> np.ndarray:
        """Actions `(rows, n_actions)` float32."""
        wanted = np.broadcast_to(self.parameters, (len(observation), self.parameters.shape[-1]))
        if self.role == "builder":
            first = len(RIVAL_FEATURES) * (self.n_subnets - 1)
            seen = observation[:, [first + OWN_FEATURES.index(name) for name in FEEDBACK]]
            return linear_policy(wanted, seen, self.n_actions).astype(np.float32)
        subnets = observation[:, : -len(GLOBAL_FEATURES)].reshape(
            len(observation), self.n_subnets, -1
        )
        root, speed, slope = wanted[:, :1], wanted[:, 1:2], wanted[:, None, 2:]
        logits = linear_policy(slope, subnets)[..., 0]
        return np.clip(np.concatenate([root, logits, speed], axis=1), -1, 1).astype(np.float32)


def searched_response(
    settings: MultiAgentConfig, role: str, policies: dict[str, Policy]
) -> LinearDeviation:
    """The best constants with linear feedback that the cross-entropy method finds against the frozen others."""
    config = judged(settings.env, role)
    generations = settings.response.generations
    search = CemSettings.model_validate({"generations": generations, "population": 24})
    n_seeds, n_subnets = 8, layout_of(config).n_subnets
    n_actions = n_subnets + 2 if role == "staker" else action_size(config)

    def payoff(candidates: np.ndarray, generation: int) -> np.ndarray:
        # one world for each candidate and seed; seeds are the same for all candidates
        first = SEARCH_SEEDS + n_seeds * generation
        parameters = np.repeat(candidates, n_seeds, axis=0)
        deviation = LinearDeviation(role, n_subnets, n_actions, parameters)
        seeds = np.tile(np.arange(first, first + n_seeds), len(candidates))
        found = play(config, policies, role, seeds, deviation, settings.threads)
        return found.paid.reshape(len(candidates), n_seeds).mean(axis=1)

    start = np.zeros(LinearDeviation.size(role, n_actions))
    rng = np.random.default_rng([settings.seed, 7])
    return LinearDeviation(
        role, n_subnets, n_actions, maximise(payoff, start, search, rng).parameters
    )


class Response(NamedTuple):
    """One way to deviate: how it was found, and its gain on the seeds that starts are chosen by and on others.

    Attributes:
        gain: of a builder relative to what its role gets; of a staker the difference of log growth a year.
    """

    method: str
    choice: float
    gain: Estimate


def exploitability(
    settings: MultiAgentConfig,
    policies: dict[str, Policy],
    tell: Callable[[str], Any] = lambda line: None,
) -> dict[str, Any]:
    """Best responses of each role to the others and their gains, as JSON values.

    Of each role: `paid`, mean payoff; `responses`, each with its method, its gain on the seeds that the best is
    chosen by, and its gain with 95 % bounds over evaluation seeds; `epsilon`, the gain of the best one, with bounds, not
    below 0; `is_equilibrium`, False if its lower bound is above 0. Of builders also `research_share`,
    `identified_set` of that share at epsilon, and `nash`, what `dtao_agents.equilibrium.nash` finds for constant shares.
    """
    return {role: _of_role(settings, policies, role, tell) for role in policies}


def _of_role(
    settings: MultiAgentConfig, policies: dict[str, Policy], role: str, tell: Callable[[str], Any]
) -> dict[str, Any]:
    config, wanted = judged(settings.env, role), settings.response
    seeds = {
        "choice": range(CHOICE_SEEDS, CHOICE_SEEDS + wanted.episodes),
        "gain": range(wanted.episodes),
    }

    def paid(deviation: Policy | None) -> dict[str, Played]:
        return {
            name: play(config, policies, role, of, deviation, settings.threads)
            for name, of in seeds.items()
        }

    usual = paid(None)
    scale = 1.0 if role == "staker" else float(usual["gain"].paid.mean())
    responses = []

    def judge(method: str, deviation: Policy) -> None:
        found = paid(deviation)
        gains = {name: (found[name].paid - usual[name].paid) / scale for name in seeds}
        responses.append(Response(method, float(gains["choice"].mean()), bootstrap(gains["gain"])))
        tell(f"{role}: {method} gains {responses[-1].gain.value:+.4f}")

    for start in range(wanted.starts):
        judge(f"PPO, start {start}", ppo_response(settings, role, policies, start))
    learned = getattr(policies[role], "actor", None)
    if learned is not None:
        tuned = ppo_response(settings, role, policies, wanted.starts, learned)
        judge("PPO, from the learned", tuned)
    for name in TRIED[role]:
        judge(f"scripted: {name}", SCRIPTED[role][name])
    judge("cross-entropy", searched_response(settings, role, policies))
    best = max(responses, key=lambda response: response.choice)
    found: dict[str, Any] = {
        "paid": bootstrap(usual["gain"].paid)._asdict(),
        "unit": "log growth a year" if role == "staker" else "TAO, gains relative to it",
        "responses": [r._asdict() | {"gain": r.gain._asdict()} for r in responses],
        "best": best.method,
        "epsilon": {name: max(end, 0.0) for name, end in best.gain._asdict().items()},
        "is_equilibrium": not best.gain.low > 0.0,
    }
    if role == "builder":
        found |= _research(
            settings, float(usual["gain"].research_share.mean()), found["epsilon"], tell
        )
    return found


def _research(
    settings: MultiAgentConfig, share: float, epsilon: dict[str, float], tell: Callable[[str], Any]
) -> dict[str, Any]:
    """The learned research share, what epsilon says of it, and the equilibrium in constant shares beside it."""
    found: dict[str, Any] = {
        "research_share": share,
        "identified_set": identified_set(share, min(epsilon["value"], 1.0)),
    }
    if not settings.response.nash_seeds:
        return found | {"nash": None}
    tell("builder: solving the game of constant shares")
    config = TaskConfig.make(settings.env, horizon="geometric", terminal_value=False, n_stakers=0)
    game = BuilderGame(config, range(settings.response.nash_seeds), threads=settings.threads)
    solved = solve(game, 0.3, NashSettings())
    place = None if solved.interval is None else solved.interval._asdict()
    nash = {"verdict": solved.verdict, "share": solved.research_share, "log_odds": place}
    if solved.research_share is not None:
        nash["difference"] = float(log_odds(share) - log_odds(solved.research_share))
    return found | {"nash": nash}
