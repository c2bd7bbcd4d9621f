"""Scripted validators of the root network: their votes, and the epoch that counts them."""

import numpy as np

from dtao_gym.compiling import inlined_rule, rule
from dtao_gym.economy.technology import contributed_value
from dtao_gym.numerics import exp, power
from dtao_gym.protocol.root_vote import root_epoch
from dtao_gym.world.parameters import parameters_of
from dtao_gym.world.rest import part_beside_rest
from dtao_gym.world.scratch import ballot_scores
from dtao_gym.world.shocks import FAVOURITES, philox, uniform
from dtao_gym.world.state import subnet_rows

N_COUNTS = 4
"""Rows of the ballots before the votes: rank, trust, consensus, share."""
N_LARGEST = 5
"""Validators that may have favourites."""


@inlined_rule
def _add_vote(vote, scores, n_subnets, vote_power, vote_cut, part):
    """Add `part` of a vote in proportion to score**power, nothing below `vote_cut` of the mean score.

    Empty slots have score 0 and do not count among the `n_subnets`.
    """
    n = scores.size
    whole = 0.0
    for i in range(n):
        whole += scores[i]
    least, graded = vote_cut * whole / max(n_subnets, 1.0), 0.0
    for i in range(n):
        graded += power(scores[i], vote_power) if scores[i] >= least else 0.0
    for i in range(n):
        grade = power(scores[i], vote_power) if scores[i] >= least else 0.0
        vote[1 + i] += part * grade / graded if graded > 0.0 else 0.0


@rule
def _larger(validators, k):
    """Number of validators with more stake than validator k; among equals the first counts as larger."""
    count = 0
    for j in range(validators.size):
        more = validators[j].stake > validators[k].stake
        equal = validators[j].stake == validators[k].stake
        count += 1 if more or (equal and j < k) else 0
    return count


@rule
def _favour(row, scores, s, world, validator, n_subnets, parameters):
    """Move a part of a vote to favourites, drawn once an episode: the shared set, or the validator's own."""
    p = parameters_of(parameters)
    key, episode = world.world_key, world.episode
    word = philox(key, episode, validator, 0, 0, FAVOURITES)[0]
    drawn_by = 0 if uniform(word) < p.collusion else 1 + validator
    for i in range(s.vote_share.size):
        stream = np.uint64(s.stream_id[i])
        number = uniform(philox(key, episode, drawn_by, 1, stream, FAVOURITES)[0])
        scores.ticket[i] = number if s.registered_block[i] >= 0.0 else 2.0
    wanted = max(np.floor(p.favourites * n_subnets + 0.5), 1.0)
    given = 0.0
    for i in range(s.vote_share.size):
        given += row[1 + i]
        row[1 + i] *= 1.0 - p.favourite_share
    for i in range(s.vote_share.size):
        before = 0.0
        for j in range(s.vote_share.size):
            before += 1.0 if scores.ticket[j] < scores.ticket[i] else 0.0
        if before < wanted and scores.ticket[i] < 2.0:
            row[1 + i] += p.favourite_share * given / min(wanted, n_subnets)


@rule
def _excess_of_news(s, world):
    """Sum of the values that readers see over the sum that they would see without news of single subnets."""
    read, calm = 0.0, 0.0
    for i in range(s.belief.size):
        taken = 1.0 if s.registered_block[i] >= 0.0 else 0.0
        read += taken * s.belief[i] * exp(s.news[i])
        calm += taken * s.belief[i] * exp(world.common_news)
    return read / calm if calm > 0.0 else 1.0


@rule
def vote(fields, scratch, ballot, world, validators, parameters):
    """One root epoch: every validator grades the subnets, and the shares of the vote are stored.

    The informed part of a vote scores the value that a subnet contributes, spillovers included; the rest scores the
    belief of the public signal, with the day's news and error of opinion, as uninformed stakers do. The five largest
    validators may give a part of their vote to favourites instead. `ballot`: `(4 + validators, 1 + subnets)`, working
    space.
    """
    p = parameters_of(parameters)
    s, scores = subnet_rows(fields), ballot_scores(scratch)
    n = s.vote_share.size
    shared = ballot[0]
    shared[:] = 0.0
    count = 0.0
    for i in range(n):
        taken = s.registered_block[i] >= 0.0
        count += 1.0 if taken else 0.0
        spillover = p.voter_spillover_weight * p.spillover
        scores.contributed[i] = contributed_value(s.short_stock[i], s.knowledge[i], spillover)
        read = s.belief[i] * exp(s.opinion[i] + s.news[i] - p.opinion_bias)
        scores.believed[i] = read if taken else 0.0
    informed, part = p.informed_share_voters, 1.0
    if p.frozen_share:
        part = part_beside_rest(_excess_of_news(s, world), world.rest_share)
    world.vote_part = informed + (1.0 - informed) * part
    informed /= world.vote_part
    _add_vote(shared, scores.contributed, count, p.vote_power, p.vote_cut, informed)
    _add_vote(shared, scores.believed, count, p.vote_power, p.vote_cut, 1.0 - informed)
    for k in range(validators.size):
        row = ballot[N_COUNTS + k]
        row[0] = validators[k].root_share
        for i in range(n):
            row[1 + i] = shared[1 + i] * (1.0 - validators[k].root_share)
        if p.favourite_share > 0.0 and _larger(validators, k) < N_LARGEST:
            _favour(row, scores, s, world, k, count, parameters)
    root_epoch(
        validators.stake,
        ballot[N_COUNTS:],
        p.consensus_slope,
        p.consensus_midpoint,
        ballot[0],
        ballot[1],
        ballot[2],
        ballot[3],
    )
    for i in range(n):
        s.vote_share[i] = ballot[3, 1 + i]
