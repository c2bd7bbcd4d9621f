"""The snapshot of September 2026: the chain's storage, what was derived from it, and the block that followed."""

import numpy as np
import pytest

from dtao_gym.comparison import compare_rules, emission_shares
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config
from dtao_gym.world.snapshot import SNAPSHOT_NAMES, Snapshot
from tests.protocol import golden

JUNE, SEPTEMBER = "mainnet-2026-06-14", "mainnet-2026-09-06"
BLOCK = golden.load("full_block")["full_block/mainnet_block_9005760"]
NOT_STARTED = {36, 59, 76, 86}
REGISTERED_AGAIN = {16, 58, 70, 90, 99, 103}


@pytest.fixture(scope="module")
def september() -> Snapshot:
    return Snapshot.named(SEPTEMBER)


def by_netuid(snapshot: Snapshot, column: str) -> dict[int, float]:
    return dict(zip(snapshot.netuid.tolist(), getattr(snapshot, column).tolist(), strict=True))


def issuance(snapshot: Snapshot) -> np.ndarray:
    return snapshot.alpha_reserve + snapshot.alpha_outstanding


def paid_shares() -> np.ndarray:
    """Shares of the block's 0.5 TAO that the chain paid, into pools and for purchases."""
    return np.array(
        [paid["tao_in_rao"] + paid["excess_tao_rao"] for paid in BLOCK.expected["subnets"]]
    ) / BLOCK.inputs["block_emission_rao"]  # fmt: skip


# --- what it says


def test_the_storage_of_that_block(september):
    assert (september.name, september.date) == (SEPTEMBER, "2026-09-06")
    assert september.block == 9_005_759
    assert september.root_stake_tao == pytest.approx(5_275_079, abs=0.5)
    assert september.chain_issuance_tao == pytest.approx(11_310_887, abs=0.5)
    assert september.last_lock_tao == pytest.approx(460.577, abs=5e-4)
    assert september.last_registration_block == 9_003_827
    assert september.n_subnets == 124
    assert set(range(1, 129)) - set(september.netuid.tolist()) == NOT_STARTED
    assert september.moving_price.sum() == pytest.approx(1.287, abs=5e-4)
    # 50 of 128 were switched off; the four that had not started are among them
    assert np.count_nonzero(~september.emission_enabled) + len(NOT_STARTED) == 50
    assert np.count_nonzero(september.miner_burned == 1.0) == 33
    assert (september.tao_weight == 0.5).all()


def test_what_is_derived_is_said_to_be(september):
    assert september.imputed == (
        "registered_block",
        "alpha_outstanding",
        "spot_price",
        "user_flow_ema",
        "protocol_flow_ema",
    )
    assert not september.user_flow_ema.any()
    assert not september.protocol_flow_ema.any()


def test_it_is_not_the_default():
    assert SNAPSHOT_NAMES[0] == JUNE
    assert SEPTEMBER in SNAPSHOT_NAMES


def test_outstanding_alpha_gives_the_cap_of_the_injection(september):
    """Where the chain bought alpha, the pool got as much alpha as the root proportion of what is minted."""
    root = 0.18 * september.root_stake_tao
    proportion = root / (root + issuance(september))
    bought = np.array([paid["excess_tao_rao"] > 0 for paid in BLOCK.expected["subnets"]])
    entered = np.array([paid["alpha_in_rao"] for paid in BLOCK.expected["subnets"]])
    assert bought.sum() == 32
    assert proportion[bought] * 1e9 == pytest.approx(entered[bought], abs=1.5)


def test_alpha_grew_by_one_a_block_since_june_and_a_little_entered_pools(september):
    june = Snapshot.named(JUNE)
    before = dict(zip(june.netuid.tolist(), issuance(june).tolist(), strict=True))
    blocks = september.block - june.block
    grown = {
        netuid: (alpha - before[netuid]) / blocks
        for netuid, alpha in zip(september.netuid.tolist(), issuance(september), strict=True)
    }
    assert {netuid for netuid, rate in grown.items() if rate < 0.0} == REGISTERED_AGAIN
    kept = [rate for netuid, rate in grown.items() if netuid not in REGISTERED_AGAIN]
    assert 0.68 < min(kept) < max(kept) < 1.3
    assert np.median(kept) == pytest.approx(1.03, abs=0.01)


def test_ages_are_those_of_june_where_the_subnet_is_still_the_same(september):
    june = by_netuid(Snapshot.named(JUNE), "registered_block")
    now = by_netuid(september, "registered_block")
    assert {k for k, block in now.items() if block != june[k]} == REGISTERED_AGAIN | {40}
    later = sorted(now[k] for k in REGISTERED_AGAIN)
    assert later[0] > Snapshot.named(JUNE).block
    assert min(np.diff(later)) > 14_400  # the least distance that the chain allows
    assert later[-1] < september.last_registration_block
    assert Snapshot.named(JUNE).block - now[40] == pytest.approx(10_400, abs=100)
    assert (september.age_blocks > 0).all()


# --- the block that followed


def test_shares_of_the_block(september):
    (shares,) = compare_rules("price_burn_gate_rank", september).shares
    assert shares == pytest.approx(paid_shares(), abs=1e-7)
    assert np.count_nonzero(paid_shares()) == 69
    assert shares.max() == pytest.approx(0.140, abs=5e-4)
    assert np.sort(shares)[-5:].sum() == pytest.approx(0.505, abs=5e-4)
    assert (shares**2).sum() == pytest.approx(0.0690, abs=5e-5)


@pytest.mark.parametrize("setting", [{"gate_rank": 31}, {"gate_exponent": 2.0}])
def test_another_gate_does_not_pay_these_shares(september, setting):
    shares = emission_shares(
        "price_burn_gate_rank",
        moving_price=september.moving_price,
        miner_burned=september.miner_burned,
        emission_enabled=september.emission_enabled,
        **setting,
    )
    assert np.abs(shares - paid_shares()).max() > 1e-4


# --- worlds that start there


def test_worlds_start_there_and_keep_their_books():
    batch = Batch(Config.make(genesis=SEPTEMBER, n_subnets=16))
    world = batch.state.worlds[0]
    assert world["last_lock"] == pytest.approx(460.577, abs=5e-4)
    assert world["last_lock_block"] == 9_003_827
    batch.step(days=5)
    assert batch.audit().ok


@pytest.mark.parametrize("n", [4, 16, None])
def test_a_world_pays_the_shares_of_the_block_whatever_is_simulated(september, n):
    batch = Batch(Config.make(genesis=SEPTEMBER, era="root_reborn", n_subnets=n))
    paid = dict(zip(september.netuid.tolist(), paid_shares(), strict=True))
    expected = [paid[netuid] for netuid in batch.state.row("stream_id")[0].astype(int).tolist()]
    assert batch.state.row("emission_share")[0] == pytest.approx(expected, abs=1e-7)
    assert batch.state.worlds["gate_bar"][0] == pytest.approx(0.0089264, abs=5e-8)


def test_a_lock_of_the_configuration_goes_first():
    batch = Batch(Config.make(genesis=SEPTEMBER, n_subnets=4, entry_lock_tao=300.0))
    assert batch.state.worlds[0]["last_lock"] == 300.0
    plain = Batch(Config.make(genesis=JUNE, n_subnets=4)).state.worlds[0]
    assert plain["last_lock"] == 250.0
    assert plain["last_lock_block"] == Snapshot.named(JUNE).registered_block.max()
