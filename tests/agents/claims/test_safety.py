"""Return and risk of staking rules: known Kelly shares, the arena's own numbers, and limits of slippage and safety."""

import sys

import numpy as np
import pytest
from dtao_agents.claims import safety_measures as measures
from dtao_agents.claims.estimates import estimate
from dtao_agents.claims.finding import Finding
from dtao_agents.claims.safety import (
    LEARNED,
    MARKET,
    ROOT,
    SafetySettings,
    arm_task,
    arms,
    load_learned,
    measure,
)
from dtao_agents.claims.safety_measures import BuyOnce, Market, WealthPath
from dtao_agents.roles.staker import STAKER
from dtao_agents.roles.staker_policies import SCRIPTED, buy_and_hold
from pydantic import ValidationError

from dtao_gym.envs.roles import role_named
from dtao_gym.envs.task import TaskConfig
from dtao_gym.world.config import ConfigError

SEEDS = range(3)
SMALL = SafetySettings(
    institutions=("price", "uniform"),
    dividends=("sold",),
    eras=("root_reborn",),
    wealths=(1.0, 100_000.0),
    rules=("equal_weight", MARKET, "value"),
    policy=None,
    worlds=3,
    entry_days=(5,),
    days=60,
    invest_days=20,
    spans_per_day=1,
    world={"n_subnets": 4, "min_order_tao": 0.0},
    resamples=200,
)


def task(**changes: object) -> TaskConfig:
    """A market of four subnets for 40 days."""
    world = {"n_subnets": 4, "horizon_days": 40, "spans_per_day": 1, "min_order_tao": 0.0}
    return role_named("staker").task(world | changes, split="evaluation", world_seed=0)


def path_of(*wealth: float) -> WealthPath:
    """A path of one world with all wealth on root."""
    column = np.array(wealth, float)[:, None]
    return WealthPath(column, column, np.ones((len(wealth) - 1, 1), bool))


# ------------------------------------------------------------ measures of a path


def test_growth_of_a_doubling_in_half_a_year():
    path = path_of(*np.linspace(10.0, 20.0, 366))
    assert measures.annual_growth(path) == pytest.approx(np.log(2.0))
    assert measures.annual_growth(path_of(*path.wealth[::2, 0])) == pytest.approx(
        np.log(2.0) * 365 / 183, rel=1e-2
    )


def test_fall_is_from_the_highest_point_before_it():
    assert measures.largest_fall(path_of(1.0, 4.0, 2.0, 3.0, 6.0, 5.0)) == pytest.approx(0.5)
    assert measures.largest_fall(path_of(1.0, 2.0, 3.0)) == 0.0


def test_days_of_investing_do_not_count_in_returns():
    path = path_of(100.0, 50.0, 50.5, 51.005)
    np.testing.assert_allclose(measures.returns(path, 1), 0.01)
    assert measures.volatility(path, 1) == pytest.approx(0.0, abs=1e-12)
    assert measures.volatility(path, 0) > 1.0


def test_volatility_is_annual():
    up, down = np.exp(0.02), np.exp(-0.02)
    path = path_of(*np.cumprod([1.0, *[up, down] * 50]))
    assert measures.volatility(path, 0) == pytest.approx(0.02 * np.sqrt(365.0))


# ------------------------------------------------------------ Kelly and Sharpe


def test_kelly_share_of_a_coin():
    """A bet that wins m + s or loses s - m at even odds: the optimum is m / (s**2 - m**2)."""
    m, s = 2e-4, 0.02
    own = np.tile([m + s, m - s], 500)[:, None]
    moments = measures.excess_moments(own, np.zeros_like(own))
    assert measures.kelly_share(moments) == pytest.approx(m / (s**2 - m**2), rel=1e-3)
    assert measures.sharpe_ratio(moments) == pytest.approx(m / s * np.sqrt(365.0))


def test_kelly_share_maximises_growth_where_root_varies_too():
    rng = np.random.default_rng(0)
    root = 2e-4 + 0.02 * rng.normal(size=(4000, 1))
    own = 4e-4 + 0.5 * root + 0.02 * rng.normal(size=root.shape)
    shares = np.linspace(-3.0, 5.0, 1601)
    growth = np.log1p(root + shares * (own - root)).mean(axis=0)
    best = shares[growth.argmax()]
    found = measures.kelly_share(measures.excess_moments(own, root))
    assert found == pytest.approx(best, abs=0.02)
    # the covariance matters: without it the answer is another one
    ignoring = measures.excess_moments(own - root, np.zeros_like(root))
    assert abs(measures.kelly_share(ignoring) - best).item() > 0.2


def test_root_share_by_kelly_is_within_0_and_1():
    moments = np.array([[-1.0, 1.0, 0.0], [0.25, 1.0, 0.0], [3.0, 1.0, 0.0]])
    np.testing.assert_allclose(measures.root_by_kelly(moments), [1.0, 0.75, 0.0])


def test_a_portfolio_that_is_root_has_no_excess():
    own = np.random.default_rng(1).normal(size=(50, 2))
    moments = measures.excess_moments(own, own)
    np.testing.assert_array_equal(measures.kelly_share(moments), 0.0)
    np.testing.assert_array_equal(measures.sharpe_ratio(moments), 0.0)


def test_the_interval_of_a_bounded_share_is_that_of_the_free_one_cut_off():
    rng = np.random.default_rng(2)
    rows = np.column_stack([rng.normal(0.0, 2.0, 40), np.ones(40), np.zeros(40)])
    free = estimate(rows, measures.kelly_share, 2000, bounded=True)
    cut = estimate(rows, measures.root_by_kelly, 2000, bounded=True)
    expected = [1.0 - np.clip(x, 0.0, 1.0) for x in (free.value, free.high, free.low)]
    np.testing.assert_allclose(cut, expected, atol=1e-2)


# ------------------------------------------------------------ markets


@pytest.mark.parametrize("name", ["market_weight", "momentum"])
def test_paths_have_the_numbers_of_the_arena(name: str):
    config = task()
    path = Market(config, SEEDS).play(SCRIPTED[name])
    arena = STAKER.play(SCRIPTED[name], config, SEEDS).values
    np.testing.assert_array_equal(np.log(path.wealth[-1] / path.wealth[0]), arena["log_growth"])
    np.testing.assert_allclose(measures.largest_fall(path), arena["max_drawdown"], atol=1e-12)


def test_every_policy_starts_from_the_same_state():
    market = Market(task(), SEEDS, entry_day=7)
    first = market.play(SCRIPTED["equal_weight"])
    market.play(SCRIPTED["random"])
    again = market.play(SCRIPTED["equal_weight"])
    assert len(first.wealth) == 40 - 7 + 1
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)


def test_waiting_is_the_same_as_a_policy_that_waits():
    entering = Market(task(), SEEDS, entry_day=7).play(BuyOnce(7))
    waiting = Market(task(), SEEDS).play(BuyOnce(7))
    np.testing.assert_array_equal(entering.wealth, waiting.wealth[7:])


def test_buying_once_at_genesis_is_buy_and_hold():
    market = Market(task(), SEEDS)
    np.testing.assert_array_equal(market.play(BuyOnce(0)).wealth, market.play(buy_and_hold).wealth)


def test_all_root_paid_in_tao_never_falls():
    path = Market(task(root_dividend="sold"), SEEDS).play(SCRIPTED[ROOT])
    np.testing.assert_array_equal(measures.largest_fall(path), 0.0)
    np.testing.assert_array_equal(measures.root_share(path, 0), 1.0)
    assert path.paid.all()
    assert (measures.annual_growth(path) > 0.0).all()


def test_root_is_not_paid_while_the_gate_is_closed():
    """Subnets at a millionth of a TAO sum to less than 1; the rest of a drawn market does not exist."""
    world = {"genesis": "drawn", "genesis_price_median": 1e-6, "root_gate": "chain"}
    closed = Market(task(**world), SEEDS).play(SCRIPTED[ROOT])
    np.testing.assert_array_equal(measures.paid_days(closed), 0.0)
    np.testing.assert_array_equal(measures.annual_growth(closed), 0.0)
    opened = Market(task(**world | {"root_gate": "open"}), SEEDS).play(SCRIPTED[ROOT])
    np.testing.assert_array_equal(measures.paid_days(opened), 1.0)


def test_slippage_vanishes_with_wealth():
    growth = {
        wealth: measures.annual_growth(
            Market(task(wealth_tao=wealth), SEEDS).play(SCRIPTED[MARKET])
        )
        for wealth in (1.0, 2.0, 10_000.0, 100_000.0)
    }
    np.testing.assert_allclose(growth[1.0], growth[2.0], atol=1e-4)
    assert (growth[10_000.0] < growth[2.0] - 2.0 * np.abs(growth[2.0] - growth[1.0])).all()
    assert (growth[100_000.0] < growth[10_000.0]).all()


def test_wealth_of_a_ruined_staker_stays():
    config = task(wealth_tao=100_000.0, ruin_fraction=0.9)
    path = Market(config, SEEDS).play(SCRIPTED["random"])
    ruined = path.wealth < 0.9 * path.wealth[0]
    assert ruined[-1].any()
    for world in np.flatnonzero(ruined[-1]):
        after = path.wealth[ruined[:, world].argmax() :, world]
        np.testing.assert_array_equal(after, after[0])


def test_bad_markets_are_named():
    with pytest.raises(ValueError, match="days_per_step: got 7"):
        Market(task(days_per_step=7), SEEDS)
    with pytest.raises(ValueError, match="entry_day: got 40, allowed are 0 to 39"):
        Market(task(), SEEDS, entry_day=40)


# ------------------------------------------------------------ findings


@pytest.fixture(scope="module")
def findings() -> list[Finding]:
    return measure(SMALL)


def test_every_finding_is_unique_and_finite(findings: list[Finding]):
    keys = [(f.measure, f.institution, f.setting) for f in findings]
    assert len(set(keys)) == len(keys)
    for f in findings:
        assert f.claim == "C4"
        assert np.isfinite(f.estimate).all()
        assert f.estimate.low <= f.estimate.high
    assert {f.institution for f in findings} == {"price", "uniform", "era root_reborn"}


def test_findings_are_those_of_the_paths(findings: list[Finding]):
    arm = next(arms(SMALL))
    market = Market(arm_task(SMALL, arm, 1.0), range(3), 5)
    own, root = market.play(SCRIPTED[MARKET]), market.play(SCRIPTED[ROOT])
    by_name = {
        f.measure: f
        for f in findings
        if f.institution == "price" and f.setting == "1 TAO, dividends sold, entry on day 5"
    }
    gain = (measures.annual_growth(own) - measures.annual_growth(root)).mean()
    assert by_name["market_weight: log growth less root's"].estimate.value == pytest.approx(gain)
    assert by_name["volatility of root less that of the market"].verdict == "supported"
    assert by_name["all_root: largest fall"].verdict == "supported"
    free = by_name["Kelly share of the market portfolio, not clipped"].estimate.value
    assert by_name["root share by Kelly"].estimate.value == pytest.approx(
        1.0 - np.clip(free, 0.0, 1.0)
    )


def test_only_passive_portfolios_speak_for_subnets(findings: list[Finding]):
    judged = {f.measure for f in findings if f.hypothesis and "less root's" in f.measure}
    assert judged == {f"{rule}: log growth less root's" for rule in ("equal_weight", MARKET)}


def test_large_wealth_costs(findings: list[Finding]):
    costs = [f for f in findings if f.measure == f"{MARKET}: log growth less that with 1 TAO"]
    assert len(costs) == 3
    assert all(f.setting.startswith("100,000 TAO") for f in costs)
    assert all(f.estimate.high < 0.0 for f in costs if f.institution == "price")


def test_arms_vary_dividends_under_the_first_institution():
    settings = SMALL.model_copy(update={"dividends": ("claimable", "sold"), "entry_days": (0, 5)})
    names = [
        (arm.institution, arm.fields.get("root_dividend"), arm.entry_day) for arm in arms(settings)
    ]
    once = [
        ("price", "claimable"),
        ("uniform", "claimable"),
        ("price", "sold"),
        ("era root_reborn", None),
    ]
    assert names == [(*name, day) for day in (0, 5) for name in once]


def test_no_subnet_is_frozen_in_an_arm():
    settings = SMALL.model_copy(update={"world": {}})
    config = arm_task(settings, next(arms(settings)), 1.0)
    market = Market(config, range(1))
    assert market.episodes.batch.layout.n_subnets == 128
    assert market.episodes.batch.state.worlds["rest_count"].item() == 0.0


def test_the_published_staker_is_compared_with_kelly_also_in_its_own_world():
    settings = SMALL.model_copy(
        update={
            "policy": "staker_quickstart",
            "institutions": ("price",),
            "eras": (),
            "wealths": (1.0,),
        }
    )
    found = measure(settings)
    shares = [f for f in found if f.measure == f"{LEARNED}: root share less that by Kelly"]
    own = "1,000 TAO, world of the learned staker's training"
    assert [f.setting for f in shares] == ["1 TAO, dividends sold, entry on day 5", own]
    by_name = {f.measure: f for f in found if f.setting == own}
    share = by_name["learned: root share"].estimate.value
    kelly = by_name["root share by Kelly"].estimate.value
    assert shares[1].estimate.value == pytest.approx(share - kelly)


def test_without_torch_or_without_a_policy_there_is_no_learned_staker(
    monkeypatch: pytest.MonkeyPatch,
):
    assert load_learned(SMALL) is None
    for name in ("contenders", "policy_files"):
        monkeypatch.delitem(sys.modules, f"dtao_agents.evaluation.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert load_learned(SMALL.model_copy(update={"policy": "staker_quickstart"})) is None


def test_progress_has_a_line_for_each_market():
    lines: list[str] = []
    settings = SMALL.model_copy(update={"institutions": ("price",), "eras": ()})
    measure(settings, lines.append)
    assert lines == [
        f"C4: price, {wealth} TAO, dividends sold, entry on day 5" for wealth in ("1", "100,000")
    ]


def test_bad_settings_are_named():
    with pytest.raises(
        ValidationError, match=r"rules: got \['value'\], allowed are .*market_weight"
    ):
        SafetySettings(rules=("value",))
    with pytest.raises(ValidationError, match=r"wealths: got .* allowed is an ascending order"):
        SafetySettings(wealths=(10.0, 1.0))
    with pytest.raises(ConfigError, match="root_dividend"):
        measure(SMALL.model_copy(update={"dividends": ("paid",)}))
