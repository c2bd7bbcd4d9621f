"""Agreement of the hot loop in plain C (`benchmarks/limit.c`) with the engine: rows and accounts after a day."""

import shutil

import numpy as np
import pytest

from benchmarks.limit import (
    CASES,
    FAST,
    ROWS,
    STRICT,
    Content,
    compiled,
    differences,
    engine_day,
    run,
)
from benchmarks.workloads import EQUAL, SNAPSHOT
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config
from dtao_gym.world.config_people import PREDICTABLE
from dtao_gym.world.state import Subnets

TOLERANCE = 1e-9
pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc")


@pytest.fixture(scope="module")
def programs():
    """Programs by weights and compiler flags."""
    with (
        compiled(EQUAL, STRICT) as half,
        compiled(SNAPSHOT, STRICT) as general,
        compiled(EQUAL, FAST) as fast_half,
        compiled(SNAPSHOT, FAST) as fast,
    ):
        yield {
            (EQUAL, STRICT): half,
            (SNAPSHOT, STRICT): general,
            (EQUAL, FAST): fast_half,
            (SNAPSHOT, FAST): fast,
        }


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_c_and_the_engine_agree_after_a_day_of_spans(case, programs):
    start, end = engine_day(case)
    for flags in (STRICT, FAST):
        errors = differences(end, run(programs[case.weights, flags], start))
        assert len(errors) > 50
        assert not {name: error for name, error in errors.items() if not error <= TOLERANCE}


def test_every_row_that_a_span_changes_is_compared():
    batch = Batch(Config.make(PREDICTABLE, n_subnets=8))
    trace = np.zeros((4, batch.layout.n_rows, 8))
    batch.step(np.full((1, 1, 8), 10.0), days=2)
    batch.advance(np.zeros((1, 1, 8)), 1, trace)
    changed = {
        name
        for k, name in enumerate(Subnets._fields)
        if not np.array_equal(trace[0, k], trace[3, k])
    }
    assert "alpha_minted" in changed
    assert changed - set(ROWS) == {"spot_price"}  # written at the end of a day, and for the trace


def test_unusual_states_contain_rare_events():
    start, end = engine_day(CASES["snapshot, unusual, gate closed"])
    before, after = (dict(zip(ROWS, c.rows[0], strict=True)) for c in (start, end))
    assert end.worlds["block_emission"][0] == start.worlds["block_emission"][0] / 2
    assert 0.0 < after["alpha_emission"][6] == before["alpha_emission"][6] / 2
    assert after["started"][1] == 0.0
    assert after["emission_share"][2] == 0.0
    assert end.worlds["moving_price_sum"][0] < 1.0
    left = after["scripted_claimable"] / before["scripted_claimable"]
    assert left[8] < left[3] - 0.01  # some claims of the shallow pool were refused


def test_a_state_survives_its_file(tmp_path):
    start, _ = engine_day(CASES["weights 1/2"])
    start.write(tmp_path / "state")
    again = Content.read(tmp_path / "state")
    assert again.spans_per_day == start.spans_per_day
    for name in ("parameters", "worlds", "rows"):
        assert getattr(again, name).tobytes() == getattr(start, name).tobytes()
