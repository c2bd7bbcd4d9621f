/* Coinbase of the hot loop in plain C, stage by stage as in the engine; see limit.c. */
#include "limit.h"

#define AS_INDEX(name) name##_row,
#define AS_FIELD(name) double name;
enum { SUBNET_ROWS(AS_INDEX) N_ROWS };
enum { SCRATCH_ROWS(AS_INDEX) N_SCRATCH };
typedef struct { PARAMETERS(AS_FIELD) } Parameters;
typedef struct { uint64_t world_key, episode, day; WORLD_FIELDS(AS_FIELD) } World;
typedef struct { int64_t worlds, subnets, spans_per_day; } Sizes;

#define S(name) double *restrict name = s + (size_t)name##_row * (size_t)n
#define T(name) double *restrict name = t + (size_t)name##_row * (size_t)n
#define EACH _Pragma("omp simd") for (int i = 0; i < n; i++)
#define WEIGHT(i) (HALF ? 0.5 : pool_tao_weight[i])

/* --- the coinbase (`dtao_gym/world/spans.py`) */

static void flow_stage(double *s, double blocks, double decay, int n)
{
    S(tao_reserve); S(flow_mark); S(protocol_flow); S(started); S(user_flow_ema); S(protocol_flow_ema);
    EACH {
        double users = (tao_reserve[i] - flow_mark[i] - protocol_flow[i]) / blocks, own = protocol_flow[i] / blocks;
        double left = started[i] > 0.0 ? decay : 1.0;
        user_flow_ema[i] = users + (user_flow_ema[i] - users) * left;
        protocol_flow_ema[i] = own + (protocol_flow_ema[i] - own) * left;
        flow_mark[i] = tao_reserve[i];
    }
}

/* Emission rates and shares; returns the share of the subnets that are not simulated. */
static double share_out(double *s, double *t, World *g, int n)
{
    S(alpha_reserve); S(alpha_outstanding); S(alpha_emission); S(started); S(moving_price); S(miner_burned);
    S(emission_enabled); S(emission_share); T(paid);
    g->block_emission = emission_per_block(SUPPLY_CAP - g->chain_issuance);
    EACH alpha_emission[i] = emission_per_block(SUPPLY_CAP - (alpha_reserve[i] + alpha_outstanding[i])) * started[i];
    g->moving_price_sum = g->rest_price_sum + sum(moving_price, n);
    EACH paid[i] = emission_enabled[i] * started[i];
    EACH emission_share[i] = moving_price[i] * (1.0 - miner_burned[i]);
    double rest = g->rest_enabled_burn_weighted;
    if (!(g->rest_burn_weighted + sum(emission_share, n) > 0.0)) { /* all burned: moving prices alone */
        rest = g->rest_enabled_moving_price;
        EACH emission_share[i] = moving_price[i];
    }
    EACH emission_share[i] *= paid[i];
    double total = rest + sum(emission_share, n), scale = total > 0.0 ? 1.0 / total : 0.0;
    EACH emission_share[i] *= scale;
    return rest * scale;
}

static void mint_stage(double *s, double *t, double blocks, double block_tao, double root, const Parameters *p, int n)
{
    S(tao_reserve); S(alpha_reserve); S(pool_tao_weight); S(emission_share); S(alpha_emission); S(alpha_outstanding);
    T(injected); T(alpha_bought); T(root_alpha); T(root_sold); T(unused_tao);
    double half = 0.5 * (blocks - 1.0), early = half / blocks;
    (void)pool_tao_weight;
    EACH {
        double w = WEIGHT(i), y = tao_reserve[i], x = alpha_reserve[i], minted = alpha_emission[i];
        double emission = block_tao * emission_share[i], issuance = x + alpha_outstanding[i];
        double price = spot_price(y, x, w);
        Terms first = subnet_terms(emission, price, root / (root + issuance) * minted);
        double growth = first.alpha + minted, share = root / (root + issuance + half * growth);
        price *= price > 0.0 ? 1.0 + half * first.excess / (y * (1.0 - w)) : 1.0;
        Terms now = subnet_terms(emission, price, share * minted);
        growth = blocks * (now.alpha + minted);
        double tao_in = blocks * now.tao, alpha_in = blocks * now.alpha, excess = blocks * now.excess;
        if (!HALF) {
            double side = y * (1.0 - w) / w + price * alpha_in + (y + tao_in);
            w = side > 0.0 ? (y + tao_in) / side : w;
            pool_tao_weight[i] = w;
        }
        double met_tao = y + early * tao_in, met_alpha = x + early * alpha_in;
        double bought = swap(met_tao, met_alpha, w / (1.0 - w), excess);
        double ok = allowed(met_tao, met_alpha, excess, p->min_reserve_before);
        ok = blocks == 1.0 || met_alpha - bought >= p->min_reserve_before ? ok : 0.0;
        bought *= ok;
        tao_reserve[i] = y + tao_in + ok * excess;
        alpha_reserve[i] = x + alpha_in - bought;
        injected[i] = alpha_in;
        alpha_bought[i] = bought;
        share = root / (root + issuance + (early + 1.0 / blocks) * growth);
        root_alpha[i] = 0.5 * (1.0 - p->owner_cut) * blocks * minted * share;
        root_sold[i] = 0.0;
        unused_tao[i] = (1.0 - ok) * excess;
    }
}

static void moving_price_stage(double *s, double blocks, double block, const Parameters *p, int n)
{
    S(tao_reserve); S(alpha_reserve); S(pool_tao_weight); S(moving_price); S(moving_rate); S(moving_decay);
    S(start_block); S(started);
    double middle = block + 0.5 * (blocks - 1.0);
    (void)pool_tao_weight;
    EACH {
        double price = min(spot_price(tao_reserve[i], alpha_reserve[i], WEIGHT(i)), p->moving_price_cap);
        double age = max(middle - start_block[i], 0.0);
        double rate = p->moving_price_base * age / (age + p->moving_price_halving_blocks) * started[i];
        double drift = blocks * (rate - moving_rate[i]) / (1.0 - moving_rate[i]);
        moving_price[i] = price + (moving_price[i] - price) * moving_decay[i] * (1.0 - drift + 0.5 * drift * drift);
    }
}

/* What becomes of bought alpha and of root's alpha: each 1 or 0. */
typedef struct { double destroyed, kept, sold; } Parts;

/* Dividends, the ledger of alpha and the staker's rows. */
static void dividends(double *s, double *t, double blocks, Parts part, double scripted, double staker,
                      const Parameters *p, int n)
{
    S(alpha_emission); S(alpha_outstanding); S(owner_alpha); S(miner_alpha); S(validator_alpha); S(informed_alpha);
    S(uninformed_alpha); S(protocol_alpha); S(burned_alpha); S(scripted_claimable); S(alpha_minted);
    S(alpha_recycled); S(stake_yield); S(staker_alpha); S(staker_claimable);
    T(injected); T(alpha_bought); T(root_alpha); T(gain); T(take); T(alpha_of_stakers);
    T(sold);
    double claims = part.kept * (1.0 - p->validator_take);
    EACH alpha_of_stakers[i] = staker_alpha[i];
    EACH {
        double out = blocks * alpha_emission[i], owner = out * p->owner_cut, miners = 0.5 * (out - owner);
        double validators = miners - root_alpha[i], own = validators * p->validator_take, rest = validators - own;
        double staked = owner_alpha[i] + validator_alpha[i] + informed_alpha[i] + uninformed_alpha[i]
                        + alpha_of_stakers[i];
        double more = staked > 0.0 ? rest / staked : 0.0;
        own += part.kept * root_alpha[i] * p->validator_take;
        owner_alpha[i] = owner_alpha[i] * (1.0 + more) + owner;
        miner_alpha[i] += miners;
        validator_alpha[i] = validator_alpha[i] * (1.0 + more) + own + (staked > 0.0 ? 0.0 : rest);
        gain[i] = more;
        take[i] = own;
    }
    EACH {
        informed_alpha[i] *= 1.0 + gain[i];
        uninformed_alpha[i] *= 1.0 + gain[i];
        scripted_claimable[i] += claims * scripted * root_alpha[i];
    }
    EACH {
        double minted = blocks * alpha_emission[i], kept = alpha_bought[i] * (1.0 - part.destroyed);
        double unsold = part.sold * (root_alpha[i] - sold[i]), left = root_alpha[i] * (1.0 - part.kept) - unsold;
        protocol_alpha[i] += kept;
        burned_alpha[i] += unsold;
        alpha_minted[i] += injected[i] + minted;
        alpha_outstanding[i] += minted - left + kept;
        alpha_recycled[i] += left - sold[i] * part.sold + alpha_bought[i] - kept;
        stake_yield[i] = gain[i];
    }
    EACH {
        staker_alpha[i] *= 1.0 + gain[i];
        staker_claimable[i] += claims * staker * root_alpha[i];
    }
}

static void grow_scripted_root(World *g, double rate)
{
    g->root_informed += g->root_informed * rate;
    g->root_uninformed += g->root_uninformed * rate;
    g->root_validators += g->root_validators * rate;
}

static void coinbase(double *s, double *t, World *g, const Parameters *p, double blocks, int n)
{
    S(tao_reserve); S(emission_share); S(flow_mark); S(protocol_flow); T(unused_tao);
    double scripted = g->root_informed + g->root_uninformed + g->root_validators, root = scripted + g->staker_root;
    flow_stage(s, blocks, p->flow_ema_kept, n);
    double rest_share = share_out(s, t, g, n), open = g->moving_price_sum > 1.0 ? 1.0 : 0.0;
    mint_stage(s, t, blocks, g->block_emission, p->tao_weight * root, p, n);
    moving_price_stage(s, blocks, g->block, p, n);
    Parts part = {p->bought_destroyed, p->root_dividend == 1.0 ? open : 0.0, p->root_dividend == 0.0 ? open : 0.0};
    dividends(s, t, blocks, part, root > 0.0 ? scripted / root : 1.0, root > 0.0 ? g->staker_root / root : 0.0, p, n);
    double unused = sum(unused_tao, n), minted = blocks * g->block_emission;
    EACH protocol_flow[i] = tao_reserve[i] - flow_mark[i];
    double unclaimed = 1.0 - rest_share - sum(emission_share, n);
    unused += unclaimed > ROUNDING ? minted * unclaimed : 0.0;
    g->minted += minted;
    g->recycled += unused;
    g->chain_issuance += minted - unused;
    g->aggregate += minted * rest_share;
    double income = min(open * blocks * g->rest_root_income * (1.0 - p->validator_take), g->aggregate);
    double rate = root > 0.0 ? income / root : 0.0;
    g->aggregate -= income;
    grow_scripted_root(g, rate);
    g->staker_root += g->staker_root * rate;
    g->root_validators += root > 0.0 ? 0.0 : income;
    g->root_yield = rate;
    g->block += blocks;
}
