"""The rules against the chain's own numbers, at the chain vectors' own tolerances."""

import pytest

from tests.protocol import golden

VECTORS = golden.load()


@pytest.mark.parametrize("name", [name for name in VECTORS if name not in golden.LEFT_OUT])
def test_rule_gives_the_chains_number(name):
    vector = VECTORS[name]
    golden.check(vector, golden.ADAPTERS[vector.category](vector))


def test_what_is_left_out_is_there_and_has_a_reason():
    assert set(golden.LEFT_OUT) <= set(VECTORS)
    assert all(golden.LEFT_OUT.values())
    assert {vector.category for vector in VECTORS.values()} == set(golden.ADAPTERS)


@pytest.mark.parametrize("name", golden.load("full_block"))
def test_a_block_changes_the_reserves_by_as_much_as_on_the_chain(name):
    # a relative tolerance on a whole reserve would let a tenth of the block's change slip through
    vector = VECTORS[name]
    got = golden.full_block(vector)["subnets"]
    before = {"tao_reserve_rao": "tao", "alpha_reserve_rao": "alpha_in"}
    before["alpha_outstanding_rao"] = "alpha_out"
    for start, mine, theirs in zip(
        vector.inputs["subnets"], got, vector.expected["subnets"], strict=True
    ):
        for field, key in before.items():
            change, expected = mine[field] - start[key], theirs[field] - start[key]
            allowed = max(vector.tolerance["abs"], vector.tolerance["rel"] * abs(expected))
            assert abs(change - expected) <= allowed, field


@pytest.mark.parametrize(
    ("name", "field", "factor"),
    [
        ("swap_balancer/swap_basic_4_buy_1000000000", "amount_out_rao", 1 + 3e-9),
        ("full_block/head_three_subnets", "price_after", 1 + 3e-6),
        ("moving_price/price_clipped_at_one", "moving_price", 1 + 1e-8),
    ],
)
def test_a_wrong_number_is_noticed(name, field, factor):
    vector = VECTORS[name]
    got = golden.ADAPTERS[vector.category](vector)
    where = got["subnets"][0] if "subnets" in got else got
    where[field] *= factor
    with pytest.raises(AssertionError, match=field):
        golden.check(vector, got)
