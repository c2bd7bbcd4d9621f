"""Configurations of the comparison with the NumPy market, and the comparison itself."""

import numpy as np

from benchmarks.numpy_builders import SECTIONS
from benchmarks.numpy_market import NumpyMarket
from dtao_gym.protocol.issuance import BLOCKS_PER_DAY
from dtao_gym.world.batch import Batch
from dtao_gym.world.config import Config
from dtao_gym.world.config_people import PREDICTABLE
from dtao_gym.world.state import FUND_DTYPE, HOLDERS, STAKER_DTYPE, WORLD_DTYPE, State, Subnets

DAYS = 30
TOLERANCE = 1e-9
MOST_DAYS = {"tao_flow": 5, "net_flow": 12}
"""Days after which rounding matters: pay by flows is a small difference of large numbers, which amplifies rounding."""
INTERNAL = {"moving_rate", "moving_decay"}
"""Rows that the engine prepares once a day for its own use."""

NEWS = {
    "news_sd": 0.03, "news_spread": 0.8, "news_size_exponent": 0.25, "news_volatility_sd": 1.0,
    "jump_chance": 0.05, "jump_up": 0.3, "jump_down": 0.4, "market_sd": 0.012, "trade_speed": 1.0,
}  # fmt: skip
"""News far more volatile than by default."""
ONE_POT = {"frozen_subnets": "share", "n_subnets": 5}
ALIVE = {"portfolio_days": 5.0, "scarcity_elasticity": 1.0, "insider_holding_days": 30.0}
SETTINGS = {
    "whole chain": {"n_subnets": None},
    "defaults": {},
    "one span": {"spans_per_day": 1},
    "24 spans": {"spans_per_day": 24},
    "240 spans": {"spans_per_day": 240},
    "twap, two stakers": {"n_stakers": 2, "execution": "twap", "wealth_tao": 20_000.0},
    "three stakers, rich": {"n_stakers": 3, "wealth_tao": 100_000.0},
    "nobody learns": {"n_stakers": 0},
    "claims kept": {"root_swap_share": 0.0},
    "claims divided, all at once": {"root_swap_share": 0.6, "root_claim_hazard": 1.0},
    "opinions by wealth, yield": {"opinion_weights": "wealth", "yield_sensitivity": 0.5},
    "news": NEWS,
    "news, all subnets, regimes": NEWS
    | {"n_subnets": None, "news_factor_low": 0.7, "news_factor_high": 2.5},
    "slow beliefs ahead of agents": {
        "signal_gain": 0.05,
        "readers_ahead": True,
        "signal_lag_days": 3,
    },
    "scarcity, money, insiders who sell later": ALIVE | {"trade_speed": 0.9},
    "scarcity, all subnets": ALIVE | NEWS | {"n_subnets": None},
    "mean-one opinions, settled alpha": {"mean_one_opinions": True, "settled_alpha": 2e6},
    "fast traders": {"trade_speed": 1.0, "max_trade_of_pool": 1.0, "max_purse_use": 0.5},
    "no dilution, no momentum, no lag": {"dilution": False, "momentum": 0.0, "signal_lag_days": 0},
    "slow moving price": {"moving_price_variant": "slow", "moving_price_halving_blocks": 0.0},
    "fees of both kinds": {"pool_fee": 0.01, "flat_fee_tao": 0.01, "min_order_tao": 1.0},
    "sample of evaluation": {"selection": "sample", "split": "evaluation", "world_seed": 2**63 - 9},
    "no halving, no revenue": {"halving": False, "revenue_share": 0.0},
    "empty outside": {
        "outside_initial_tao": 0.0,
        "reinvest_share": 1.0,
        "miner_sale_fraction": 0.0,
    },
}
VARIATIONS = {
    "many spans, two stakers": {"spans_per_day": 12, "n_stakers": 2, "wealth_tao": 20_000.0},
    "gate, kept claims": {"root_gate": "chain", "root_swap_share": 0.5, "root_claim_hazard": 0.5},
    "no halving, users' purses": {"halving": False, "revenue_share": 0.6, "spans_per_day": 1},
    "all subnets": {"n_subnets": None, "pool_fee": 0.003, "flat_fee_tao": 0.001},
    "a market without news": PREDICTABLE,
    "a sample": {"selection": "sample", "yield_sensitivity": 0.5, "opinion_weights": "wealth"},
}
VOTES = {"root_column_share": 0.2, "vote_power": 2.0, "vote_cut": 0.8, "root_validators": 7}
RULES = {
    "uniform": {"root_gate": "open"},
    "price": {"share_exponent": 0.5, "n_subnets": None},
    "price_burn": {"share_exponent": 2.0, "root_gate": "chain"},
    "price_rootprop": {"spans_per_day": 12},
    "price_burn_gate": {"gate_quantile": 0.6, "share_exponent": 1.5, "spans_per_day": 24},
    "price_burn_gate, bar given": {"gate_bar": 0.009},
    "price_burn_gate, no bar": {"gate_bar": 0.0},
    "price_burn_gate_rank": {"gate_rank": 5, "gate_exponent": 1.5, "spans_per_day": 24},
    "price_burn_gate_rank, the last": {"gate_rank": 128, "gate_exponent": 8.0},
    "price_burn_gate_rank, prices": {"share_exponent": 0.5, "gate_bar": 0.02},
    "price_burn_gate_rank, all": {"n_subnets": None},
    "tao_flow": {"flow_cutoff": -0.005, "flow_ema_base": 1e-3},
    "tao_flow, above a cutoff": {"flow_cutoff": 0.002, "norm_exponent": 0.5},
    "net_flow": {"norm_exponent": 2.0, "flow_ema_base": 1e-4},
    "net_flow, all": {"n_subnets": None, "flow_cutoff": -1.0},
    "root_vote": {"consensus_slope": 30.0},
    "root_vote, votes for root": VOTES,
    "price, one pot": ONE_POT | {"share_exponent": 0.5},
    "price_burn, one pot": ONE_POT,
    "price_rootprop, one pot": ONE_POT,
    "price_burn_gate, one pot": ONE_POT | {"gate_quantile": 0.6},
    "price_burn_gate_rank, one pot": ONE_POT | {"gate_rank": 3, "gate_exponent": 2.0},
    "tao_flow, one pot": ONE_POT,
    "root_vote, one pot": ONE_POT,
    "root_vote, news": {
        "news_sd": 0.03,
        "signal_gain": 0.2,
        "market_sd": 0.01,
        "readers_ahead": True,
    },
    "root_vote, spillovers": {"spillover": 2.0, "voter_spillover_weight": 0.5},
}
"""Rules of allocation, each with other numbers than the chain's."""
LIFECYCLE = {
    "the era's rules": {},
    "newcomers with news and a trusted price": NEWS
    | {
        "prior_half_life_days": 10.0,
        "settled_alpha": 2e6,
        "start_delay_days": 1,
        "signal_gain": 0.1,
    },
    "no pruning, empty slots": {"pruning": False, "empty_slots": 3, "start_delay_days": 3},
    "from empty slots to pruning": {"empty_slots": 2, "pruning": True, "immunity_days": 5.0},
    "by share, lottery": {"pruning": True, "prune_key": "share", "prune_lottery_sd": 1.0},
    "by price, lottery": {"pruning": True, "prune_key": "moving_price", "prune_lottery_sd": 0.3},
    "seeded with the lock": {"seeding": "median_price", "chain_bought": "protocol"},
    "seeded with the minimum": {"seeding": "minimum", "min_lock_tao": 10.0, "pruning": True},
    "enabled by governance": {"entrants_enabled": False, "governance_days": 2.0, "pruning": True},
    "values drawn": {"genesis_values": "drawn", "pruning": True, "n_stakers": 2},
    "drawn, no pruning, one span": {
        "genesis_values": "drawn",
        "empty_slots": 4,
        "spans_per_day": 1,
        "prune_lottery_sd": 1.0,
    },
    "all rich founders": {"entry_value_tao": 1e6, "lock_interval_days": 1.0, "pruning": True},
}
BUILDERS = {
    "influence": {"influence": True, "influence_share": 0.3},
    "influence of no use": {"influence_share": 0.3, "influence_productivity": 0.2},
    "grants": {"milestone_grant_tao": 800.0},
    "no delay": {"delay_days": 0.0, "pipeline_visible": False},
    "delay of many stages": {"delay_stages": 12, "delay_days": 30.0},
    "every day a stage": {"delay_stages": 2, "delay_days": 2.0, "signal_noise_sd": 0.0},
    "rare success": {"success_probability": 0.3, "delay_days": 5.0, "research_luck_sd": 1.5},
    "sure success": {"research_luck_sd": 0.0, "milestone_grant_tao": 100.0},
    "pipeline unseen": {"pipeline_visible": False, "informed_share_stakers": 0.9},
    "all informed": {"informed_share_stakers": 1.0, "influence": True, "influence_share": 0.2},
    "nearly no curvature": {"curvature": 0.7},
    "much curvature": {"curvature": 0.3, "short_productivity": 1.0},
    "spillover without hype": {"spillover": 2.0, "hype": 0.0},
    "half-lives": {"short_half_life_days": 7.0, "knowledge_half_life_days": 30.0},
    "nothing salvaged": {"salvage": 0.0, "pruning": True, "type_sd": 1.0},
    "all salvaged": {"salvage": 1.0, "pruning": True, "finance": False, "empty_slots": 2},
    "all alike": {"type_sd": 0.0, "genesis": "symmetric"},
    "a drawn market": {"genesis": "drawn", "n_subnets": 12, "builder_discount_per_year": 0.6},
    "half the income": {"income_factor": 0.5},
    "more income": {"income_factor": 1.7, "payment": "direct"},
    "income beyond what is outside": {"income_factor": 100.0, "outside_initial_tao": 0.0},
    "fees beyond what is outside": {
        "payment": "fee",
        "fee_per_value": 100.0,
        "outside_initial_tao": 0.0,
    },
    "patient valuers": {"valuer_discount_per_year": 0.01, "pooled_capitalisation": 50.0},
    "no hope": {"genesis_multiple": 1.0, "cost_weight": 0.4},
    "disclosed": {"disclosure": "knowledge"},
    "steady state": {"genesis_stocks": "steady_state", "finance": False},
    "alone": {"n_subnets": 1},
    "two": {"n_subnets": 2, "spillover": 1.0},
}
TWO_FUNDS = (
    {"part": 0.3, "weights": {0: 1.0} | dict.fromkeys(range(1, 20), 0.5)},
    {"part": 0.2, "weights": dict.fromkeys(range(1, 129), 1.0)},
)
WHOLE_ROOT = (
    {"part": 0.6, "weights": dict.fromkeys(range(1, 129), 1.0)},
    TWO_FUNDS[0] | {"part": 0.4},
)
FAVOURITES = {"favourite_share": 0.5, "collusion": 0.5}
BUSY = {
    "arrivals_per_slot_year": 12.0,
    "immunity_days": 0.0,
    "entry_lock_tao": 150.0,
    "entry_value_tao": 2000.0,
    "lock_interval_days": 3.0,
    "outside_initial_tao": 1e5,
}
"""Some twelve founders in a month."""
RICH_PAIR = {"n_stakers": 2, "wealth_tao": 20_000.0}
FUNDS = {
    "one fund": {},
    "two curated": {"curated_funds": TWO_FUNDS},
    "two curated, dissolutions": BUSY | RICH_PAIR | {"curated_funds": TWO_FUNDS},
    "none in place": RICH_PAIR | {"curated_funds": WHOLE_ROOT, "spans_per_day": 12},
    "valued as one": RICH_PAIR
    | {"curated_funds": TWO_FUNDS, "equal_funds": 1.0, "root_claim_hazard": 0.9},
    "no learner, one span": BUSY
    | {"curated_funds": TWO_FUNDS, "n_stakers": 0, "spans_per_day": 1, "root_gate": "chain"},
    "all subnets": {"curated_funds": TWO_FUNDS, "n_subnets": None},
}
SWITCHES = {
    "planned": {},
    "by chance": {"emission_off_hazard": 0.1, "emission_on_hazard": 0.3},
    "back and forth": {"emission_off_hazard": 1.0, "emission_on_hazard": 1.0},
    "off for good, young ones on": {"emission_off_hazard": 0.05, "governance_days": 2.5},
    "young ones at once": {"governance_days": 0.0, "empty_slots": 3},
}


def configured(era: str, **settings) -> Config:
    return Config.make(era=era, **({"n_subnets": 12} | settings))


def run_both(
    config: Config, prepare=None, days: int = DAYS, worlds: int = 3, eras=()
) -> tuple[Batch, State]:
    """Engine and reference from the same start, under the same erratic orders.

    `prepare` changes the state before; `eras` are changes of the configuration, `(day, settings)`.
    """
    rule = config.era_part("allocation")
    if rule == "net_flow" or (rule == "tao_flow" and config.news_sd > 0.0):
        days = min(days, MOST_DAYS[rule])
    batch = Batch(config, worlds)
    if prepare is not None:
        prepare(batch.state)
        refresh(batch.state)
    market = NumpyMarket(config, batch.state)
    rng = np.random.default_rng(1)
    shape = (worlds, config.n_stakers, batch.layout.n_subnets)
    for day in range(days):
        for when, settings in eras:
            if when == day:
                batch.set_parameters(**settings)
                market.configure(batch.configs[0])
        orders = rng.normal(0.0, config.wealth_tao / 20, shape)
        # sales are in alpha, of which there is more; now and then everything goes
        orders *= np.where(orders < 0.0, rng.choice([0.01, 10.0, 1e6], shape), 1.0)
        if day % 5 == 4:
            batch.step(days=1)
            market.step(days=1)
        else:
            batch.step(orders)
            market.step(orders)
    return batch, market.state()


def refresh(state: State) -> None:
    """Bring what the engine keeps of reserves and weights up to date with them."""
    tao, alpha, weight = map(state.row, ("tao_reserve", "alpha_reserve", "pool_tao_weight"))
    price = np.divide(tao, alpha, out=np.zeros_like(tao), where=alpha > 0.0)
    state.row("spot_price")[...] = price * (1.0 - weight) / weight
    state.row("flow_mark")[...] = tao
    state.worlds["equal_weights"] = (weight == 0.5).all()


def vary_people(state: State) -> None:
    """Some subnets switched off, some burned, some young, some not started, and flows that differ."""
    n = state.layout.n_subnets
    block = state.worlds["block"][0]
    state.row("emission_enabled")[:, ::5] = 0.0
    state.frozen[:, 1, ::4] = 0.0
    state.row("miner_burned")[:, 1::3] = np.resize(
        [0.3, 1.0, 0.0, 0.9], state.row("miner_burned")[0, 1::3].shape
    )
    state.row("start_block")[:, 2::4] = block - 1000.0
    late = slice(3, n, 4)
    state.row("started")[:, late] = 0.0
    state.row("start_block")[:, late] = block + 7200.0 * np.arange(1.0, 1.0 + len(range(n)[late]))
    for name in ("moving_price", "alpha_emission", "user_flow_ema", "protocol_flow_ema"):
        state.row(name)[:, late] = 0.0
    state.row("user_flow_ema")[:, ::2] += 0.002 * np.arange(state.n_worlds)[:, None] - 0.001
    state.row("protocol_flow_ema")[:, ::3] = [[0.003], [-0.001], [0.0]][: state.n_worlds]


def decide_anything(state: State) -> None:
    """Random decisions of builders."""
    rng = np.random.default_rng(3)
    shape = state.row("spend_rate").shape
    state.row("spend_rate")[...] = rng.uniform(0.0, 0.2, shape) * (rng.random(shape) < 0.9)
    for name in ("research_share", "influence_share", "owner_sale_fraction"):
        state.row(name)[...] = np.clip(rng.uniform(-0.2, 1.2, shape), 0.0, 1.0)


def without_rest(state: State) -> None:
    """Nothing but the simulated subnets has a claim on emission."""
    for name in state.worlds.dtype.names:
        if name.startswith("rest_"):
            state.worlds[name] = 0.0


def nobody_on_root(state: State) -> None:
    """No scripted holder has root stake."""
    for name in HOLDERS:
        state.worlds["tao_genesis"] -= state.worlds[name]
        state.worlds[name] = 0.0


def relative_errors(engine: State, reference: State, floor: float) -> dict[str, float]:
    """Largest error of every row, section, account and staker's figure.

    Relative to the value, or where a difference of large numbers leaves less than `floor` times the row's
    largest entry, to that: its digits are not carried by either side.
    """

    def error(a: np.ndarray, b: np.ndarray, least: np.ndarray | float = 0.0) -> float:
        if a.size == 0:
            return 0.0
        a, b = a.astype(float), b.astype(float)
        scale = np.maximum(np.maximum(np.abs(a), floor * np.abs(a).max()), least)
        return float((np.abs(a - b) / np.where(scale > 0.0, scale, 1.0)).max())

    # a flow is a difference of reserves, whose rounding it inherits
    per_day = 1e-4 * engine.row("tao_reserve")
    least = {
        "user_flow_ema": per_day / BLOCKS_PER_DAY,
        "protocol_flow_ema": per_day / BLOCKS_PER_DAY,
    }
    least |= {"protocol_flow": per_day, "recycled": 1.0}
    # holdings that should be zero are rounding
    least |= {f"{account}_uninformed": 1.0 for account in ("purse", "root")}
    errors = {
        name: error(engine.row(name), reference.row(name), least.get(name, 0.0))
        for name in Subnets._fields
        if name not in INTERNAL
    }
    errors |= {name: error(engine.section(name), reference.section(name)) for name in SECTIONS}
    errors |= {
        n: error(engine.worlds[n], reference.worlds[n], least.get(n, 0.0))
        for n in WORLD_DTYPE.names
    }
    for name in FUND_DTYPE.names:
        errors[f"fund's {name}"] = error(engine.funds[name], reference.funds[name])
    errors["fund_owed"] = error(engine.fund_owed, reference.fund_owed)
    # a staker that spends its last TAO keeps rounding: its root counts as part of its wealth
    for name in STAKER_DTYPE.names:
        a, b = engine.stakers[name], reference.stakers[name]
        wealth = np.maximum(engine.stakers["wealth"], 1e-9)
        errors[f"staker's {name}"] = error(1.0 + a / wealth, 1.0 + b / wealth)
    return errors


def assert_agree(batch: Batch, reference: State, overdrawn: bool = False) -> None:
    # a flow is a small difference of reserves, and what is paid by flows has no more digits; net flow is a
    # difference of flows, which its normalisation brings near zero
    allocation = batch.configs[0].era_part("allocation")
    errors = relative_errors(batch.state, reference, 1e-2 if "flow" in allocation else 1e-6)
    tolerance = 1e-7 if allocation == "net_flow" else TOLERANCE
    bad = {name: error for name, error in errors.items() if not error <= tolerance}
    assert not bad
    audit = batch.audit()
    assert overdrawn or audit.ok  # short sales leave negative accounts
    assert (audit.tao_error < 1e-9).all()
    assert (audit.alpha_error < 1e-9).all()
