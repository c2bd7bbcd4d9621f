"""Signal jamming (Stein 1989, "Efficient Capital Markets, Inefficient Firms"): a noisy signal that effort can lift.

The hidden state x' = persistence x + u is seen as x + effort + noise, and the market filters. What effort the market
expects shifts pay by a constant, and is left out.
"""

import numpy as np

_TAIL_DAYS = 150
"""Days after the last effort in which it still pays."""


class Forecast:
    """The market's own problem: the gain by which its estimate follows the signal, at least squared error.

    The action a is the gain (a + 1) / 2.
    """

    players, actions = 1, 1

    def __init__(
        self, persistence: float, state_variance: float, noise_variance: float, days: int = 4000
    ):
        self.persistence, self.days = persistence, days
        self.sd = np.sqrt([state_variance, noise_variance])
        self.seen = self.draw(np.random.default_rng(0), 2048)

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """What hits state and signal, `(n, days, 2)`."""
        return self.sd * rng.standard_normal((n, self.days, 2))

    def _error(self, gain: np.ndarray, shocks: np.ndarray) -> np.ndarray:
        """Mean squared error of the state that is predicted for the next day, without the first fifth."""
        state = estimate = total = np.zeros(np.broadcast_shapes(gain.shape, shocks.shape[:-2]))
        skipped = self.days // 5
        for day in range(self.days):
            state = self.persistence * state + shocks[..., day, 0]
            estimate = self.persistence * estimate
            if day >= skipped:
                total = total + (state - estimate) ** 2
            estimate = estimate + gain * (state + shocks[..., day, 1] - estimate)
        return total / (self.days - skipped)

    def payoffs(self, actions: np.ndarray, shocks: np.ndarray) -> np.ndarray:
        return -self._error(0.5 * (actions[..., 0, 0] + 1.0), shocks)[..., None]

    def measured(self, actions: np.ndarray) -> list[float]:
        """Variance of the prediction error on paths of its own, and the gain."""
        gain = 0.5 * (actions[0, 0] + 1.0)
        error = self._error(np.array(gain), self.seen[: 2**20 // self.days])
        return [float(error.mean()), float(gain)]


class SignalJamming:
    """A builder who is paid by the market's estimate each day, and chooses effort: a constant plus linear feedback.

    Effort is 0.05 (a + 0.3 b estimate) for actions a and b, its cost quadratic. The payoff is the discounted lead over a
    builder without effort under the same shocks.
    """

    players, actions = 1, 2

    def __init__(
        self,
        persistence: float,
        state_variance: float,
        noise_variance: float,
        pay: float,
        cost: float,
        discount: float,
        days: int = 250,
    ):
        self.persistence, self.pay, self.cost = persistence, pay, cost
        self.discount, self.days = discount, days
        self.sd = np.sqrt([state_variance, noise_variance])
        variance = 0.0
        for _ in range(10_000):  # the market's filter, run until it stands still
            gain = variance / (variance + noise_variance)
            variance = persistence**2 * (1.0 - gain) * variance + state_variance
        self.gain = variance / (variance + noise_variance)

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """What hits state and signal, `(n, days, 2)`."""
        return self.sd * rng.standard_normal((n, self.days + _TAIL_DAYS, 2))

    def payoffs(self, actions: np.ndarray, shocks: np.ndarray) -> np.ndarray:
        return self._played(actions, shocks)[0][..., None]

    def _played(self, actions: np.ndarray, shocks: np.ndarray) -> tuple[np.ndarray, ...]:
        """Payoff, mean effort and mean cost of it."""
        constant, feedback = actions[..., 0, 0], actions[..., 0, 1]
        shape = np.broadcast_shapes(constant.shape, shocks.shape[:-2])
        state = plain = lead = payoff = efforts = costs = np.zeros(shape)
        kept, factor = self.persistence * (1.0 - self.gain), 1.0
        for day in range(self.days + _TAIL_DAYS):
            effort = np.zeros(shape)
            if day < self.days:
                effort = 0.05 * (constant + 0.3 * feedback * (plain + lead))
                efforts, costs = efforts + effort, costs + 0.5 * self.cost * effort**2
                payoff = payoff - factor * 0.5 * self.cost * effort**2
            state = self.persistence * state + shocks[..., day, 0]
            plain = kept * plain + self.gain * (state + shocks[..., day, 1])
            lead = kept * lead + self.gain * effort
            payoff = payoff + factor * self.pay * lead
            factor *= self.discount
        return payoff, efforts / self.days, costs / self.days

    def measured(self, actions: np.ndarray) -> list[float]:
        """Effort and what it costs a day, means over days and 256 paths."""
        shocks = self.draw(np.random.default_rng(0), 256)
        _, effort, cost = self._played(actions[None], shocks)
        return [float(effort.mean()), float(cost.mean())]
