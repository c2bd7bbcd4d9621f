/* How fast the spans could be: the arithmetic of the engine's hot loop in plain C, nothing around it.
 *
 *     gcc -O3 -march=native -ffast-math -fopenmp-simd limit.c -o limit -lm            general weights
 *     gcc -O3 -march=native -ffast-math -fopenmp-simd -DHALF limit.c -o limit -lm     all weights 1/2
 *     ./limit WORLDS SUBNETS SPANS [weight]        prints nanoseconds per subnet and span, one thread
 *
 * One span of one subnet is: its share, the coinbase (two passes over the terms, chain buy, new weight,
 * root's part), moving price, dividends, and three groups of trades (insiders, claims, scripted stakers)
 * in a drawn order. Loops over subnets are short stages, so that each becomes SIMD code; logarithm and
 * exponential are the vector functions of the C library. Unlike the engine it may reorder sums and drops
 * what serves the ledger of exotic cases, so it is a bound, not a second implementation.
 */
#define _POSIX_C_SOURCE 199309L
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    TAO, ALPHA, WEIGHT, MOVING, SHARE, EMISSION, OUTSTANDING, OWNER, MINER, VALIDATOR, INFORMED,
    UNINFORMED, PROTOCOL, CLAIMABLE, MINTED, BURN, DECAY, RATE, START, TREASURY, TARGET, ROOT_ALPHA,
    INJECTED, GAIN, TAKE, TAO_IN, SOLD, CASH, FEE, CLAIMED, FROM_INFORMED, FROM_UNINFORMED, ROWS
};

typedef struct {
    double root, purse_informed, purse_uninformed, outside, authors, minted;
    uint64_t draw;
} World;

static const double FEE_RATE = 33.0 / 65535.0, CUT = 11796.0 / 65535.0, LEAST = 1e-3;

#ifdef HALF
#define W_(i) 0.5
#define SWAP(in, out, ratio, amount) ((out) * ((amount) / ((in) + (amount))))
#else
#define W_(i) w[i]
#define SWAP(in, out, ratio, amount) ((out) * (1.0 - exp(-(ratio) * log((in) + (amount)) + (ratio) * log(in))))
#endif

static inline double low(double a, double b) { return a < b ? a : b; }
static inline double high(double a, double b) { return a > b ? a : b; }

/* Sells `amount`, which the chain may refuse; returns what the seller gets. */
static inline double sell(double *tao, double *alpha, double w, double amount, double rate, double *sold, double *fee)
{
    double ratio = (1.0 - w) / w;
    double all = SWAP(*alpha, *tao, ratio, amount);
    double net = rate > 0.0 ? SWAP(*alpha, *tao, ratio, amount * (1.0 - rate)) : all;
    double ok = amount > 0.0 && amount <= 1000.0 * *alpha && *tao - all >= LEAST ? 1.0 : 0.0;
    (void)ratio;
    *sold = ok * amount;
    *fee = ok * (all - net);
    *tao -= ok * all;
    *alpha += *sold;
    return ok * net;
}

static inline double buy(double *tao, double *alpha, double w, double amount, double rate, double *paid, double *fee)
{
    double ratio = w / (1.0 - w), net = amount * (1.0 - rate);
    double out = SWAP(*tao, *alpha, ratio, net);
    double ok = net > 0.0 && net <= 1000.0 * *tao && *alpha - out >= LEAST ? 1.0 : 0.0;
    (void)ratio;
    *paid = ok * amount;
    *fee = ok * amount * rate;
    *tao += ok * net;
    *alpha -= ok * out;
    return ok * out;
}

#define ROW(name, NAME) double *restrict name = s + (size_t)NAME * n
#define EACH _Pragma("omp simd") for (int i = 0; i < n; i++)

static void coinbase(double *s, World *g, int n, double blocks, double block)
{
    ROW(y, TAO); ROW(x, ALPHA); ROW(w, WEIGHT); ROW(m, MOVING); ROW(share, SHARE); ROW(ae, EMISSION);
    ROW(outstanding, OUTSTANDING); ROW(owner, OWNER); ROW(miner, MINER); ROW(validator, VALIDATOR);
    ROW(informed, INFORMED); ROW(uninformed, UNINFORMED); ROW(protocol, PROTOCOL); ROW(owed, CLAIMABLE);
    ROW(minted, MINTED); ROW(burn, BURN); ROW(decay, DECAY); ROW(rate, RATE); ROW(start, START);
    ROW(root_alpha, ROOT_ALPHA); ROW(injected, INJECTED); ROW(gain, GAIN); ROW(take, TAKE);
    double total = 1e-3, half = 0.5 * (blocks - 1.0), root = 0.18 * g->root, block_tao = 0.5;
    (void)w;
    EACH share[i] = m[i] * (1.0 - burn[i]);
#pragma omp simd reduction(+ : total)
    for (int i = 0; i < n; i++) total += share[i];
    double scale = 1.0 / total;
    EACH {
        double wi = W_(i), e = block_tao * (share[i] *= scale), issued = x[i] + outstanding[i];
        double price = (1.0 - wi) * y[i] / (wi * x[i]);
        double in = low(e / price, root / (root + issued) * ae[i]), excess = high(e - in * price, 0.0);
        double part = root / (root + issued + half * (in + ae[i]));
        price *= 1.0 + half * excess / (y[i] * (1.0 - wi));
        in = low(e / price, part * ae[i]);
        double tao = in * price, growth = in + ae[i];
        excess = blocks * high(e - tao, 0.0);
        tao *= blocks;
        in *= blocks;
#ifndef HALF
        double side = y[i] + tao, new = side / (side + y[i] * (1.0 - wi) / wi + price * in);
        double ok = new >= 0.01 && new <= 0.99 ? 1.0 : 0.0;
        wi = ok * new + (1.0 - ok) * wi;
        w[i] = wi;
        tao *= ok;
        in *= ok;
#endif
        double early = half / blocks;
        double bought = SWAP(y[i] + early * tao, x[i] + early * in, wi / (1.0 - wi), excess);
        y[i] += tao + excess;
        x[i] += in - bought;
        protocol[i] += bought;
        outstanding[i] += bought + blocks * ae[i];
        injected[i] = in;
        root_alpha[i] = 0.5 * (1.0 - CUT) * blocks * ae[i] * root / (root + issued + (half + 1.0) * growth);
    }
    EACH {
        double price = (1.0 - W_(i)) * y[i] / (W_(i) * x[i]), age = block + half - start[i];
        double now = 2.31e-4 * age / (age + 201600.0), drift = blocks * (now - rate[i]) / (1.0 - rate[i]);
        price = low(price, 1.0);
        m[i] = price + (m[i] - price) * decay[i] * (1.0 - drift + 0.5 * drift * drift);
    }
    EACH {
        double out = blocks * ae[i], mine = 0.5 * (1.0 - CUT) * out, dividends = mine - root_alpha[i];
        double kept = dividends * CUT, staked = owner[i] + validator[i] + informed[i] + uninformed[i];
        double more = staked > 0.0 ? (dividends - kept) / staked : 0.0;
        take[i] = kept + root_alpha[i] * CUT;
        owner[i] = owner[i] * (1.0 + more) + CUT * out;
        miner[i] += mine;
        validator[i] = validator[i] * (1.0 + more) + take[i];
        informed[i] *= 1.0 + more;
        uninformed[i] *= 1.0 + more;
        owed[i] += root_alpha[i] * (1.0 - CUT);
        minted[i] += injected[i] + out;
        gain[i] = more;
    }
    g->minted += blocks * block_tao;
}

static void insiders(double *s, int n, double blocks)
{
    ROW(y, TAO); ROW(x, ALPHA); ROW(w, WEIGHT); ROW(ae, EMISSION); ROW(outstanding, OUTSTANDING);
    ROW(owner, OWNER); ROW(miner, MINER); ROW(validator, VALIDATOR); ROW(treasury, TREASURY);
    ROW(take, TAKE); ROW(cash, CASH); ROW(fee, FEE);
    (void)w;
    EACH {
        double out = blocks * ae[i], o = CUT * out, mi = 0.57 * 0.5 * (1.0 - CUT) * out, v = 0.3 * take[i];
        double all = o + mi + v, sold, f, tao = y[i], alpha = x[i];
        double got = sell(&tao, &alpha, W_(i), all, FEE_RATE, &sold, &f), done = all > 0.0 ? sold / all : 0.0;
        double kept = all > 0.0 ? got * 0.7 * o / all : 0.0;
        y[i] = tao;
        x[i] = alpha;
        owner[i] -= o * done;
        miner[i] -= mi * done;
        validator[i] -= v * done;
        outstanding[i] -= sold;
        treasury[i] += kept;
        cash[i] = got - kept;
        fee[i] += f;
    }
}

static void claims(double *s, int n, double claimed)
{
    ROW(y, TAO); ROW(x, ALPHA); ROW(w, WEIGHT); ROW(outstanding, OUTSTANDING); ROW(owed, CLAIMABLE);
    ROW(paid, CLAIMED);
    (void)w;
    EACH {
        double sold, f, tao = y[i], alpha = x[i];
        paid[i] = sell(&tao, &alpha, W_(i), claimed * owed[i], 0.0, &sold, &f);
        y[i] = tao;
        x[i] = alpha;
        owed[i] -= sold;
        outstanding[i] -= sold;
    }
}

static void scripted(double *s, World *g, int n, double speed, double use, double limit)
{
    ROW(y, TAO); ROW(x, ALPHA); ROW(w, WEIGHT); ROW(outstanding, OUTSTANDING); ROW(informed, INFORMED);
    ROW(uninformed, UNINFORMED); ROW(target, TARGET); ROW(tao_in, TAO_IN); ROW(wish, SOLD);
    ROW(from_informed, FROM_INFORMED); ROW(from_uninformed, FROM_UNINFORMED); ROW(fee, FEE);
    double wanted = 0.0, purses = g->purse_informed + g->purse_uninformed;
    (void)w;
    EACH {
        double wi = W_(i), price = (1.0 - wi) * y[i] / (wi * x[i]);
        double up = target[i] >= price ? 1.0 : 0.0, ratio = up > 0.0 ? target[i] / price : price / target[i];
#ifdef HALF
        double step = sqrt(ratio) - 1.0;
#else
        double step = exp((up * (1.0 - wi) + (1.0 - up) * wi) * log(ratio)) - 1.0;
#endif
        tao_in[i] = up * low(speed * y[i] * step, limit * y[i]);
        wish[i] = (1.0 - up) * low(low(speed * x[i] * step, limit * x[i]), informed[i] + uninformed[i]);
    }
#pragma omp simd reduction(+ : wanted)
    for (int i = 0; i < n; i++) wanted += tao_in[i];
    double scale = wanted > 0.0 ? low(use * purses / wanted, 1.0) : 0.0, buyers = g->purse_informed / purses;
    EACH {
        double paid, sold, f, f2, tao = y[i], alpha = x[i];
        double bought = buy(&tao, &alpha, W_(i), scale * tao_in[i], FEE_RATE, &paid, &f);
        double got = sell(&tao, &alpha, W_(i), wish[i], FEE_RATE, &sold, &f2);
        double held = informed[i] + uninformed[i], sellers = held > 0.0 ? informed[i] / held : 0.0;
        y[i] = tao;
        x[i] = alpha;
        outstanding[i] += bought - sold;
        informed[i] += bought * buyers - sold * sellers;
        uninformed[i] += bought * (1.0 - buyers) - sold * (1.0 - sellers);
        from_informed[i] = got * sellers - paid * buyers;
        from_uninformed[i] = got * (1.0 - sellers) - paid * (1.0 - buyers);
        fee[i] += f + f2;
    }
}

static void settle(double *s, World *g, int n)
{
    ROW(cash, CASH); ROW(fee, FEE); ROW(paid, CLAIMED); ROW(a, FROM_INFORMED); ROW(b, FROM_UNINFORMED);
    double outside = 0.0, fees = 0.0, root = 0.0, informed = 0.0, uninformed = 0.0;
#pragma omp simd reduction(+ : outside, fees, root, informed, uninformed)
    for (int i = 0; i < n; i++) {
        outside += cash[i];
        fees += fee[i];
        fee[i] = 0.0;
        root += paid[i];
        informed += a[i];
        uninformed += b[i];
    }
    g->outside += outside;
    g->authors += fees;
    g->root += root;
    g->purse_informed += informed;
    g->purse_uninformed += uninformed;
}

static void start(double *s, World *g, int n, double weight, int seed)
{
    for (int i = 0; i < n; i++) {
        double deep = 1.0 + (double)((i * 7 + seed) % 13);
        double first[ROWS] = {
            [TAO] = 9e3 * deep, [ALPHA] = 8e5 * deep, [WEIGHT] = weight, [MOVING] = 0.01, [EMISSION] = 1.0,
            [OUTSTANDING] = 2e6, [OWNER] = 3e5, [MINER] = 3e5, [VALIDATOR] = 1e5, [INFORMED] = 4e5,
            [UNINFORMED] = 8e5, [CLAIMABLE] = 1e3, [BURN] = 0.02 * (i % 9), [RATE] = 2e-4, [DECAY] = 0.94,
            [START] = -3e6, [TREASURY] = 150.0, [TARGET] = 0.01 * (0.8 + 0.05 * ((i + seed) % 9)),
        };
        for (int r = 0; r < ROWS; r++) s[(size_t)r * n + i] = first[r];
    }
    *g = (World){5e6, 2e5, 4e5, 1e4, 0.0, 0.0, 88172645463325252ull + (uint64_t)seed};
}

static int ascending(const void *a, const void *b)
{
    double d = *(const double *)a - *(const double *)b;
    return (d > 0.0) - (d < 0.0);
}

int main(int argc, char **argv)
{
    int worlds = argc > 1 ? atoi(argv[1]) : 256, n = argc > 2 ? atoi(argv[2]) : 32;
    int spans = argc > 3 ? atoi(argv[3]) : 24;
    double weight = argc > 4 ? atof(argv[4]) : 0.55, seconds[9], check = 0.0, blocks = 7200.0 / spans;
    if (worlds < 1 || n < 1 || spans < 1) return 2;
    double *state = malloc(sizeof(double) * (size_t)worlds * ROWS * (size_t)n);
    World *g = malloc(sizeof(World) * (size_t)worlds);
    if (!state || !g) return 1;
    int days = (int)(4e6 / ((double)worlds * n * spans)) + 1;
    double speed = 1.0 - pow(0.95, 1.0 / spans), claimed = 1.0 - pow(0.86, 1.0 / spans);
    for (int run = 0; run < 9; run++) {
        for (int k = 0; k < worlds; k++) start(state + (size_t)k * ROWS * n, g + k, n, weight, k);
        struct timespec a, b;
        clock_gettime(CLOCK_MONOTONIC, &a);
        for (int day = 0; day < days; day++)
            for (int k = 0; k < worlds; k++) {
                double *s = state + (size_t)k * ROWS * n;
                for (int t = 0; t < spans; t++) {
                    coinbase(s, g + k, n, blocks, day * 7200.0 + t * blocks);
                    uint64_t u = g[k].draw; /* xorshift; the first of three groups, and which way on */
                    u ^= u << 13, u ^= u >> 7, u ^= u << 17;
                    g[k].draw = u;
                    int group = (int)(u % 3), turn = u & 1024 ? 1 : 2;
                    for (int j = 0; j < 3; j++, group = (group + turn) % 3) {
                        if (group == 0) insiders(s, n, blocks);
                        else if (group == 1) claims(s, n, claimed);
                        else scripted(s, g + k, n, speed, 0.2 / spans, 0.25 / spans);
                    }
                    settle(s, g + k, n);
                }
            }
        clock_gettime(CLOCK_MONOTONIC, &b);
        seconds[run] = (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec);
        check += g[worlds - 1].outside + state[0];
    }
    qsort(seconds, 9, sizeof(double), ascending);
    double each = 1e9 / ((double)days * worlds * n * spans);
    printf("%.2f %.2f %.2f\n", seconds[4] * each, seconds[0] * each, seconds[8] * each);
    fprintf(stderr, "checksum %.6e\n", check);
    free(state);
    free(g);
    return check == check ? 0 : 1;
}
