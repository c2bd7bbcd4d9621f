"""Builders in plain NumPy, for `numpy_market.py`: spending, production, income, registrations.

Each function takes the market `m`: parameters `m.p`, rows of subnets `m.s` of shape `(W, N)`, figures of worlds
`m.g`, the pipeline `(W, stages, N)`. Of `dtao_gym/economy/` and `dtao_gym/world/` only names are imported.
"""

import numpy as np

from benchmarks import numpy_funds as funds
from benchmarks.numpy_rules import arrivals, divide, normals, philox, registration_cost, uniforms
from dtao_gym.protocol.institutions import PRUNE_KEYS
from dtao_gym.protocol.issuance import BLOCKS_PER_DAY, SUPPLY_CAP
from dtao_gym.protocol.lifecycle import SEEDINGS
from dtao_gym.world.parameters import PAYMENTS
from dtao_gym.world.shocks import ECONOMY, ENTRY, NEWS, PRUNE
from dtao_gym.world.state import Subnets

POPULATIONS = ("informed", "uninformed")
SECTIONS = (
    "staker_alpha",
    "staker_claimable",
    "price_history",
    "signal_history",
    "pipeline",
    "fund_alpha",
    "fund_weight",
)
SLOT_ROWS = (
    "stream_id",
    "owner_number",
    "consumed",
    "consumed_by_predecessors",
    "first_owner_payoff",
)
"""Rows that belong to the slot and outlast its subnets."""

# ---------------------------------------------------------------- morning


def open_treasuries(m):
    """Budgets of the day: out of treasuries, or without finance a fixed budget that `outside` pays and gets back."""
    p, s, g = m.p, m.s, m.g
    s.income = 0 * s.income
    g.granted = 0 * g.granted
    if not p.finance:
        s.budget = p.fixed_budget_tao * (s.registered_block >= 0)
        return
    s.budget = s.spend_rate * s.treasury
    s.treasury = s.treasury - s.budget
    g.outside += s.budget.sum(1)


# ---------------------------------------------------------------- evening


def receive_grants(m):
    """Pay grants for yesterday's arrivals out of the part of today's emission kept back for them."""
    s = m.s
    s.income += m.g.granted[:, None] * divide(s.grant_due, s.grant_due.sum(1)[:, None])


def produce(m):
    """A day of work, research and influence; then opinions, the public signal and the day's accounts."""
    p, s, g = m.p, m.s, m.g
    key, episode, day = (a[:, None] for a in (g.world_key, g.episode, g.day))
    words = philox(key, episode, 0, day, s.stream_id.astype(np.uint64), ECONOMY)
    for_luck, for_opinion, for_signal = normals(words[:3])

    influence = s.budget * s.influence_share * bool(p.influence)
    research = (s.budget - influence) * s.research_share
    work = s.budget - influence - research
    arrived = _advance(m.pipeline, p.stage_rate, _made(p, "research", research) * s.ability)
    arrived *= np.exp(p.research_luck_sd * for_luck - p.research_luck_sd**2 / 2)
    arrived *= (uniforms(words[3]) < p.success_probability) / p.success_probability
    s.short_stock = (1 - p.short_decay) * s.short_stock + s.ability * _made(p, "short", work)
    s.influence_stock = (1 - p.influence_decay) * s.influence_stock
    s.influence_stock += _made(p, "influence", influence)
    s.knowledge = (1 - p.knowledge_decay) * s.knowledge + arrived
    s.grant_due = p.milestone_grant_tao * arrived
    s.knowledge_disclosed = s.knowledge * bool(p.knowledge_disclosed)
    s.opinion = p.opinion_persistence * s.opinion + p.opinion_innovation_sd * for_opinion
    shown = (1 + p.hype) * s.short_stock + s.knowledge + s.influence_stock
    today = m.everyone, g.day % m.signal_history.shape[1]
    m.signal_history[today] = shown * np.exp(p.signal_noise_sd * for_signal)
    appraise(m)
    _hear_news(m)

    spent = {"research": research.sum(1), "influence": influence.sum(1)}
    spent["work"] = spent["research"] + work.sum(1)
    cost = spent["work"] + p.influence_dissipation * spent["influence"]
    g.welfare = s.true_value.sum(1) - p.cost_weight * cost
    discount = np.exp(p.welfare_log_discount * g.day)
    for name, amount in (spent | {"welfare": g.welfare}).items():
        setattr(g, f"{name}_sum", getattr(g, f"{name}_sum") + discount * amount)
    g.informed_value_sum += s.informed_value.sum(1)
    g.plain_value_sum += (s.short_stock + s.knowledge).sum(1)


def _hear_news(m):
    """Levels of news move by factors of mean one: clustered normal steps, jumps, and a part common to all."""
    p, s, g = m.p, m.s, m.g
    if p.news_sd == 0:
        return
    key, episode, day = (a[:, None] for a in (g.world_key, g.episode, g.day))
    words = philox(key, episode, 0, day, s.stream_id.astype(np.uint64), NEWS)
    halves = (words[0] >> np.uint64(32)) + (words[0] & np.uint64(0xFFFFFFFF)) + np.uint64(1)
    for_volatility = np.sqrt(6) * (halves * 2.0**-32 - 1)
    (for_news,) = normals(words[1:2])
    which, size = uniforms(words[2]), uniforms(words[3])
    everybody = philox(key, episode, 1, day, np.zeros_like(key), NEWS)
    (for_market,) = normals(everybody[:1])
    market_sd = p.market_sd * g.news_factor[:, None]
    kept = p.news_volatility_kept
    s.news_volatility = kept * s.news_volatility
    s.news_volatility += np.sqrt(1 - kept**2) * p.news_volatility_sd * for_volatility
    lively = np.exp(s.news_volatility - p.news_volatility_sd**2 / 2)
    scale = s.news_character * (np.maximum(s.tao_reserve, 1_000) / 20_000) ** -p.news_size_exponent
    sd = np.minimum(p.news_sd * g.news_factor[:, None] * scale * lively, 0.5)
    chance = np.minimum(p.jump_chance * scale, 0.3)
    length = -np.log1p(-size)
    jumped = np.where(which < chance * p.jump_up_share, p.jump_up * length, -p.jump_down * length)
    jumped = np.where(which < chance, jumped, 0)
    gain = p.jump_up_share / (1 - p.jump_up) + (1 - p.jump_up_share) / (1 + p.jump_down) - 1
    common = market_sd * for_market - market_sd**2 / 2
    rho, shift = p.news_kept, p.news_kept * (1 - p.news_kept) / 2  # keeps the mean of fading levels
    g.common_news = rho * g.common_news + shift * g.common_variance + common[:, 0]
    g.common_variance = rho**2 * g.common_variance + market_sd[:, 0] ** 2
    s.news = rho * s.news + shift * s.news_variance + common
    square = p.jump_up_share * p.jump_up**2 + (1 - p.jump_up_share) * p.jump_down**2
    s.news_variance = rho**2 * s.news_variance + market_sd**2 + sd**2 + 2 * chance * square
    x = chance * gain
    s.news += sd * for_news - sd**2 / 2 + jumped - (x - x**2 / 2 + x**3 / 3)
    s.news = np.clip(s.news, -8, 8)


def _made(p, what, spending):
    """Output of a day's spending, for ability 1."""
    return getattr(p, f"{what}_productivity") * spending**p.curvature


def _advance(pipeline, rate, started):
    """Move research through the stages, from their old contents; returns the output of the last stage."""
    leaving = rate * pipeline
    entering = np.concatenate([started[:, None], leaving], axis=1)
    pipeline += entering[:, :-1] - leaving
    return entering[:, -1].copy()


def appraise(m):
    """Value of each subnet to its users, and capital value of its stocks to the informed."""
    p, s = m.p, m.s
    registered = s.registered_block >= 0
    others = s.knowledge.sum(1, keepdims=True) - s.knowledge
    per_other = divide(p.spillover, registered.sum(1, keepdims=True) - 1.0)
    s.true_value = registered * (s.short_stock + s.knowledge + per_other * others)
    stages = m.pipeline.shape[1]  # the last is one step away from knowledge
    steps = np.arange(stages, 0, -1)[:, None]
    under_way = bool(p.pipeline_visible) * (p.stage_discount**steps * m.pipeline).sum(1)
    arrived_and_under_way = s.knowledge + under_way
    s.informed_value = p.worth_of_short * s.short_stock + p.worth_of_knowledge * (
        arrived_and_under_way
    )


def users_pay(m):
    """Users pay for a part of their value: they buy alpha, which is recycled; without pools they pay the owner."""
    p, s, g = m.p, m.s, m.g
    wish = p.revenue_share * s.true_value * s.started
    due = wish.sum(1)
    paid_part = np.clip(divide(g.outside, due), 0, 1)
    paid, fee = paid_part[:, None] * wish, 0 * wish
    if m.injection == "direct":
        s.income += paid
    else:
        pools = m.pools()
        bought, paid, fee = pools.buy(paid, p.pool_fee, 0.0)
        m.keep(pools)
        m.user_flow += paid - fee
        s.alpha_recycled += bought
    g.revenue_paid = paid.sum(1)
    g.revenue_rationed = due * (1 - paid_part)
    g.outside -= g.revenue_paid
    g.authors += fee.sum(1)


def settle(m):
    """Fees for own value, the factor on incomes, then saving and consumption."""
    p, s, g = m.p, m.s, m.g
    if p.payment == PAYMENTS["fee"]:
        fees = p.fee_per_value * (s.short_stock + s.knowledge)
        wanted = fees.sum(1)
        fees *= np.clip(divide(g.outside, wanted), 0, 1)[:, None]
        g.revenue_rationed += wanted - fees.sum(1)
        s.income += fees
        g.outside -= fees.sum(1)
    earned = s.income.sum(1)
    added = np.minimum((p.income_factor - 1) * earned, np.maximum(g.outside, 0))
    s.income *= 1 + divide(added, earned)[:, None]
    g.outside -= added
    saved = (p.reinvest_share if p.finance else 0.0) * s.income
    consumed = s.income - saved
    s.treasury += saved
    s.consumed += consumed
    today = np.exp(p.payoff_log_discount * g.day)[:, None]
    s.first_owner_payoff += np.where(s.owner_number == 0, today * consumed, 0)
    g.outside += consumed.sum(1)


# ---------------------------------------------------------------- founders


def founders_arrive(m):
    """Founders of the day, world by world and one after the other."""
    p, g, n = m.p, m.g, m.layout.n_subnets
    if not p.arrivals_per_day > 0:
        return
    word = philox(g.world_key, g.episode, 0, g.day, 0, ENTRY)[0]
    for w, count in enumerate(arrivals(uniforms(word), n * p.arrivals_per_day)):
        for k in range(count):
            words = philox(g.world_key[w], g.episode[w], 1 + k, g.day[w], 0, ENTRY)
            _founder(m, w, *normals(words[:2]))


def _founder(m, w, worth, talent):
    """One founder: registers if a slot is worth its cost and available, and `outside` can pay."""
    p, s, g = m.p, m.s, m.g
    cost = registration_cost(p, g)[w]
    affordable = cost + p.initial_treasury_tao <= g.outside[w]
    if p.entry_value_tao * np.exp(p.entry_value_sd * worth) < cost or not affordable:
        return
    empty, salvaged = np.flatnonzero(s.registered_block[w] < 0), 0.0
    if empty.size:
        slot = empty[0]
    else:
        slot = _weakest(m, w) if p.pruning else None
        if slot is None:
            return
        salvaged = p.salvage * s.knowledge[w, slot]
        _dissolve(m, w, slot)
    _create_subnet(m, w, slot, cost, talent, salvaged)
    appraise(m)


def _weakest(m, w):
    """Slot to prune: the lowest key among subnets past immunity, the oldest of equals; or None."""
    p, s, g = m.p, m.s, m.g
    share = p.prune_key == PRUNE_KEYS["share"]
    key = (s.emission_share if share else s.moving_price)[w]
    if p.prune_lottery_sd > 0:
        stream = s.stream_id[w].astype(np.uint64)
        words = philox(g.world_key[w], g.episode[w], 0, g.day[w], stream, PRUNE)
        key = key * np.exp(p.prune_lottery_sd * normals(words[0]))
    old = np.flatnonzero(g.block[w] - s.registered_block[w] >= p.immunity_blocks)
    if old.size == 0:
        return None
    return old[np.lexsort((old, s.registered_block[w, old], key[old]))[0]]


def _dissolve(m, w, i):
    """Pay the pool's TAO to holders of its alpha; the part of the protocol and of the pool is recycled.

    Root funds sell before, at the pool's price.
    """
    p, s, g = m.p, m.s, m.g
    funds.leave_subnet(m, w, i)
    held = {name: getattr(s, f"{name}_alpha")[w, i] for name in POPULATIONS}
    people = ("owner_alpha", "miner_alpha", "validator_alpha", "idle_alpha")
    held["outside"] = sum(getattr(s, name)[w, i] for name in people)
    mine, nobodys = m.staker_alpha[w, :, i], s.protocol_alpha[w, i]
    if s.reserve_counts[w, i]:
        nobodys = nobodys + s.alpha_reserve[w, i]
    if m.injection == "direct" and s.alpha_reserve[w, i] == 0:  # the owner's lock
        held, mine, nobodys = {"outside": 1.0}, 0 * mine, 0.0
    per_alpha = divide(s.tao_reserve[w, i], sum(held.values()) + mine.sum() + nobodys)
    for name, alpha in held.items():
        account = name if name == "outside" else f"purse_{name}"
        getattr(g, account)[w] += per_alpha * alpha
    m.me.root[w] += per_alpha * mine
    recycled = s.tao_reserve[w, i] - per_alpha * (sum(held.values()) + mine.sum())
    g.recycled[w] += recycled
    g.chain_issuance[w] -= recycled

    issuance = s.alpha_reserve[w, i] + s.alpha_outstanding[w, i]
    earned = p.owner_cut * issuance * s.spot_price[w, i]
    refund = s.legacy[w, i] * np.clip(s.lock_tao[w, i] - earned, 0, g.burned[w])
    g.burned[w] -= refund
    g.outside[w] += refund + s.treasury[w, i]
    g.dissolutions[w] += 1
    s.owner_number[w, i] += 1
    s.consumed_by_predecessors[w, i] = s.consumed[w, i]


def _create_subnet(m, w, i, cost, talent, salvaged):
    """Create a subnet in a slot, with the salvaged knowledge of the old one, of which only counts remain."""
    p, s, g = m.p, m.s, m.g
    for name in set(Subnets._fields) - set(SLOT_ROWS):
        getattr(s, name)[w, i] = 0.0
    for name in SECTIONS:
        getattr(m, name)[w, :, i] = 0.0
    m.user_flow[w, i] = 0.0
    words = philox(
        g.world_key[w], g.episode[w], 2 + int(s.owner_number[w, i]), 0, int(s.stream_id[w, i]), NEWS
    )
    character, liveliness = normals(words[:2])
    tao, alpha = cost, 0.0
    if m.injection != "direct" and p.seeding == SEEDINGS["minimum"]:
        tao = alpha = min(p.min_lock_tao, cost)
    elif m.injection != "direct":
        prices = s.spot_price[w][s.spot_price[w] > 0]
        alpha = min(cost / (np.median(prices) if prices.size else 1.0), SUPPLY_CAP)
    price = tao / alpha if alpha else 0.0
    modern = p.seeding == SEEDINGS["median_price"] and not p.bought_destroyed
    rows = {
        "tao_reserve": tao,
        "flow_mark": tao,
        "alpha_reserve": alpha,
        "alpha_genesis": alpha,
        "dilution_alpha": p.dilution_reference_alpha,
        "pool_tao_weight": 0.5,
        "spot_price": price,
        "registered_block": g.block[w],
        "start_block": g.block[w] + p.start_delay_days * BLOCKS_PER_DAY,
        "lock_tao": cost,
        "legacy": not p.pruning,
        "reserve_counts": modern,
        "emission_enabled": p.entrants_enabled,
        "off_block": -1.0,
        "on_block": -1.0,
        "treasury": p.initial_treasury_tao,
        "ability": np.exp(p.type_sd * talent - p.type_sd**2 / 2),
        "knowledge": salvaged,
        "belief": salvaged,
        "prior": -1.0 if p.prior_kept > 0 else 0.0,
        "news_character": np.exp(p.news_spread * character),
        "news_volatility": p.news_volatility_sd * liveliness,
    }
    decisions = ("spend_rate", "research_share", "influence_share", "owner_sale_fraction")
    for name, content in (rows | {name: getattr(p, name) for name in decisions}).items():
        getattr(s, name)[w, i] = content
    m.price_history[w, :, i], m.signal_history[w, :, i] = price, salvaged
    g.outside[w] -= cost + p.initial_treasury_tao
    g.burned[w] += cost - tao
    g.chain_issuance[w] -= cost - tao
    g.last_lock[w], g.last_lock_block[w] = cost, g.block[w]
    g.registrations[w] += 1
