/* What `limit.c` needs: names of rows, the rules of `dtao_gym/protocol`, the drawn order of `dtao_gym/world/shocks.py`.
 *
 * Conditions are numbers, 1 or 0: that is what lets the compiler work on several subnets at once.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

#ifndef HALF
#define HALF 0 /* 1 where every pool has weight 1/2: then `w` is that constant */
#endif

/* names are those of the engine's `Subnets`, `Scratch`, `Parameters` and `WORLD_DTYPE`; `limit.py` reads them here */
#define SUBNET_ROWS(X) \
    X(tao_reserve) X(alpha_reserve) X(pool_tao_weight) X(moving_price) X(emission_share) X(alpha_emission) \
    X(alpha_outstanding) X(owner_alpha) X(miner_alpha) X(validator_alpha) X(informed_alpha) X(uninformed_alpha) \
    X(protocol_alpha) X(burned_alpha) X(scripted_claimable) X(alpha_minted) X(alpha_recycled) X(start_block) \
    X(started) X(miner_burned) X(emission_enabled) X(user_flow_ema) X(protocol_flow_ema) X(protocol_flow) \
    X(flow_mark) X(moving_rate) X(moving_decay) X(owner_sale_fraction) X(income) X(target_price) X(stake_yield) \
    X(staker_alpha) X(staker_claimable)
#define SCRATCH_ROWS(X) \
    X(injected) X(root_alpha) X(root_sold) X(alpha_bought) X(unused_tao) X(paid) X(gain) X(take) \
    X(alpha_of_stakers) X(claimed) X(sold) X(proceeds) X(spent) X(bought) X(fee)
#define PARAMETERS(X) \
    X(tao_weight) X(owner_cut) X(validator_take) X(pool_fee) X(min_reserve_before) X(moving_price_base) \
    X(moving_price_halving_blocks) X(moving_price_cap) X(flow_ema_kept) X(miner_sale_fraction) \
    X(validator_sale_fraction) X(root_swap_share) X(claimed_per_span) X(trade_speed_per_span) \
    X(purse_use_per_span) X(trade_of_pool_per_span) X(bought_destroyed) X(root_dividend)
#define WORLD_FIELDS(X) \
    X(block) X(chain_issuance) X(block_emission) X(moving_price_sum) X(root_informed) X(root_uninformed) \
    X(root_validators) X(staker_root) X(purse_informed) X(purse_uninformed) X(outside) X(aggregate) X(authors) \
    X(recycled) X(minted) X(granted) X(root_yield) X(rest_price_sum) X(rest_burn_weighted) \
    X(rest_enabled_burn_weighted) X(rest_enabled_moving_price) X(rest_root_income)

static const double SUPPLY_CAP = 21e6, BLOCKS_PER_DAY = 7200.0, MAX_INPUT_RATIO = 1000.0, ROUNDING = 1e-9;
static const double LEAST = 1e-300; /* never divide by 0 */

static inline double min(double a, double b) { return a < b ? a : b; }
static inline double max(double a, double b) { return a > b ? a : b; }

static double sum(const double *restrict row, int n)
{
    double total = 0.0;
#pragma omp simd reduction(+ : total)
    for (int i = 0; i < n; i++) total += row[i];
    return total;
}

static inline double emission_per_block(double remaining)
{
    double part = max(remaining / SUPPLY_CAP, LEAST);
    uint64_t bits, fraction = 0xFFFFFFFFFFFFFull;
    memcpy(&bits, &part, sizeof bits);
    bits = ((bits - 1) & ~fraction) + (fraction + 1); /* the next power of two */
    memcpy(&part, &bits, sizeof part);
    return remaining > 0.0 ? min(part, 1.0) : 0.0;
}

static inline double spot_price(double tao, double alpha, double w)
{
    if (HALF) return alpha > 0.0 ? tao / alpha : 0.0;
    return w * alpha > 0.0 ? (1.0 - w) * tao / (w * alpha) : 0.0;
}

/* Output of a swap; `ratio` is the weight of what comes in over that of what goes out. */
static inline double swap(double in, double out, double ratio, double amount)
{
    if (HALF) return in + amount > 0.0 ? out * (amount / (in + amount)) : 0.0;
    return -out * expm1(-ratio * (in > 0.0 ? log1p(amount / in) : 0.0));
}

static inline double allowed(double in, double out, double amount, double least)
{
    return amount > 0.0 && amount <= MAX_INPUT_RATIO * in && out >= least ? 1.0 : 0.0;
}

typedef struct { double tao, alpha, excess; } Terms;

/* What enters the pool in a block: alpha up to the cap, and TAO at the pool's price; the excess buys alpha. */
static inline Terms subnet_terms(double emission, double price, double cap)
{
    double wanted = emission / max(price, LEAST), alpha = price > 0.0 ? min(wanted, cap) : 0.0;
    double tao = wanted <= cap ? emission : alpha * price;
    return (Terms){tao, alpha, emission - tao};
}

/* ln(1 + x) for small x: a fee upon an amount. */
static inline double log1p_small(double x)
{
    double series = 1.0 / 7.0 - x * 0.125;
    series = 1.0 / 6.0 - x * series;
    series = 0.2 - x * series;
    series = 0.25 - x * series;
    series = 1.0 / 3.0 - x * series;
    series = 0.5 - x * series;
    return x * (1.0 - x * series);
}

typedef struct { double out, taken, fee, tao, alpha; } Trade;

/* Buys with `tao_in` TAO or, where that is 0, sells `alpha_in` alpha; `tao` and `alpha` are the reserves after it. */
static inline Trade trade(double tao, double alpha, double w, double tao_in, double alpha_in, double rate, double least)
{
    double buying = tao_in > 0.0 ? 1.0 : 0.0, ratio = buying > 0.0 ? w / (1.0 - w) : (1.0 - w) / w;
    double in = buying > 0.0 ? tao : alpha, reserve = buying > 0.0 ? alpha : tao;
    double amount = buying > 0.0 ? tao_in : alpha_in, net = amount * (1.0 - rate), out, gross;
    if (HALF) {
        out = swap(in, reserve, ratio, net);
        gross = swap(in, reserve, ratio, amount);
    } else { /* one logarithm serves both */
        double step = in > 0.0 ? log1p(net / in) : 0.0;
        out = -reserve * expm1(-ratio * step);
        step += in + net > 0.0 ? log1p_small((amount - net) / (in + net)) : 0.0;
        gross = -reserve * expm1(-ratio * step);
    }
    double ok = allowed(in, reserve, buying > 0.0 ? net : amount, least);
    double taken = ok * amount, fee = ok * (buying > 0.0 ? amount * rate : gross - out);
    out *= ok;
    tao += buying > 0.0 ? taken - fee : -(out + fee);
    alpha += buying > 0.0 ? -out : taken;
    return (Trade){out, taken, fee, tao, alpha};
}

/* A sale without fee. */
static inline Trade plain_sale(double tao, double alpha, double w, double alpha_in, double least)
{
    double out = swap(alpha, tao, (1.0 - w) / w, alpha_in), ok = allowed(alpha, tao, alpha_in, least);
    return (Trade){ok * out, ok * alpha_in, 0.0, tao - ok * out, alpha + ok * alpha_in};
}

static void philox(uint64_t k0, uint64_t k1, uint64_t counter, uint64_t day, uint64_t purpose, uint64_t c[4])
{
    c[0] = counter + 1, c[1] = day, c[2] = 0, c[3] = purpose;
    for (int round = 0; round < 10; round++) {
        unsigned __int128 a = (unsigned __int128)0xD2E7470EE14C6C93ull * c[0];
        unsigned __int128 b = (unsigned __int128)0xCA5A826395121157ull * c[2];
        uint64_t c1 = c[1], c3 = c[3];
        c[0] = (uint64_t)(b >> 64) ^ c1 ^ k0, c[1] = (uint64_t)b;
        c[2] = (uint64_t)(a >> 64) ^ c3 ^ k1, c[3] = (uint64_t)a;
        k0 += 0x9E3779B97F4A7C15ull, k1 += 0xBB67AE8584CAA73Bull;
    }
}

/* The order of the four groups of trades in a span, the same as the engine's. */
static void draw_order(uint64_t key, uint64_t episode, uint64_t day, uint64_t span, int order[4])
{
    uint64_t words[4];
    philox(key, episode, span, day, 1, words);
    for (int k = 0; k < 4; k++) order[k] = k;
    for (int k = 0; k < 3; k++) {
        int other = (int)((double)(words[k] >> 11) * 0x1p-53 * (4 - k)), kept = order[k];
        other = k == 2 ? 3 - other : k + other; /* the last pair is exchanged below 1/2, not above */
        order[k] = order[other], order[other] = kept;
    }
}
