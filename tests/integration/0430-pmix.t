#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Programs that are PMIx programs: the endpoint table by one PMIx_Get, the scratch through
# libbenchfs with the table from there, before and together with MPI.
# shellcheck disable=SC2016
source "$(dirname "$0")/lib.sh"
require_root

build=${BENCHFS_BUILD:-$test_root/build/release}
for file in lib/benchfs_spank.so lib/libbenchfs.so bin/benchfsd bin/benchfs-agent; do
    [[ -e $build/$file ]] || skip_all "no $file in $build"
done
command -v gcc mpicc >/dev/null || skip_all "no gcc or mpicc"

# One PMIx_Get of the whole table; then what every rank writes with the library, its
# neighbour (on another node) reads.
cat >"$test_dir/program.c" <<'C'
#include <benchfs/benchfs.h>
#include <pmix.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE ((size_t)5 << 20)

static pmix_proc_t me;

static int fail(const char *what, long status)
{
    fprintf(stderr, "rank %u: %s: %ld\n", me.rank, what, status);
    return 1;
}

static int table_get(void)
{
    int timeout_s = 10;
    pmix_proc_t service = {.rank = PMIX_RANK_WILDCARD};
    pmix_value_t *table = NULL;
    pmix_info_t *info;
    pmix_status_t status;

    snprintf(service.nspace, sizeof(service.nspace), "benchfs.%s", getenv("SLURM_JOB_ID"));
    PMIX_INFO_CREATE(info, 1);
    PMIX_INFO_LOAD(&info[0], PMIX_TIMEOUT, &timeout_s, PMIX_INT);
    status = PMIx_Get(&service, "benchfs.endpoints", info, 1, &table);
    PMIX_INFO_FREE(info, 1);
    if (status != PMIX_SUCCESS)
        return fail("PMIx_Get", status);
    if (table->type != PMIX_BYTE_OBJECT || table->data.bo.size < 64)
        return fail("table", (long)table->type);
    printf("table %zu\n", table->data.bo.size);
    PMIX_VALUE_RELEASE(table);
    return 0;
}

static void fill(char *data, unsigned rank)
{
    for (size_t i = 0; i < SIZE; i++)
        data[i] = (char)(i * 7 + i / 4093 + rank * 31);
}

/* Slurm's PMIx waits for the ranks of other nodes only when data is collected. */
static int barrier(void)
{
    bool collect = true;
    pmix_status_t status;
    pmix_info_t *info;

    PMIX_INFO_CREATE(info, 1);
    PMIX_INFO_LOAD(&info[0], PMIX_COLLECT_DATA, &collect, PMIX_BOOL);
    status = PMIx_Fence(NULL, 0, info, 1);
    PMIX_INFO_FREE(info, 1);
    return status == PMIX_SUCCESS ? 0 : fail("PMIx_Fence", status);
}

static int share(struct benchfs *fs, unsigned n_ranks)
{
    unsigned other = (me.rank + 1) % n_ranks;
    char *data = malloc(SIZE), *back = malloc(SIZE);
    char path[32];
    long result;
    int fd;

    fill(data, me.rank);
    snprintf(path, sizeof(path), "/rank.%u", me.rank);
    fd = benchfs_open(fs, path, O_CREAT | O_EXCL | O_WRONLY, 0644);
    if (fd < 0)
        return fail(path, fd);
    if ((result = benchfs_pwrite(fs, fd, data, SIZE, 0)) != (long)SIZE)
        return fail("write", result);
    if ((result = benchfs_close(fs, fd)) != 0)
        return fail("close", result);
    if (barrier() != 0)
        return 1;
    snprintf(path, sizeof(path), "/rank.%u", other);
    fd = benchfs_open(fs, path, O_RDONLY, 0);
    if (fd < 0)
        return fail(path, fd);
    fill(data, other);
    if ((result = benchfs_pread(fs, fd, back, SIZE, 0)) != (long)SIZE)
        return fail("read", result);
    if (memcmp(data, back, SIZE) != 0)
        return fail("content of", other);
    benchfs_close(fs, fd);
    free(data);
    free(back);
    printf("shared\n");
    return 0;
}

int main(int argc, char **argv)
{
    struct benchfs_options options;
    char error[256] = "";
    struct benchfs *fs;
    unsigned n_ranks = (unsigned)atoi(getenv("SLURM_NTASKS"));
    int failed = 1, status;

    (void)argc;
    (void)argv;
    if ((status = PMIx_Init(&me, NULL, 0)) != PMIX_SUCCESS)
        return fail("PMIx_Init", status);
    benchfs_options_init(&options);
    options.pmix = BENCHFS_PMIX_ALWAYS;
    options.error = error;
    options.error_size = sizeof(error);
    if (table_get() == 0) {
        if ((status = benchfs_init(&fs, &options)) < 0) {
            fprintf(stderr, "%s\n", error);
        } else {
            failed = share(fs, n_ranks);
            if ((status = benchfs_fini(fs)) < 0)
                failed = fail("benchfs_fini", status);
        }
    }
    PMIx_Finalize(NULL, 0);
    return failed;
}
C
# An MPI program whose library takes what it finds: PMIx is there, so the table comes from it.
cat >"$test_dir/mpi.c" <<'C'
#include <benchfs/benchfs.h>
#include <mpi.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    struct benchfs *fs;
    char path[32];
    int rank, size, fd, ok;

    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    ok = benchfs_init(&fs, NULL) == 0;
    snprintf(path, sizeof(path), "/mpi.%d", rank);
    fd = ok ? benchfs_open(fs, path, O_CREAT | O_WRONLY, 0600) : -1;
    ok = fd >= 0 && benchfs_write(fs, fd, path, sizeof(path)) == sizeof(path)
         && benchfs_close(fs, fd) == 0;
    MPI_Barrier(MPI_COMM_WORLD);
    snprintf(path, sizeof(path), "/mpi.%d", (rank + 1) % size);
    if (ok) {
        char back[sizeof(path)] = "";

        fd = benchfs_open(fs, path, O_RDONLY, 0);
        ok = fd >= 0 && benchfs_read(fs, fd, back, sizeof(back)) == sizeof(back)
             && strcmp(path, back) == 0;
        benchfs_fini(fs);
    }
    printf("%s\n", ok ? "mpi shared" : "failed");
    MPI_Finalize();
    return !ok;
}
C
headers=(-I"$test_root/client/include" -I/usr/lib/x86_64-linux-gnu/pmix2/include)
link=(-L"$build/lib" -lbenchfs)

cd "$test_dir" || exit 1 # seen by all nodes, which a checkout in /tmp is not
ok "cluster of 2 nodes" cluster_up 2 --build "$build"
# Where ordinary users of the nodes see the library.
shown=/run/benchfs-cluster/$test_cluster/build
[[ -d $shown ]] || shown=$build
link+=("-Wl,-rpath,$shown/lib")
ok "a program on PMIx and libbenchfs builds" \
    gcc -Wall -o "$test_dir/program" "$test_dir/program.c" "${headers[@]}" "${link[@]}" -lpmix
ok "and one on MPI and libbenchfs" \
    mpicc -Wall -o "$test_dir/mpi" "$test_dir/mpi.c" "${headers[@]}" "${link[@]}"
chmod 0755 "$test_dir"/{program,mpi}
is "$(ldd "$test_dir/mpi" | grep -c "libbenchfs.so.* => /")" 1 "with the library of this build"

run() { as_user timeout 60 srun "$@" 2>&1 | grep -v '^srun: job .* queued\|^srun: job .* allocated'; }
text=$(run -N2 -n4 --ntasks-per-node=2 --mpi=pmix --benchfs=on "$test_dir/program")
is "$(grep -c '^table' <<<"$text")" 4 "every rank gets the table by PMIx_Get" || diag <<<"$text"
is "$(grep '^table' <<<"$text" | sort -u | wc -l)" 1 "the same"
is "$(grep -c '^shared' <<<"$text")" 4 "and reads what its neighbour wrote, by libbenchfs" ||
    diag <<<"$text"
is "$(run -N2 -n4 --ntasks-per-node=2 --mpi=pmix --benchfs=on "$test_dir/mpi" | sort | uniq -c |
    xargs)" "4 mpi shared" "the library within an MPI program"
is "$(run -N2 -n2 --mpi=pmix --benchfs=on \
    bash -c "benchfs ls / >/dev/null && echo x >\$BENCHFS_MOUNT/x.\$SLURM_PROCID && $test_dir/mpi" |
    sort | uniq -c | xargs)" "2 mpi shared" "after helpers, which leave PMIx to it"
is "$(run -N2 -n2 --mpi=none --benchfs=on bash -c 'benchfs ls / && echo listed' | sort | uniq -c |
    xargs)" "2 listed" "without PMIx the table comes from the node's daemon"
is "$(run -N2 -n2 --mpi=pmix "$test_dir/mpi" | grep -c '^failed')" 2 \
    "without a burst buffer: an error, no hang"

table=$(as_user srun -N2 -n2 --mpi=none --benchfs=on \
    bash -c '((SLURM_PROCID)) || benchfs status --table' 2>/dev/null)
if python3 -c 'import jsonschema' 2>/dev/null; then
    ok "the table's JSON form is as its schema says" python3 -c '
import json, jsonschema, sys
table = json.loads(sys.argv[1])
jsonschema.validate(table, json.load(open(sys.argv[2])))
assert table["n_nodes"] == 2 and len(table["endpoints"]) >= 2
assert {e["host_name"] for e in table["endpoints"]} == {"n1", "n2"}
' "$table" "$test_root/schemas/endpoint_table.schema.json"
else
    skip 1 "no python3-jsonschema"
fi
done_testing
