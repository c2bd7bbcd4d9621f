"""Root funds of a world: deposits of root dividends, claims, valuation, and the change from claimable dividends.

Written like `spans.py`; the rules are those of `protocol/root_fund.py`. All validators' funds of one kind are one fund here,
valued as `equal_funds` equal ones: fund 0 keeps root's alpha in place, the others are curated. Each has a part of all root
stake. The chain keeps a signed watermark for each holder, k = rate x root stake - owed shares, so that a change of root stake
leaves what is owed as it is. Here the owed shares themselves are kept (`fund_owed`), which no change of stake touches.
"""

from dtao_gym.compiling import inlined_rule, rule, stage
from dtao_gym.numerics import row_sum
from dtao_gym.protocol.coinbase import FUND_CURATED, FUND_IN_PLACE
from dtao_gym.protocol.pool import tao_for_alpha
from dtao_gym.protocol.root_fund import (
    claim_payment,
    realisable_value,
    shares_for,
    stakers_part,
    value_and_gain,
)
from dtao_gym.world.parameters import parameters_of
from dtao_gym.world.scratch import quote_rows, span_scratch
from dtao_gym.world.state import (
    HOLDERS,
    fund_row,
    fund_weight_row,
    owed_row,
    subnet_rows,
)
from dtao_gym.world.trades import (
    buy_rows,
    pool_weight,
    reserve_limits,
    scripted_root,
    sell_rows,
)

N_SCRIPTED = len(HOLDERS)
MOST_SHARES = 1e100
"""Number of shares of a fund from which they are merged into one; fewer than its inverse are nothing."""


@inlined_rule
def keeps_funds(p):
    """Whether root dividends go to funds."""
    return p.root_dividend == FUND_IN_PLACE or p.root_dividend == FUND_CURATED


@inlined_rule
def holders_root(world, stakers):
    """Root stake of all holders, TAO; the root slots of funds belong to no holder."""
    total = scripted_root(world)
    for staker in range(stakers.size):
        total += stakers[staker].root
    return total


@inlined_rule
def slots_root(world, funds):
    """Root stake that belongs to the funds themselves, TAO."""
    total = 0.0
    if world.has_funds:
        for k in range(funds.size):
            total += funds[k].root_slot
    return total


@inlined_rule
def all_root(world, stakers, funds):
    """Root stake, TAO: of all holders and of the funds."""
    return holders_root(world, stakers) + slots_root(world, funds)


@inlined_rule
def _keep_scale(w, k):
    """Merge the shares of fund k into one, or delete them, where they leave the range of numbers.

    A curated fund that lifts the prices of tiny pools by its own purchases multiplies its shares in every span; a fund
    without deposits is claimed down to nothing.
    """
    fund = w.funds[k]
    many, few = fund.shares > MOST_SHARES, 0.0 < fund.shares < 1.0 / MOST_SHARES
    if many or few:
        factor = 1.0 / fund.shares if many else 0.0
        for holder in range(w.fund_owed.shape[1]):
            w.fund_owed[k, holder] *= factor
        fund.rate *= factor
        fund.shares *= factor


@inlined_rule
def _grant(w, k, shares, holders):
    """Grant new shares of fund k to its holders, in proportion to root stake."""
    world, fund, owed = w.world, w.funds[k], w.fund_owed
    each = shares / holders
    owed[k, 0] += each * world.root_informed
    owed[k, 1] += each * world.root_uninformed
    owed[k, 2] += each * world.root_validators
    for staker in range(w.stakers.size):
        owed[k, N_SCRIPTED + staker] += each * w.stakers[staker].root
    fund.shares += shares
    fund.rate += each / fund.part
    _keep_scale(w, k)


# --- deposits


@stage
def _value_and_gain_stage(s, t, held, equal_funds, weighted):
    for i in range(s.tao_reserve.size):
        t.value[i], t.gain[i] = value_and_gain(
            s.tao_reserve[i],
            s.alpha_reserve[i],
            pool_weight(s, i, weighted),
            held[i],
            t.credit[i],
            equal_funds,
        )


@stage
def _value_stage(s, t, held, equal_funds, weighted):
    for i in range(s.tao_reserve.size):
        weight = pool_weight(s, i, weighted)
        t.value[i] = realisable_value(
            s.tao_reserve[i], s.alpha_reserve[i], weight, held[i], equal_funds
        )


@inlined_rule
def _deposit_in_place(w, k, tao, holders, weighted):
    """Keep the credits in fund k; returns the value for which shares were made, 0 where the batch is recycled."""
    s, t, fund = subnet_rows(w.fields), span_scratch(w.scratch), w.funds[k]
    p, held = parameters_of(w.parameters), fund_row(w.fields, w.at.fund_alpha + k)
    _value_and_gain_stage(s, t, held, p.equal_funds, weighted)
    nav, gain = row_sum(t.value) + fund.root_slot, row_sum(t.gain) + tao
    value = stakers_part(gain, fund.part * holders, fund.root_slot)
    shares = shares_for(value, fund.shares, nav)
    if not shares > 0.0:
        for i in range(held.size):
            s.alpha_outstanding[i] -= t.credit[i]
            s.alpha_recycled[i] += t.credit[i]
        w.world.aggregate += tao
        return 0.0
    for i in range(held.size):
        held[i] += t.credit[i]
    fund.root_slot += tao
    fund.deposited += gain
    _grant(w, k, shares, holders)
    return value


@rule
def _deposit_curated(w, k, tao, holders, weighted):
    """Sell the credits, spend the TAO by the weights of fund k; returns the value for which shares were made."""
    s, t, fund = subnet_rows(w.fields), span_scratch(w.scratch), w.funds[k]
    p, held = parameters_of(w.parameters), fund_row(w.fields, w.at.fund_alpha + k)
    weight = fund_weight_row(w.fields, w.at.fund_weight + k)
    for i in range(held.size):
        t.sold[i] = t.credit[i]
    sell_rows(s, t, weighted, None, reserve_limits(p))
    for i in range(held.size):  # what a pool refuses is recycled
        s.alpha_outstanding[i] -= t.credit[i]
        s.alpha_recycled[i] += t.credit[i] - t.sold[i]
    spendable = row_sum(t.proceeds) + tao
    _value_stage(s, t, held, p.equal_funds, weighted)
    nav = row_sum(t.value) + fund.root_slot
    for i in range(held.size):
        t.spent[i] = spendable * weight[i]
    buy_rows(s, t, weighted, 0.0, reserve_limits(p))
    for i in range(held.size):
        held[i] += t.bought[i]
        s.alpha_outstanding[i] += t.bought[i]
    fund.root_slot += spendable - row_sum(t.spent)
    _value_stage(s, t, held, p.equal_funds, weighted)
    gain = row_sum(t.value) + fund.root_slot - nav
    value = stakers_part(gain, fund.part * holders, fund.root_slot)
    shares = shares_for(value, fund.shares, nav) if value > 0.0 else 0.0
    fund.deposited += gain
    if shares > 0.0:
        _grant(w, k, shares, holders)
    return value


@inlined_rule
def deposit(w, tao, weighted):
    """Deposit root's alpha of a span, after validators' take, and `tao`, root's income from the frozen subnets.

    Frozen subnets have a constant price and no pool: what root earns there is kept as TAO. Returns the value of the shares
    granted, TAO per TAO of root stake.
    """
    world, p, t = w.world, parameters_of(w.parameters), span_scratch(w.scratch)
    holders = holders_root(world, w.stakers)
    whole = holders + slots_root(world, w.funds)
    gained = 0.0
    for k in range(w.funds.size):
        fund = w.funds[k]
        stake = fund.part * holders + fund.root_slot
        if not (stake > 0.0 or whole == 0.0):
            continue
        part = stake / whole if whole > 0.0 else fund.part  # without root stake all is recycled
        for i in range(t.credit.size):
            t.credit[i] = part * (1.0 - p.validator_take) * t.root_alpha[i]
        if k > 0 and p.root_dividend == FUND_CURATED and fund.part * holders > 0.0:
            gained += _deposit_curated(w, k, part * tao, holders, weighted)
        else:
            gained += _deposit_in_place(w, k, part * tao, holders, weighted)
    world.has_funds = True
    return gained / holders if holders > 0.0 else 0.0


@inlined_rule
def grow_holdings(w):
    """Pay the funds' alpha dividends of the span."""
    t = span_scratch(w.scratch)
    for k in range(w.funds.size):
        held = fund_row(w.fields, w.at.fund_alpha + k)
        for i in range(held.size):
            held[i] *= 1.0 + t.dividend[i]


# --- claims


@inlined_rule
def _pay_claims(w, k, claimed, paid):
    """Redeem the part `claimed` of what every holder is owed for `paid` TAO, which is staked on root."""
    world, fund, owed = w.world, w.funds[k], w.fund_owed
    total = 0.0
    for holder in range(owed.shape[1]):
        total += owed[k, holder]
    each = paid / total if total > 0.0 else 0.0
    world.root_informed += each * owed[k, 0]
    world.root_uninformed += each * owed[k, 1]
    world.root_validators += each * owed[k, 2]
    for staker in range(w.stakers.size):
        w.stakers[staker].root += each * owed[k, N_SCRIPTED + staker]
    for holder in range(owed.shape[1]):
        owed[k, holder] *= 1.0 - claimed
    fund.shares *= 1.0 - claimed
    fund.redeemed += paid
    _keep_scale(w, k)


@inlined_rule
def claim(w, weighted):
    """Let a part of the holders claim all that they are owed: the same part of everybody's shares in every fund.

    A holding that its pool refuses to take stays in the fund.
    """
    s, t, p = subnet_rows(w.fields), span_scratch(w.scratch), parameters_of(w.parameters)
    claimed = p.claimed_per_span
    for k in range(w.funds.size):
        fund = w.funds[k]
        if not fund.shares > 0.0:
            continue
        held = fund_row(w.fields, w.at.fund_alpha + k)
        _value_stage(s, t, held, p.equal_funds, weighted)
        nav = row_sum(t.value) + fund.root_slot
        for i in range(held.size):
            t.sold[i] = claimed * held[i]
        sell_rows(s, t, weighted, None, reserve_limits(p))
        for i in range(held.size):
            held[i] -= t.sold[i]
            s.alpha_outstanding[i] -= t.sold[i]
            s.protocol_flow[i] -= t.proceeds[i]
        got = row_sum(t.proceeds) + claimed * fund.root_slot
        paid = claim_payment(got, claimed * nav)
        fund.root_slot = fund.root_slot * (1.0 - claimed) + (got - paid)
        _pay_claims(w, k, claimed, paid)


@inlined_rule
def value_funds(w, weighted):
    """Write the value of each fund, and of each staker's claims: the TAO that claiming everything now would pay."""
    s, quotes, p = subnet_rows(w.fields), quote_rows(w.scratch), parameters_of(w.parameters)
    for staker in range(w.stakers.size):
        w.stakers[staker].fund_claim = 0.0
    for k in range(w.funds.size):
        fund, held = w.funds[k], fund_row(w.fields, w.at.fund_alpha + k)
        _value_stage(s, quotes, held, p.equal_funds, weighted)
        fund.value = row_sum(quotes.value) + fund.root_slot
        if not fund.shares > 0.0:
            continue
        for staker in range(w.stakers.size):
            part = min(w.fund_owed[k, N_SCRIPTED + staker] / fund.shares, 1.0)
            _sale_stage(s, quotes, held, part, weighted)
            proceeds = row_sum(quotes.proceeds) + part * fund.root_slot
            w.stakers[staker].fund_claim += claim_payment(proceeds, part * fund.value)


@stage
def _sale_stage(s, quotes, held, part, weighted):
    for i in range(s.tao_reserve.size):
        weight = pool_weight(s, i, weighted)
        quotes.proceeds[i] = tao_for_alpha(
            s.tao_reserve[i], s.alpha_reserve[i], weight, part * held[i]
        )


# --- change of rules, and dissolution


@rule
def open_funds(w):
    """Turn all claimable alpha into holdings of the funds, and claims into owed shares of the same value."""
    world, p, at = w.world, parameters_of(w.parameters), w.at
    s, t = subnet_rows(w.fields), span_scratch(w.scratch)
    for i in range(t.credit.size):
        t.bought[i] = s.scripted_claimable[i]
    for staker in range(w.stakers.size):
        mine = owed_row(w.fields, at.staker_claimable + staker)
        for i in range(t.credit.size):
            t.bought[i] += mine[i]
    if not row_sum(t.bought) > 0.0:
        return
    scripted = scripted_root(world)
    for k in range(w.funds.size):
        fund, held = w.funds[k], fund_row(w.fields, at.fund_alpha + k)
        if not fund.part > 0.0:
            continue
        for i in range(held.size):
            t.credit[i] = fund.part * t.bought[i]
        _value_and_gain_stage(s, t, held, p.equal_funds, True)
        nav = row_sum(t.value) + fund.root_slot
        per_tao = fund.shares / nav if nav > 0.0 and fund.shares > 0.0 else 1.0
        for i in range(held.size):
            held[i] += t.credit[i]
            # shares for each alpha claimed
            t.gain[i] = per_tao * t.gain[i] / t.bought[i] if t.bought[i] > 0.0 else 0.0
            t.value[i] = t.gain[i] * s.scripted_claimable[i]
        granted = row_sum(t.value)
        each = granted / scripted if scripted > 0.0 else 0.0
        w.fund_owed[k, 0] += each * world.root_informed
        w.fund_owed[k, 1] += each * world.root_uninformed
        w.fund_owed[k, 2] += each * world.root_validators if scripted > 0.0 else granted
        for staker in range(w.stakers.size):
            mine = owed_row(w.fields, at.staker_claimable + staker)
            for i in range(held.size):
                t.value[i] = t.gain[i] * mine[i]
            own = row_sum(t.value)
            w.fund_owed[k, N_SCRIPTED + staker] += own
            granted += own
        fund.shares += granted
    for i in range(t.credit.size):
        s.scripted_claimable[i] = 0.0
    for staker in range(w.stakers.size):
        mine = owed_row(w.fields, at.staker_claimable + staker)
        for i in range(t.credit.size):
            mine[i] = 0.0
    world.has_funds = True


@rule
def follow_era(w):
    """Open the funds on the first day of an era that has them."""
    kept = keeps_funds(parameters_of(w.parameters))
    if kept and not w.world.funds_open:
        open_funds(w)
    w.world.funds_open = kept


@rule
def sell_holdings(fields, at, funds, slot):
    """Sell the funds' holdings of a subnet that is about to be dissolved, without fee or limit."""
    s = subnet_rows(fields)
    for k in range(funds.size):
        held = fields[at.fund_alpha + k, slot]
        proceeds = tao_for_alpha(
            s.tao_reserve[slot], s.alpha_reserve[slot], s.pool_tao_weight[slot], held
        )
        s.tao_reserve[slot] -= proceeds
        s.alpha_reserve[slot] += held
        s.alpha_outstanding[slot] -= held
        funds[k].root_slot += proceeds
        fields[at.fund_alpha + k, slot] = 0.0
