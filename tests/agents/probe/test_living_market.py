"""NC9: demand survives in the market of spring 2026 and fails without its channels."""

from pathlib import Path

import numpy as np
import pytest
from dtao_agents.probe.living_market import conditions, demand_checks, health_path, market_health

from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config
from dtao_gym.world.config_people import PREDICTABLE

ROOT = Path(__file__).resolve().parents[3]
SPRING = Config.make(ROOT / "configs" / "spring_2026.yaml")
QUIET = {"arrivals_per_slot_year": 0.0, "payment": "direct", "n_subnets": None, "spans_per_day": 1}
DAYS = 1825
MUTANTS = {
    "nothing": {"portfolio_days": 1e9, "scarcity_elasticity": 0.0, "insider_holding_days": 1e9},
    "no scarcity": {"scarcity_elasticity": 0.0},
}


def test_demand_of_spring_2026_survives_five_years():
    checks = demand_checks(SPRING, range(2), DAYS, QUIET)
    assert len(checks) == 20
    assert [check.institution for check in checks if not check.ok] == []


@pytest.mark.parametrize("name", MUTANTS)
def test_a_market_without_a_channel_of_demand_fails(name):
    checks = demand_checks(SPRING, range(2), DAYS, QUIET | MUTANTS[name])
    assert not all(check.ok for check in checks)


def test_the_predictable_population_fails_at_the_end():
    checks = demand_checks(Config.make(PREDICTABLE), range(2), DAYS, QUIET)
    assert not any(check.ok for check in checks if check.institution.startswith("day 1825"))


def test_indicators_of_a_constructed_market():
    batch = Batch(Config.make(n_subnets=8, n_stakers=0))
    state = batch.state
    state.row("started")[...] = 1.0
    target = np.geomspace(1e-3, 1.0, 8)
    state.row("target_price")[...] = target
    state.row("valuation")[...] = target**2
    state.row("spot_price")[...] = 1.1 * target
    state.row("alpha_outstanding")[...] = 100.0
    state.row("informed_alpha")[...] = 10.0
    state.row("uninformed_alpha")[...] = np.arange(8.0)
    health = market_health(batch)
    assert health.staker_share == pytest.approx(0.135)
    assert health.gap == pytest.approx(np.log(1.1))
    assert health.slope == pytest.approx(1.0)
    assert health.slope_on_valuation == pytest.approx(0.5)
    assert health.without_stakers == 0
    for row in ("informed_alpha", "uninformed_alpha"):
        state.row(row)[0, [0, 7]] = (
            0.0  # the cheapest, which does not count, and the most expensive
        )
    assert market_health(batch).without_stakers == 1


def test_a_health_path_has_the_first_day_and_five_more():
    path = health_path(Config.make(n_subnets=4, n_stakers=0), range(1), 10)
    assert [one.day for one in path] == [1, 2, 4, 6, 8, 10]
    assert set(conditions(path[0], path[1]).values()) <= {True, False}
