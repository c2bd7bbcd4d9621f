"""True value of a subnet: what its users get from it, in TAO a day.

A mean-reverting random walk in logs around the value that the genesis price stands for.
"""

from dtao_gym.numerics import exp, inlined_rule, log


@inlined_rule
def next_value(value, anchor, persistence, innovation_sd, normal):
    """Value of the next day: ln(value / anchor) decays by `persistence` and is hit by a normal shock."""
    return anchor * exp(persistence * log(value / anchor) + innovation_sd * normal)


@inlined_rule
def public_signal(value, noise_sd, normal):
    """What everybody is shown of a subnet's value, readable after a lag: the value with noise of mean zero in logs."""
    return value * exp(noise_sd * normal)


@inlined_rule
def next_opinion(opinion, persistence, innovation_sd, normal):
    """Opinion error of uninformed readers about a subnet, in logs: a stationary Ornstein-Uhlenbeck step."""
    return persistence * opinion + innovation_sd * normal
