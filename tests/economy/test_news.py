"""News: steps of mean one, jumps as described, and what each switch turns off."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtao_gym.economy import news
from dtao_gym.economy.valuation import fair_prior, market_target, next_belief
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config

LIVELY = {
    "news_sd": 0.05,
    "news_spread": 0.0,
    "news_half_life_days": 1e9,
    "jump_chance": 0.05,
    "jump_up": 0.3,
    "jump_down": 0.4,
}
random = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("share", "up", "down"), [(0.6, 0.2, 0.1), (0.84, 0.068, 0.356), (1.0, 0.5, 0.0)]
)
def test_mean_of_jumps_is_that_of_exponentials(share, up, down):
    size = random.exponential(size=400_000)
    drawn = np.where(random.random(size.size) < share, up * size, -down * size)
    assert news.mean_of_jumps(share, up, down) == pytest.approx(np.expm1(drawn).mean(), abs=0.01)


def test_jumps_come_with_their_chance_and_their_mean_sizes():
    which, size = random.random((2, 100_000))
    drawn = np.array(
        [news.jump(a, b, 0.3, 0.25, 0.2, 0.1) for a, b in zip(which, size, strict=True)]
    )
    assert (drawn > 0.0).mean() == pytest.approx(0.075, abs=0.004)
    assert (drawn < 0.0).mean() == pytest.approx(0.225, abs=0.006)
    assert drawn[drawn > 0.0].mean() == pytest.approx(0.2, rel=0.05)
    assert drawn[drawn < 0.0].mean() == pytest.approx(-0.1, rel=0.05)


@given(st.floats(0.0, 0.999))
def test_largest_jumps_are_finite(size):
    assert np.isfinite(news.jump(0.0, size, 0.3, 0.5, 0.8, 2.0))
    assert np.isfinite(news.jump(0.29, 1.0 - 2.0**-53, 0.3, 0.5, 0.8, 2.0))


def test_large_pools_have_less_news():
    small, middle, large = (
        news.scale_of_news(1.0, tao, 0.25) for tao in (1.0, 20_000.0, 320_000.0)
    )
    assert middle == pytest.approx(1.0)
    assert large == pytest.approx(0.5)
    assert small == pytest.approx((1_000 / 20_000) ** -0.25)
    assert news.scale_of_news(2.0, 7.0, 0.0) == 2.0


def levels(days: int, **changes) -> np.ndarray:
    """Levels of news of 1,024 subnets after some days."""
    config = Config.make(
        n_subnets=64, n_stakers=0, trade_speed=0.0, spans_per_day=1, arrivals_per_slot_year=0.0,
        revenue_share=0.0, **changes,
    )  # fmt: skip
    batch = Batch(config, 16)
    batch.step(days=days)
    return batch.state.row("news").copy()


@pytest.mark.parametrize(("days", "half_life"), [(1, 1e9), (20, 1e9), (20, 30.0), (200, 30.0)])
def test_news_multiplies_by_a_factor_of_mean_one(days, half_life):
    """However much of it has faded."""
    changes = LIVELY | {"news_half_life_days": half_life}
    if half_life < 1e9:  # jumps count as if they were normal
        changes |= {"jump_chance": 0.0, "news_volatility_sd": 0.5, "market_sd": 0.0}
    factors = np.exp(levels(days, **changes))
    error = factors.std() / factors.size**0.5
    assert factors.mean() == pytest.approx(1.0, abs=4 * error)
    assert error < 0.03


def test_common_news_is_common_and_of_mean_one():
    moved = levels(1, news_sd=1e-9, jump_chance=0.0, market_sd=0.1)
    assert np.ptp(moved, axis=1).max() < 1e-7
    assert np.ptp(moved[:, 0]) > 0.1


def test_without_news_nothing_is_drawn():
    assert levels(5).any()
    assert not levels(5, news_sd=0.0).any()
    assert not levels(5, news_sd=0.0, jump_chance=0.3, market_sd=0.2, news_volatility_sd=1.0).any()


def test_regimes_scale_the_news_of_an_episode():
    config = Config.make(n_subnets=2, news_sd=0.03, news_factor_low=0.7, news_factor_high=2.5)
    factors = Batch(config, 200).state.worlds["news_factor"]
    assert 0.7 <= factors.min() < 0.8
    assert 2.2 < factors.max() <= 2.5
    assert np.log(factors).mean() == pytest.approx(np.log(0.7 * 2.5) / 2, abs=0.1)
    alone = Batch(Config.make(n_subnets=2, news_sd=0.03)).state.worlds["news_factor"]
    assert alone == 1.0


# --- beliefs and first prices


@given(st.floats(0.0, 1e6), st.floats(0.001, 1.0), st.floats(0.0, 1e6))
def test_belief_moves_a_part_of_the_way(belief, gain, signal):
    moved = next_belief(belief, gain, signal)
    assert min(belief, signal) * (1 - 1e-12) <= moved <= max(belief, signal) * (1 + 1e-12)
    assert next_belief(belief, 1.0, signal) == signal


@given(
    st.floats(1e-6, 1e3), st.floats(0.0, 0.99), st.floats(0.0, 1e4), st.floats(1.0, 1e4),
    st.floats(0.0, 10.0),
)  # fmt: skip
def test_a_prior_makes_the_seed_price_fair_where_it_can(price, informed, value, worth, belief):
    prior = fair_prior(price / 1e-5, informed, value, worth, belief)
    target = market_target(1e-5, informed, value, worth * (belief + prior), 1.0)
    assert prior >= 0.0
    if prior > 0.0:
        assert target == pytest.approx(price, rel=1e-6)
    else:
        assert target >= price * (1 - 1e-9)


def test_a_newcomer_is_trusted_less_and_less():
    config = Config.make(
        genesis="drawn", n_subnets=4, empty_slots=1, arrivals_per_slot_year=12.0, entry_value_tao=1e6,
        prior_half_life_days=10.0, start_delay_days=0, trade_speed=0.0, momentum=0.0, news_sd=0.0,
        opinion_noise_sd=0.0, n_stakers=0, pruning=False, revenue_share=0.0, scarcity_elasticity=0.0,
        portfolio_days=1e9,
    )  # fmt: skip
    batch = Batch(config)
    while not batch.state.worlds["registrations"][0]:
        batch.step()
    new = int(batch.state.row("registered_block")[0].argmax())
    assert batch.state.row("prior")[0, new] < 0.0  # nobody has seen its price
    seed_price = batch.state.row("spot_price")[0, new]
    batch.step()
    first = batch.state.row("prior")[0, new]
    assert first > 0.0
    assert batch.state.row("target_price")[0, new] == pytest.approx(seed_price, rel=1e-9)
    batch.step(days=10)
    assert batch.state.row("prior")[0, new] == pytest.approx(first / 2, rel=1e-9)
