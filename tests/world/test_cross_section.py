"""Prices of a day and how much they move: the measures by hand, and the chain's own numbers by date."""

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from dtao_gym.world.cross_section import (
    MIN_CHANGES,
    YOUNG_DAYS,
    cross_section,
    median_volatility,
    observed,
    observed_volatility,
    volatilities,
)

REPOSITORY = Path(__file__).resolve().parents[2]


def test_cross_section_by_hand():
    measures = cross_section(np.array([0.4, 0.3, 0.1, 0.1, 0.05, 0.05, np.nan, 2.0, 0.0]))
    assert measures.subnets == 6
    assert measures.price_sum == pytest.approx(1.0)
    assert measures.median_price == pytest.approx(0.1)
    assert measures.top1_share == pytest.approx(0.4)
    assert measures.top5_share == pytest.approx(0.95)
    assert measures.hhi == pytest.approx(0.16 + 0.09 + 0.01 + 0.01 + 0.005)
    assert cross_section(np.array([0.1, 0.1 * np.e**2])).sd_log_price == pytest.approx(1.0)
    assert cross_section(np.array([np.nan])).subnets == 0
    assert np.isnan(cross_section(np.array([np.nan])).price_sum)


def test_volatility_by_hand():
    days = YOUNG_DAYS + MIN_CHANGES + 1
    swing = np.exp(0.1 * (np.arange(days) % 2))  # changes of +-0.1, one after the other
    swing[:YOUNG_DAYS] = 0.5  # a wild start does not count
    short = np.where(np.arange(days) < 1, np.nan, swing)
    expensive = np.full(days, 2.0)
    sds = volatilities(np.stack([0.01 * swing, 0.01 * short, expensive], 1))
    assert sds == pytest.approx([np.std([0.1, -0.1] * (MIN_CHANGES // 2), ddof=1)])
    rising = np.exp(0.1 * np.arange(40) * np.arange(40) / 40)[:, None] * 0.001
    week = np.diff(np.log(rising[:, 0]))  # the change of a day grows by the same amount every day
    assert volatilities(rising, 7) == pytest.approx(
        [7 * np.diff(week)[0] * np.arange(40 - YOUNG_DAYS - 7).std(ddof=1)], rel=1e-6
    )
    assert np.isnan(median_volatility(np.full((40, 3), np.nan)))


# date, n, sum, median, top 1, top 5, HHI, sd of ln price: published statistics of the same prices
FACTS = (
    ("2025-02-14", 64, 2.163, 0.0108, 0.175, 0.461, None, None),
    ("2025-02-16", 64, 1.182, 0.0089, 0.137, 0.426, 0.051, 0.96),
    ("2025-02-20", 67, 2.052, 0.0143, 0.130, 0.444, 0.053, 1.02),
    ("2025-03-01", 70, 1.234, 0.0068, 0.137, 0.525, 0.066, 1.06),
    ("2025-04-01", 82, 1.530, 0.0043, 0.160, 0.472, 0.065, 1.45),
    ("2025-05-01", 90, 1.904, 0.0058, 0.145, 0.428, 0.052, 1.24),
    ("2025-06-01", 98, 1.663, 0.0055, 0.141, 0.392, 0.047, 1.20),
    ("2025-07-01", 108, 1.296, 0.0042, 0.128, 0.336, 0.038, 1.08),
    ("2025-08-01", 117, 1.118, 0.0031, 0.114, 0.320, 0.034, 1.03),
    ("2025-08-31", 118, 1.059, 0.0029, 0.097, 0.344, 0.035, 1.08),
    ("2026-06-14", 128, 1.309, 0.0058, 0.050, 0.202, 0.017, 0.74),
)


@pytest.mark.parametrize("fact", FACTS, ids=[fact[0] for fact in FACTS])
def test_the_chains_numbers_are_those_published_to_their_rounding(fact):
    day, n, total, median, top1, top5, hhi, sd = fact
    measures = {row.date: row.cross_section for row in observed()}[date.fromisoformat(day)]
    assert measures.subnets == n
    assert measures.price_sum == pytest.approx(total, abs=5.1e-4)
    assert measures.median_price == pytest.approx(median, abs=5.1e-5)
    assert measures.top1_share == pytest.approx(top1, abs=5.1e-4)
    assert measures.top5_share == pytest.approx(top5, abs=5.1e-4)
    if hhi is not None:
        assert measures.hhi == pytest.approx(hhi, abs=6e-4)
        assert measures.sd_log_price == pytest.approx(sd, abs=6e-3)


def test_the_chains_volatility_is_near_the_one_published():
    """Published without saying how the first days of young pools were left out: 0.084, 0.091, 0.042."""
    windows = {(row.first.month, row.last.month): row for row in observed_volatility()}
    for window, published, n in (((2, 3), 0.084, 72), ((4, 5), 0.091, 92), ((6, 8), 0.042, 117)):
        assert windows[window].median_sd == pytest.approx(published, abs=0.0025)
        assert abs(windows[window].subnets - n) <= 2


def test_every_day_of_2025_is_there_once():
    days = [row.date for row in observed()]
    assert days == sorted(set(days))
    assert sum(day.year == 2025 for day in days) == 198
    rooted = {str(row.date): row.root_share for row in observed() if row.date.year == 2026}
    assert rooted["2026-06-14"] == pytest.approx(0.730, abs=5e-4)


@pytest.mark.skipif("DTAO_RAW_DATA" not in os.environ, reason="DTAO_RAW_DATA: raw captures")
def test_the_chains_numbers_are_what_the_script_makes(tmp_path):
    script = REPOSITORY / "scripts" / "build_cross_section.py"
    command = [sys.executable, script, os.environ["DTAO_RAW_DATA"], "--output", tmp_path]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    subprocess.run(command, check=True, cwd=REPOSITORY, env=environment, capture_output=True)
    packaged = REPOSITORY / "dtao_gym" / "data" / "history"
    made = sorted(path.name for path in tmp_path.iterdir())
    assert made == sorted(path.name for path in packaged.iterdir())
    for name in made:
        assert (tmp_path / name).read_bytes() == (packaged / name).read_bytes(), name


def test_provenance_of_the_packaged_numbers():
    facts = json.loads((REPOSITORY / "dtao_gym/data/history/provenance.json").read_text())
    assert {"source", "licence", "cleaning"} <= set(facts)
