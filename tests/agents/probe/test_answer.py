"""Sentences of the answer: what they say for each verdict, and that they speak of one setting."""

import re

import numpy as np
import pytest
from dtao_agents.claims.finding import Finding
from dtao_agents.evaluation.statistics import Estimate
from dtao_agents.probe.answer import (
    against_both,
    contrast_of,
    headline_cell,
    paragraph,
    sentences,
    tax,
)
from dtao_agents.probe.cells import FEE, Cell
from dtao_agents.probe.evidence import Evidence

from tests.agents.probe.synthetic import LOWEST, evidence_of
from tests.agents.probe.tiny import plan_of

PLAN = plan_of({"institutions": ["price", "root_vote"], "pruning": [True], "primary": True})


def evidence(
    price: float | str | None, vote: float | str | None = 0.0, sd: float = 0.4, **more
) -> Evidence:
    """Evidence of one setting in which the references have log-odds of 0."""
    values = {FEE: 0.0, "price": price, "root_vote": vote}
    return evidence_of(PLAN, lambda cell: values[cell.institution], sd, **more)


@pytest.mark.parametrize(
    ("price", "opening"),
    [
        (-1.0, "Token prices crowd out long-term research: builders put 27% of their work"),
        (0.1, "Token prices do not crowd out long-term research by an amount that matters: "),
        (1.0, "Token prices do not crowd out long-term research, they add to it: "),
        (-0.2, "Whether token prices crowd out long-term research is undecided: "),
    ],
)
def test_the_first_sentence_follows_the_verdict_on_the_market(price, opening):
    first, _ = sentences(evidence(price))
    assert first.startswith(opening)
    assert "against 50% where users pay them" in first
    assert f"a gap of {-price:+.2f} [" in first
    assert "where more than 0.2 counts" in first
    assert first.endswith(
        "(owners paid in TAO by emission share, the weakest subnets pruned, fast moving price)."
    )


@pytest.mark.parametrize(
    ("price", "vote", "opening"),
    [
        (-1.0, 0.0, "They crowd out more than the vote of root validators that they replaced: "),
        (-0.4, -0.45, "They crowd out no more than the vote of root validators that they replaced: "),
        (0.0, -1.0, "The vote of root validators that they replaced crowds out more: "),
        (-0.5, -0.3, "Whether they crowd out more than the vote of root validators that they "),
    ],
)  # fmt: skip
def test_the_second_sentence_follows_the_verdict_on_market_less_vote(price, vote, opening):
    _, second = sentences(evidence(price, vote))
    assert second.startswith(opening)
    assert f"the gap under prices less that under the vote is {vote - price:+.2f} [" in second
    assert "in the same setting" in second


def test_failed_gates_are_no_answer():
    first, second = sentences(evidence(-1.0, failed=["NC9", "POT"]))
    assert first == "No answer is given: checks of the model failed (NC9, POT failed)."
    assert second.endswith("cannot be said: NC9, POT failed.")
    assert against_both(evidence(-1.0, failed=["NC9"])) == []


def test_a_market_without_an_equilibrium_has_no_number():
    first, second = sentences(evidence(None))
    assert first == (
        "Whether token prices crowd out long-term research cannot be said: "
        "price, direct, pruning, fast: indeterminate."
    )
    assert second.startswith("Whether they crowd out more than the vote of root validators cannot ")


def test_a_market_at_a_bound_has_no_size():
    for sentence in sentences(evidence(LOWEST)):
        assert "crowd out" in sentence
        assert "cannot be said" not in sentence
        assert re.search(r"\d%|[-+]\d", sentence) is None


def test_effects_too_small_to_matter_are_no_direction():
    """Intervals on one side of 0, but within the smallest effect."""
    first, second = sentences(evidence(0.05, 0.0, sd=0.05))
    assert first.startswith("Token prices do not crowd out long-term research by an amount that")
    assert second.startswith("They crowd out no more than the vote")
    assert against_both(evidence(0.05, 0.0, sd=0.05)) == []


def test_a_plan_without_prices_or_without_the_vote_asks_less():
    no_market = plan_of({"institutions": ["root_vote"]})
    (only,) = sentences(evidence_of(no_market, lambda cell: 0.0))
    assert only.startswith("The plan has no cell of token prices")
    no_vote = plan_of({"institutions": ["price"]})
    (only,) = sentences(evidence_of(no_vote, lambda cell: 0.0))
    assert only.startswith("Token prices do not crowd out")


# --- one setting

WIDE = plan_of(
    {"institutions": ["price", "root_vote"], "doses": [{"hype": 0.0}, {"hype": 2.0}]},
    {"institutions": ["price", "root_vote"], "strategy": "thirds by price"},
    {
        "institutions": ["price", "root_vote"],
        "payments": ["alpha", "direct"],
        "moving_prices": ["slow", "fast"],
    },
)


def test_the_setting_of_the_answer_is_direct_pay_with_pruning_and_the_fast_price():
    analysis = evidence_of(WIDE, lambda cell: 0.0).analysis
    for institution in ("price", "root_vote"):
        cell = headline_cell(analysis, institution)
        assert cell.name == f"{institution}, direct, pruning, fast"
    assert headline_cell(analysis, "uniform") is None


def test_no_sentence_mixes_settings():
    """In the setting of the answer prices crowd out and the vote more; in all others it is the other way round."""

    def log_odds(cell: Cell) -> float:
        place = cell.payment, cell.pruning, cell.moving_price, cell.changes, cell.strategy
        headline = place == ("direct", True, "fast", (), "share")
        if cell.institution == FEE:
            return 0.0
        market = cell.institution == "price"
        return (-1.0 if market else -2.0) if headline else (3.0 if market else 4.0)

    found = evidence_of(WIDE, log_odds, sd=0.4)
    first, second = sentences(found)
    market = headline_cell(found.analysis, "price")
    for family, sentence, value in (
        ("crowding out", first, 1.0),
        ("market less vote", second, -1.0),
    ):
        contrast = contrast_of(found.analysis, family, market)
        assert contrast.setting == "direct, pruning, fast"
        assert contrast.estimate.value == pytest.approx(value)
        numbers = ", ".join(f"{x:+.2f}" for x in contrast.estimate[1:])
        assert f"{value:+.2f} [{numbers}]" in sentence
        assert len(re.findall(r"\[[^]]*\]", sentence)) == 1
    assert first.startswith("Token prices crowd out long-term research: builders put 27%")
    assert second.startswith("The vote of root validators that they replaced crowds out more")


# --- against both sides


def control(institution: str, setting: str, value: float) -> Finding:
    estimate = Estimate(value, value - 1.0, value + 1.0)
    return Finding("C1", "control of one actor", institution, setting, "share points", estimate, 8)


def test_the_answer_says_what_speaks_against_either_side():
    critics = "Against the market's critics: "
    defenders = "Against its defenders: at the same technology"
    assert [s.split("the vote")[0] for s in against_both(evidence(0.0, -1.0))] == [critics]
    (only,) = against_both(evidence(-1.0, 0.0))
    assert only.startswith(defenders)
    assert len(against_both(evidence(-1.0, -2.0))) == 2
    assert against_both(evidence(0.1, 0.0)) == []


def test_control_of_one_actor_speaks_against_the_market_where_intervals_do_not_overlap():
    clear = [
        control("price", "fast, 1 % of root stake", 30.0),
        control("root_vote", "1 % of root stake", 2.0),
    ]
    close = [
        control("price", "fast, 1 % of root stake", 3.0),
        control("root_vote", "1 % of root stake", 2.0),
    ]
    elsewhere = [control("price", "slow, 1 % of root stake", 30.0), clear[1]]
    (only,) = against_both(evidence(0.1, findings={"C1": clear}))
    assert "forces 30 share points of emission within 30 days under prices, and 2 by vote" in only
    assert against_both(evidence(0.1, findings={"C1": close})) == []
    assert against_both(evidence(0.1, findings={"C1": elsewhere})) == []


def test_the_paragraph_has_the_sentences_and_what_speaks_against_either_side():
    found = evidence(-1.0, -2.0)
    assert paragraph(found) == " ".join([*sentences(found), *against_both(found)])


def test_the_tax_that_would_do_the_same_keeps_the_order_of_the_interval():
    found = tax(Estimate(2.0 * np.log(2.0), 0.0, 2.0 * np.log(4.0)))
    assert found == pytest.approx((0.5, 0.0, 0.75))
    assert tax(Estimate(-1.0, -2.0, 0.0)).value < 0.0
