/* SPDX-License-Identifier: Apache-2.0
 * A task of a step: exchanges records of different sizes, several times, and says how
 * long it took. `pmix_exchange desert`: rank 1 leaves before the second round. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pmix/pmix_service.h"

#define ROUNDS 3

static int fail(const struct benchfs_error *err)
{
    fprintf(stderr, "pmix_exchange: %s\n", err->text);
    return EXIT_FAILURE;
}

static size_t record_fill(uint8_t *record, uint32_t rank, unsigned round)
{
    size_t len = 1 + 7000 * (round % 2) + rank;

    memset(record, (int)(rank + round), len);
    return len;
}

static int round_run(struct pmix_service *service, unsigned round)
{
    uint32_t size = pmix_service_size(service);
    struct bytes *all = calloc(size, sizeof(*all));
    static uint8_t record[65536], wanted[65536];
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    int bad = 0;

    for (uint32_t i = 0; i < size; i++)
        bytes_init(&all[i], sizeof(record));
    if (pmix_service_exchange(service,
                              record,
                              record_fill(record, pmix_service_rank(service), round),
                              all,
                              deadline_after_ms(3000),
                              &err))
        bad = fail(&err);
    for (uint32_t i = 0; !bad && i < size; i++) {
        size_t len = record_fill(wanted, i, round);

        if (all[i].size != len || memcmp(all[i].data, wanted, len) != 0) {
            fprintf(stderr, "pmix_exchange: wrong record of rank %u\n", i);
            bad = 1;
        }
    }
    for (uint32_t i = 0; i < size; i++)
        bytes_fini(&all[i]);
    free(all);
    return bad;
}

int main(int argc, char **argv)
{
    bool deserts = argc > 1 && strcmp(argv[1], "desert") == 0;
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct pmix_service *service;
    uint64_t start = clock_now_ns(), created;
    int bad = 0;

    if (pmix_service_create(NULL, NULL, deadline_after_ms(5000), &service, &err))
        return fail(&err);
    created = clock_now_ns();
    for (unsigned round = 0; !bad && round < ROUNDS; round++) {
        if (deserts && round == 1 && pmix_service_rank(service) == 1)
            break;
        bad = round_run(service, round);
    }
    if (!deserts && !bad
        && pmix_service_barrier(service, deadline_after_ms(3000), &err))
        bad = fail(&err);
    if (!bad && pmix_service_rank(service) == 0)
        printf("%u ranks, init %.1f ms, rounds %.1f ms\n",
               pmix_service_size(service),
               (double)(created - start) / 1e6,
               (double)(clock_now_ns() - created) / 1e6);
    pmix_service_destroy(service);
    return bad;
}
