"""Adapters of the gate and of validators' funds: what the vectors of the chain do not say."""

import copy

import pytest

from dtao_gym.conformance import check_vector, run_vector
from dtao_gym.conformance_vectors import VectorError, rules_of
from tests.protocol import golden

VECTORS = golden.load("root_fund") | golden.load("gate_rank")


def results_of(name: str, **inputs) -> dict:
    """Results of a vector with some inputs changed; None removes one."""
    vector = copy.deepcopy(VECTORS[name].content)
    for key, value in inputs.items():
        vector["inputs"].pop(key, None)
        if value is not None:
            vector["inputs"][key] = value
    return run_vector(name.split("/")[0], vector)


def test_the_bar_is_kept_between_two_measurements_unless_there_is_none():
    name = "gate_rank/quantile_bar_kept_between_refreshes"
    assert results_of(name)["bar_after"] == 0.7
    assert results_of(name, block=720)["bar_after"] == pytest.approx(1 / 3)
    assert results_of(name, stored_bar=0)["bar_after"] == pytest.approx(1 / 3)


def test_rank_exponent_and_quantile_have_the_defaults_of_the_code():
    name = "gate_rank/quantile_one_to_two"
    by_rank = results_of(name, rank=None)
    assert by_rank["bar_after"] == pytest.approx(1 / 3)  # the smallest: there are only two
    for key, default in (("rank", 32), ("exponent", 3)):
        assert list(results_of(name, **{"rank": None, key: default})["shares"]) == list(
            by_rank["shares"]
        )
    # 2/3 is at least 61 % of demand, but not 75 %
    assert results_of(name, quantile=None)["bar_after"] == pytest.approx(2 / 3)
    assert results_of(name, quantile=0.75)["bar_after"] == pytest.approx(1 / 3)


def test_a_deposit_without_root_stake_of_holders_is_recycled():
    name = "root_fund/deposit_into_a_fund_that_grew"
    got = results_of(name, stakers_root_rao=0)
    assert got == {"accepted": False, "recycled_alpha_rao": [200_000_000_000, 75_000_000_000]}


def test_a_fund_without_value_takes_a_deposit_against_dust_alone():
    name = "root_fund/first_deposit_mints_at_par"
    assert results_of(name, shares_rao=3_839_815)["shares_minted_rao"] == 383_981_568
    assert not results_of(name, shares_rao=3_839_816)["accepted"]


def test_an_empty_fund_keeps_a_direct_deposit_on_root():
    name = "root_fund/direct_deposit_mirrors_the_fund"
    got = results_of(name, holdings_rao=[0, 0], root_slot_rao=0, shares_rao=0)
    assert got["alpha_bought_rao"] == [0, 0]
    assert got["root_slot_after_rao"] == got["shares_minted_rao"] == 50_000_000_000


def test_a_claim_of_more_than_all_shares_takes_the_fund():
    name = "root_fund/claim_of_the_whole_fund"
    assert results_of(name, owed_shares_rao=10**15) == results_of(name)


def test_a_curated_deposit_keeps_all_tao_and_alpha():
    name = "root_fund/curated_deposit_sells_and_rebuys"
    given, got = VECTORS[name].inputs, results_of(name)
    tao = sum(pool["tao_reserve_rao"] for pool in given["pools"]) + given["root_slot_rao"]
    assert sum(got["tao_reserves_after_rao"]) + got["root_slot_after_rao"] == pytest.approx(
        tao, abs=5
    )
    for i, pool in enumerate(given["pools"]):
        alpha = pool["alpha_reserve_rao"] + given["holdings_rao"][i] + given["credits_rao"][i]
        after = got["alpha_reserves_after_rao"][i] + got["holdings_after_rao"][i]
        assert after == pytest.approx(alpha, abs=5)


@pytest.mark.parametrize(
    ("fast", "accepted"), [(None, True), (0.01995, True), (0.0198, False), (0.03, True)]
)
def test_a_fast_moving_price_may_be_the_strictest(fast, accepted):
    name = "root_fund/buy_limit_is_the_stricter_price"
    assert results_of(name, fast_moving_price=fast)["accepted"] is accepted


@pytest.mark.parametrize(
    ("name", "inputs", "line"),
    [
        (
            "nav_two_pools_one_weighted",
            {"operation": "sum"},
            "operation: got 'sum', allowed is nav",
        ),
        (
            "nav_two_pools_one_weighted",
            {"holdings_rao": [1]},
            "holdings_rao: got .1., allowed is a",
        ),
        ("nav_two_pools_one_weighted", {"holdings_rao": [1, -1]}, "allowed is a list of whole num"),
        ("nav_two_pools_one_weighted", {"holdings_rao": [1, 0.5]}, "allowed is a list of whole nu"),
        ("curated_deposit_sells_and_rebuys", {"root_weights": [[3, 1]]}, "pairs .0 to 2 or null"),
        ("curated_deposit_sells_and_rebuys", {"root_weights": 1}, "allowed is a list of pairs"),
        ("curated_deposit_sells_and_rebuys", {"root_weights": [[0, 0]]}, "one of them positive"),
        ("claim_pays_its_part_of_nav", {"pays": "spot"}, "allowed is nav or proceeds"),
        ("trade_above_the_budget", {"level_rao": -1}, "level_rao: got -1"),
    ],
)
def test_a_wrong_input_is_named(name, inputs, line):
    with pytest.raises(VectorError, match=line):
        results_of(f"root_fund/{name}", **inputs)


def test_an_unknown_input_of_a_pool_is_noticed():
    vector = copy.deepcopy(VECTORS["root_fund/nav_is_what_a_sale_fetches"].content)
    vector["inputs"]["pools"][0]["flux"] = 1
    (failure,) = check_vector("root_fund", vector)[0]
    assert "inputs.pools[0]: unknown flux" in str(failure)


def test_limits_of_reserves_follow_the_era():
    assert rules_of("launch").limits == (0.0, 1e-2)
    assert rules_of("launch_v3").limits == rules_of("root_reborn").limits == (1e-3, 0.0)
