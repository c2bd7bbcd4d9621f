/* How fast the spans could be: the engine's hot loop in plain C, with the same ledger.
 *
 *     gcc -O3 -march=native -ffast-math -fopenmp-simd limit.c -o limit -lm            pools of any weight
 *     gcc -O3 -march=native -ffast-math -fopenmp-simd -DHALF=1 limit.c -o limit -lm   all weights 1/2
 *     ./limit STATE DAYS [RESULT]     prints CPU nanoseconds per subnet and span, one thread
 *
 * `limit.py` writes STATE from the engine's arrays and compares RESULT with what the engine makes of the same day.
 *
 * Equal to the engine, stage by stage (`dtao_gym/world/spans.py`, `trades.py`), in the era `price_burn` with one
 * staker that learns: flow averages; halving of TAO and alpha emission; demand shares and their fallback; the gate
 * of root dividends; minting, injection, chain buy and the new weight at the price of the middle block; moving
 * prices with the decay corrected for the age; dividends; the ledger of minted, recycled, burned, protocol and
 * claimable alpha; the staker's rows; root's income from the subnets that are not simulated; the drawn order of
 * the groups (the same Philox words); sales of insiders, claims, trades of the scripted stakers, each with fees,
 * limits of pools, purses and holdings, and refusals; all accounts in TAO. Sums are loops of their own, as there.
 *
 * Left out: the staker's orders, which the engine executes on the first day of a call only; branches of other
 * eras, payments and institutions, some of which the engine evaluates and multiplies by 0 (the fall of the price
 * by root's sale, grants); the exact treatment of a weight of 1/2 among others; traces; the daily part, so that
 * target prices and decay rates stay those of the first day and income adds up.
 *
 * Free to do, unlike the engine: reorder sums, and use the fused multiply-add, the rearranged divisions and the
 * vector logarithm and exponential of compiler and C library, whose last bits depend on the machine.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

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
        double ok = allowed(met_tao, met_alpha, excess, bought, p->min_reserve);
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

/* --- trades (`dtao_gym/world/trades.py`) */

/* Sells `sold` alpha to each pool; afterwards it holds what was taken, `proceeds` what was paid. */
static void sell_rows(double *s, double *t, const Parameters *p, int with_fee, int n)
{
    S(tao_reserve); S(alpha_reserve); S(pool_tao_weight); T(sold); T(proceeds); T(fee);
    (void)pool_tao_weight;
    EACH {
        double y = tao_reserve[i], x = alpha_reserve[i], w = WEIGHT(i);
        Trade done = with_fee ? trade(y, x, w, 0.0, sold[i], p->pool_fee, p->min_reserve)
                              : plain_sale(y, x, w, sold[i], p->min_reserve);
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
        Trade done = trade(tao_reserve[i], alpha_reserve[i], WEIGHT(i), spent[i], sold[i], p->pool_fee, p->min_reserve);
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

static void run_days(double *rows, double *t, World *worlds, const Parameters *p, Sizes z, int days)
{
    int n = (int)z.subnets;
    double blocks = BLOCKS_PER_DAY / (double)z.spans_per_day;
    for (int64_t w = 0; w < z.worlds; w++) {
        double *s = rows + (size_t)w * N_ROWS * (size_t)n;
        World *g = worlds + w;
        for (int day = 0; day < days; day++, g->day++)
            for (uint64_t span = 0; span < (uint64_t)z.spans_per_day; span++) {
                int order[4];
                coinbase(s, t, g, p, blocks, n);
                draw_order(g->world_key, g->episode, g->day, span, order);
                for (int k = 0; k < 4; k++) /* 0 is the staker, who gives no orders */
                    if (order[k] == 1) insiders_sell(s, t, g, p, blocks, n);
                    else if (order[k] == 2) claim_root(s, t, g, p, p->claimed_per_span, n);
                    else if (order[k] == 3) scripted_stakers_trade(s, t, g, p, n);
            }
    }
}

static void *room(size_t bytes)
{
    void *found = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!found) exit(1);
    return found;
}

int main(int argc, char **argv)
{
    Sizes z;
    Parameters p;
    FILE *file = argc > 2 ? fopen(argv[1], "rb") : NULL;
    if (!file || fread(&z, sizeof z, 1, file) != 1 || fread(&p, sizeof p, 1, file) != 1) return 2;
    size_t n = (size_t)z.worlds * N_ROWS * (size_t)z.subnets, many = (size_t)z.worlds;
    double *rows = room(n * sizeof *rows), *start = room(n * sizeof *rows);
    double *scratch = room(N_SCRATCH * (size_t)z.subnets * sizeof *rows);
    memset(scratch, 0, N_SCRATCH * (size_t)z.subnets * sizeof *rows);
    World *worlds = room(many * sizeof *worlds), *first = room(many * sizeof *worlds);
    if (fread(first, sizeof *first, many, file) != many || fread(start, sizeof *start, n, file) != n) return 2;
    fclose(file);
    double seconds = 0.0;
    int days = atoi(argv[2]);
    for (int timed = 0; timed < 2; timed++) { /* once to warm the caches */
        memcpy(rows, start, n * sizeof *rows);
        memcpy(worlds, first, many * sizeof *worlds);
        clock_t begin = clock();
        run_days(rows, scratch, worlds, &p, z, timed ? days : 1);
        seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
    }
    printf("%.3f\n", 1e9 * seconds / ((double)days * (double)(z.worlds * z.spans_per_day * z.subnets)));
    if (argc > 3) {
        file = fopen(argv[3], "wb");
        if (!file || fwrite(&z, sizeof z, 1, file) != 1 || fwrite(&p, sizeof p, 1, file) != 1) return 2;
        if (fwrite(worlds, sizeof *worlds, many, file) != many || fwrite(rows, sizeof *rows, n, file) != n) return 2;
        fclose(file);
    }
    return 0;
}
