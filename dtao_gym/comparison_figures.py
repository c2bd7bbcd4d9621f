"""Figures of several emission rules on one snapshot: what `dtao_gym.comparison.compare_rules` returns."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dtao_gym.protocol.issuance import BLOCKS_PER_DAY
from dtao_gym.world.snapshot import Snapshot

REFERENCE = "price_burn"
"""The rule that `Comparison.distance` measures from."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Shares that several rules would pay the subnets of one snapshot.

    Attributes
    ----------
    snapshot : Snapshot
        State of the chain; its subnets are the columns of `shares`.
    rules : tuple of str
        Names, the rows of `shares`.
    shares : (n_rules, n_subnets) float64
        Shares of the block's TAO.
    reference_shares : (n_subnets,) float64
        Shares under `price_burn`.
    tao_per_block : float
        Emission of a block at the snapshot's issuance, TAO.
    imputed : dict
        For each rule, the columns it reads that the snapshot fills by assumption.
    left_out : dict
        Rules that the snapshot cannot answer, each with the reason.
    """

    snapshot: Snapshot
    rules: tuple[str, ...]
    shares: np.ndarray
    reference_shares: np.ndarray
    tao_per_block: float
    imputed: dict[str, tuple[str, ...]]
    left_out: dict[str, str]

    @property
    def tao_per_day(self) -> np.ndarray:
        """TAO a day of each subnet, `(n_rules, n_subnets)`."""
        return self.shares * (self.tao_per_block * BLOCKS_PER_DAY)

    @property
    def total_tao_per_day(self) -> np.ndarray:
        """TAO a day that a rule pays in sum, `(n_rules,)`."""
        return self.tao_per_day.sum(1)

    @cached_property
    def _parts(self) -> np.ndarray:
        """Parts of the TAO paid, largest first; NaN where a rule pays nothing."""
        with np.errstate(invalid="ignore"):
            parts = self.shares / self.shares.sum(1, keepdims=True)
        return -np.sort(-parts, axis=1)

    @property
    def hhi(self) -> np.ndarray:
        """Herfindahl-Hirschman index of the TAO paid: 1/n if equal, 1 if one subnet gets all, `(n_rules,)`."""
        return (self._parts**2).sum(1)

    @property
    def top5_share(self) -> np.ndarray:
        """Part of the TAO paid that the five best-paid subnets get, `(n_rules,)`."""
        return self._parts[:, :5].sum(1)

    @property
    def nakamoto(self) -> np.ndarray:
        """Nakamoto coefficient: the smallest number of subnets with more than half; 0 if none, `(n_rules,)`."""
        more = np.cumsum(self._parts, axis=1) > 0.5 + 1e-12
        return np.where(more.any(1), more.argmax(1) + 1, 0)

    @property
    def subnets_paid(self) -> np.ndarray:
        """Number of subnets with a share above 0, `(n_rules,)`."""
        return (self.shares > 0.0).sum(1)

    @property
    def distance(self) -> np.ndarray:
        """Total variation from `price_burn`: part of the emission that goes elsewhere, `(n_rules,)`."""
        unpaid = self.shares.sum(1) - self.reference_shares.sum()
        moved = np.abs(self.shares - self.reference_shares).sum(1)
        return 0.5 * (moved + np.abs(unpaid))
