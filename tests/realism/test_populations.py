"""The default population, fitted to the spring of 2026, passes the gates of realism in each market with it."""

from pathlib import Path

import pytest

from dtao_gym.realism import realism_gate
from dtao_gym.realism.gate import PRESETS
from dtao_gym.world.config import Config
from dtao_gym.world.config_people import PREDICTABLE

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def test_the_default_population_is_the_fitted_one():
    assert Config.make(CONFIGS / "spring_2026.yaml").model_dump() == Config().model_dump()


@pytest.mark.parametrize("market", ["default", "quickstart", "probe"])
def test_the_default_population_passes_every_gate(market):
    comparison = realism_gate(market, worlds=16 if market == "default" else 32)
    assert comparison.failed == ()
    assert comparison.j < 45.0


def test_a_predictable_market_fails_most_gates():
    config = Config.make(PRESETS["quickstart"] | PREDICTABLE)
    comparison = realism_gate(config, worlds=4)
    assert len(comparison.failed) >= 11
    assert comparison.j > 1_000.0
