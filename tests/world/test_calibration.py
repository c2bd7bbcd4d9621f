"""The calibration: the script's own arithmetic, that it repeats itself, and what the committed result reaches."""

import importlib.util
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from dtao_gym.world.config import Config
from dtao_gym.world.history import Record, record
from scripts.unit_cube import parameters_at

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPT = REPOSITORY / "scripts" / "calibrate.py"
CALIBRATED = REPOSITORY / "configs" / "launch_2025.yaml"

_spec = importlib.util.spec_from_file_location("calibrate", SCRIPT)
assert _spec is not None
assert _spec.loader is not None
calibrate = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(calibrate)


def test_points_are_parameters_within_their_ranges():
    n = len(calibrate.SPACE)
    low, middle, high = (parameters_at(calibrate.SPACE, np.full(n, u)) for u in (0.0, 0.5, 1.0))
    for name, (first, last, logarithmic) in calibrate.SPACE.items():
        assert low[name] == pytest.approx(first, rel=1e-3)
        assert high[name] == pytest.approx(last, rel=1e-3)
        between = np.sqrt(first * last) if logarithmic else 0.5 * (first + last)
        assert middle[name] == pytest.approx(between, rel=1e-3)
    assert parameters_at(calibrate.SPACE, np.full(n, 7.0)) == high
    Config.make(low | calibrate.GIVEN)
    Config.make(high | calibrate.GIVEN)


def test_july_and_august_are_not_fitted():
    fitted = [
        *calibrate.FIT_DATES,
        *(last for _, last in calibrate.FIT_WINDOWS),
        calibrate.FIT_UNTIL,
    ]
    tested = [*calibrate.TEST_DATES, *(first for first, _ in calibrate.TEST_WINDOWS)]
    assert max(fitted) < date(2025, 7, 1) <= min(tested)


def test_deviations_are_in_units_of_what_is_allowed():
    """Three subnets of known prices on a day whose chain is known: sum 1.118, sd of ln price 1.033."""
    day = date(2025, 8, 1)
    price = np.tile([0.4, 0.3, 0.3], (2, 1, 1))
    played = Record((date(2025, 7, 31), day), price, np.ones((2, 1)))
    moments = {m.name: m for m in calibrate.moments(played, (day,), ())}
    assert moments["price_sum"].simulated == pytest.approx(1.0)
    assert moments["price_sum"].deviation == pytest.approx(
        np.log(1 / 1.118) / np.log(1.5), abs=1e-3
    )
    sd = np.log([0.4, 0.3, 0.3]).std()
    assert moments["sd_log_price"].deviation == pytest.approx((sd / 1.033 - 1) / 0.3, abs=1e-3)
    assert moments["top5_share"].deviation == pytest.approx((1 - 0.320) / 0.08, abs=1e-2)
    assert calibrate.criterion(list(moments.values())) == pytest.approx(
        sum(m.weight * m.deviation**2 for m in moments.values())
        / sum(m.weight for m in moments.values())
    )
    lines = calibrate.verdict(list(moments.values()))
    assert lines[0].endswith("yes")
    assert "NO: 1.000 for 0.320 (2025-08-01)" in lines[2]


@pytest.mark.slow
def test_a_tiny_calibration_repeats_itself(tmp_path):
    texts = []
    for name in ("one.yaml", "two.yaml"):
        command = [
            sys.executable, SCRIPT, "--evaluations", "6", "--worlds", "1", "--test-worlds", "2",
            "--seed", "3", "--output", str(tmp_path / name),
        ]  # fmt: skip
        done = subprocess.run(
            command, cwd=REPOSITORY, env=_environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "top-5 share within 8 points: " in done.stdout
        texts.append((tmp_path / name).read_text())
    assert texts[0] == texts[1]
    config = Config.make(tmp_path / "one.yaml")
    assert set(calibrate.SPACE) | set(calibrate.GIVEN) == config.model_fields_set
    assert config.entry_value_tao == calibrate.GIVEN["entry_value_tao"]


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(REPOSITORY)}


@pytest.mark.slow
def test_the_committed_population_reaches_what_its_file_says():
    text = CALIBRATED.read_text()
    worlds = int(text.split("--test-worlds ")[1].split()[0])
    seed = int(text.split("--seed ")[1].split()[0]) + calibrate.TEST_SEED
    played = record(
        Config.make(CALIBRATED),
        until=calibrate.TEST_UNTIL,
        n_worlds=worlds,
        seeds=range(seed, seed + worlds),
    )
    test = calibrate.moments(played, calibrate.TEST_DATES, calibrate.TEST_WINDOWS)
    for line in [*calibrate.lines_of(test), *calibrate.verdict(test)]:
        assert f"# {line}\n" in text
