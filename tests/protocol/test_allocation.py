"""Emission shares: properties of every rule that divides the block's TAO."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dtao_gym.protocol.allocation import (
    ALLOCATIONS,
    CHAIN_RULES,
    NO_REST,
    SUM_RULES,
    USER_RULE,
    DemandSums,
    Market,
    Rest,
    RuleSettings,
    demand_shares,
    demand_weight,
    emission_shares,
    total_demand,
    with_measured_bar,
)
from dtao_gym.protocol.flows import (
    FLOW_EMA_BASE,
    flow_ema_decay,
    flow_weights,
    net_flow,
    net_flow_factor,
    next_flow_ema,
)
from dtao_gym.protocol.gate import bar_of_mass, bar_of_rank

RULES = sorted(ALLOCATIONS)
WEIGHT_RULES = [rule.name for rule in SUM_RULES]
FLOW_RULES = ["tao_flow", "net_flow"]
GATED = ["price_burn_gate", "price_burn_gate_rank"]
CHAIN = RuleSettings(
    share_exponent=1.0, gate_bar=0.01, gate_exponent=3.0, flow_cutoff=0.0, norm_exponent=1.0
)

prices = st.just(0.0) | st.floats(1e-6, 1.0)
fractions = st.just(0.0) | st.just(1.0) | st.floats(1e-6, 1.0)
flows = st.just(0.0) | st.floats(1e-6, 1e3) | st.floats(-1e3, -1e-6)
exponents = st.sampled_from([0.5, 1.0, 1.5, 2.0])


@st.composite
def markets(draw):
    """Public numbers of a few subnets."""
    n = draw(st.integers(1, 6))

    def column(elements):
        return draw(arrays(float, n, elements=elements))

    votes = column(fractions)
    return Market(
        moving_price=column(prices),
        spot_price=column(prices),
        miner_burned=column(fractions),
        emission_enabled=column(st.sampled_from([0.0, 1.0])),
        user_flow_ema=column(flows),
        protocol_flow_ema=column(flows),
        root_proportion=column(fractions),
        signal=np.zeros(n),
        votes=votes / max(votes.sum(), 1.0),
        age_days=np.zeros(n),
        knowledge_disclosed=np.zeros(n),
    )


@st.composite
def rule_settings(draw):
    steepness = draw(st.sampled_from([1.0, 3.0, 5.5, 8.0]))
    return RuleSettings(draw(exponents), draw(fractions), steepness, draw(flows), draw(exponents))


def market_of(**columns) -> Market:
    """A market in which all other numbers are 0 and emission is enabled."""
    n = len(next(iter(columns.values())))
    whole = {name: np.zeros(n) for name in Market._fields} | {"emission_enabled": np.ones(n)}
    return Market(**whole | {name: np.array(value, float) for name, value in columns.items()})


def part_of(market: Market, which) -> Market:
    return Market(*(column[which] for column in market))


def shares_of(rule: str, market: Market, settings=CHAIN, rest: Rest = NO_REST):
    """(shares, share of the rest)."""
    shares = np.full(market.moving_price.size, np.nan)
    of_rest = emission_shares(ALLOCATIONS[rule], market, settings, rest, shares)
    return shares, of_rest


# --- every rule


@pytest.mark.parametrize("rule", RULES)
@given(markets(), rule_settings())
def test_shares_add_to_one_or_are_all_zero(rule, market, settings):
    shares, of_rest = shares_of(rule, market, settings)
    assert of_rest == 0.0
    assert (shares >= 0.0).all()
    if rule == "root_vote":  # votes for root itself are not issued
        assert shares == pytest.approx(market.votes * market.emission_enabled)
    else:
        assert shares.sum() == pytest.approx(1.0, rel=1e-13) or not shares.any()


@pytest.mark.parametrize("rule", RULES)
@given(markets(), rule_settings(), st.data())
def test_claims_near_the_smallest_number_are_shares_or_nothing(rule, market, settings, data):
    """Sums below 6e-309 have no finite inverse; averages of flows decay to them within months."""
    sizes = st.sampled_from([1.0, 1e-290, 1e-305, 1e-310, 5e-324])
    size = data.draw(arrays(float, market.moving_price.size, elements=sizes))
    names = ("moving_price", "user_flow_ema", "protocol_flow_ema")
    tiny = market._replace(**{name: getattr(market, name) * size for name in names})
    shares, _ = shares_of(rule, tiny, settings)
    assert (shares >= 0.0).all()
    assert shares.sum() <= 1.0 + 1e-12


@pytest.mark.parametrize("rule", ["tao_flow", "net_flow"])
def test_where_the_largest_flow_is_disabled_a_vanishing_one_gets_nothing(rule):
    market = market_of(user_flow_ema=[1.0, 3e-309], emission_enabled=[0.0, 1.0])
    assert not shares_of(rule, market)[0].any()


@pytest.mark.parametrize("rule", RULES)
@given(markets(), rule_settings())
def test_a_subnet_with_emission_disabled_gets_nothing(rule, market, settings):
    shares, _ = shares_of(rule, market, settings)
    assert not shares[market.emission_enabled == 0.0].any()


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule != "root_vote"])
@given(markets(), rule_settings())
def test_what_the_disabled_would_get_goes_to_the_others_in_proportion(rule, market, settings):
    enabled = market.emission_enabled
    everybody, _ = shares_of(
        rule, market._replace(emission_enabled=np.ones(enabled.size)), settings
    )
    shares, _ = shares_of(rule, market, settings)
    kept = everybody * enabled
    if kept.sum() > 1e-200:
        assert shares == pytest.approx(kept / kept.sum(), rel=1e-11, abs=1e-200)


@pytest.mark.parametrize("rule", RULES)
@given(markets(), rule_settings(), st.randoms(use_true_random=False))
def test_order_of_the_subnets_does_not_matter(rule, market, settings, random):
    order = list(range(market.moving_price.size))
    random.shuffle(order)
    shares, _ = shares_of(rule, market, settings)
    shuffled, _ = shares_of(rule, part_of(market, order), settings)
    assert shuffled == pytest.approx(shares[order], rel=1e-11, abs=1e-200)


# --- the table of rules


@pytest.mark.parametrize("rule", CHAIN_RULES, ids=lambda rule: rule.name)
@given(markets(), rule_settings())
def test_a_rule_reads_the_columns_of_the_table_and_no_others(rule, market, settings):
    read = (*rule.columns, "emission_enabled")
    nothing = np.full(market.votes.size, np.nan)
    others = {name: nothing for name in Market._fields if name not in read}
    expected, of_rest = shares_of(rule.name, market, settings)
    shares, without = shares_of(rule.name, market._replace(**others), settings)
    assert np.array_equal(shares, expected)
    assert without == of_rest


@pytest.mark.parametrize("number", [-1, USER_RULE, USER_RULE + 1, 1000])
def test_an_unknown_id_gives_no_number(number):
    market = market_of(moving_price=[0.1, 0.2], user_flow_ema=[1.0, 2.0], votes=[0.5, 0.5])
    shares = np.zeros(2)
    assert np.isnan(emission_shares(number, market, CHAIN, NO_REST, shares))
    assert np.isnan(shares).all()
    assert np.isnan(demand_weight(number, 0.1, 0.0, 1.0))


@pytest.mark.parametrize("rule", RULES)
def test_other_rules_than_those_of_sums_have_no_demand_weight(rule):
    weight = demand_weight(ALLOCATIONS[rule], 0.5, 0.5, 0.5)
    assert np.isnan(weight) == (rule not in WEIGHT_RULES)


@pytest.mark.parametrize("rule", WEIGHT_RULES)
@given(markets())
def test_demand_of_several_subnets_is_the_sum_of_their_weights(rule, market):
    claims = [rest_of(name, market, 1.0).demand for name in WEIGHT_RULES]
    columns = market.moving_price, market.miner_burned, market.root_proportion
    weights = [demand_weight(ALLOCATIONS[rule], *row) for row in zip(*columns, strict=True)]
    total = total_demand(ALLOCATIONS[rule], DemandSums(*claims))
    assert total == pytest.approx(sum(weights), rel=1e-12)


# --- the rest of a snapshot


def rest_of(rule: str, market: Market, exponent: float) -> Rest:
    """Sums over subnets that are not simulated, and the list of their demands."""
    moving, enabled = market.moving_price**exponent, market.emission_enabled
    claims = moving
    if rule == "uniform":
        claims = np.ones(moving.size)
    if rule in ("price_burn", "price_rootprop", *GATED):
        claims = claims * (1 - market.miner_burned)
    if rule == "price_rootprop":
        claims = claims * market.root_proportion
    listed = claims if claims.sum() > 0 else moving
    order = np.argsort(-listed, kind="stable")
    demands = np.ascontiguousarray(listed[order] / max(listed.sum(), 1e-300))
    lists = demands, np.ascontiguousarray(enabled[order]), np.empty(moving.size)
    return Rest(claims.sum(), claims @ enabled, moving.sum(), moving @ enabled, 0.0, *lists)


def fixed_share(share: float) -> Rest:
    """A rest with a share and nothing else."""
    return NO_REST._replace(share=share)


@pytest.mark.parametrize("rule", [*WEIGHT_RULES, *GATED])
@given(markets(), exponents, st.integers(1, 6))
def test_the_aggregate_stands_for_the_subnets_that_it_sums(rule, market, exponent, kept):
    settings = CHAIN._replace(share_exponent=exponent)
    whole, _ = shares_of(rule, market, settings)
    rest = rest_of(rule, part_of(market, slice(kept, None)), exponent)
    shares, of_rest = shares_of(rule, part_of(market, slice(None, kept)), settings, rest)
    assert shares == pytest.approx(whole[:kept], rel=1e-11, abs=1e-300)
    assert of_rest == pytest.approx(whole[kept:].sum(), rel=1e-11, abs=1e-300)


@pytest.mark.parametrize("rule", [*FLOW_RULES, "root_vote"])
@given(markets(), fractions)
def test_under_the_other_rules_the_rest_has_a_fixed_share(rule, market, share):
    alone, _ = shares_of(rule, market)
    shares, of_rest = shares_of(rule, market, rest=fixed_share(share))
    assert of_rest == share
    assert shares == pytest.approx(alone * (1 - share), rel=1e-12)


@pytest.mark.parametrize("rule", GATED)
@given(markets(), st.floats(0.01, 0.99))
def test_a_rest_with_a_share_has_that_part_of_demand_at_the_gate(rule, market, share):
    rest = fixed_share(share)
    shares, of_rest = shares_of(rule, market, rest=rest)
    assert of_rest == share
    assert shares.sum() == pytest.approx(1 - share, rel=1e-13) or not shares.any()
    # the same subnets alone, against a bar as much higher as their demand shares are
    higher = CHAIN._replace(gate_bar=CHAIN.gate_bar / (1 - share))
    alone, _ = shares_of(rule, market, higher)
    assert shares == pytest.approx(alone * (1 - share), rel=1e-11)


# --- prices


@given(markets())
def test_the_scale_of_prices_does_not_matter(market):
    halved = market._replace(moving_price=market.moving_price / 2)
    for rule in ("price", "price_burn", "price_rootprop", *GATED):
        expected, _ = shares_of(rule, market)
        assert shares_of(rule, halved)[0] == pytest.approx(expected, rel=1e-12)


@given(markets())
def test_where_all_incentive_is_burned_moving_prices_decide(market):
    burned = market._replace(miner_burned=np.ones(market.miner_burned.size))
    by_price, _ = shares_of("price", market)
    for rule in ("price_burn", "price_rootprop"):
        assert shares_of(rule, burned)[0] == pytest.approx(by_price, rel=1e-14)


@given(markets())
def test_without_burn_the_rule_of_2026_is_that_of_2025(market):
    without = market._replace(miner_burned=np.zeros(market.miner_burned.size))
    expected, _ = shares_of("price", without)
    assert np.array_equal(shares_of("price_burn", without)[0], expected)
    same_root = without._replace(root_proportion=np.full(expected.size, 0.3))
    assert shares_of("price_rootprop", same_root)[0] == pytest.approx(expected, rel=1e-13)


def test_burning_costs_share_and_price_brings_it():
    market = market_of(moving_price=[0.02, 0.02, 0.06], miner_burned=[0.0, 0.5, 0.0])
    shares, _ = shares_of("price_burn", market)
    assert shares == pytest.approx([0.02 / 0.09, 0.01 / 0.09, 0.06 / 0.09], rel=1e-15)
    assert shares_of("uniform", market)[0] == pytest.approx([1 / 3] * 3, rel=1e-15)
    shares, _ = shares_of("price", market, CHAIN._replace(share_exponent=0.5))
    roots = np.sqrt(market.moving_price)
    assert shares == pytest.approx(roots / roots.sum(), rel=1e-14)


# --- the gate


@pytest.mark.parametrize("rule", GATED)
def test_the_gate_looks_at_demand_before_emission_is_switched_off(rule):
    market = market_of(moving_price=[0.06, 0.03, 0.01], emission_enabled=[0.0, 1.0, 1.0])
    shares, _ = shares_of(rule, market, CHAIN._replace(gate_bar=0.3))
    weights = np.array([x * x**3 / (x**3 + 0.3**3) for x in (0.3, 0.1)])
    assert shares == pytest.approx([0.0, *weights / weights.sum()], rel=1e-13)


@pytest.mark.parametrize("rule", GATED)
@given(markets())
def test_a_bar_of_zero_is_no_gate(rule, market):
    shares, _ = shares_of(rule, market, CHAIN._replace(gate_bar=0.0))
    assert shares == pytest.approx(shares_of("price_burn", market)[0], rel=1e-13)


@given(markets(), st.floats(0.05, 0.95), st.integers(1, 8))
def test_only_gated_rules_measure_a_bar_and_each_in_its_way(market, quantile, rank):
    shares, work = np.empty((2, market.moving_price.size))
    nobody = np.empty(0)
    demand_shares(market, CHAIN, NO_REST, shares)
    bars = {
        "price_burn_gate": bar_of_mass(shares, nobody, 0.0, quantile, work),
        "price_burn_gate_rank": bar_of_rank(shares, nobody, 0.0, rank, 0.0, work),
    }
    for rule in RULES:
        settings = with_measured_bar(
            ALLOCATIONS[rule], market, CHAIN, NO_REST, rank, quantile, shares, work
        )
        bar = bars.get(rule, 0.0) or CHAIN.gate_bar  # nobody in demand: as before
        assert settings == CHAIN._replace(gate_bar=bar)


# --- flows


@pytest.mark.parametrize("rule", FLOW_RULES)
@given(markets(), exponents)
def test_a_subnet_that_loses_tao_gets_nothing(rule, market, exponent):
    shares, _ = shares_of(rule, market, CHAIN._replace(norm_exponent=exponent))
    flow = market.user_flow_ema
    if rule == "net_flow":
        factor = net_flow_factor(flow, market.protocol_flow_ema)
        flow = np.array(
            [net_flow(*pair, factor) for pair in zip(flow, market.protocol_flow_ema, strict=True)]
        )
    assert not shares[flow <= 0.0].any()


@given(markets(), st.floats(-1e3, -1e-3))
def test_a_negative_cutoff_lifts_all_but_the_worst(market, cutoff):
    shares, _ = shares_of("tao_flow", market, CHAIN._replace(flow_cutoff=cutoff))
    flow = market.user_flow_ema
    floor = max(cutoff, min(flow.min(), 0.0))
    assert not shares[flow <= floor].any()
    lifted = np.maximum(flow - floor, 0.0) * market.emission_enabled
    if lifted.any():
        assert shares == pytest.approx(lifted / lifted.sum(), rel=1e-11)


@given(arrays(float, 5, elements=flows), exponents, st.floats(1e-9, 1e9))
def test_the_unit_of_flow_does_not_matter(flow, exponent, unit):
    weights, scaled = flow.copy(), flow * unit
    flow_weights(weights, 0.0, exponent)
    flow_weights(scaled, 0.0, exponent)
    assert scaled == pytest.approx(weights, rel=1e-9)
    assert weights.max() <= 1.0 + 1e-12


@given(markets())
def test_the_protocols_flow_is_scaled_down_to_the_users_at_most(market):
    users, protocol = market.user_flow_ema, market.protocol_flow_ema
    factor = net_flow_factor(users, protocol)
    assert 0.0 <= factor <= 1.0
    came, put_in = np.maximum(users, 0.0).sum(), np.maximum(protocol, 0.0).sum()
    if put_in > 0.0:
        assert factor * put_in <= came * (1 + 1e-12)


@given(flows, flows, st.integers(1, 300))
def test_blocks_of_equal_flow_are_the_closed_form(ema, flow, blocks):
    one = flow_ema_decay(FLOW_EMA_BASE, 1.0)
    stepped = ema
    for _ in range(blocks):
        stepped = next_flow_ema(stepped, flow, one)
    at_once = next_flow_ema(ema, flow, flow_ema_decay(FLOW_EMA_BASE, float(blocks)))
    assert stepped == pytest.approx(at_once, rel=1e-9, abs=1e-9)


def test_half_life_of_the_flow_averages():
    assert flow_ema_decay(FLOW_EMA_BASE, 216_000.0) == pytest.approx(0.5, rel=1e-9)
