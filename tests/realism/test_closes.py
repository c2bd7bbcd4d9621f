"""The packaged closes: windows, cleaning, and reproduction by the script."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dtao_gym.realism import PERIODS, observed_panel
from dtao_gym.realism.panel import NEWCOMER_DAYS

REPOSITORY = Path(__file__).resolve().parents[2]
DATA = REPOSITORY / "dtao_gym" / "data" / "closes"
SUBNETS = {"spring-2026": 48, "summer-2025": 117, "spring-2025": 92}


@pytest.mark.parametrize("name", PERIODS)
def test_panels_of_the_chain(name):
    panel = observed_panel(name)
    assert panel.price.shape == (PERIODS[name].days, SUBNETS[name])
    known = panel.price[np.isfinite(panel.price)]
    assert known.min() > 0.0
    assert known.max() < 0.9
    assert panel.tao is not None
    assert panel.tao.shape == panel.price.shape
    assert np.nanmin(panel.tao) > 0.0
    assert not np.isfinite(panel.tao[np.isnan(panel.price)]).any()


def test_new_subnets_of_2025_lost_a_third_in_two_months():
    newcomers = observed_panel().newcomers
    assert newcomers is not None
    assert newcomers.size == 42
    assert np.median(newcomers) == pytest.approx(-0.45, abs=0.04)
    assert NEWCOMER_DAYS == 60


def test_inferred_pools_hold_a_plausible_part_of_the_injection():
    """TAO in the pools of the summer of 2025 against about 107 days of 7,200 TAO."""
    panel = observed_panel("summer-2025")
    assert panel.tao is not None
    total = np.nansum(panel.tao[0])
    assert 0.2 < total / (107 * 7200.0) < 1.5
    assert np.nansum(panel.tao[-1]) > total


def test_provenance_names_source_licence_and_cleaning():
    facts = json.loads((DATA / "closes_provenance.json").read_text())
    assert {"source", "licence", "closes_2025", "closes_2026", "sha256"} <= set(facts)
    assert {path.name for path in DATA.glob("closes_*.csv")} == {
        f"{name}.csv" for name in facts if name.startswith("closes_")
    }


@pytest.mark.skipif("DTAO_RAW_DATA" not in os.environ, reason="DTAO_RAW_DATA: raw captures")
def test_the_script_reproduces_the_packaged_closes(tmp_path):
    script = REPOSITORY / "scripts" / "build_closes.py"
    command = [sys.executable, script, os.environ["DTAO_RAW_DATA"], "--output", tmp_path]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    subprocess.run(command, check=True, cwd=REPOSITORY, env=environment, capture_output=True)
    made = sorted(path.name for path in tmp_path.iterdir())
    assert made == sorted(path.name for path in DATA.glob("closes_*"))
    for name in made:
        assert (tmp_path / name).read_bytes() == (DATA / name).read_bytes(), name
