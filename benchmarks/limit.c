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

#include "limit_coinbase.h"
#include "limit_trades.h"

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
