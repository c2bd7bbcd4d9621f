"""Properties of the coinbase: effects of a span of blocks on a subnet."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dtao_gym.protocol.coinbase import (
    ALPHA_EMISSION_BOUGHT,
    ALPHA_EMISSION_CAP,
    BLOCK_EMISSION_CAP,
    INJECTIONS,
    ROOT_PROPORTION_CAP,
    SUBSIDY,
    SUBSIDY_PER_EMISSION,
    EmissionLaw,
    Span,
    SubnetPool,
    coinbase_span,
    moving_price_decay,
    moving_price_rate,
    next_moving_price,
    root_proportion,
    root_sell_open,
    split_alpha_out,
    subnet_terms,
    subsidised,
)
from dtao_gym.protocol.issuance import BLOCKS_PER_DAY, SUPPLY_CAP, emission_per_block
from dtao_gym.protocol.pool import MIN_RESERVE, spot_price

EPS = np.finfo(float).eps
WEIGHT_MIN, WEIGHT_MAX = 0.01, 0.99  # the range that the chain keeps a TAO weight in


def powers(low: float, high: float):
    """Numbers whose logarithm is uniform."""
    return st.floats(math.log10(low), math.log10(high)).map(lambda exponent: 10.0**exponent)


SUBNET = {
    "blocks": 1.0,
    "tao_emission": 0.004,
    "block_emission": 0.5,
    "alpha_emission": 1.0,
    "tao_reserve": 1000.0,
    "alpha_reserve": 20_000.0,
    "pool_tao_weight": 0.5,
    "alpha_outstanding": 3e5,
    "root_weighted_tao": 1e6,
    "owner_cut": 0.18,
}
LAUNCH = {"injection": ALPHA_EMISSION_CAP, "destroyed_part": 0.0, "sold_part": 0.0}
SUBSIDISED = {"injection": SUBSIDY, "destroyed_part": 1.0, "sold_part": 0.0}
FLOW = {"injection": BLOCK_EMISSION_CAP, "destroyed_part": 1.0, "sold_part": 0.0}
TODAY = {"injection": ROOT_PROPORTION_CAP, "destroyed_part": 0.0, "sold_part": 0.0}

POOLS = [rule for name, rule in INJECTIONS.items() if name != "direct"]
NEUTRAL = [rule for rule in POOLS if rule != ALPHA_EMISSION_CAP]

weights = st.just(0.5) | st.floats(0.3, 0.9)
fractions = st.sampled_from([0.0, 1.0]) | st.floats(0.0, 1.0)
span_lengths = st.sampled_from([1.0, 30.0, 300.0, 1800.0, 7200.0])


@st.composite
def spans(draw, **fixed):
    """Inputs of `coinbase_span` by name: subnets as on mainnet, apart from `fixed` values."""
    tao_reserve = draw(powers(100.0, 1e6))
    arguments = {
        "blocks": draw(span_lengths),
        "tao_emission": draw(st.just(0.0) | powers(1e-6, 0.5)),
        "block_emission": draw(st.sampled_from([0.5, 1.0])),
        "alpha_emission": draw(st.sampled_from([0.0, 0.25, 0.5, 1.0])),
        "tao_reserve": tao_reserve,
        "alpha_reserve": min(tao_reserve * draw(powers(1.0, 1e4)), 2e7),
        "pool_tao_weight": draw(weights),
        "alpha_outstanding": draw(st.just(0.0) | powers(1.0, 1e7)),
        "root_weighted_tao": draw(st.just(0.0) | powers(1.0, 3e6)),
        "owner_cut": draw(fractions),
        "injection": draw(st.sampled_from(POOLS)),
        "destroyed_part": draw(st.sampled_from([0.0, 1.0])),
        "sold_part": draw(st.sampled_from([0.0, 1.0])),
    }
    return {**arguments, **fixed}


def run(arguments: dict) -> Span:
    emissions = ("blocks", "tao_emission", "block_emission", "alpha_emission")
    pool = SubnetPool(*(arguments[name] for name in SubnetPool._fields))
    law = EmissionLaw(*(arguments[name] for name in EmissionLaw._fields if name in arguments))
    return coinbase_span(*(arguments[name] for name in emissions), pool, law)


def price_after(span: Span) -> float:
    return spot_price(span.tao_reserve, span.alpha_reserve, span.pool_tao_weight)


# --- a span as a whole


@given(spans())
def test_a_span_neither_creates_nor_loses_tao_or_alpha(a):
    span = run(a)
    emitted = a["blocks"] * a["tao_emission"]
    assert span.tao_reserve + span.tao_unused == pytest.approx(
        a["tao_reserve"] + emitted, rel=1e-14
    )
    assert span.alpha_reserve + span.alpha_bought == pytest.approx(
        a["alpha_reserve"] + span.alpha_injected, rel=1e-14
    )
    minted = a["blocks"] * a["alpha_emission"]
    # root gets at most half of the alpha that is left after the owner's cut
    assert 0.0 <= span.root_alpha <= 0.5 * minted * (1 - a["owner_cut"]) * (1 + EPS)
    assert min(span.alpha_injected, span.alpha_bought, span.tao_unused) >= 0.0


@given(spans())
def test_no_span_mints_more_alpha_into_a_pool_than_its_cap(a):
    cap = a["block_emission"] if a["injection"] == SUBSIDY else a["alpha_emission"]
    if a["injection"] == BLOCK_EMISSION_CAP:
        cap = min(cap, a["block_emission"])
    assert run(a).alpha_injected <= a["blocks"] * cap * (1 + EPS)


@given(spans(sold_part=0.0).filter(lambda a: a["injection"] in NEUTRAL))
def test_a_span_never_lowers_the_price(a):
    before = spot_price(a["tao_reserve"], a["alpha_reserve"], a["pool_tao_weight"])
    assert price_after(run(a)) >= before * (1 - 1e-12)


def test_a_weight_of_one_half_stays_exactly_one_half():
    # a miss by one unit in the last place is rare: many pools
    random = np.random.default_rng(1)
    for blocks in (1.0, 30.0, 300.0, 1800.0, 7200.0):
        for tao, ratio, emission in 10 ** random.uniform((1, 0, -5), (5, 3, -1), (1000, 3)):
            pool = {"tao_reserve": tao, "alpha_reserve": tao * ratio}
            span = run({**SUBNET, **TODAY, **pool, "tao_emission": emission, "blocks": blocks})
            assert span.pool_tao_weight == 0.5


@given(spans(sold_part=1.0))
def test_root_sells_all_of_its_alpha_unless_the_subnet_is_subsidised(a):
    span = run(a)
    if a["injection"] == SUBSIDY and span.root_alpha > 0.0:
        assert span.root_alpha_to_sell in (0.0, span.root_alpha)
    else:
        assert span.root_alpha_to_sell == span.root_alpha
    if a["injection"] == SUBSIDY and a["blocks"] == 1.0:
        price = spot_price(a["tao_reserve"], a["alpha_reserve"], a["pool_tao_weight"])
        share = a["tao_emission"] / a["block_emission"]
        assert (span.root_alpha_to_sell == 0.0) == (price < share or span.root_alpha == 0.0)


@given(spans(blocks=1.0))
def test_destroying_what_the_chain_bought_leaves_root_a_larger_part(a):
    kept, destroyed = run(a | {"destroyed_part": 0.0}), run(a | {"destroyed_part": 1.0})
    assert destroyed.root_alpha >= kept.root_alpha
    assert destroyed[:5] == kept[:5]


@given(spans(injection=ALPHA_EMISSION_CAP))
def test_the_launch_leaves_the_weights_alone(a):
    assert run(a).pool_tao_weight == a["pool_tao_weight"]


@pytest.mark.parametrize(
    "changed",
    [
        {"alpha_emission": 0.0, "pool_tao_weight": 0.85},
        {"root_weighted_tao": 0.0, "pool_tao_weight": 0.99, "blocks": 30.0},
    ],
    ids=["no alpha left to inject", "no root, extreme weight"],
)
def test_the_coinbase_of_a_long_span_never_empties_a_pool(changed):
    a = {**SUBNET, **TODAY, "tao_reserve": 1.0, "tao_emission": 0.5, "blocks": 1800.0, **changed}
    assert run(a).alpha_reserve >= MIN_RESERVE


def test_no_alpha_is_bought_from_a_reserve_below_the_smallest():
    a = {**SUBNET, **TODAY, "alpha_emission": 0.0, "blocks": 1.0}
    assert run({**a, "alpha_reserve": 1.01 * MIN_RESERVE}).alpha_bought > 0.0
    refused = run({**a, "alpha_reserve": 0.99 * MIN_RESERVE})
    assert refused.alpha_bought == 0.0
    assert refused.tao_unused == pytest.approx(a["tao_emission"])


@pytest.mark.parametrize("injection", POOLS)
@pytest.mark.parametrize("reserves", [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)])
@pytest.mark.parametrize("blocks", [1.0, 1800.0])
def test_a_pool_without_a_price_spends_nothing_and_stays_finite(injection, reserves, blocks):
    emission = 0.1
    pool = SubnetPool(*reserves, pool_tao_weight=0.5, alpha_outstanding=0.0)
    law = EmissionLaw(injection, 0.18, 1e6, destroyed_part=1.0, sold_part=0.0)
    span = coinbase_span(blocks, emission, 0.5, 1.0, pool, law)
    assert np.isfinite(span).all()
    assert min(span) >= 0.0
    if min(reserves) == 0.0:
        assert span.alpha_bought == 0.0
        if injection in NEUTRAL:
            assert span.tao_unused == pytest.approx(blocks * emission)
            assert span[:2] == reserves
        else:  # the rule of the launch injects all alpha at any price
            assert span.alpha_injected == blocks
            assert span.tao_unused == 0.0


@given(spans().filter(lambda a: a["injection"] in NEUTRAL))
def test_no_span_takes_the_weights_out_of_their_range(a):
    for start in (a["pool_tao_weight"], WEIGHT_MIN, WEIGHT_MAX):
        weight = run(a | {"pool_tao_weight": start}).pool_tao_weight
        assert WEIGHT_MIN * (1 - 4 * EPS) <= weight <= WEIGHT_MAX * (1 + 4 * EPS)


# --- many blocks in one span


def day(a: dict, blocks: float) -> np.ndarray:
    """Reserves, alpha outstanding and root's alpha after a day in spans of `blocks`."""
    a = {**a, "blocks": blocks}
    root = 0.0
    for _ in range(int(7200 / blocks)):
        span = run(a)
        a["tao_reserve"], a["alpha_reserve"] = span.tao_reserve, span.alpha_reserve
        a["pool_tao_weight"] = span.pool_tao_weight
        kept = (1.0 - a["destroyed_part"]) * span.alpha_bought
        a["alpha_outstanding"] += kept + blocks * a["alpha_emission"]
        root += span.root_alpha
    return np.array([a["tao_reserve"], a["alpha_reserve"], a["alpha_outstanding"], root])


@pytest.mark.parametrize(
    "era",
    [LAUNCH, SUBSIDISED, FLOW, TODAY],
    ids=["launch", "subsidy", "tao_flow", "price_burn"],
)
@pytest.mark.parametrize("tao_emission", [0.004, 0.2])
def test_half_the_span_has_a_quarter_of_the_error(era, tao_emission):
    a = {**SUBNET, "tao_emission": tao_emission, **era}
    exact = day(a, 1.0)
    scale = np.maximum(np.abs(exact), 1.0)
    long, short = (np.abs(day(a, blocks) - exact) / scale for blocks in (1800.0, 900.0))
    matters = long > 1e-10
    assert matters.any()
    assert (short[matters] < 0.3 * long[matters]).all()
    assert long.max() < 5e-3


# --- the parts


@given(fractions, powers(1e-3, 2e7), st.just(0.0) | powers(1e-9, 4e7))
def test_root_proportion_is_a_proportion_and_falls_with_issuance(weight, root, issuance):
    share = root_proportion(weight, root, issuance)
    assert 0.0 <= share <= 1.0
    assert root_proportion(weight, root, issuance + 1.0) <= share
    if weight > 0.0:
        # the odds are w R : I
        assert share * issuance == pytest.approx((1 - share) * weight * root, rel=1e-6, abs=1e-6)


def test_root_proportion_of_nothing_is_nothing():
    assert root_proportion(0.0, 0.0, 0.0) == 0.0
    assert root_proportion(0.18, 0.0, 0.0) == 0.0


terms = (powers(1e-9, 1.0), powers(1e-9, 1e3), fractions, fractions, st.sampled_from([0.5, 1.0]))


@pytest.mark.parametrize("injection", NEUTRAL)
@given(*terms)
def test_terms_use_the_tao_up_and_are_neutral_to_the_price(
    injection, emission, price, minted, share, block
):
    tao_in, alpha_in, excess = subnet_terms(injection, emission, price, minted, share, block)
    cap = {
        SUBSIDY: min(block, SUBSIDY_PER_EMISSION * minted),
        ALPHA_EMISSION_BOUGHT: minted,
        BLOCK_EMISSION_CAP: min(minted, block),
        ROOT_PROPORTION_CAP: share * minted,
    }[injection]
    assert tao_in + excess == pytest.approx(emission, rel=4 * EPS)
    assert tao_in == pytest.approx(alpha_in * price, rel=2 * EPS)
    assert alpha_in <= cap
    assert excess == pytest.approx(0.0, abs=4 * EPS) or alpha_in == cap


@given(st.just(0.0) | powers(1e-9, 1.0), powers(1e-9, 1e3), fractions)
def test_launch_puts_in_all_tao_and_at_most_the_alpha_emission(emission, price, minted):
    terms = subnet_terms(ALPHA_EMISSION_CAP, emission, price, minted, 0.3, 1.0)
    assert terms == (emission, min(emission / price, minted), 0.0)


@given(powers(1e-12, 1.0), powers(1e-9, 1.0), st.sampled_from([0.5, 1.0]))
def test_a_day_of_the_subsidy_stays_below_the_supply_cap(left, emission, block):
    remaining = left * SUPPLY_CAP
    minted = emission_per_block(remaining)
    alpha_in = subnet_terms(SUBSIDY, emission, 1e-9, minted, 0.3, block)[1]
    assert 0.0 < BLOCKS_PER_DAY * (alpha_in + minted) < remaining
    assert subnet_terms(SUBSIDY, emission, 1e-9, 0.0, 0.3, block) == (0.0, 0.0, emission)


def test_without_a_price_launch_and_subsidy_mint_their_cap_and_later_rules_nothing():
    assert subnet_terms(ALPHA_EMISSION_CAP, 0.1, 0.0, 1.0, 0.3, 0.5) == (0.1, 1.0, 0.0)
    assert subnet_terms(SUBSIDY, 0.1, 0.0, 1.0, 0.3, 0.5) == (0.0, 0.5, 0.1)
    assert subnet_terms(SUBSIDY, 0.0, 0.0, 1.0, 0.3, 0.5) == (0.0, 0.0, 0.0)
    for injection in set(NEUTRAL) - {SUBSIDY}:
        assert subnet_terms(injection, 0.1, 0.0, 1.0, 0.3, 0.5) == (0.1, 0.0, 0.0)


@given(*terms)
def test_the_later_a_cap_the_less_alpha_goes_in(emission, price, minted, share, block):
    order = ALPHA_EMISSION_BOUGHT, BLOCK_EMISSION_CAP
    injected = [subnet_terms(rule, emission, price, minted, share, block)[1] for rule in order]
    assert injected[0] >= injected[1]


def test_a_subnet_is_subsidised_where_its_price_is_below_its_share():
    assert subsidised(SUBSIDY, 0.3, 0.2, 1.0)
    assert not subsidised(SUBSIDY, 0.1, 0.2, 1.0)
    assert not subsidised(SUBSIDY, 0.2, 0.2, 1.0)
    assert subsidised(SUBSIDY, 0.15, 0.2, 0.5)
    assert not subsidised(ALPHA_EMISSION_CAP, 0.3, 0.2, 1.0)


def test_root_is_paid_while_prices_sum_to_more_than_one():
    assert root_sell_open(False, 1.0000001)
    assert not root_sell_open(False, 1.0)
    assert root_sell_open(True, 0.0)


@given(powers(1e-9, 1e4), fractions, fractions)
def test_alpha_out_is_divided_without_rest(alpha_out, owner_cut, root_share):
    owner, miners, validators, root = split_alpha_out(alpha_out, owner_cut, root_share)
    assert owner + miners + validators + root == pytest.approx(alpha_out, rel=4 * EPS)
    assert owner == alpha_out * owner_cut
    assert min(owner, miners, validators, root) >= 0.0
    assert root == miners * root_share
    # validators and root together get as much as miners
    assert validators + root == pytest.approx(miners, rel=4 * EPS)


# --- moving price


@given(fractions, fractions, powers(3e-6, 1e-3), st.integers(1, 2000))
def test_blocks_one_at_a_time_are_the_closed_form(moving, price, rate, blocks):
    one = moving_price_decay(rate, 1.0)
    stepped = moving
    for _ in range(blocks):
        stepped = next_moving_price(stepped, price, one)
    at_once = next_moving_price(moving, price, moving_price_decay(rate, float(blocks)))
    assert stepped == pytest.approx(at_once, rel=1e-11, abs=1e-13)


@given(fractions, st.floats(0.0, 50.0), powers(3e-6, 1.0), powers(1.0, 1e6))
def test_the_moving_price_goes_towards_the_price_and_not_beyond(moving, price, rate, blocks):
    assume(rate < 1.0)
    after = next_moving_price(moving, price, moving_price_decay(rate, blocks))
    low, high = sorted((moving, min(price, 1.0)))
    assert low - EPS <= after <= high + EPS


@given(powers(3e-6, 1e-3), st.floats(0.0, 1e7), powers(1.0, 4e5))
def test_the_moving_price_of_a_young_subnet_is_slower(base, age, halving):
    rate = moving_price_rate(base, age, halving)
    assert 0.0 <= rate <= base
    assert moving_price_rate(base, age + 1.0, halving) >= rate
    assert moving_price_rate(base, halving, halving) == pytest.approx(base / 2, rel=4 * EPS)
    assert moving_price_rate(base, age, 0.0) == base


@pytest.mark.parametrize(("rate", "half_life"), [(1 - 2 ** (-1 / 3000), 3000), (3e-6, 231_049)])
def test_half_life_of_the_two_variants(rate, half_life):
    assert moving_price_decay(rate, float(half_life)) == pytest.approx(0.5, rel=2e-6)
