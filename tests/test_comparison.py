"""Emission rules on markets and snapshots: against formulas written out here, and against the chain."""

from pathlib import Path

import numpy as np
import pytest

import dtao_gym
from dtao_gym.comparison import Comparison, compare_rules, emission_shares
from dtao_gym.protocol.allocation import ALLOCATIONS
from dtao_gym.protocol.plugins import RuleError, allocation_rule
from dtao_gym.world.snapshot import Snapshot, SnapshotError

REPOSITORY = Path(__file__).parents[1]
JUNE, APRIL = "mainnet-2026-06-14", "mainnet-2026-04-11"
ANSWERED = [name for name in ALLOCATIONS if name != "root_vote"]

# netuid, moving price, miner burned, TAO share: twelve subnets of mainnet on 2026-07-08 14:39 UTC, from
# RaoFoundation/subtensor website/.../catalog/emission-snapshot.json (b91ca0aff9d1); the shares add up to 1.
JULY = np.array(
    [
        (64, 0.072286, 0.0, 0.182424),
        (120, 0.055983, 0.0, 0.141281),
        (4, 0.05436, 0.5057, 0.067811),
        (51, 0.052677, 0.2646, 0.097762),
        (116, 0.054405, 0.0, 0.137298),
        (107, 0.050977, 0.0, 0.128647),
        (95, 0.047571, 1.0, 0.0),
        (44, 0.038547, 0.2424, 0.073698),
        (9, 0.033636, 0.88, 0.010186),
        (15, 0.032448, 0.0, 0.081887),
        (8, 0.030149, 0.9657, 0.00261),
        (97, 0.030272, 0.0, 0.076396),
    ]
)


def drawn(n: int, seed: int) -> dict[str, np.ndarray]:
    """Every array that a rule may need."""
    random = np.random.default_rng(seed)
    return {
        "moving_price": random.uniform(0.0, 0.1, n),
        "spot_price": random.uniform(0.0, 0.1, n),
        "miner_burned": random.uniform(0.0, 1.0, n),
        "emission_enabled": (random.random(n) < 0.8).astype(float),
        "user_flow_ema": random.normal(0.002, 0.01, n),
        "protocol_flow_ema": random.normal(0.002, 0.01, n),
        "root_proportion": random.uniform(0.0, 1.0, n),
        "votes": random.dirichlet(np.ones(n + 1))[:n],
    }


def normalised(weight: np.ndarray) -> np.ndarray:
    return weight / weight.sum() if weight.any() else np.zeros(weight.size)


def flow_share(flow: np.ndarray, enabled: np.ndarray, cutoff: float, exponent: float) -> np.ndarray:
    above = np.clip(flow - max(cutoff, min(flow.min(), 0.0)), 0.0, None)
    return normalised(above**exponent * enabled)


def written_out(rule: str, m: dict, cutoff=0.0, exponent=1.0, bar=0.01) -> np.ndarray:
    """The rule once more, in whole arrays."""
    p, b, on = m["moving_price"], m["miner_burned"], m["emission_enabled"]
    u, v = m["user_flow_ema"], m["protocol_flow_ema"]
    if rule == "uniform":
        return normalised(on)
    if rule == "price":
        return normalised(p * on)
    if rule == "price_burn":
        return normalised(p * (1 - b) * on)
    if rule == "price_rootprop":
        return normalised(p * (1 - b) * m["root_proportion"] * on)
    if rule in ("price_burn_gate", "price_burn_gate_rank"):
        x = normalised(p * (1 - b))
        return normalised(x * x**3 / (x**3 + bar**3) * on)
    if rule == "tao_flow":
        return flow_share(u, on, cutoff, exponent)
    if rule == "net_flow":
        protocol = v.clip(0).sum()
        factor = min(u.clip(0).sum() / protocol, 1.0) if protocol > 0 else 0.0
        return flow_share(u - np.where(v > 0, v * factor, v), on, cutoff, exponent)
    return m["votes"] * on


@pytest.mark.parametrize("rule", ALLOCATIONS)
@pytest.mark.parametrize("n", [1, 2, 7, 64, 128])
def test_rule_is_the_formula(rule, n):
    for seed in range(10):
        market = drawn(n, seed)
        shares = emission_shares(rule, **market, gate_bar=0.01)
        assert shares == pytest.approx(written_out(rule, market), rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("rule", ["tao_flow", "net_flow"])
@pytest.mark.parametrize(("cutoff", "exponent"), [(0.004, 1.0), (-0.005, 1.0), (0.0, 2.0)])
def test_settings_of_the_flow_rules(rule, cutoff, exponent):
    market = drawn(20, 3)
    shares = emission_shares(rule, **market, flow_cutoff=cutoff, norm_exponent=exponent)
    assert shares == pytest.approx(
        written_out(rule, market, cutoff, exponent), rel=1e-12, abs=1e-15
    )


def test_exponent_of_the_price():
    market = drawn(20, 4)
    squared = market | {"moving_price": market["moving_price"] ** 2}
    for rule in ("price", "price_burn", "price_rootprop"):
        shares = emission_shares(rule, **market, share_exponent=2.0)
        assert shares == pytest.approx(written_out(rule, squared), rel=1e-12)


def test_bar_of_the_gate_follows_from_the_quantile():
    price = np.array([0.4, 0.1, 0.3, 0.2])  # cumulated, largest first: 0.4, 0.7, 0.9, 1
    for quantile, bar in ((0.3, 0.4), (0.69, 0.3), (0.75, 0.2), (1.0, 0.1)):
        shares = emission_shares(
            "price_burn_gate", moving_price=price, miner_burned=np.zeros(4), gate_quantile=quantile
        )
        assert shares == pytest.approx(normalised(price**4 / (price**3 + bar**3)), rel=1e-12)
    default = emission_shares("price_burn_gate", moving_price=price, miner_burned=np.zeros(4))
    assert default == pytest.approx(normalised(price**4 / (price**3 + 0.2**3)), rel=1e-12)


def test_the_bar_by_rank_unless_it_is_given():
    price, none = np.array([0.08, 0.04, 0.02, 0.01]), np.zeros(4)
    x = price / price.sum()

    def shares(**settings):
        return emission_shares(
            "price_burn_gate_rank", moving_price=price, miner_burned=none, **settings
        )

    def passed(bar, h=3.0):
        return normalised(x * x**h / (x**h + bar**h))

    assert shares(gate_rank=2) == pytest.approx(passed(x[1]), rel=1e-12)
    assert shares() == pytest.approx(passed(x[3]), rel=1e-12)  # fewer than 32 in demand
    assert shares(gate_rank=2, gate_exponent=5.5) == pytest.approx(passed(x[1], 5.5), rel=1e-12)
    assert shares(gate_rank=2, gate_bar=0.1) == pytest.approx(passed(0.1), rel=1e-12)
    assert shares(gate_bar=0.0) == pytest.approx(x, rel=1e-12)  # no gate


def test_shares_of_mainnet_in_july_2026():
    price, burned, share = JULY[:, 1:].T
    shares = emission_shares("price_burn", moving_price=price, miner_burned=burned)
    # burn is captured to four decimals, which matters where nearly all is burned
    rounding = 5e-7 / price + 5e-5 / np.maximum(1.0 - burned, 5e-5) + 1e-5
    assert (np.abs(shares - share) <= 5e-7 + share * rounding).all()
    kept = burned < 0.8
    assert shares[kept] == pytest.approx(share[kept], rel=1e-4)
    assert shares[6] == 0.0
    by_price = emission_shares("price", moving_price=price)
    assert np.abs(by_price - share).max() > 0.05  # the burn is what makes the difference


def test_only_what_a_rule_reads_is_needed():
    assert emission_shares("uniform", spot_price=[1, 2]).tolist() == [0.5, 0.5]
    assert emission_shares("price", moving_price=[0.1, 0.3]) == pytest.approx([0.25, 0.75])
    assert emission_shares("tao_flow", user_flow_ema=[1, 3]) == pytest.approx([0.25, 0.75])
    assert emission_shares("root_vote", votes=[0.2, 0.3]).tolist() == [0.2, 0.3]
    off = emission_shares("uniform", emission_enabled=[True, False])
    assert off.tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("rule", "given", "message"),
    [
        ("price_burn", {"moving_price": [1]}, "rule 'price_burn' needs miner_burned, an array with"),
        ("net_flow", {}, "rule 'net_flow' needs user_flow_ema and protocol_flow_ema, an array"),
        ("price_rootprop", {"moving_price": [1], "miner_burned": [0]}, "needs root_proportion, an"),
        ("root_vote", {"moving_price": [1]}, "rule 'root_vote' needs votes, an array"),
        ("uniform", {}, "rule 'uniform' needs an array, to know how many subnets there are"),
        (
            "price_burn",
            {"moving_price": [0.1, 0.2], "miner_burned": [0]},
            "arrays of one length are needed; got moving_price 2, miner_burned 1",
        ),
        ("price", {"moving_price": [0.1, 1.5]}, r"moving_price\[1\] is 1.5; allowed is 0 to 1: the"),
        ("price", {"moving_price": [np.nan]}, r"moving_price\[0\] is nan; allowed is 0 to 1"),
        ("price", {"moving_price": []}, r"moving_price has shape \(0,\); one value per subnet"),
        ("price", {"moving_price": 0.5}, r"moving_price has shape \(\); one value per subnet"),
        ("price", {"moving_price": ["a"]}, "moving_price is no array of numbers"),
        ("uniform", {"emission_enabled": [0.5]}, r"emission_enabled\[0\] is 0.5; allowed is 0 or 1"),
        ("uniform", {"spot_price": [-1]}, r"spot_price\[0\] is -1; allowed is 0 or more"),
        ("tao_flow", {"user_flow_ema": [np.inf]}, r"user_flow_ema\[0\] is inf; allowed is any finite"),
        ("root_vote", {"votes": [0.6, 0.6]}, "votes add up to 1.2; allowed is at most 1"),
        ("price", {"moving_price": [1], "gate_bar": -0.1}, "gate_bar is -0.1; allowed is 0 or more"),
        ("price", {"moving_price": [1], "gate_rank": 0}, "gate_rank is 0; allowed is a whole number"),
        ("price", {"moving_price": [1], "gate_rank": 1.5}, "gate_rank is 1.5; allowed is a whole num"),
        ("price", {"moving_price": [1], "gate_exponent": 9}, "gate_exponent is 9; allowed is 1 to 8"),
        ("price", {"moving_price": [1], "gate_quantile": 1.5}, "gate_quantile is 1.5; allowed is ab"),
        ("price", {"moving_price": [1], "norm_exponent": -1}, "norm_exponent is -1; allowed is above"),
        ("price", {"moving_price": [1], "share_exponent": np.nan}, "share_exponent is nan; allowed"),
        ("price", {"moving_price": [1], "flow_cutoff": np.inf}, "flow_cutoff is inf; allowed is any"),
        ("prices", {}, "unknown emission rule 'prices'; allowed are uniform, price,"),
        (7, {}, "got a int as an emission rule; a name, an import path, or"),
    ],
)  # fmt: skip
def test_refuses_in_one_line(rule, given, message):
    with pytest.raises(RuleError, match=message) as caught:
        emission_shares(rule, **given)
    assert "\n" not in str(caught.value)


# --- a rule of one's own


@allocation_rule("test_rules_cap")
def capped(market):
    """At most 5 % before scaling."""
    total = market.moving_price.sum()
    shares = np.minimum(market.moving_price, 0.05 * total)
    return shares / shares.sum() if total > 0.0 else shares


@allocation_rule("test_rules_signal")
def by_signal(market):
    """Pays by the public signal of subnets that are enabled."""
    weight = market.signal * market.emission_enabled
    total = weight.sum()
    return weight / total if total > 0.0 else weight


@pytest.mark.parametrize("rule", [capped, "test_rules_cap", f"{__name__}:capped"])
def test_own_rule_by_object_name_and_path(rule):
    market = drawn(30, 5)
    price, on = market["moving_price"], market["emission_enabled"]
    expected = normalised(np.minimum(price, 0.05 * price.sum()) * on)
    assert emission_shares(rule, moving_price=price, emission_enabled=on) == pytest.approx(
        expected, rel=1e-12
    )


def test_own_rule_needs_what_its_source_names():
    with pytest.raises(RuleError, match="rule 'test_rules_signal' needs signal, an array"):
        emission_shares(by_signal, moving_price=[0.1])
    assert emission_shares(by_signal, signal=[1, 3]) == pytest.approx([0.25, 0.75])


def test_own_rule_that_fails_on_this_market():
    @allocation_rule("test_rules_late")
    def late(market):
        if market.moving_price[0] == 0.123:
            raise ValueError("this price again")
        shares = np.zeros(market.moving_price.size)
        shares[0] = 2.0 if market.moving_price[0] == 0.321 else 1.0
        return shares

    assert emission_shares(late, moving_price=[0.5, 0.5]).tolist() == [1.0, 0.0]
    with pytest.raises(RuleError, match="'test_rules_late' raised ValueError: this price again"):
        emission_shares(late, moving_price=[0.123])
    with pytest.raises(RuleError, match="'test_rules_late' returns shares that add up to 2"):
        emission_shares(late, moving_price=[0.321])


# --- several rules on a snapshot


def test_every_rule_that_june_can_answer():
    comparison = compare_rules()
    assert isinstance(comparison, Comparison)
    assert comparison.snapshot is Snapshot.named(JUNE)
    assert list(comparison.rules) == ANSWERED
    assert list(comparison.left_out) == ["root_vote"]
    assert "needs votes, which a snapshot does not hold" in comparison.left_out["root_vote"]
    assert comparison.shares.shape == (8, 128)
    assert comparison.shares.sum(1) == pytest.approx(np.ones(8), rel=1e-13)
    assert comparison.tao_per_block == 0.5
    assert comparison.total_tao_per_day == pytest.approx(np.full(8, 3600.0), rel=1e-13)
    assert comparison.tao_per_day[0] == pytest.approx(np.full(128, 28.125), rel=1e-13)


@pytest.mark.parametrize("name", [JUNE, APRIL])
def test_comparison_is_the_formula_on_the_snapshot(name):
    snapshot = Snapshot.named(name)
    root = 0.18 * snapshot.root_stake_tao
    market = {
        "moving_price": np.minimum(snapshot.moving_price, 1.0),
        "miner_burned": snapshot.miner_burned,
        "emission_enabled": snapshot.emission_enabled.astype(float),
        "user_flow_ema": snapshot.user_flow_ema,
        "protocol_flow_ema": snapshot.protocol_flow_ema,
        "root_proportion": root / (root + snapshot.alpha_reserve + snapshot.alpha_outstanding),
    }
    rules = [rule for rule in ANSWERED if rule != "net_flow"]  # no protocol flow is known
    comparison = compare_rules(rules, name, gate_bar=0.01)
    for k, rule in enumerate(rules):
        expected = written_out(rule, market)
        assert comparison.shares[k] == pytest.approx(expected, rel=1e-12, abs=1e-16), rule


def test_numbers_of_a_comparison():
    @allocation_rule("test_rules_first")
    def first(market):
        shares = np.zeros(market.moving_price.size)
        shares[0] = 1.0
        return shares

    @allocation_rule("test_rules_none")
    def none(market):
        return np.zeros(market.moving_price.size)

    ten = Snapshot.named(JUNE).take(range(10))
    comparison = compare_rules(
        ["uniform", first, none, "root_vote"], ten, votes=[0.08] * 5 + [0] * 5
    )
    assert comparison.rules == ("uniform", "test_rules_first", "test_rules_none", "root_vote")
    assert comparison.hhi == pytest.approx([0.1, 1.0, np.nan, 0.2], nan_ok=True)
    assert comparison.top5_share == pytest.approx([0.5, 1.0, np.nan, 1.0], nan_ok=True)
    assert comparison.nakamoto.tolist() == [6, 1, 0, 3]
    assert comparison.subnets_paid.tolist() == [10, 1, 0, 5]
    assert comparison.total_tao_per_day == pytest.approx([3600, 3600, 0, 1440])
    burn = normalised(ten.moving_price * (1 - ten.miner_burned))
    assert comparison.reference_shares == pytest.approx(burn)
    votes = np.array([0.08] * 5 + [0.0] * 5)
    assert comparison.distance == pytest.approx(
        [
            np.clip(burn - 0.1, 0, None).sum(),
            1.0 - burn[0],
            1.0,
            # where root keeps 0.6 of the emission, that is one more place where it may go
            max(np.clip(burn - votes, 0, None).sum(), np.clip(votes - burn, 0, None).sum() + 0.6),
        ]
    )


def test_rules_that_rest_on_assumptions_are_marked():
    june, april = compare_rules(snapshot=JUNE), compare_rules(snapshot=APRIL)
    assert june.imputed["uniform"] == ()
    assert june.imputed["price"] == ("moving_price",)
    assert april.imputed["price"] == ()
    assert april.imputed["net_flow"] == ("user_flow_ema", "protocol_flow_ema")
    given = compare_rules("price_burn", JUNE, miner_burned=np.zeros(128))
    assert given.imputed["price_burn"] == ("moving_price",)


def test_arrays_replace_those_of_the_snapshot():
    burned = np.zeros(128)
    burned[63] = 1.0  # subnet 64, the dearest
    plain, without = (
        compare_rules(["price_burn"], JUNE),
        compare_rules(["price_burn"], JUNE, miner_burned=burned),
    )
    assert without.shares[0, 63] == 0.0 < plain.shares[0, 63]
    with pytest.raises(RuleError, match=r"arrays of one length are needed; got .*miner_burned 3"):
        compare_rules(["price_burn"], JUNE, miner_burned=[0, 0, 0])


def test_a_snapshot_is_given_by_name_by_path_or_as_it_is():
    path = REPOSITORY / "dtao_gym" / "data" / f"{APRIL}.csv"
    april = Snapshot.named(APRIL)
    assert Snapshot.load(APRIL) is april
    for loaded in (Snapshot.load(path), Snapshot.load(str(path))):
        assert loaded.block == april.block
        assert loaded.spot_price.tolist() == april.spot_price.tolist()
    with pytest.raises(SnapshotError, match="unknown snapshot 'nope'; allowed are"):
        Snapshot.load("nope")
    with pytest.raises(SnapshotError, match=r"nope\.csv: cannot be read as a snapshot"):
        Snapshot.load("nope.csv")
    by_name = compare_rules("price", APRIL)
    assert by_name.snapshot is compare_rules("price", april).snapshot is april
    assert compare_rules("price", str(path)).shares.tolist() == by_name.shares.tolist()


def test_comparison_refuses():
    with pytest.raises(RuleError, match="rule 'root_vote' needs votes, which a snapshot does not"):
        compare_rules("root_vote")
    with pytest.raises(RuleError, match="no rule to compare"):
        compare_rules([])
    with pytest.raises(RuleError, match="tao_weight is 18; allowed is 0 to 1"):
        compare_rules(tao_weight=18)
    with pytest.raises(SnapshotError, match="unknown snapshot 'mainnet'"):
        compare_rules(snapshot="mainnet")
    with pytest.raises(TypeError, match="'gate_bars'; columns of a market are moving_price, spot"):
        compare_rules(gate_bars=0.1)
    with pytest.raises(TypeError, match="unexpected keyword argument 'price'"):
        emission_shares("price", price=[0.1])


def test_a_rule_of_the_chain_without_code_is_refused(monkeypatch):
    monkeypatch.setitem(ALLOCATIONS, "without_code", -1)
    with pytest.raises(RuleError, match="rule 'without_code' is not implemented: emission_shares"):
        emission_shares("without_code", votes=[0.5])


def test_package_exports():
    assert dtao_gym.emission_shares is emission_shares
    assert dtao_gym.compare_rules is compare_rules
    assert dtao_gym.Snapshot is Snapshot
