"""C5: the closed form of issuance, and the engine's supplies against it."""

import numpy as np
import pytest
from dtao_agents.claims.caps import (
    CLOSED,
    CapSettings,
    closed_form_findings,
    crossing_days,
    issuance_paths,
    measure,
    schedule,
)

from dtao_gym.protocol.institutions import ERAS
from dtao_gym.protocol.issuance import BLOCKS_PER_DAY, SUPPLY_CAP, emission_per_block

SHORT = CapSettings.model_validate({"years": 10, "n_subnets": 3})


def test_halvings_of_a_new_token_are_four_years_apart():
    closed = schedule(0.0)
    four_years = 10.5e6 / BLOCKS_PER_DAY
    np.testing.assert_allclose(closed.days[:10], four_years * np.arange(10), rtol=1e-12)
    np.testing.assert_allclose(closed.issuance[:4], [0.0, 10.5e6, 15.75e6, 18.375e6])
    assert closed.issuance.max() <= SUPPLY_CAP
    assert closed.after(1e9) == closed.issuance[-1]


@pytest.mark.parametrize("issuance", [0.0, 8.5e6, 10.5e6, 11.014e6, 20.9e6])
@pytest.mark.parametrize("speed", [1.0, 2.0])
def test_the_closed_form_has_the_slope_that_the_protocol_mints(issuance, speed):
    closed = schedule(issuance, speed)
    day = 0.5 * (closed.days[:12] + closed.days[1:13])  # between halvings
    slope = (closed.after(day + 0.01) - closed.after(day - 0.01)) / (0.02 * BLOCKS_PER_DAY)
    minted = [speed * emission_per_block(SUPPLY_CAP - float(closed.after(d))) for d in day]
    np.testing.assert_allclose(slope, minted, rtol=1e-4)


def test_the_closed_form_goes_on_from_any_day():
    whole = schedule(1e6)
    later = schedule(float(whole.after(3000.0)))
    np.testing.assert_allclose(
        later.after(np.arange(5000.0)), whole.after(3000.0 + np.arange(5000.0))
    )


@pytest.mark.parametrize("given", [(SUPPLY_CAP, 1.0), (-1.0, 1.0), (0.0, 0.0)])
def test_impossible_tokens(given):
    with pytest.raises(ValueError, match="issuance, speed: got"):
        schedule(*given)


def test_days_of_crossing():
    path = np.array([0.0, 10.0, 20.0, 25.0, 30.0])
    # the rate falls within the third day: its first part has the rate of the second
    assert crossing_days(path, np.array([5.0, 20.0, 22.0, 99.0])).tolist()[:3] == [0.5, 2.0, 2.2]
    assert np.isnan(crossing_days(path, np.array([99.0]))).all()


@pytest.mark.parametrize("token", CLOSED)
@pytest.mark.parametrize("spans_per_day", [1, 4, 24])
def test_the_engine_follows_the_closed_form_to_a_span_per_halving(token, spans_per_day):
    settings = SHORT.model_copy(update={"spans_per_day": spans_per_day})
    findings = closed_form_findings(token, issuance_paths(settings, token), spans_per_day)
    assert [finding.verdict for finding in findings] == ["supported"] * 2
    deviation, date = (finding.estimate.value for finding in findings)
    assert deviation < 0.5 * BLOCKS_PER_DAY / spans_per_day / 10.5e6
    halvings = {"TAO": 3, "alpha": 2}[token]
    assert findings[0].setting == f"{token}, {halvings} halvings"
    assert -(halvings - 1) / spans_per_day <= date <= 1e-6


def test_a_wrong_rate_is_noticed():
    days = np.arange(4000)
    right = schedule(1.0).after(days)[None]
    assert all(finding.verdict == "supported" for finding in closed_form_findings("TAO", right, 4))
    # one thousandth too fast: halvings are a day early, then two
    fast = schedule(1.0, speed=1.001).after(days)[None]
    deviation, date = closed_form_findings("TAO", fast, 4)
    assert deviation.verdict == date.verdict == "refuted"
    assert date.estimate.value == pytest.approx(
        -2 * 10.5e6 / BLOCKS_PER_DAY * (1.0 - 1.0 / 1.001), rel=1e-2
    )
    # a halving that never comes
    late = np.minimum(1.0 + days * 7200.0, 10.4e6)[None]
    assert closed_form_findings("TAO", late, 4)[1].verdict == "refuted"


def test_a_run_without_a_halving_has_no_finding():
    with pytest.raises(ValueError, match="years: got 9 days"):
        closed_form_findings("TAO", schedule(1.0).after(np.arange(10))[None], 4)


def test_findings():
    said = []
    findings = measure(SHORT, said.append)
    assert said == ["C5: closed form", *(f"C5: {era}" for era in ERAS)]
    assert [finding for finding in findings if finding.verdict not in ("supported", None)] == []
    assert {finding.samples for finding in findings} == {0}
    supplies = [f for f in findings if f.measure.startswith("greatest supply")]
    assert len(supplies) == 2 * len(ERAS) - 1  # no alpha before there were pools
    # ten years at a tenth of the largest rate would give less, so the runs did mint
    assert all(10e6 < finding.estimate.value <= SUPPLY_CAP for finding in supplies)
    assert findings == measure(SHORT)
