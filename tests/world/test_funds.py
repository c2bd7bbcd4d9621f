"""Root funds in a world: deposits, claims, wealth, change of era, dissolution."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtao_gym.protocol.root_fund import (
    owed_shares,
    realisable_value,
    watermark_after_change,
)
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config, ConfigError
from dtao_gym.world.ledger import watermarks
from dtao_gym.world.parameters import parameters

FUNDS = {"era": "root_reborn", "n_subnets": 12, "arrivals_per_slot_year": 0.0}
NOBODY_TRADES = {
    "trade_speed": 0.0,
    "miner_sale_fraction": 0.0,
    "validator_sale_fraction": 0.0,
    "insider_holding_days": 1e9,
    "owner_sale_fraction": 0.0,
    "revenue_share": 0.0,
}


def batch_of(n_worlds: int = 1, **rules) -> Batch:
    return Batch(Config.make(FUNDS, **rules), n_worlds)


def value_of(batch: Batch, funds: float) -> float:
    """Value of fund 0 of the first world as `funds` equal ones, holding by holding."""
    state = batch.state
    rows = [state.row(n)[0] for n in ("tao_reserve", "alpha_reserve", "pool_tao_weight")]
    held = state.section("fund_alpha")[0, 0]
    values = [realisable_value(*row, funds) for row in zip(*rows, held, strict=True)]
    return sum(values) + state.funds["root_slot"][0, 0]


def owed_by_holder(batch: Batch) -> np.ndarray:
    return batch.state.fund_owed[0, 0].copy()


# --- deposits


def test_root_dividends_become_shares_in_proportion_to_root_stake():
    batch = batch_of(root_claim_hazard=0.0, purse_rebalance=0.0, outside_return=0.0)
    world, me = batch.state.worlds[0], batch.state.stakers[0, 0]
    before = [
        world["root_informed"],
        world["root_uninformed"],
        world["root_validators"],
        me["root"],
    ]
    batch.step(days=30)
    fund, owed = batch.state.funds[0, 0], owed_by_holder(batch)
    assert owed / owed.sum() == pytest.approx(np.array(before) / sum(before), rel=1e-12)
    assert fund["shares"] == pytest.approx(owed.sum(), rel=1e-12)
    assert fund["rate"] * me["root"] == pytest.approx(owed[3], rel=1e-12)  # nobody's stake moved
    assert me["root"] == before[3]  # nothing is paid on root itself
    assert fund["value"] == pytest.approx(value_of(batch, 16.0), rel=1e-12)


def test_a_deposit_leaves_the_value_of_a_share_as_it_is():
    """Without trades and claims, shares gain by alpha dividends and the fund's own root stake alone."""
    rules = {**NOBODY_TRADES, "root_claim_hazard": 0.0, "equal_funds": 1.0, "n_subnets": None}
    batch = batch_of(**rules)
    batch.step(days=20)
    first = batch.state.funds[0, 0].copy()
    batch.step(days=1)
    last = batch.state.funds[0, 0]
    stake_yield = batch.state.row("stake_yield")[0].max()
    own = first["root_slot"] / batch.state.worlds["root_informed"][0]
    growth = (last["value"] / last["shares"]) / (first["value"] / first["shares"]) - 1.0
    assert last["shares"] > 1.02 * first["shares"]
    assert 0.0 < growth < stake_yield + own + 1e-4  # prices move by the chain's own purchases


def test_while_the_gate_of_root_is_shut_nothing_is_deposited():
    batch = batch_of(root_gate="chain")
    batch.state.worlds["rest_price_sum"] = 0.0
    batch.step(days=5)
    assert (batch.state.worlds["moving_price_sum"] < 1.0).all()
    assert not batch.state.funds["shares"].any()
    assert not batch.state.section("fund_alpha").any()
    assert batch.state.worlds["root_yield"][0] == 0.0
    assert batch.audit().ok


def test_the_root_slot_counts_as_root_stake_but_brings_no_shares():
    batch = batch_of(2, **NOBODY_TRADES, root_claim_hazard=0.0, spans_per_day=1)
    state, moved = batch.state, 1e6
    state.set(1, state, 0)
    state.worlds["root_informed"][1] -= moved
    state.funds["root_slot"][1, 0] += moved
    state.worlds["has_funds"] = True
    holders = sum(state.worlds[n][0] for n in ("root_informed", "root_uninformed")) + 1000.0
    batch.step()
    plain, slot = state.section("fund_alpha")[:, 0]
    assert slot == pytest.approx(plain, rel=1e-12)
    shares = state.funds["shares"][:, 0]
    assert shares[1] / shares[0] == pytest.approx((holders - moved) / holders, rel=1e-9)


# --- claims


def test_claims_come_at_the_hazard_and_are_paid_on_root():
    batch = batch_of(n_subnets=None)
    batch.step(days=40)
    owed, paid = owed_by_holder(batch), batch.state.funds["redeemed"][0, 0]
    batch.set_parameters(root_gate="chain")  # no deposit for a day
    batch.state.worlds["rest_price_sum"] = -1.0
    batch.step()
    assert owed_by_holder(batch) == pytest.approx(0.98 * owed, rel=1e-12)
    share = batch.state.funds["redeemed"][0, 0] - paid
    assert 0.0 < share <= 0.021 * batch.state.funds["value"][0, 0]
    assert batch.audit().ok


def test_the_hazard_is_that_of_the_dividend():
    assert parameters(Config(era="price_burn"))["claimed_per_span"] == pytest.approx(1 - 0.86**0.25)
    fund = parameters(Config(era="price_burn", root_dividend="fund_in_place"))
    assert fund["claimed_per_span"] == pytest.approx(1 - 0.98**0.25)
    given_hazard = parameters(Config(era="root_reborn", root_claim_hazard=0.5))
    assert given_hazard["claimed_per_span"] == pytest.approx(1 - 0.5**0.25)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.01, 1.0), st.sampled_from([1.0, 4.0, 16.0]), st.integers(0, 5))
def test_a_claim_takes_no_value_from_those_who_stay(hazard, funds, seed):
    """No free lunch: value per share does not fall by a claim, but for the price that its own sale moves."""
    rules = {**NOBODY_TRADES, "equal_funds": funds, "spans_per_day": 1, "world_seed": seed}
    batch = batch_of(**rules, root_claim_hazard=0.0)
    batch.step(days=30)
    fund = batch.state.funds[0, 0].copy()
    other = batch_of(**rules, root_claim_hazard=hazard)
    other.state.restore(batch.state)
    batch.step()
    other.step()
    left, stayed = other.state.funds[0, 0], batch.state.funds[0, 0]
    paid = left["redeemed"] - fund["redeemed"]
    assert paid <= hazard * stayed["value"] * (1 + 1e-9)
    if hazard < 1.0:
        impact = fund["value"] / batch.state.row("tao_reserve")[0].min()
        assert left["value"] / left["shares"] >= stayed["value"] / stayed["shares"] * (1 - impact)
    assert other.audit().ok


def test_a_claim_of_everything_empties_the_fund():
    batch = batch_of(root_claim_hazard=1.0, equal_funds=1.0, spans_per_day=1)
    batch.step(days=10)
    fund = batch.state.funds[0, 0]
    assert fund["shares"] == pytest.approx(0.0, abs=1e-9)
    assert batch.state.section("fund_alpha") == pytest.approx(0.0, abs=1e-6)
    assert fund["root_slot"] == pytest.approx(0.0, abs=1e-6)
    assert fund["redeemed"] == pytest.approx(fund["deposited"], rel=1e-3)


# --- a staker's claim


def test_staking_brings_no_claim_on_the_past_and_unstaking_keeps_it():
    batch = batch_of(root_claim_hazard=0.0)
    batch.step(days=10)
    owed = owed_by_holder(batch)[3]
    everything = np.zeros((1, 1, 12))
    everything[0, 0, 0] = 1e9
    batch.step(everything)  # all root into a subnet, then a day without stake on root
    assert batch.state.stakers["root"][0, 0] == pytest.approx(0.0, abs=1e-9)
    assert owed_by_holder(batch)[3] == pytest.approx(owed * (1 + 1 / 40), rel=0.01)  # one span more
    kept = owed_by_holder(batch)[3]
    batch.step(days=5)
    assert owed_by_holder(batch)[3] == kept
    batch.step(-everything)
    assert owed_by_holder(batch)[3] == pytest.approx(kept, rel=0.1)
    assert batch.audit().ok


def test_wealth_counts_what_claiming_everything_would_pay():
    batch = batch_of(n_subnets=None, root_claim_hazard=0.0, equal_funds=1.0)
    batch.step(days=50)
    me, fund = batch.state.stakers[0, 0], batch.state.funds[0, 0]
    part = owed_by_holder(batch)[3] / fund["shares"]
    assert me["fund_claim"] == pytest.approx(part * fund["value"], rel=1e-12)
    assert me["wealth"] == pytest.approx(me["root"] + me["fund_claim"], rel=1e-14)
    assert me["fund_claim"] > 5.0
    # somebody who does nothing earns a few per cent a year, as on the chain
    yearly = (me["wealth"] / 1000.0) ** (365 / 50) - 1.0
    assert 0.02 < yearly < 0.12


def test_the_chains_watermarks_follow_from_what_is_owed():
    """The sum of rate x root stake less watermark is the number of shares, and a move of stake moves the watermark."""
    batch = batch_of(2, n_stakers=2, era="root_curated", curated_funds=[curated(0.3)])
    batch.step(days=20)
    state = batch.state
    before, rate = watermarks(state), state.funds["rate"] * state.funds["part"]
    names = ("root_informed", "root_uninformed", "root_validators")
    root = np.column_stack([*(state.worlds[name] for name in names), state.stakers["root"]])
    owed = [
        [
            owed_shares(*row)
            for row in zip(np.full(5, rate[0, k]), root[0], before[0, k], strict=True)
        ]
        for k in range(2)
    ]
    assert np.sum(owed, axis=1) == pytest.approx(state.funds["shares"][0], rel=1e-9)
    assert before[:, :, :2].any()  # signed: claims raise it, money that leaves root lowers it
    state.stakers["root"][0, 0] += 500.0
    changed = watermarks(state)[0, :, 3]
    expected = [watermark_after_change(before[0, k, 3], rate[0, k], 500.0) for k in range(2)]
    assert changed == pytest.approx(expected, rel=1e-12)


# --- change of era


def test_claims_become_shares_of_the_same_value_when_the_era_changes():
    """No alpha, claim or share is counted twice."""
    batch = Batch(Config.make(FUNDS, era="price_burn_gate", n_stakers=2), 2)
    batch.step(days=30)
    state = batch.state
    claimable = state.row("scripted_claimable") + state.section("staker_claimable").sum(1)
    wealth = state.stakers["wealth"].copy()
    value = (claimable * state.row("spot_price")).sum(1)
    batch.set_parameters(era="root_reborn", root_claim_hazard=0.0, root_gate="chain")
    state.worlds["rest_price_sum"] = -1.0  # root gets nothing on this day
    batch.step()
    assert not state.row("scripted_claimable").any()
    assert not state.section("staker_claimable").any()
    held = state.section("fund_alpha")[:, 0]
    gain = 1.0 + state.row("stake_yield")
    assert held == pytest.approx(claimable * gain, rel=1e-4)
    assert state.funds["shares"][:, 0] == pytest.approx(value, rel=2e-3)  # 16 funds, below spot
    assert (state.funds["shares"][:, 0] < value).all()
    assert state.funds["shares"][:, 0] == pytest.approx(state.fund_owed[:, 0].sum(1), rel=1e-12)
    assert state.stakers["wealth"] == pytest.approx(wealth, rel=1e-3)
    assert batch.audit().ok


def test_there_and_back_again():
    batch = batch_of(n_worlds=2, n_stakers=2)
    batch.state.worlds["rest_price_sum"] += 1.0
    for era in (
        "price_burn",
        "root_reborn",
        "launch_v3",
        "root_curated",
        "net_flow",
        "root_reborn",
    ):
        batch.set_parameters(era=era)
        batch.step(days=10)
        assert batch.audit().ok, era
    assert not batch.state.row("scripted_claimable").any()
    assert (batch.state.funds["shares"] > 0.0).all()


# --- dissolution


def test_a_dissolved_subnet_pays_the_funds_first_at_the_curve():
    busy = {"arrivals_per_slot_year": 12.0, "immunity_days": 0.0, "entry_value_tao": 1e5}
    batch = batch_of(n_subnets=None, outside_initial_tao=1e6, equal_funds=1.0)
    batch.step(days=10)
    batch.set_parameters(**busy)
    for _ in range(40):
        held = batch.state.section("fund_alpha")[0, 0].copy()
        batch.step()
        slots = np.flatnonzero(batch.state.row("owner_number")[0])
        assert batch.audit().ok
        if slots.size:
            break
    slot = slots[0]
    assert held[slot] > 0.0
    assert batch.state.section("fund_alpha")[0, 0, slot] == 0.0
    assert (
        batch.state.funds["root_slot"][0, 0] > 0.0
    )  # nothing else brings TAO to it: no subnet is frozen


# --- curated funds


def curated(part: float = 0.5, heavy: float = 1 / 16) -> dict:
    netuids = Batch(Config.make(FUNDS)).state.row("stream_id")[0].astype(int).tolist()
    weights = dict.fromkeys(netuids[:8], 1 / 16) | {netuids[0]: heavy}
    return {"part": part, "weights": {0: 1.0 - sum(weights.values()), **weights}}


def test_a_curated_fund_buys_by_its_weights():
    batch = batch_of(era="root_curated", curated_funds=[curated()], root_claim_hazard=0.0)
    batch.step(days=20)
    held, price = batch.state.section("fund_alpha")[0], batch.state.row("spot_price")[0]
    assert (held[0] > 0.0).all()  # in place: what was earned
    assert (held[1, :8] > 0.0).all()
    assert not held[1, 8:].any()
    spent = held[1, :8] * price[:8]
    assert spent == pytest.approx(np.full(8, spent.mean()), rel=0.25)
    assert batch.state.funds["root_slot"][0, 1] == pytest.approx(8 * spent.mean(), rel=0.25)
    part = batch.state.funds["deposited"][0]
    assert part[1] == pytest.approx(part[0], rel=0.05)  # half of the root stake each
    assert batch.audit().ok


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([curated(heavy=0.2)], "at most 1/16 of the sum for a subnet"),
        ([{"part": 0.5, "weights": {0: 1.0, 3: 0.05}}], "8 or more destinations"),
        (
            [curated(0.6), curated(0.6)],
            "curated_funds: got parts with the sum 1.2, allowed is at most 1",
        ),
        ([curated(0.1)] * 5, "curated_funds"),
        ([{"part": 0.1}], "curated_funds.0.weights"),
    ],
)
def test_bad_funds_are_refused_by_name(given, message):
    with pytest.raises(ConfigError, match=message) as caught:
        Config.make(curated_funds=given)
    assert "curated_funds" in str(caught.value)
