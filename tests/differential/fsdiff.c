/* SPDX-License-Identifier: Apache-2.0
 * fsdiff: runs random sequences of file system operations on two directories and stops
 * at the first difference, which it shows as the shortest sequence it finds.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "publish.h"
#include "sequence.h"

enum { OPS_MAX = 5000 };

struct options {
    uint64_t seed;
    unsigned sequences, length, processes, border, shrink_s, seconds, facts_every;
    const char *only;          /* indices of the operations to run, with commas */
    bool is_skipped[OP_KINDS]; /* kinds that are left out */
    bool shows_all;            /* print the sequence */
    const char *paths[2];
};

static void usage(FILE *out)
{
    fputs(
        "usage: fsdiff [options] DIR REFERENCE\n"
        "  -s, --seed N        of the first sequence; each next one has one more (1)\n"
        "  -n, --sequences N   sequences of each process (10)\n"
        "  -l, --length N      operations of a sequence (200)\n"
        "  -p, --processes N   each in directories of its own (1)\n"
        "  -c, --chunk BYTES   chunk size: offsets are chosen around it (65536)\n"
        "  -t, --seconds N     stop after that time, all well (no limit)\n"
        "  -x, --without KIND  leave out operations of this kind; repeatable\n"
        "  -o, --only LIST     run only these operations of the sequence: 3,17,20\n"
        "  -f, --facts N       attributes around every Nth operation only (1)\n"
        "  -k, --shrink SEC    how long to look for a shorter sequence (30)\n"
        "  -v, --verbose       print the operations\n",
        out);
}

static int options_parse(struct options *options, int argc, char **argv)
{
    static const struct option longs[] = {{"seed", 1, NULL, 's'},
                                          {"sequences", 1, NULL, 'n'},
                                          {"length", 1, NULL, 'l'},
                                          {"processes", 1, NULL, 'p'},
                                          {"chunk", 1, NULL, 'c'},
                                          {"seconds", 1, NULL, 't'},
                                          {"without", 1, NULL, 'x'},
                                          {"only", 1, NULL, 'o'},
                                          {"shrink", 1, NULL, 'k'},
                                          {"facts", 1, NULL, 'f'},
                                          {"verbose", 0, NULL, 'v'},
                                          {"help", 0, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    int id;

    *options = (struct options){.seed = 1,
                                .sequences = 10,
                                .length = 200,
                                .processes = 1,
                                .border = 65536,
                                .shrink_s = 30,
                                .facts_every = 1};
    while ((id = getopt_long(argc, argv, "s:n:l:p:c:t:x:o:k:f:vh", longs, NULL))
           != -1) {
        unsigned long long value = optarg ? strtoull(optarg, NULL, 10) : 0;
        unsigned number = (unsigned)value;

        switch (id) {
        case 's':
            options->seed = value;
            break;
        case 'n':
            options->sequences = number;
            break;
        case 'l':
            options->length = number;
            break;
        case 'p':
            options->processes = number;
            break;
        case 'c':
            options->border = number;
            break;
        case 't':
            options->seconds = number;
            break;
        case 'k':
            options->shrink_s = number;
            break;
        case 'f':
            options->facts_every = number;
            break;
        case 'o':
            options->only = optarg;
            break;
        case 'v':
            options->shows_all = true;
            break;
        case 'x':
            if (op_kind_find(optarg) == OP_KINDS)
                return -EINVAL;
            options->is_skipped[op_kind_find(optarg)] = true;
            break;
        case 'h':
            usage(stdout);
            exit(0);
        default:
            return -EINVAL;
        }
    }
    if (argc - optind != 2 || options->length == 0 || options->length > OPS_MAX
        || options->processes == 0 || options->facts_every == 0
        || options->border < 4096)
        return -EINVAL;
    options->paths[0] = argv[optind];
    options->paths[1] = argv[optind + 1];
    return 0;
}

/* The operations of a sequence that are to be run; returns their number. */
static size_t
ops_choose(const struct options *options, const struct op *ops, const struct op **list)
{
    size_t n = 0;

    if (options->only) {
        for (const char *at = options->only; *at; at += *at == ',') {
            char *end;
            unsigned long index = strtoul(at, &end, 10);

            if (end == at || (*end && *end != ',') || index >= options->length)
                break;
            list[n++] = &ops[index];
            at = end;
        }
        return n;
    }
    for (size_t i = 0; i < options->length; i++) {
        if (!options->is_skipped[ops[i].kind])
            list[n++] = &ops[i];
    }
    return n;
}

static void list_print(const struct op *ops, const struct op **list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        printf("  %4zd  ", list[i] - ops);
        op_print(list[i], stdout);
    }
}

static void difference_report(const struct options *options,
                              const struct place *place,
                              uint64_t seed,
                              const struct op *ops,
                              const struct op **list,
                              size_t n,
                              struct outcome *outcome)
{
    printf("DIFFERENCE seed %llu length %u chunk %u, at operation %zu of %zu, which "
           "took %ld s: %s\n",
           (unsigned long long)seed,
           options->length,
           options->border,
           outcome->at,
           n,
           (long)outcome->seconds,
           outcome->why);
    fflush(stdout);
    n = sequence_shrink(place, list, n, options->shrink_s, outcome);
    printf("shortest sequence found:\n");
    list_print(ops, list, n);
    printf("again: fsdiff --seed %llu --length %u --chunk %u --sequences 1 --only ",
           (unsigned long long)seed,
           options->length,
           options->border);
    for (size_t i = 0; i < n; i++)
        printf("%s%zd", i ? "," : "", list[i] - ops);
    printf(" %s %s\n", options->paths[0], options->paths[1]);
    printf("ends with (after %ld s): %s\n", (long)outcome->seconds, outcome->why);
    fflush(stdout);
}

/* One sequence: 0, 1 if there was a difference, -errno if it could not be run. */
static int seed_run(const struct options *options,
                    struct place *place,
                    uint64_t seed,
                    struct op *ops,
                    const struct op **list,
                    uint64_t *ret_count)
{
    struct rng rng = {.state = seed * 0x2545f4914f6cdd1du};
    struct outcome outcome;
    size_t n;
    int status;

    snprintf(place->name,
             sizeof place->name,
             "fsdiff.%ld.%llu",
             (long)getpid(),
             (unsigned long long)seed);
    for (size_t i = 0; i < options->length; i++)
        op_random(&ops[i], &rng, options->border);
    n = ops_choose(options, ops, list);
    if (options->shows_all)
        list_print(ops, list, n);
    status = sequence_run(place, list, n, &outcome);
    if (status != 0) {
        printf("seed %llu can't be run: %s\n",
               (unsigned long long)seed,
               strerror(-status));
        return status;
    }
    *ret_count += n;
    if (outcome.is_equal)
        return 0;
    difference_report(options, place, seed, ops, list, n, &outcome);
    return 1;
}

/* Prints what it did; the exit status of the process. */
static int worker_run(const struct options *options, unsigned rank)
{
    struct place place = {.paths = {options->paths[0], options->paths[1]},
                          .labels = {"DIR", "REFERENCE"},
                          .facts_every = options->facts_every};
    struct op *ops = calloc(options->length, sizeof *ops);
    const struct op **list = calloc(options->length, sizeof *list);
    time_t end = time(NULL) + (time_t)options->seconds;
    struct publisher publisher = {
        .dir = options->paths[0], .rank = rank, .n_ranks = options->processes};
    uint64_t count = 0;
    int status = ops && list ? 0 : -ENOMEM;

    for (unsigned i = 0; status == 0 && i < options->sequences; i++) {
        uint64_t seed = options->seed + (uint64_t)rank * options->sequences + i;

        if (options->seconds && time(NULL) >= end)
            break;
        status = seed_run(options, &place, seed, ops, list, &count);
        if (status == 0 && options->processes > 1)
            status = publisher_round(&publisher);
    }
    printf("process %u: %llu operations, %s\n",
           rank,
           (unsigned long long)count,
           status == 0 ? "no difference" : "DIFFERENT");
    fflush(stdout);
    free(ops);
    free(list);
    return status == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct options options;
    int failed = 0;

    if (options_parse(&options, argc, argv) != 0) {
        usage(stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    umask(022);
    if (options.processes == 1)
        return worker_run(&options, 0);
    for (unsigned rank = 0; rank < options.processes; rank++) {
        pid_t pid = fork();

        if (pid == 0)
            return worker_run(&options, rank);
        failed += pid < 0;
    }
    for (int status; wait(&status) > 0;)
        failed += status != 0;
    publish_clear(options.paths[0], options.processes);
    return failed ? 1 : 0;
}
