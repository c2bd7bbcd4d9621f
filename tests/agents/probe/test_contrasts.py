"""Contrasts: the conditions of a verdict."""

from dataclasses import replace

import numpy as np
import pytest
from dtao_agents.equilibrium.game import share_of
from dtao_agents.evaluation.statistics import Estimate, bca_interval, resample_means
from dtao_agents.probe.cells import CellSolution
from dtao_agents.probe.contrasts import (
    Contrast,
    all_contrasts,
    holm,
    joint_verdict,
    make_contrast,
)
from dtao_agents.probe.plan import all_cells, make_plan

PLAN = make_plan({})


def solved(log_odds: float, sd: float, verdict: str = "solved", seed: int = 0) -> CellSolution:
    """Solution whose log-odds are the mean of 64 draws."""
    noise = np.random.default_rng(seed).normal(size=(64, 1))
    values = log_odds + sd * (noise - noise.mean()) / noise.std()
    resampled = resample_means(values, lambda means: means[..., 0], 2_000)
    bounds = bca_interval(resampled)
    share = float(share_of(log_odds))
    zero = Estimate(0.0, 0.0, 0.0)
    return CellSolution(
        verdict, share, bounds, (log_odds,), resampled, zero, 0.1, None, None, (share,), {}, 1.0
    )


def between(gap: float, sd: float, question="exceeds", **changes) -> Contrast:
    other = replace(solved(-gap, sd), **changes)
    return make_contrast("crowding out", "test", question, solved(0.0, 0.0), other, PLAN)


@pytest.mark.parametrize(
    ("gap", "sd", "question", "verdict"),
    [
        (0.8, 0.3, "exceeds", "supported"),
        (-0.8, 0.3, "exceeds", "refuted"),
        (0.2, 0.3, "exceeds", "undecided"),
        (0.8, 3.0, "exceeds", "undecided"),
        (0.0, 0.3, "no effect", "supported"),
        (0.8, 0.3, "no effect", "refuted"),
        (-0.8, 0.3, "no effect", "refuted"),
        (0.2, 0.3, "no effect", "undecided"),
    ],
)
def test_a_verdict_needs_a_clear_and_narrow_interval(gap, sd, question, verdict):
    assert between(gap, sd, question).verdict == verdict


def test_a_wide_interval_is_undecided_with_its_own_verdict_as_the_reason():
    wide = between(2.0, 1.5)
    assert wide.verdict == "undecided"
    assert wide.reason.startswith("supported by the interval, but its half-width 0.3")


def test_cells_that_did_not_converge_get_no_verdict():
    assert between(0.8, 0.3, verdict="not converged").verdict == "undecided"


def test_without_a_number_there_is_no_contrast():
    contrast = between(
        0.8, 0.3, research_share=None, interval=None, fixed_point=None, verdict="indeterminate"
    )
    assert contrast.verdict == "indeterminate"
    assert contrast.estimate is None


def test_holm_withdraws_verdicts_that_do_not_survive_together():
    family = [
        Contrast("f", str(p), "exceeds", Estimate(1.0, 0.9, 1.1), "supported", "", p)
        for p in (0.001, 0.02, 0.03, 0.04)
    ]
    assert [c.verdict for c in holm(family)] == ["supported"] + ["undecided"] * 3
    assert [c.verdict for c in holm(family[:1])] == ["supported"]
    assert "Holm" in holm(family)[1].reason
    # undecided contrasts do not count as tests
    undecided = [replace(c, verdict="undecided") for c in family[1:]]
    assert holm([family[0], *undecided])[0].verdict == "supported"


def test_contrasts_have_the_sign_of_the_theory():
    plan = make_plan({})
    cells = all_cells(plan)
    odds = {"fee": 0.0, "price": -1.0, "tao_flow": -0.5, "root_vote": -0.25}
    solutions = {
        c.name: solved(
            odds[c.institution] - 0.125 * c.pruning - 0.0625 * (c.moving_price == "fast"), 0.0
        )
        for c in cells
    }
    families = all_contrasts(cells, solutions, plan)
    assert {name: len(cs) for name, cs in families.items()} == {
        "crowding out": 12,
        "market less vote": 4,
        "pruning": 6,
        "moving price": 6,
    }
    gaps = {c.name: c.estimate.value for c in families["crowding out"]}
    assert gaps["price, direct, pruning, fast"] == pytest.approx(
        1.125
    )  # the reference has a fast price too
    assert all(c.estimate.value == pytest.approx(0.75) for c in families["market less vote"])
    assert all(c.estimate.value == pytest.approx(0.125) for c in families["pruning"])
    assert all(c.estimate.value == pytest.approx(0.0625) for c in families["moving price"])
    assert {c.verdict for c in families["moving price"]} == {"supported"}


def test_a_joint_verdict_needs_agreement_of_all_settings():
    yes, no = between(0.8, 0.1), between(-0.8, 0.1)
    assert joint_verdict([yes, yes]) == "supported"
    assert joint_verdict([yes, no]) == "undecided"
    assert joint_verdict([]) == "not measured"
