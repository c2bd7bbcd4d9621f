"""Frozen subnets: one emission for all institutions, and the effect of the simulated subnets' own news."""

import numpy as np
import pytest

from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config

ONE_POT = {
    "n_subnets": 8,
    "frozen_subnets": "share",
    "n_stakers": 0,
    "arrivals_per_slot_year": 0.0,
    "spans_per_day": 1,
}


@pytest.mark.parametrize(
    "rule", ["uniform", "price", "price_burn", "price_rootprop", "price_burn_gate"]
)
def test_institutions_divide_one_pot_for_ever_where_there_is_no_news(rule):
    config = ONE_POT | {"news_sd": 0.0}
    laws = [Config.make(**config, allocation=name) for name in ("root_vote", rule)]
    batch = Batch([Config.make(law, root_validators=9) for law in laws], seeds=[3, 3])
    for days in (1, 200):
        batch.step(days=days)
        vote, other = batch.state.row("emission_share").sum(axis=1)
        assert other == pytest.approx(vote, rel=1e-9)
        assert other == pytest.approx(1.0 - batch.state.worlds["rest_share"][1], rel=1e-9)


def test_with_news_pots_differ_by_what_it_does_to_few_subnets():
    """The same at genesis; the same on average after two years; each follows the news of its own eight subnets."""
    laws = [Config.make(ONE_POT, allocation=name) for name in ("root_vote", "price")]
    totals = []
    for law in laws:
        batch = Batch(Config.make(law, root_validators=9, selection="sample"), 64)
        batch.step()
        first = batch.state.row("emission_share").sum(axis=1)
        assert first == pytest.approx(1.0 - batch.state.worlds["rest_share"], rel=1e-9)
        batch.step(days=730)
        totals.append(batch.state.row("emission_share").sum(axis=1) / first)
    vote, price = totals
    assert vote.mean() == pytest.approx(1.0, abs=0.15)
    assert price.mean() == pytest.approx(vote.mean(), rel=0.1)
    assert np.corrcoef(vote, price)[0, 1] > 0.8


def test_without_it_pots_differ():
    config = {"n_subnets": 8, "n_stakers": 0, "arrivals_per_slot_year": 0.0}
    laws = [
        Config.make(**config, allocation=name, root_validators=9) for name in ("root_vote", "price")
    ]
    batch = Batch(laws, seeds=[3, 3])
    batch.step(days=400)
    vote, price = batch.state.row("emission_share").sum(axis=1)
    assert abs(price / vote - 1.0) > 0.1
