"""Analysis of chosen research shares: signs, parts that add up, bounds, and what failed gates void."""

from dataclasses import replace

import numpy as np
import pytest
from dtao_agents.equilibrium.first_order import ANGLES
from dtao_agents.probe.analysis import Analysis, analyse, arms, line_weights
from dtao_agents.probe.cells import FEE, Cell, cells_of_block, identity, ladder
from dtao_agents.probe.contrasts import Contrast

from tests.agents.probe.synthetic import LOWEST, analysis_of, noise, solution, solve
from tests.agents.probe.tiny import plan_of

CORE = {
    "institutions": ["price", "root_vote"],
    "payments": ["direct", "alpha"],
    "moving_prices": ["fast", "slow"],
    "primary": True,
}
ODDS = {FEE: 0.0, "price": -1.0, "root_vote": -0.25, "uniform": -0.1, "tao_flow": -0.5}


def odds(cell: Cell) -> float:
    """Log-odds that fall with pruning, with the slow moving price, with finance and under alpha pay."""
    return (
        ODDS[cell.institution]
        - 0.5 * cell.pruning
        - 0.0625 * (cell.moving_price == "slow")
        + 0.125 * cell.config.finance
        - 0.25 * (cell.payment == "alpha")
    )


def named(analysis: Analysis, family: str, setting: str, institution: str = "price") -> Contrast:
    """The one contrast of a family in a setting."""
    (found,) = [
        c
        for c in analysis.of(family)
        if c.institution == institution and c.setting.startswith(setting)
    ]
    return found


def test_contrasts_have_the_sign_of_their_question():
    analysis = analysis_of(plan_of(CORE), odds)
    counts = {f: len(analysis.of(f)) for f in dict.fromkeys(c.family for c in analysis.contrasts)}
    assert counts == {"crowding out": 16, "market less vote": 8, "pruning": 8, "moving price": 8}
    # log-odds of the reference less those of the arm; both are pruned or neither is
    assert named(analysis, "crowding out", "direct, pruning, fast").estimate.value == 1.0
    assert named(analysis, "crowding out", "direct, pruning, slow").estimate.value == 1.0
    assert named(analysis, "crowding out", "alpha, no pruning, fast").estimate.value == 1.25
    assert {c.estimate.value for c in analysis.of("market less vote")} == {0.75}
    assert {c.institution for c in analysis.of("market less vote")} == {"price"}
    assert {c.estimate.value for c in analysis.of("pruning")} == {0.5}
    assert {c.estimate.value for c in analysis.of("moving price")} == {-0.0625}
    assert {c.verdict for c in analysis.of("moving price")} == {"supported"}


def test_a_market_that_does_more_research_than_the_vote_refutes():
    other = dict(ODDS, price=0.5)
    plan = plan_of({"institutions": ["price", "root_vote"], "pruning": [False]})
    contrast = analysis_of(plan, lambda cell: other[cell.institution]).of("market less vote")[0]
    assert contrast.estimate.value == -0.75
    assert (contrast.verdict, "opposite sign" in contrast.reason) == ("refuted", True)


def test_hypotheses_named_beforehand_are_crowding_out_and_market_less_vote():
    later = {"institutions": ["tao_flow"], "pruning": [True]}
    analysis = analysis_of(plan_of(CORE, later), odds, sd=0.1)
    named = {(c.family, c.institution) for c in analysis.contrasts if c.named}
    assert named == {
        ("crowding out", "price"),
        ("crowding out", "root_vote"),
        ("market less vote", "price"),
    }
    assert {c.setting.split(", ")[-1] for c in analysis.contrasts if c.named} == {"fast"}
    assert all((c.adjusted is not None) == c.named for c in analysis.contrasts)


def test_a_plan_may_name_some_of_its_institutions():
    analysis = analysis_of(plan_of(CORE | {"named": ["price"]}), odds, sd=0.1)
    named = {(c.family, c.institution) for c in analysis.contrasts if c.named}
    assert named == {("crowding out", "price")}
    assert {c.institution for c in analysis.of("crowding out") if c.primary} == {
        "price",
        "root_vote",
    }


@pytest.mark.parametrize("pruning", [False, True])
def test_steps_of_the_ladder_add_up_to_the_gap_between_the_plain_reference_and_the_arm(pruning):
    plan = plan_of({"institutions": ["price"], "pruning": [pruning]})
    analysis = analysis_of(plan, odds, sd=0.3)
    (arm,) = arms(analysis.cells)
    rungs = analysis.ladders[arm.name]
    names = ["finance adds", *["pruning adds"] * pruning, "the institution adds"]
    assert [rung.step for rung in rungs] == names
    values = [rung.adds.estimate.value for rung in rungs]
    plain = analysis.solution(ladder(arm)[0]).research.estimate.value
    assert sum(values) == pytest.approx(plain - analysis.solution(arm).research.estimate.value)
    assert values == pytest.approx([-0.125, *[0.5] * pruning, 1.0])
    assert values[-1] == analysis.of("crowding out")[0].estimate.value


# --- doses


def test_weights_of_a_line_give_the_change_along_the_fit_of_numpy():
    places = np.array([30.0, 90.0, 180.0, 360.0])
    values = np.array([0.1, 0.7, 0.2, 1.4])
    slope = np.polyfit(places, values, 1)[0]
    assert line_weights(places) @ values == pytest.approx(slope * 330.0)


def test_a_slope_is_the_fitted_change_of_crowding_out():
    delays = [30.0, 90.0, 180.0, 360.0]
    gaps = dict(zip(delays, [0.1, 0.7, 0.2, 1.4], strict=True))
    doses = [{"delay_days": delay} for delay in delays]
    plan = plan_of({"institutions": ["price"], "pruning": [False], "doses": doses})

    def by_delay(cell: Cell) -> float:
        level = 0.01 * cell.config.delay_days
        return level - gaps[cell.config.delay_days] * (cell.institution != FEE)

    (slope,) = analysis_of(plan, by_delay).of("slope")
    fitted = np.polyfit(delays, list(gaps.values()), 1)[0] * 330.0
    assert slope.estimate.value == pytest.approx(fitted)
    assert slope.setting == "direct, no pruning, fast, from 30 to 360 of delay_days"


def test_a_slope_without_one_of_its_cells_is_no_number():
    doses = [{"delay_days": delay} for delay in (30.0, 90.0, 360.0)]
    plan = plan_of({"institutions": ["price"], "pruning": [False], "doses": doses})
    (slope,) = analysis_of(
        plan, lambda cell: None if cell.config.delay_days == 90.0 else odds(cell)
    ).of("slope")
    assert slope.verdict == "indeterminate"
    assert "delay_days 90.0: indeterminate" in slope.reason


def test_remedies_are_compared_with_the_first_dose():
    plan = plan_of(
        {
            "institutions": ["price"],
            "pruning": [True],
            "references": False,
            "doses": [{}, {"hype": 0.0}, {"immunity_days": 360}],
        }
    )
    effect = {(): 0.0, (("hype", 0.0),): 0.5, (("immunity_days", 360),): -0.5}
    found = analysis_of(plan, lambda cell: effect[cell.changes]).of("remedy")
    assert [(c.setting, c.estimate.value, c.verdict) for c in found] == [
        ("direct, pruning, fast, hype 0.0", 0.5, "supported"),
        ("direct, pruning, fast, immunity_days 360", -0.5, "refuted"),
    ]


# --- channels

CHANNELS = {
    "institutions": ["price"],
    "pruning": [True],
    "references": False,
    "channels": {"hype": 0.0, "finance": False, "pruning": False},
}


def test_parts_of_channels_add_up_to_the_gap_with_all_off():
    plan = plan_of(CHANNELS)
    cells = cells_of_block(plan, plan.blocks[0])
    values = dict(
        zip([cell.name for cell in cells], np.random.default_rng(0).normal(size=8), strict=True)
    )
    whole, *parts = analysis_of(plan, lambda cell: values[cell.name], sd=0.1).of("channel")
    full, *_, off = cells
    assert len(full.changes) == 0
    assert len(off.changes) == 3
    total = sum(part.estimate.value for part in parts)
    assert total == pytest.approx(values[off.name] - values[full.name])
    assert whole.setting.endswith(": all channels")
    assert whole.estimate.value == pytest.approx(total)


def test_an_effect_of_two_channels_together_is_split_in_halves():
    def log_odds(cell: Cell) -> float:
        off = dict(cell.changes)
        return 0.3 * ("finance" in off) + 0.8 * ("hype" in off and "pruning" in off)

    parts = analysis_of(plan_of(CHANNELS), log_odds).of("channel")
    found = {part.setting.rpartition(": ")[2]: part.estimate.value for part in parts}
    assert found.pop("all channels") == pytest.approx(1.1)
    assert found == pytest.approx({"hype": 0.4, "finance": 0.3, "pruning": 0.4})


def test_remedies_that_change_pruning_or_speed_are_compared_too():
    doses = [{}, {"pruning": False}, {"moving_price_variant": "slow"}]
    plan = plan_of(
        {"institutions": ["price"], "pruning": [True], "references": False, "doses": doses}
    )
    values = {(): 0.0, ("pruning",): 0.5, ("moving_price_variant",): 0.1}
    remedies = analysis_of(plan, lambda c: values[tuple(name for name, _ in c.changes)]).of(
        "remedy"
    )
    assert [c.estimate.value for c in remedies] == pytest.approx([0.5, 0.1])


def test_doses_are_put_in_order_and_equal_ones_have_no_line():
    unsorted = {"institutions": ["price"], "pruning": [False]}
    plan = plan_of(unsorted | {"doses": [{"hype": 1.0}, {"hype": 0.5}]})
    (slope,) = analysis_of(plan, lambda c: 0.0 if c.institution == FEE else -c.config.hype).of(
        "slope"
    )
    assert slope.setting.endswith("from 0.5 to 1 of hype")
    assert slope.estimate.value == pytest.approx(0.5)
    equal = plan_of(unsorted | {"doses": [{"hype": 1.0}, {"hype": 1.0}]})
    assert analysis_of(equal, odds).of("slope") == []


def test_a_channel_that_is_off_already_has_no_part():
    off = CHANNELS | {"channels": {"hype": 0.5, "finance": False}}
    _, hype, finance = analysis_of(plan_of(off), lambda c: 0.0 if c.config.finance else 0.3).of(
        "channel"
    )
    assert (hype.estimate.value, finance.estimate.value) == pytest.approx((0.0, 0.3))


def test_a_root_beyond_the_range_is_no_number():
    """The solver may find it outside although no unknown was fixed: then the estimate is the end of the range."""
    plan = plan_of({"institutions": ["price"], "pruning": [False]})
    solutions = solve(plan, odds)
    for key, found in solutions.items():
        if found.institution == "price":
            bound = np.full((1, 1), ANGLES[0])
            solutions[key] = replace(found, verdict="at a bound", population=bound)
    (contrast,) = analyse(plan, solutions).contrasts
    assert (contrast.verdict, contrast.estimate) == ("supported", None)


# --- cells without a number


def test_an_arm_at_the_lowest_share_is_crowded_out_without_a_size():
    plan = plan_of({"institutions": ["price", "root_vote"], "pruning": [False], "primary": True})
    analysis = analysis_of(plan, lambda c: LOWEST if c.institution == "price" else odds(c))
    contrast = named(analysis, "crowding out", "direct")
    assert (contrast.verdict, contrast.estimate) == ("supported", None)
    assert "at a bound" in contrast.reason
    assert named(analysis, "market less vote", "direct").verdict == "supported"


def test_a_reference_at_the_lowest_share_refutes_crowding_out():
    plan = plan_of({"institutions": ["price"], "pruning": [False]})
    (contrast,) = analysis_of(plan, lambda c: LOWEST if c.institution == FEE else odds(c)).contrasts
    assert (contrast.verdict, contrast.estimate) == ("refuted", None)


def test_two_cells_at_the_same_bound_are_not_compared():
    plan = plan_of({"institutions": ["price"], "pruning": [False]})
    (contrast,) = analysis_of(plan, lambda cell: LOWEST).contrasts
    assert contrast.verdict == "indeterminate"


def test_an_indeterminate_arm_and_one_that_was_not_computed_have_no_verdict():
    plan = plan_of({"institutions": ["price", "root_vote"], "pruning": [False]})
    solutions = solve(plan, lambda cell: None if cell.institution == "price" else odds(cell))
    vote = next(c for c in arms(analyse(plan, {}).cells) if c.institution == "root_vote")
    del solutions[identity(vote)]
    analysis = analyse(plan, solutions)
    assert analysis.missing == [vote]
    price, other = analysis.of("crowding out")
    assert (price.verdict, price.reason) == (
        "indeterminate",
        "price, direct, no pruning, fast: indeterminate",
    )
    assert (other.verdict, other.reason) == (
        "indeterminate",
        "root_vote, direct, no pruning, fast: not computed",
    )


def test_thirds_of_builders_are_compared_with_the_one_share_of_the_reference():
    plan = plan_of({"institutions": ["price"], "pruning": [True], "strategy": "thirds by price"})
    solutions = solve(plan, lambda cell: 0.0)
    (arm,) = arms(analyse(plan, {}).cells)
    thirds = solution(arm, 0.0, noise(0))
    shifted = tuple(
        thirds.parameters[0]._replace(
            name=f"{third}, research share",
            estimate=thirds.parameters[0].estimate._replace(value=v),
        )
        for third, v in (("lowest third", -1.0), ("highest third", 0.5))
    )
    solutions[identity(arm)] = type(thirds)(**vars(thirds) | {"parameters": shifted})
    found = analyse(plan, solutions).of("crowding out")
    assert [(c.setting.rpartition(", ")[2], c.estimate.value) for c in found] == [
        ("lowest third", 1.0),
        ("highest third", -0.5),
    ]


# --- gates

WIDE = CORE | {"institutions": ["price", "uniform"]}
INFLUENCE = {"institutions": ["price"], "pruning": [True], "strategy": "influence"}


@pytest.mark.parametrize(
    ("gate", "void"),
    [
        ("NC3", lambda c: "slow" in c.setting),
        ("NC6", lambda c: c.institution == "uniform" and c.setting.startswith("direct")),
        ("NC8", lambda c: c.setting.endswith("influence")),
        ("NC10", lambda c: c.setting.startswith("direct")),
        ("NC9", lambda c: True),
        ("POT", lambda c: True),
        ("REALISM", lambda c: True),
        ("NC4", lambda c: True),
        ("oracles", lambda c: True),
        ("a gate without a scope", lambda c: True),
    ],
)  # fmt: skip
def test_a_failed_gate_voids_the_arms_it_bears_on_and_no_other(gate, void):
    plan = plan_of(WIDE, INFLUENCE)
    found = analysis_of(plan, odds, failed=[gate]).of("crowding out")
    whole = analysis_of(plan, odds).of("crowding out")
    assert len(found) == 17
    assert [c.verdict == "void" for c in found] == [void(c) for c in found]
    assert {c.verdict for c in whole} == {"supported", "refuted"}
    for contrast, before in zip(found, whole, strict=True):
        if contrast.verdict == "void":
            assert contrast.reason == f"{gate} failed"
        else:
            assert contrast == before


def test_a_contrast_is_void_if_one_of_its_arms_is():
    found = analysis_of(plan_of(WIDE), odds, failed=["NC3"])
    assert {c.verdict for c in found.of("moving price")} == {"void"}
