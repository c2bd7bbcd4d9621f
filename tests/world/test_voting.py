"""Votes of scripted validators, and what the engine makes of them."""

import numpy as np
import pytest

from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config, ConfigError

VOTING = {"allocation": "root_vote", "n_subnets": 128, "arrivals_per_slot_year": 0.0}


def voted(**config) -> tuple[Batch, np.ndarray, np.ndarray]:
    """A batch after a day, the true values and the signal that its voters read."""
    batch = Batch(Config.make(VOTING, **config))
    batch.step(days=30)
    value = batch.state.row("true_value")[0].copy()
    opinion = batch.state.row("opinion")[0].copy()
    lag = batch.layout.signal_days
    day = batch.state.worlds["day"][0]
    signal = batch.state.section("signal_history")[0, day % lag].copy()
    batch.step()
    return batch, value, signal * np.exp(opinion)


def test_voters_grade_what_they_read():
    batch, value, seen = voted(informed_share_voters=0.4)
    expected = 0.4 * value / value.sum() + 0.6 * seen / seen.sum()
    assert batch.state.row("vote_share")[0] == pytest.approx(expected, rel=1e-12)
    assert batch.state.row("emission_share")[0] == pytest.approx(expected, rel=1e-12)


def test_power_and_cut_sharpen_a_vote():
    batch, value, _ = voted(informed_share_voters=1.0, vote_power=2.0, vote_cut=0.5)
    grade = np.where(value >= 0.5 * value.mean(), value**2, 0.0)
    shares = batch.state.row("vote_share")[0]
    assert shares == pytest.approx(grade / grade.sum(), rel=1e-9, abs=1e-4)
    # without any stake behind them the others keep a consensus of nearly nothing, not of nothing
    assert (shares[grade == 0.0] < 1e-3 * shares.max()).all()


def test_votes_for_root_are_not_paid_to_anybody():
    plain = voted()[0]
    batch = voted(root_column_share=0.137)[0]
    assert plain.state.row("emission_share").sum() == pytest.approx(1.0, rel=1e-12)
    assert batch.state.row("emission_share").sum() == pytest.approx(1.0 - 0.137, rel=1e-9)
    world = batch.state.worlds[0]
    assert world["recycled"] == pytest.approx(0.137 * world["minted"], rel=1e-9)


def test_stakes_of_validators_are_those_of_the_configuration():
    batch = Batch(Config.make(VOTING, root_validators=20))
    stakes = batch.state.validators["stake"][0]
    assert stakes.shape == (20,)
    assert stakes[:5].tolist() == [0.25, 0.135, 0.11, 0.09, 0.065]
    assert stakes.sum() == pytest.approx(1.0, rel=1e-12)
    assert Batch(Config.make(VOTING)).layout.n_validators == 64
    assert Batch(Config.make(n_subnets=2)).layout.n_validators == 0


def test_a_bad_list_of_validators_is_refused():
    with pytest.raises(ConfigError, match=r"root_validators: got 65, allowed.*64"):
        Config.make(root_validators=65)
    with pytest.raises(ConfigError, match=r"validator_top5: got .*sum below 1"):
        Config.make(validator_top5=(0.5, 0.3, 0.2, 0.1, 0.1))


def test_before_pools_everybody_is_paid_in_tao():
    batch = Batch(
        Config.make(era="pre_dtao", n_learners=1, root_column_share=0.1, revenue_share=0.0)
    )
    before = batch.state.copy()
    batch.step(np.full((1, 1, 128), 5.0))
    world, earlier = batch.state.worlds[0], before.worlds[0]
    paid = 0.9 * world["minted"]
    learner = batch.state.learners["root"][0, 0] - 1000.0
    validators = 0.5 * (1 - 11796 / 65535) * paid
    assert learner > 0.0
    assert world["root_validators"] - earlier["root_validators"] == pytest.approx(
        validators * 11796 / 65535, rel=1e-3
    )
    assert learner / 1000.0 == pytest.approx(world["root_yield"], rel=1e-3)
    assert not batch.state.section("learner_alpha").any()
    assert not batch.state.row("alpha_minted").any()
