"""Coinbase of a span: the gate of root dividends."""

import pytest

from tests.protocol import golden
from tests.world.toy import COLUMNS, assert_sound, toy


@pytest.mark.parametrize(
    ("name", "moving_price"),
    [
        (name, tuple(golden.load("pending_split")[f"pending_split/{name}"].inputs["moving_prices"]))
        for name in ("root_sell_flag_true", "root_sell_flag_false_at_one")
    ],
)
def test_root_is_paid_where_the_chain_pays_it(tmp_path, name, moving_price):
    flag = golden.load("pending_split")[f"pending_split/{name}"].expected["root_sell_flag"]
    three = {key: values[:3] for key, values in COLUMNS.items()} | {"moving_price": moving_price}
    batch = toy(tmp_path, config={"spans_per_day": 1, "root_claim_hazard": 0.0}, **three)
    batch.step()
    assert batch.state.worlds["moving_price_sum"][0] == sum(moving_price)
    claims = batch.state.row("scripted_claimable") + batch.state.section("staker_claimable").sum(1)
    assert (claims > 0.0).all() == flag
    assert (batch.state.row("alpha_recycled") > 0.0).all()  # revenue, in both
    assert_sound(batch)


@pytest.mark.parametrize("era", ["launch", "price_burn"])
def test_with_the_gate_shut_roots_alpha_is_recycled(tmp_path, era):
    config = {"era": era, "root_gate": "chain", "revenue_share": 0.0, "root_claim_hazard": 0.0}
    batch = toy(tmp_path, config=config, moving_price=(0.2, 0.1, 0.1, 0.1))
    batch.step()
    state = batch.state
    assert not state.row("scripted_claimable").any()
    assert (state.row("alpha_recycled") > 0.0).all()
    assert state.worlds["root_yield"][0] == 0.0
    assert state.worlds["root_validators"][0] == 0.0
    assert_sound(batch)
