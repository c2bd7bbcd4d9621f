"""Votes of scripted validators, and what the engine makes of them."""

import numpy as np
import pytest

from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config, ConfigError
from dtao_gym.world.config_people import PREDICTABLE

VOTING = PREDICTABLE | {"allocation": "root_vote", "n_subnets": 128, "arrivals_per_slot_year": 0.0}


def voted(**config) -> tuple[Batch, np.ndarray, np.ndarray]:
    """A batch after a day, what subnets contributed and the signal that its voters read."""
    batch = Batch(Config.make(VOTING, **config))
    batch.step(days=30)
    spillover = batch.configs[0].voter_spillover_weight * batch.configs[0].spillover
    value = batch.state.row("short_stock")[0] + (1 + spillover) * batch.state.row("knowledge")[0]
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


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_informed_voters_credit_as_much_of_the_spillover_as_they_are_told_to(weight):
    batch, value, _ = voted(informed_share_voters=1.0, voter_spillover_weight=weight, spillover=2.0)
    assert batch.state.row("vote_share")[0] == pytest.approx(value / value.sum(), rel=1e-12)


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


EQUALS = {
    "genesis": "symmetric", "type_sd": 0.0, "n_subnets": 8, "allocation": "root_vote",
    "informed_share_voters": 1.0, "validator_top5": (0.2, 0.15, 0.1, 0.1, 0.05),
    "favourite_share": 0.5, "favourites": 0.25, "arrivals_per_slot_year": 0.0,
}  # fmt: skip
"""Eight equal subnets, and five validators with 60 % of the stake that give half of their votes to favourites."""


def test_favourites_of_the_largest_get_what_these_give():
    batch = Batch(Config.make(EQUALS, collusion=1.0), 20)
    batch.step()
    shares = np.sort(batch.state.row("vote_share"), axis=1)
    # all are graded, so that consensus is the same for all of them
    expected = [0.0875] * 6 + [0.2375] * 2
    for world in shares:
        assert world == pytest.approx(expected, rel=1e-9)
    emission = np.sort(batch.state.row("emission_share"), axis=1)
    assert emission == pytest.approx(shares, rel=1e-9)
    assert batch.state.worlds["emission_hhi"] == pytest.approx(0.15875, rel=1e-9)
    # drawn once an episode, and not the same everywhere
    favourites = batch.state.row("vote_share") > 0.2
    batch.step(days=10)
    assert ((batch.state.row("vote_share") > 0.2) == favourites).all()
    assert len({world.tobytes() for world in favourites}) > 10
    assert favourites.mean(axis=0).max() < 0.7


def test_without_collusion_each_has_favourites_of_its_own():
    batch = Batch(Config.make(EQUALS, collusion=0.0), 50)
    batch.step()
    shares = batch.state.row("vote_share")
    assert shares.sum(axis=1) == pytest.approx(1.0)
    stakes = (0.2, 0.15, 0.1, 0.1, 0.05)
    given = (
        (shares - (1.0 - 0.3) / 8.0) * 2.0 / 0.5
    )  # sum of the stakes of the validators that favour it
    possible = {round(sum(s for k, s in enumerate(stakes) if n >> k & 1), 6) for n in range(32)}
    assert {round(float(g), 6) + 0.0 for g in given.ravel()} <= possible
    assert len({round(float(g), 6) for g in given.ravel()}) > 6


def test_without_a_share_for_them_there_are_no_favourites():
    batch = Batch(Config.make(EQUALS, favourite_share=0.0), 2)
    batch.step()
    assert batch.state.row("vote_share") == pytest.approx(1.0 / 8.0, rel=1e-12)


def test_a_bad_list_of_validators_is_refused():
    with pytest.raises(ConfigError, match=r"root_validators: got 65, allowed.*64"):
        Config.make(root_validators=65)
    with pytest.raises(ConfigError, match=r"validator_top5: got .*sum below 1"):
        Config.make(validator_top5=(0.5, 0.3, 0.2, 0.1, 0.1))


def test_before_pools_everybody_is_paid_in_tao():
    batch = Batch(
        Config.make(era="pre_dtao", n_stakers=1, root_column_share=0.1, revenue_share=0.0)
    )
    before = batch.state.copy()
    batch.step(np.full((1, 1, 128), 5.0))
    world, earlier = batch.state.worlds[0], before.worlds[0]
    paid = 0.9 * world["minted"]
    staker = batch.state.stakers["root"][0, 0] - 1000.0
    validators = 0.5 * (1 - 11796 / 65535) * paid
    assert staker > 0.0
    assert world["root_validators"] - earlier["root_validators"] == pytest.approx(
        validators * 11796 / 65535, rel=1e-3
    )
    assert staker / 1000.0 == pytest.approx(world["root_yield"], rel=1e-3)
    assert not batch.state.section("staker_alpha").any()
    assert not batch.state.row("alpha_minted").any()
