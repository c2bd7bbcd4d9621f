"""The fitted populations pass the gates of realism; what they miss is named here."""

from pathlib import Path

import pytest

from dtao_gym.realism import realism_gate
from dtao_gym.world.config import Config

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
MISSED = {"newcomers_60"}
"""Newcomers lose more than real ones did."""


@pytest.mark.parametrize("n_subnets", [None, 16])
def test_the_population_of_spring_2026_passes_its_gates(n_subnets):
    config = Config.make(CONFIGS / "spring_2026.yaml", n_subnets=n_subnets)
    found = realism_gate(config, period_name="spring-2026", worlds=16)
    assert set(found.failed) <= MISSED
    assert found.j < 45.0


def test_the_old_market_passes_hardly_any():
    found = realism_gate("quickstart", period_name="spring-2026", worlds=4)
    assert not found.passed
    assert len(found.failed) >= 11
    assert found.j > 1_000.0
