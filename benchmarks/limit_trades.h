/* Trades of the hot loop in plain C, stage by stage as in the engine; see limit.c. */
/* --- trades (`dtao_gym/world/trades.py`) */

/* Sells `sold` alpha to each pool; afterwards it holds what was taken, `proceeds` what was paid. */
static void sell_rows(double *s, double *t, const Parameters *p, int with_fee, int n)
{
    S(tao_reserve); S(alpha_reserve); S(pool_tao_weight); T(sold); T(proceeds); T(fee);
    (void)pool_tao_weight;
    EACH {
        double y = tao_reserve[i], x = alpha_reserve[i], w = WEIGHT(i);
        Trade done = with_fee ? trade(y, x, w, 0.0, sold[i], p->pool_fee, p->min_reserve_before)
                              : plain_sale(y, x, w, sold[i], p->min_reserve_before);
        tao_reserve[i] = done.tao;
        alpha_reserve[i] = done.alpha;
        sold[i] = done.taken;
        proceeds[i] = done.out;
        fee[i] = done.fee;
    }
}

static void insiders_sell(double *s, double *t, World *g, const Parameters *p, double blocks, int n)
{
    S(alpha_emission); S(owner_sale_fraction); S(owner_alpha); S(miner_alpha); S(validator_alpha);
    S(alpha_outstanding); S(income); T(take); T(sold); T(proceeds); T(fee);
    double owner = blocks * p->owner_cut, miners = 0.5 * (blocks - owner) * p->miner_sale_fraction;
    EACH sold[i] = alpha_emission[i] * (owner * owner_sale_fraction[i] + miners)
                   + take[i] * p->validator_sale_fraction;
    sell_rows(s, t, p, 1, n);
    EACH {
        double done = sold[i] > 0.0 ? 1.0 : 0.0, own = alpha_emission[i] * owner * owner_sale_fraction[i] * done;
        double earned = proceeds[i] * own / max(sold[i], LEAST);
        owner_alpha[i] -= own;
        miner_alpha[i] -= alpha_emission[i] * miners * done;
        validator_alpha[i] -= take[i] * p->validator_sale_fraction * done;
        alpha_outstanding[i] -= sold[i];
        income[i] += earned;
        proceeds[i] -= earned;
    }
    g->outside += sum(proceeds, n);
    g->authors += sum(fee, n);
}

static void claim_root(double *s, double *t, World *g, const Parameters *p, double part, int n)
{
    S(alpha_outstanding); S(protocol_flow); S(scripted_claimable); S(informed_alpha); S(uninformed_alpha);
    S(staker_alpha); S(staker_claimable); T(claimed); T(sold); T(proceeds);
    double swapped = part * p->root_swap_share, keep = 1.0 - p->root_swap_share;
    double people = g->root_informed + g->root_uninformed, informed = people > 0.0 ? g->root_informed / people : 0.0;
    EACH sold[i] = swapped * scripted_claimable[i];
    EACH sold[i] += swapped * staker_claimable[i];
    sell_rows(s, t, p, 0, n);
    EACH {
        alpha_outstanding[i] -= sold[i];
        protocol_flow[i] -= proceeds[i];
        claimed[i] = sold[i] > 0.0 || swapped == 0.0 ? part : 0.0; /* what a pool refuses stays claimable */
        proceeds[i] = proceeds[i] * p->root_swap_share / max(sold[i], LEAST);
    }
    EACH {
        double amount = scripted_claimable[i] * claimed[i];
        scripted_claimable[i] -= amount;
        informed_alpha[i] += amount * keep * informed;
        uninformed_alpha[i] += amount * keep * (1.0 - informed);
        sold[i] = amount * proceeds[i];
    }
    double gained = sum(sold, n), scripted = people + g->root_validators;
    grow_scripted_root(g, scripted > 0.0 ? gained / scripted : 0.0);
    g->root_validators += scripted > 0.0 ? 0.0 : gained;
    EACH {
        double amount = staker_claimable[i] * claimed[i];
        staker_claimable[i] -= amount;
        staker_alpha[i] += amount * keep;
        sold[i] = amount * proceeds[i];
    }
    g->staker_root += sum(sold, n);
}

static void scripted_stakers_trade(double *s, double *t, World *g, const Parameters *p, int n)
{
    S(tao_reserve); S(alpha_reserve); S(pool_tao_weight); S(alpha_outstanding); S(informed_alpha);
    S(uninformed_alpha); S(target_price); T(spent); T(bought); T(sold); T(proceeds); T(fee);
    (void)pool_tao_weight;
    EACH {
        double w = WEIGHT(i), y = tao_reserve[i], x = alpha_reserve[i], price = spot_price(y, x, w);
        double target = target_price[i], rising = target >= price ? 1.0 : 0.0;
        double low = min(price, target), ratio = max(price, target) / max(low, LEAST);
        double step = HALF ? sqrt(ratio) - 1.0 : expm1((rising > 0.0 ? 1.0 - w : w) * log(ratio));
        step = low > 0.0 ? min(p->trade_speed_per_span * step, p->trade_of_pool_per_span) : 0.0;
        spent[i] = rising * step * y;
        sold[i] = (1.0 - rising) * min(step * x, informed_alpha[i] + uninformed_alpha[i]);
    }
    double wanted = sum(spent, n), purses = g->purse_informed + g->purse_uninformed;
    double informed = purses > 0.0 ? g->purse_informed / purses : 0.0;
    double scale = wanted > 0.0 ? min(p->purse_use_per_span * purses / wanted, 1.0) : 0.0;
    EACH spent[i] *= scale;
    EACH {
        double buying = spent[i] > 0.0 ? 1.0 : 0.0;
        Trade done = trade(tao_reserve[i], alpha_reserve[i], WEIGHT(i), spent[i], sold[i], p->pool_fee, p->min_reserve_before);
        tao_reserve[i] = done.tao;
        alpha_reserve[i] = done.alpha;
        spent[i] = done.taken * buying;
        bought[i] = done.out * buying;
        sold[i] = done.taken * (1.0 - buying);
        proceeds[i] = done.out * (1.0 - buying);
        fee[i] = done.fee;
    }
    EACH {
        double held = informed_alpha[i] + uninformed_alpha[i], part = held > 0.0 ? informed_alpha[i] / held : informed;
        informed_alpha[i] += bought[i] * informed - sold[i] * part;
        uninformed_alpha[i] += bought[i] * (1.0 - informed) - sold[i] * (1.0 - part);
        alpha_outstanding[i] += bought[i] - sold[i];
        bought[i] = proceeds[i] * part - spent[i] * informed;
    }
    double gained = sum(proceeds, n) - sum(spent, n), gained_informed = sum(bought, n);
    g->authors += sum(fee, n);
    g->purse_informed += gained_informed;
    g->purse_uninformed += gained - gained_informed;
}
