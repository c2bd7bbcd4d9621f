"""Builders whose research share reacts to the margin to pruning and to the age of their subnet."""

import numpy as np

from dtao_agents.equilibrium.first_order import ANGLES
from dtao_agents.equilibrium.game import share_of_angle
from dtao_agents.equilibrium.slot_design import SlotPayoffs
from dtao_agents.equilibrium.slot_game import payoffs_of, started
from dtao_gym.protocol.issuance import BLOCKS_PER_DAY
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config
from dtao_gym.world.genesis import layout_of

REVIEW_DAYS = 30
"""Days between two reviews of a builder's research share."""
WIDEST_MARGIN = 2.0
"""Margin beyond which a builder does not care, ln of a price ratio."""
OLDEST_DAYS = 720.0
"""Age beyond which a builder counts as old."""


def features(batch: Batch) -> np.ndarray:
    """Return what builders react to, `(worlds, slots, 3)`: 1, margin and age.

    The margin is ln of the own moving price over the lowest of the world, cut at `WIDEST_MARGIN`, less one; the age is in
    units of `OLDEST_DAYS`, cut at 1, less one half. Both have a mean near 0, so that the first coefficient is that of a
    typical builder.
    """
    state = batch.state
    price = np.maximum(state.row("moving_price"), 1e-12)
    live = state.row("registered_block") >= 0.0
    lowest = np.where(live, price, np.inf).min(axis=1, keepdims=True)
    margin = np.clip(np.log(price / lowest), 0.0, WIDEST_MARGIN) - 1.0
    days = (state.worlds["block"][:, None] - state.row("registered_block")) / BLOCKS_PER_DAY
    age = np.clip(days / OLDEST_DAYS, 0.0, 1.0) - 0.5
    return np.stack([np.ones_like(margin), margin, age], axis=-1)


class FeedbackSlots:
    """Builders whose angle of the research share is linear in `features`, reviewed every `REVIEW_DAYS` days.

    Newcomers play the population's policy from their next review on.

    Parameters
    ----------
    config : Config
        The institution and all else; a geometric horizon.
    estimated : bool
        Whether the uninformed need c_bar.
    threads : int
        Threads that share the worlds.

    Raises
    ------
    ValueError
        A horizon that is not geometric.
    """

    decisions = ("research angle", "margin", "age")
    classes = ("",)
    bounds = np.array([ANGLES, (-1.0, 1.0), (-2.0, 2.0)]).T

    def __init__(self, config: Config, estimated: bool, threads: int = 2):
        if config.horizon != "geometric":
            raise ValueError(f"horizon: got {config.horizon!r}, allowed is 'geometric'")
        self.config = Config.make(config, n_stakers=0)
        self.estimated, self.threads = estimated, threads
        self.slots = layout_of(self.config).n_subnets

    def class_of(self, seeds: np.ndarray) -> np.ndarray:
        """Return zeros `(seeds, slots)`: there is one class."""
        return np.zeros((len(seeds), self.slots), int)

    def play(
        self,
        population: np.ndarray,
        deviations: np.ndarray,
        seeds: np.ndarray,
        quantiles: np.ndarray,
        capitalisation: float | None,
    ) -> SlotPayoffs:
        """Play worlds to their ends; see `SlotGame.play`."""
        changes = {"research_share": float(share_of_angle(population[0, 0]))}
        if capitalisation is not None:
            changes["pooled_capitalisation"] = capitalisation
        batch = started(self.config, changes, seeds, quantiles, self.threads)
        nothing = np.zeros((batch.n_worlds, 1, self.slots))
        last = int(batch.state.worlds["last_day"].max())
        for day in range(0, last, REVIEW_DAYS):
            first = batch.state.row("owner_number")[..., None] == 0.0
            policy = population[0] + np.where(first, deviations, 0.0)
            angles = (policy * features(batch)).sum(axis=-1)
            batch.state.row("research_share")[:] = share_of_angle(angles)
            batch.advance(nothing, min(REVIEW_DAYS, last - day))
        return payoffs_of(batch)
