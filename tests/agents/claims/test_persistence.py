"""Persistence of emission shares: known series, known decompositions, and what the model's construction would fake."""

import numpy as np
import pytest
from dtao_agents.claims.estimates import estimate
from dtao_agents.claims.finding import Finding
from dtao_agents.claims.persistence import (
    QUICK,
    PersistenceSettings,
    cell_config,
    measure,
    record_panel,
    world_means,
)
from dtao_agents.claims.persistence_measures import (
    LONGEST_HALF_LIFE,
    SAMPLE_DAYS,
    STEPS_OF_YEAR,
    Panel,
    correlation,
    explained,
    follow,
    half_life,
    make_panel,
    panel_measures,
    ranks,
    top_membership,
)
from pydantic import ValidationError
from scipy import stats

from dtao_gym.world.batch import Batch
from dtao_gym.world.config import ConfigError

DATES = 2 * STEPS_OF_YEAR + 1
SMALL = PersistenceSettings(
    institutions=("price", "price_burn", "uniform"),
    payments=("alpha",),
    moving_prices=("fast",),
    genesis_values=("from_price",),
    worlds=2,
    settle_days=60,
    spans_per_day=1,
    resamples=200,
)


def panel_of(share: np.ndarray, value: np.ndarray | None = None) -> Panel:
    """A panel `(dates, worlds, subnets)` in which nobody is dissolved."""
    value = share if value is None else value
    return make_panel(share, value, np.zeros(share.shape), np.ones(share.shape, bool))


def frozen_panel(worlds: int = 3, subnets: int = 200, seed: int = 0) -> Panel:
    """A panel in which shares never change."""
    share = np.random.default_rng(seed).lognormal(size=(worlds, subnets))
    return panel_of(np.broadcast_to(share, (DATES, worlds, subnets)).copy())


def everybody(x: np.ndarray) -> np.ndarray:
    return np.ones(x.shape, bool)


def by_name(findings: list[Finding], institution: str, setting: str = "") -> dict[str, Finding]:
    """Findings of an institution by measure, of settings that end in `setting`."""
    return {
        f.measure: f
        for f in findings
        if f.institution == institution
        and f.setting.endswith(setting or SMALL.genesis_values[0].replace("_", " "))
    }


# ------------------------------------------------------------ measures


@pytest.mark.parametrize("days", [8.0, 30.0, 90.0, 359.0, 500.0])
def test_half_life_of_an_exponential_is_exact(days: float):
    lags = SAMPLE_DAYS * np.arange(1, STEPS_OF_YEAR + 1)
    assert half_life(0.5 ** (lags / days)) == pytest.approx(days)


def test_half_life_of_a_curve_that_never_falls_is_the_longest():
    assert half_life(np.ones(STEPS_OF_YEAR)) == LONGEST_HALF_LIFE


@pytest.mark.parametrize("days", [45.0, 180.0])
def test_an_autoregression_has_its_half_life(days: float):
    rng, kept = np.random.default_rng(1), 0.5 ** (SAMPLE_DAYS / days)
    level = rng.normal(size=(8, 500))
    series = []
    for _ in range(DATES):
        series.append(level)
        level = kept * level + np.sqrt(1.0 - kept**2) * rng.normal(size=level.shape)
    curve = panel_measures(panel_of(np.array(series))).curve
    assert estimate(curve, half_life, 200).value == pytest.approx(days, rel=0.05)


def test_a_frozen_world_keeps_everything():
    found = panel_measures(frozen_panel())
    np.testing.assert_allclose(found.curve, 1.0)
    np.testing.assert_allclose(found.rank_correlation, 1.0)
    np.testing.assert_allclose(found.stays, 1.0)
    np.testing.assert_array_equal(found.growth, 0.0)


def test_permuted_labels_leave_nothing():
    found = world_means(panel_measures(frozen_panel(), np.random.default_rng(0)))
    for name in ("correlation", "stays_beyond_chance", "lock_in"):
        assert np.abs(found[name]).max() < 0.05, name


def test_growth_is_that_of_the_largest_share_in_points():
    share = np.full((DATES, 1, 4), 0.2)
    share[:, 0, 0] = 0.2 + 0.001 * np.arange(DATES)
    assert panel_measures(panel_of(share)).growth == pytest.approx(0.1 * STEPS_OF_YEAR)


def test_a_dissolved_subnet_keeps_nothing_and_its_successor_is_not_of_the_cohort():
    panel = frozen_panel(worlds=1, subnets=40)
    best = int(panel.share[0, 0].argmax())
    panel.owner[5:, 0, best] = 7.0
    cohort = follow(panel, 0, STEPS_OF_YEAR)
    assert cohort.later_share[0, best] == cohort.later_value[0, best] == 0.0
    assert cohort.later_top[0, best] == 0.0
    others = np.arange(40) != best
    np.testing.assert_array_equal(cohort.later_share[0, others], cohort.share[0, others])
    # one of four subnets of the top decile is gone
    stays = (cohort.top * cohort.later_top).sum() / cohort.top.sum()
    assert stays == pytest.approx(0.75)
    # five of thirteen cohorts begin before the end of the subnet, and see it within a year
    assert panel_measures(panel).dissolved == pytest.approx(5 / 13 / 40)


def test_correlation_is_of_the_counted_subnets():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(2, 3, 50))
    counted = rng.random((3, 50)) < 0.6
    expected = [np.corrcoef(a[c], b[c])[0, 1] for a, b, c in zip(x, y, counted, strict=True)]
    np.testing.assert_allclose(correlation(x, y, counted), expected)
    spearman = [
        stats.spearmanr(np.round(a[c]), np.round(b[c])).statistic
        for a, b, c in zip(x, y, counted, strict=True)
    ]
    ranked = [ranks(np.round(z), counted) for z in (x, y)]
    np.testing.assert_allclose(correlation(*ranked, counted), spearman)


def test_equal_shares_do_not_correlate():
    x = np.full((2, 50), 1 / 50) + 1e-17
    np.testing.assert_array_equal(correlation(x, np.random.default_rng(0).normal(size=x.shape), everybody(x)), 0.0)  # fmt: skip


def r_squared(outcome: np.ndarray, *regressors: np.ndarray) -> float:
    """R2 of a least-squares regression with a constant, by a solver."""
    design = np.column_stack([np.ones(len(outcome)), *regressors])
    residual = outcome - design @ np.linalg.lstsq(design, outcome)[0]
    return 1.0 - residual.var() / outcome.var()


@pytest.mark.parametrize("link", [-0.7, 0.0, 0.5, 0.95])
def test_explained_is_the_gain_averaged_over_both_orders(link: float):
    rng = np.random.default_rng(4)
    first = rng.normal(size=300)
    second = link * first + rng.normal(size=300)
    outcome = first + 0.5 * second + rng.normal(size=300)
    both = r_squared(outcome, first, second)
    a, b = r_squared(outcome, first), r_squared(outcome, second)
    expected = [0.5 * (a + both - b), 0.5 * (b + both - a)]
    x = outcome[None]
    np.testing.assert_allclose(explained(x, first[None], second[None], everybody(x))[0], expected)


def test_explained_of_independent_parts_is_their_variance():
    first, second = np.array([[1.0, 1.0, -1.0, -1.0]]), np.array([[1.0, -1.0, 1.0, -1.0]])
    parts = explained(3.0 * first + second, first, second, everybody(first))
    np.testing.assert_allclose(parts, [[0.9, 0.1]])


def test_the_same_regressor_twice_divides_the_credit():
    x = np.random.default_rng(5).normal(size=(1, 60))
    np.testing.assert_allclose(explained(2.0 * x, x, 5.0 * x, everybody(x)), [[0.5, 0.5]])


def test_lock_in_and_merit_have_opposite_signs():
    rng = np.random.default_rng(6)
    fixed, changing = rng.normal(size=(4, 300)), rng.normal(size=(DATES, 4, 300))
    lasting = np.broadcast_to(fixed, changing.shape)
    locked = world_means(panel_measures(panel_of(lasting + 0.3 * changing, rng.permuted(changing))))
    # shares that follow the value of a year ago, which does not last
    lagged = np.concatenate([rng.normal(size=(STEPS_OF_YEAR, 4, 300)), changing])[:DATES]
    merit = world_means(panel_measures(panel_of(lagged, changing)))
    assert locked["lock_in"].min() > 0.7
    assert merit["lock_in"].max() < -0.9


def test_value_of_today_and_value_that_follows_emission():
    rng = np.random.default_rng(7)
    changing, early = rng.normal(size=(DATES, 4, 300)), rng.normal(size=(STEPS_OF_YEAR, 4, 300))
    today = world_means(panel_measures(panel_of(changing, changing)))
    assert today["lock_in_now"].max() < -0.9
    assert today["share_adds"].max() < 0.05
    # values that last are predicted by themselves, so that emission adds nothing
    lasting = np.broadcast_to(changing[0], changing.shape)
    fixed = world_means(panel_measures(panel_of(lasting + 0.1 * changing, lasting)))
    assert np.abs(fixed["share_adds"]).max() < 0.01
    # value that emission of a year ago pays for
    paid = np.concatenate([early, changing[: DATES - STEPS_OF_YEAR]])
    assert world_means(panel_measures(panel_of(changing, paid)))["share_adds"].min() > 0.9


# ------------------------------------------------------------ the top decile


def test_equal_shares_have_the_membership_of_a_draw():
    x = np.full((1, 50), 0.02)
    np.testing.assert_allclose(top_membership(x, everybody(x)), 0.1)
    equal = panel_of(np.broadcast_to(x, (DATES, 1, 50)).copy())
    np.testing.assert_allclose(panel_measures(equal).stays, 0.1)
    np.testing.assert_allclose(
        world_means(panel_measures(equal))["stays_beyond_chance"], 0.0, atol=1e-12
    )


def test_membership_is_of_the_largest_counted_shares():
    x = np.arange(30.0)[None]
    counted = everybody(x)
    counted[0, 29] = False
    member = top_membership(x, counted)
    assert np.flatnonzero(member[0]).tolist() == [26, 27, 28]
    assert member.sum() == 3.0


def test_ties_at_the_boundary_divide_the_places_left():
    x = np.r_[np.full(4, 0.5), 1.0, np.zeros(15)][None]
    np.testing.assert_allclose(top_membership(x, everybody(x))[0, :5], [0.25] * 4 + [1.0])


# ------------------------------------------------------------ cells


@pytest.fixture(scope="module")
def findings() -> list[Finding]:
    return measure(SMALL)


def test_every_finding_is_unique_and_finite(findings: list[Finding]):
    keys = [(f.measure, f.institution, f.setting) for f in findings]
    assert len(set(keys)) == len(keys)
    for f in findings:
        assert f.claim == "C3"
        assert f.samples == SMALL.worlds
        assert np.isfinite(f.estimate).all()
        assert f.estimate.low <= f.estimate.high


def test_equal_shares_are_at_chance(findings: list[Finding]):
    uniform = by_name(findings, "uniform")
    assert "half-life of emission shares" not in uniform
    for lag in (30, 180, 360):
        assert uniform[f"autocorrelation of emission shares at {lag} days"].estimate.value == 0.0
    beyond = next(f for name, f in uniform.items() if name.endswith("less that of chance"))
    assert beyond.estimate == (0.0, 0.0, 0.0)


def test_prices_are_more_persistent_than_their_permutation(findings: list[Finding]):
    name = "autocorrelation of emission shares at 360 days"
    real = by_name(findings, "price")[name].estimate.value
    permuted = by_name(findings, "price", "labels permuted")[name].estimate.value
    assert real > 0.3
    assert abs(permuted) < 0.1


def test_price_burn_is_price_where_no_burn_is_recorded(findings: list[Finding]):
    """The snapshot of June 2026 has no burn, so that two institutions are one there."""
    price, burn = by_name(findings, "price"), by_name(findings, "price_burn")
    assert {n: f.estimate for n, f in price.items()} == {n: f.estimate for n, f in burn.items()}


def test_contrasts_are_paired_differences_to_equal_shares(findings: list[Finding]):
    name = "part of contributed value that its top decile makes"
    value = by_name(findings, "price")[name].estimate.value
    baseline = by_name(findings, "uniform")[name].estimate.value
    contrast = by_name(findings, "price", "less uniform")[name].estimate.value
    assert contrast == pytest.approx(value - baseline)
    assert not by_name(findings, "uniform", "less uniform")


def test_values_at_genesis_agree_with_prices_by_construction():
    """Without days to settle, merit would be an artefact of how stocks at genesis are made."""
    settings = SMALL.model_copy(update={"settle_days": 0})
    agreement = {}
    for values in ("from_price", "drawn"):
        panel = record_panel(cell_config(settings, "price", "alpha", "fast", values), settings)
        first = correlation(panel.share[0], panel.value[0], panel.counted[0])
        agreement[values] = float(first.mean())
    assert agreement["from_price"] > 0.98
    assert abs(agreement["drawn"]) < 0.3


def test_contributed_values_add_up_to_what_users_get():
    settings = SMALL.model_copy(update={"settle_days": 0})
    config = cell_config(settings, "price", "alpha", "fast", "from_price")
    value = record_panel(config, settings).value[0].sum(axis=-1)
    received = Batch(config, 2).state.row("true_value").sum(axis=-1)
    np.testing.assert_allclose(value, received)


def test_all_subnets_are_simulated_and_seeds_are_those_of_the_settings():
    config = cell_config(SMALL, "tao_flow", "direct", "slow", "drawn")
    assert (config.allocation, config.payment, config.n_subnets) == ("tao_flow", "direct", None)
    panel = record_panel(config, SMALL)
    assert panel.share.shape == (DATES, 2, 128)
    shifted = SMALL.model_copy(update={"first_seed": 1})
    np.testing.assert_array_equal(record_panel(config, shifted).share[:, 0], panel.share[:, 1])


def test_funds_change_root_dividends_alone():
    config = cell_config(SMALL, "fund_in_place", "alpha", "fast", "drawn")
    assert config.root_dividend == "fund_in_place"
    assert config.era_part("allocation") == "price_burn"


def test_progress_has_a_line_for_each_cell():
    lines: list[str] = []
    settings = SMALL.model_copy(update={"institutions": ("price",), "genesis_values": ("drawn",)})
    measure(settings, lines.append)
    assert lines == ["C3: price, alpha, fast, values drawn"]


def test_bad_settings_are_named():
    with pytest.raises(ValidationError, match=r"institutions: got .* allowed is each once"):
        PersistenceSettings(institutions=("price", "price"))
    with pytest.raises(ConfigError, match="allocation"):
        measure(QUICK.model_copy(update={"institutions": ("prize",)}))
