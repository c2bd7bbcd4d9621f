"""A small fit by simulated moments: it writes a population, and resumes after an interruption."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dtao_gym.realism.gate import read_config

REPOSITORY = Path(__file__).resolve().parents[2]
SMALL = ("--worlds", "1", "--test-worlds", "2", "--burn-in", "0", "--candidates", "5")

pytest.importorskip("scipy")


def fit(output: Path, *arguments: str) -> str:
    command = [sys.executable, REPOSITORY / "scripts" / "fit_moments.py", *SMALL, *arguments]
    done = subprocess.run(
        [*command, "--output", output],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(REPOSITORY), "HOME": str(Path.home())},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_fit_writes_a_population_with_every_z(tmp_path):
    output = tmp_path / "fitted.yaml"
    fit(output, "--generations", "1")
    text = output.read_text()
    assert text.count("rank IC") == 4
    assert "J " in text
    config = read_config(output)
    assert config.news_sd > 0.0
    assert config.momentum == 0.0
    assert not list(tmp_path.glob("*.npz"))


def test_an_interrupted_fit_resumes(tmp_path):
    output = tmp_path / "fitted.yaml"
    with (tmp_path / "fitted.search.npz").open("wb") as file:
        population = np.random.default_rng(0).uniform(0.3, 0.7, (5, 13))
        np.savez(file, population=population, generation=2)
    assert "resumed after generation 2" in fit(output, "--generations", "2")
    assert read_config(output).news_sd > 0.0
