"""Signal jamming (Stein 1989): the market filters a noisy signal that effort can raise.

The hidden state x' = persistence x + u is observed as x + effort + noise. The effort that the market expects shifts
pay by a constant and is left out. Source: J. C. Stein, "Efficient Capital Markets, Inefficient Firms: A Model of Myopic
Corporate Behavior", Quarterly Journal of Economics 104(4), 1989.
"""

import numpy as np

_TAIL_DAYS = 150
"""Days after the last effort in which the estimate still responds to it."""


class Forecast:
    """The market's filtering problem: the gain on the signal with the least squared error.

    The action a is the gain (a + 1) / 2.

    Parameters
    ----------
    persistence, state_variance, noise_variance : float
        Persistence of the hidden state per day, variance of its innovations, variance of the signal's noise.
    days : int
        Length of a path.
    """

    players, actions = 1, 1

    def __init__(
        self, persistence: float, state_variance: float, noise_variance: float, days: int = 4000
    ):
        self.persistence, self.days = persistence, days
        self.sd = np.sqrt([state_variance, noise_variance])
        self.evaluation_shocks = self.draw(np.random.default_rng(0), 2048)

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Shocks to state and signal, `(n, days, 2)`."""
        return self.sd * rng.standard_normal((n, self.days, 2))

    def _error(self, gain: np.ndarray, shocks: np.ndarray) -> np.ndarray:
        """Mean squared error of the state predicted for the next day; the first fifth of the days is left out."""
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
        """Return payoffs `(..., players)`; see `OneShotGame.payoffs`."""
        return -self._error(0.5 * (actions[..., 0, 0] + 1.0), shocks)[..., None]

    def measurements(self, actions: np.ndarray) -> list[float]:
        """Variance of the prediction error on separate paths, and the gain."""
        gain = 0.5 * (actions[0, 0] + 1.0)
        error = self._error(np.array(gain), self.evaluation_shocks[: 2**20 // self.days])
        return [float(error.mean()), float(gain)]


class SignalJamming:
    """A builder who is paid by the market's estimate each day and chooses effort.

    Effort is a constant plus linear feedback, 0.05 (a + 0.3 b estimate) for actions a and b. The payoff is the
    discounted gain over a builder without effort under the same shocks.

    Parameters
    ----------
    persistence, state_variance, noise_variance : float
        Persistence of the hidden state per day, variance of its innovations, variance of the signal's noise.
    pay : float
        Per day and unit of the market's estimate.
    cost : float
        Cost of effort e per day: cost e**2 / 2.
    discount : float
        Discount factor per day.
    days : int
        Days with effort; it is paid for 150 days more.
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
        for _ in range(10_000):  # iterate the filter's variance to its steady state
            gain = variance / (variance + noise_variance)
            variance = persistence**2 * (1.0 - gain) * variance + state_variance
        self.gain = variance / (variance + noise_variance)

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Shocks to state and signal, `(n, days + 150, 2)`."""
        return self.sd * rng.standard_normal((n, self.days + _TAIL_DAYS, 2))

    def payoffs(self, actions: np.ndarray, shocks: np.ndarray) -> np.ndarray:
        """Return payoffs `(..., players)`; see `OneShotGame.payoffs`."""
        return self._played(actions, shocks)[0][..., None]

    def _played(self, actions: np.ndarray, shocks: np.ndarray) -> tuple[np.ndarray, ...]:
        """Payoff, mean effort and its mean cost."""
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

    def measurements(self, actions: np.ndarray) -> list[float]:
        """Effort and its cost per day, means over days and 256 paths."""
        shocks = self.draw(np.random.default_rng(0), 256)
        _, effort, cost = self._played(actions[None], shocks)
        return [float(effort.mean()), float(cost.mean())]
