"""Games of builders played by the engine: one strategy for each slot of genesis.

`ShareSlots` has constant shares: of research, and of influence where it is on. `FeedbackSlots` has a research share that
reacts to the margin to pruning and to age.
"""

from typing import Literal

import numpy as np

from dtao_agents.equilibrium.first_order import ANGLES
from dtao_agents.equilibrium.game import share_of_angle
from dtao_agents.equilibrium.slot_design import SlotPayoffs
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config
from dtao_gym.world.genesis import end_of_life, layout_of

Classes = Literal["all", "price", "ability"]
TERCILES = ("lowest third", "middle third", "highest third")
"""Names of the classes by rank."""
INFLUENCE_ANGLES = (0.05, 2.0)
"""Range of the angle of influence: shares of the budget of .0006 to .71.

At 0 the marginal payoff in the angle is 0 whatever influence is worth; the engine allows .9.
"""


class ShareSlots:
    """Builders with constant shares of research, and of influence where the configuration has it.

    Parameters
    ----------
    config : Config
        The institution and all else; a geometric horizon. Its research and influence share are replaced.
    estimated : bool
        Whether the uninformed need c_bar.
    classes : {"all", "price", "ability"}
        One class, or thirds of the builders of each world by the rank of their price or ability at genesis.
    threads : int
        Threads that share the worlds.

    Raises
    ------
    ValueError
        A horizon that is not geometric.
    """

    def __init__(self, config: Config, estimated: bool, classes: Classes = "all", threads: int = 2):
        if config.horizon != "geometric":
            raise ValueError(f"horizon: got {config.horizon!r}, allowed is 'geometric'")
        self.config = Config.make(config, n_stakers=0)
        self.estimated = estimated
        self.by = classes
        self.threads = threads
        self.slots = layout_of(self.config).n_subnets
        self.classes = ("",) if classes == "all" else TERCILES
        self.decisions = (
            ("research share", "influence share") if config.influence else ("research share",)
        )
        self.bounds = np.array([ANGLES, INFLUENCE_ANGLES])[: len(self.decisions)].T

    def class_of(self, seeds: np.ndarray) -> np.ndarray:
        """Return the class of every slot `(seeds, slots)`."""
        if self.by == "all":
            return np.zeros((len(seeds), self.slots), int)
        different, place = np.unique(seeds, return_inverse=True)
        batch = Batch(self.config, len(different), seeds=[int(s) for s in different])
        row = batch.state.row("spot_price" if self.by == "price" else "ability")
        rank = row.argsort(axis=1).argsort(axis=1)
        return (3 * rank // self.slots)[place]

    def play(
        self,
        population: np.ndarray,
        deviations: np.ndarray,
        seeds: np.ndarray,
        quantiles: np.ndarray,
        capitalisation: float | None,
    ) -> SlotPayoffs:
        """Play worlds to their ends; see `SlotGame.play`. Newcomers play the mean over classes."""
        batch = self.run(population, seeds, quantiles, capitalisation, deviations)
        return payoffs_of(batch)

    def run(
        self,
        population: np.ndarray,
        seeds: np.ndarray,
        quantiles: np.ndarray,
        capitalisation: float | None,
        deviations: np.ndarray | float = 0.0,
    ) -> Batch:
        """Return worlds at their ends; arguments as in `play`."""
        batch = self._start(population, seeds, quantiles, capitalisation)
        angles = population[self.class_of(seeds)] + deviations
        batch.state.row("research_share")[:] = share_of_angle(angles[..., 0])
        if len(self.decisions) > 1:
            half = 0.5 * np.clip(angles[..., 1], 0.0, INFLUENCE_ANGLES[1])
            batch.state.row("influence_share")[:] = np.sin(half) ** 2
        nothing = np.zeros((batch.n_worlds, 1, self.slots))
        batch.advance(nothing, int(batch.state.worlds["last_day"].max()))
        return batch

    def _start(
        self,
        population: np.ndarray,
        seeds: np.ndarray,
        quantiles: np.ndarray,
        capitalisation: float | None,
    ) -> Batch:
        changes = {"research_share": float(share_of_angle(population[:, 0].mean()))}
        if len(self.decisions) > 1:
            changes["influence_share"] = float(np.sin(0.5 * population[:, 1].mean()) ** 2)
        if capitalisation is not None:
            changes["pooled_capitalisation"] = capitalisation
        return started(self.config, changes, seeds, quantiles, self.threads)


def started(
    config: Config,
    changes: dict[str, float],
    seeds: np.ndarray,
    quantiles: np.ndarray,
    threads: int,
) -> Batch:
    """Return worlds at genesis whose last days are set by the quantiles of their lengths of life."""
    config = Config.make(config, **changes)
    batch = Batch(config, len(seeds), seeds=[int(seed) for seed in seeds], threads=threads)
    batch.state.worlds["last_day"] = [end_of_life(config, q) for q in quantiles]
    return batch


def payoffs_of(batch: Batch) -> SlotPayoffs:
    """Return the payoffs of finished worlds."""
    worlds = batch.state.worlds
    return SlotPayoffs(
        batch.state.row("first_owner_payoff").copy(),
        worlds["informed_value_sum"].copy(),
        worlds["plain_value_sum"].copy(),
    )
