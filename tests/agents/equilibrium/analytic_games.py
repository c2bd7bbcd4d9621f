"""Games of builders whose equilibria are known."""

import numpy as np
from dtao_agents.equilibrium.game import Payoffs, share_of
from dtao_agents.equilibrium.slot_design import SlotPayoffs


class Kernel:
    """w_S (1-r')^eta + w_L r'^eta, weights of mean one times (1, ratio) by seed, ratio set by the population."""

    def __init__(self, ratio, seeds=64, noise=0.3, jumps=0.0, eta=0.5, seed=0, world=0.8):
        rng = np.random.default_rng(seed)
        self.ratio = ratio if callable(ratio) else lambda r: ratio
        self.eta = eta
        self.weights = np.exp(noise * rng.normal(size=(2, seeds, 1)) - 0.5 * noise**2)
        self.scale = np.exp(world * rng.normal(size=(seeds, 1)))
        self.cliffs = share_of(rng.uniform(-6.0, 6.0, (seeds, 1)))
        self.jumps = jumps * rng.normal(size=(seeds, 1))
        self.capitalisation = None
        self.runs = 0
        self.asked = []

    def payoffs(self, research_share, candidates):
        self.runs += len(candidates)
        self.asked.append((research_share, candidates))
        short, research = self.weights
        value = short * (1.0 - candidates) ** self.eta
        value = value + self.ratio(research_share) * research * candidates**self.eta
        jump = self.jumps * (candidates > self.cliffs)
        return Payoffs(self.scale * (value + jump), 0.0)


class Flat:
    """Pays the same whatever the research share is, up to noise of its own in each column."""

    capitalisation = None

    def __init__(self, noise):
        self.noise = noise

    def payoffs(self, research_share, candidates):
        rng = np.random.default_rng(len(candidates))
        pay = np.exp(rng.normal(size=(64, 1)))
        return Payoffs(pay * (1.0 + self.noise * rng.normal(size=(64, len(candidates)))), 0.0)


class Noise:
    """Pays the same but for new noise at every call."""

    capitalisation = None

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def payoffs(self, research_share, candidates):
        return Payoffs(1.0 + 0.2 * self.rng.normal(size=(64, len(candidates))), 0.0)


class Capitalised(Kernel):
    """Readers of two kinds: the weight of research falls with c_bar, which rises with the population's share."""

    def __init__(self, start=500.0, **kwargs):
        super().__init__(lambda r: 1.5 * np.sqrt(500.0 / self.capitalisation), **kwargs)
        self.capitalisation = start

    @staticmethod
    def estimate(research_share):
        return 400.0 + 300.0 * research_share

    def payoffs(self, research_share, candidates):
        return (
            super()
            .payoffs(research_share, candidates)
            ._replace(capitalisation=self.estimate(research_share))
        )


def share(ratio, eta=0.5):
    """Best research share of the kernel with w_L/w_S = ratio."""
    return 1.0 / (1.0 + ratio ** (-1.0 / (1.0 - eta)))


def ratio(r):
    return np.sqrt(r / (1.0 - r))


def votes(informed, hype=0.5, spillover=0.5):
    """w_L/w_S of builders that voters pay, all others at r, at the steady state of the default technology."""
    short_decay, knowledge_decay = 1.0 - 2.0 ** (-1 / 30), 1.0 - 2.0 ** (-1 / 720)
    discount, stage = 0.8 ** (1 / 365), 1 / 60
    short_sum = 1.0 / (1.0 - discount * (1.0 - short_decay))
    knowledge_sum = 1.0 / (1.0 - discount * (1.0 - knowledge_decay))
    delay = (stage * discount / (1.0 - discount * (1.0 - stage))) ** 3

    def weights(r):
        s = 0.1 * np.sqrt(1.0 - r) / short_decay
        knowledge = 0.007476904609 * np.sqrt(r) / knowledge_decay
        score, signal = s + (1.0 + spillover) * knowledge, (1.0 + hype) * s + knowledge
        short = informed / score + (1.0 - informed) * (1.0 + hype) / signal
        research = informed * (1.0 + spillover) / score + (1.0 - informed) / signal
        return 0.007476904609 * delay * knowledge_sum * research / (0.1 * short_sum * short)

    return weights


def fixed_point(answer):
    """Root of answer(r) = r by bisection."""
    low, high = 1e-6, 1.0 - 1e-6
    for _ in range(80):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if answer(middle) > middle else (low, middle)
    return low


class KernelSlots:
    """Builders of slots who share a pot: what one does lowers the pay of the others.

    Builder i earns scale x (short (1-r_i)^.5 + ratio x research r_i^.5) x exp(-rivalry x sum of the others' angles), with
    weights that differ by world and slot; `jumps` adds noise that a deviation changes in an unpredictable way.
    """

    bounds = np.array([[0.1], [3.04]])

    def __init__(
        self, ratios, slots=8, rivalry=0.02, noise=0.3, jumps=0.0, spread=0.8, estimated=False
    ):
        self.ratios, self.slots = np.atleast_1d(ratios), slots
        self.rivalry, self.noise, self.jumps = rivalry, noise, jumps
        self.spread, self.estimated = spread, estimated
        self.classes = (
            ("",) if self.ratios.size == 1 else tuple(f"class {k}" for k in range(len(ratios)))
        )
        self.decisions = ("research share",)

    def class_of(self, seeds):
        return np.tile(np.arange(self.slots) % len(self.classes), (len(seeds), 1))

    def _draws(self, seed):
        rng = np.random.default_rng(int(seed))
        shocks = np.exp(self.noise * rng.normal(size=(2, self.slots)) - 0.5 * self.noise**2)
        return shocks, np.exp(self.spread * rng.normal()), rng.normal(size=self.slots)

    def play(self, population, deviations, seeds, quantiles, capitalisation):
        classes = self.class_of(seeds)
        angles = population[classes][..., 0] + deviations[..., 0]
        ratio = self.ratios[classes]
        if self.estimated:
            ratio = ratio * np.sqrt(500.0 / capitalisation)
        draws = [self._draws(seed) for seed in seeds]
        short, research = np.moveaxis(np.array([d[0] for d in draws]), 1, 0)
        scale = np.array([d[1] for d in draws])[:, None]
        value = short * np.cos(angles / 2) + ratio * research * np.sin(angles / 2)
        others = angles.sum(axis=1, keepdims=True) - angles
        value = value * np.exp(-self.rivalry * others)
        up = deviations[..., 0] > 0.0
        value = value + self.jumps * up * np.array([d[2] for d in draws])
        plain = np.ones(len(seeds))
        informed = plain * (400.0 + 300.0 * np.sin(population.mean() / 2) ** 2)
        return SlotPayoffs(scale * value, informed, plain)


class FlatSlots(KernelSlots):
    """Pays by luck, whatever builders do."""

    def play(self, population, deviations, seeds, quantiles, capitalisation):
        draws = np.array([self._draws(seed)[0][0] for seed in seeds])
        rng = np.random.default_rng(int(seeds[0]))
        return SlotPayoffs(
            draws * np.exp(0.1 * rng.normal(size=draws.shape)), *np.ones((2, len(seeds)))
        )
