/* SPDX-License-Identifier: Apache-2.0
 * mpi_tree: an MPI program that reads a tree of files, exchanges files between its
 * ranks and writes results, all by plain POSIX calls; it knows nothing of BenchFS. The
 * results are the same to the byte for any number of ranks, so that two runs can be
 * compared.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <mpi.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_BYTES ((size_t)4 << 20)
/* Files from this size on are worked on by all ranks, a range each in turn. */
#define BIG_FILE_BYTES ((off_t)64 << 20)
#define RANGE_BYTES    ((off_t)16 << 20)
/* Fixed, whatever the number of ranks: the results must not depend on it. */
#define EXCHANGE_BLOCKS 16
#define EXCHANGE_BYTES  ((size_t)1 << 20)
#define MASK_WORD       UINT64_C(0xa5c35a3c96e10f78)

struct entry {
    char *path;       /* relative to the input directory */
    size_t directory; /* number of the directory it is in, in walking order */
    off_t size_bytes;
    mode_t mode;
};

struct tree {
    struct entry *entries;
    size_t count, capacity, directories;
};

struct run {
    const char *input, *output;
    char *
        shared; /* where ranks exchange files; in the output, for a while, by default */
    bool is_shared_default;
    int rank, ranks;
    char (*hosts)[MPI_MAX_PROCESSOR_NAME]; /* of every rank */
    char *buffer;                          /* BUFFER_BYTES */
    uint64_t bytes_read, bytes_written;
};

static void die(const char *format, ...)
    __attribute__((format(printf, 1, 2), noreturn));

static void die(const char *format, ...)
{
    va_list args;
    int rank;

    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    fprintf(stderr, "mpi_tree: rank %d: ", rank);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    MPI_Abort(MPI_COMM_WORLD, 1);
    exit(1);
}

static char *join(const char *directory, const char *name)
{
    char *path;

    if (asprintf(&path, "%s%s%s", directory, directory[0] ? "/" : "", name) < 0)
        die("out of memory");
    return path;
}

static void make_directory(const char *path)
{
    if (mkdir(path, 0755) != 0 && errno != EEXIST)
        die("mkdir %s: %s", path, strerror(errno));
}

/* FNV-1a over 64-bit words; the last one is filled up with zeros. Ends of a file that
 * are no multiple of 8 must therefore be in one call, and the length is hashed apart.
 */
static uint64_t checksum_update(uint64_t sum, const char *data, size_t len)
{
    uint64_t word;

    for (; len > 0; data += sizeof(word), len -= sizeof(word)) {
        word = 0;
        memcpy(&word, data, len < sizeof(word) ? len : sizeof(word));
        sum = (sum ^ word) * UINT64_C(0x100000001b3);
        sum ^= sum >> 29;
        if (len < sizeof(word))
            break;
    }
    return sum;
}

static const uint64_t checksum_start = UINT64_C(0xcbf29ce484222325);

/* The "computation" of this example: its own inverse, and different for every byte. */
static void transform(char *data, size_t len)
{
    uint64_t word;
    size_t i;

    for (i = 0; i + sizeof(word) <= len; i += sizeof(word)) {
        memcpy(&word, data + i, sizeof(word));
        word ^= MASK_WORD;
        memcpy(data + i, &word, sizeof(word));
    }
    for (; i < len; i++)
        data[i] = (char)(data[i] ^ (char)(MASK_WORD >> (8 * (i % sizeof(word)))));
}

/* ---- whole reads and writes ---- */

static int open_or_die(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0644);

    if (fd < 0)
        die("open %s: %s", path, strerror(errno));
    return fd;
}

static void close_or_die(int fd, const char *path)
{
    if (close(fd) != 0)
        die("close %s: %s", path, strerror(errno));
}

static void read_exactly(
    struct run *run, int fd, char *data, size_t len, off_t offset, const char *path)
{
    size_t done = 0;
    ssize_t n;

    while (done < len) {
        n = pread(fd, data + done, len - done, offset + (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            die("read %s: %s", path, strerror(errno));
        if (n == 0)
            die("read %s: ends at %lld, should be longer",
                path,
                (long long)offset + (long long)done);
        done += (size_t)n;
    }
    run->bytes_read += len;
}

static void write_exactly(struct run *run,
                          int fd,
                          const char *data,
                          size_t len,
                          off_t offset,
                          const char *path)
{
    size_t done = 0;
    ssize_t n;

    while (done < len) {
        n = pwrite(fd, data + done, len - done, offset + (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            die("write %s: %s", path, n < 0 ? strerror(errno) : "nothing written");
        done += (size_t)n;
    }
    run->bytes_written += len;
}

/* ---- the tree ---- */

static void
tree_add(struct tree *tree, char *path, size_t directory, const struct stat *st)
{
    struct entry *entry;

    if (tree->count == tree->capacity) {
        tree->capacity = tree->capacity ? 2 * tree->capacity : 1024;
        tree->entries = realloc(tree->entries, tree->capacity * sizeof(*tree->entries));
        if (!tree->entries)
            die("out of memory");
    }
    entry = &tree->entries[tree->count++];
    entry->path = path;
    entry->directory = directory;
    entry->size_bytes = st->st_size;
    entry->mode = st->st_mode;
}

/* Sorted by name in the C locale: every rank comes to the same order. */
static void
tree_walk(struct tree *tree, int parent, const char *name, const char *directory)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    size_t number = tree->directories++;
    struct dirent **names;
    struct stat st;
    char *path;
    int i, count;

    count = fd < 0 ? -1 : scandirat(fd, ".", &names, NULL, alphasort);
    if (count < 0)
        die("list %s: %s", directory[0] ? directory : name, strerror(errno));
    for (i = 0; i < count; i++) {
        if (strcmp(names[i]->d_name, ".") != 0 && strcmp(names[i]->d_name, "..") != 0) {
            path = join(directory, names[i]->d_name);
            if (fstatat(fd, names[i]->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
                die("stat %s: %s", path, strerror(errno));
            tree_add(tree, path, number, &st);
            if (S_ISDIR(st.st_mode))
                tree_walk(tree, fd, names[i]->d_name, path);
        }
        free(names[i]);
    }
    free(names);
    close(fd);
}

static void tree_free(struct tree *tree)
{
    for (size_t i = 0; i < tree->count; i++)
        free(tree->entries[i].path);
    free(tree->entries);
}

static bool entry_is_big(const struct entry *entry)
{
    return S_ISREG(entry->mode) && entry->size_bytes >= BIG_FILE_BYTES;
}

/* ---- phase 1: a checksum of every file, one result file per input directory ---- */

static uint64_t file_checksum(struct run *run, const char *path, off_t size_bytes)
{
    uint64_t sum = checksum_start;
    int fd = open_or_die(path, O_RDONLY);
    off_t offset = 0;
    size_t len;

    while (offset < size_bytes) {
        len = size_bytes - offset < (off_t)BUFFER_BYTES ? (size_t)(size_bytes - offset)
                                                        : BUFFER_BYTES;
        read_exactly(run, fd, run->buffer, len, offset, path);
        sum = checksum_update(sum, run->buffer, len);
        offset += (off_t)len;
    }
    close_or_die(fd, path);
    return sum;
}

static uint64_t link_checksum(const char *path)
{
    char target[PATH_MAX];
    ssize_t len = readlink(path, target, sizeof(target));

    if (len < 0)
        die("readlink %s: %s", path, strerror(errno));
    return checksum_update(checksum_start, target, (size_t)len);
}

static void entry_report(struct run *run, const struct entry *entry, FILE *out)
{
    char *path = join(run->input, entry->path);
    uint64_t sum = 0;
    char kind = '?';

    if (S_ISDIR(entry->mode)) {
        kind = 'd';
    } else if (S_ISLNK(entry->mode)) {
        kind = 'l';
        sum = link_checksum(path);
    } else if (entry_is_big(entry)) {
        kind = 'b'; /* its checksum is phase 2's */
    } else if (S_ISREG(entry->mode)) {
        kind = 'f';
        sum = file_checksum(run, path, entry->size_bytes);
    }
    /* A directory's size is the file system's business, and a link's mode is too. */
    fprintf(out,
            "%c %016" PRIx64 " %04o %lld %s\n",
            kind,
            sum,
            S_ISLNK(entry->mode) ? 0777 : (unsigned)(entry->mode & 07777),
            S_ISDIR(entry->mode) ? 0LL : (long long)entry->size_bytes,
            entry->path);
    free(path);
}

static void
directory_write(struct run *run, size_t number, const char *text, size_t len)
{
    char *path;
    int fd;

    if (asprintf(&path, "%s/sums/%06zu.txt", run->output, number) < 0)
        die("out of memory");
    fd = open_or_die(path, O_WRONLY | O_CREAT | O_TRUNC);
    write_exactly(run, fd, text, len, 0, path);
    close_or_die(fd, path);
    free(path);
}

/* Entries of one directory are not neighbours in the tree (its subdirectories' lie
 * between), so a rank collects its directories' texts and writes them at the end. */
static void phase_checksums(struct run *run, const struct tree *tree)
{
    size_t i, number, ranks = (size_t)run->ranks;
    struct text {
        char *data;
        size_t len;
        FILE *out;
    } *texts = calloc(tree->directories, sizeof(*texts));

    if (!texts)
        die("out of memory");
    for (number = (size_t)run->rank; number < tree->directories; number += ranks) {
        texts[number].out = open_memstream(&texts[number].data, &texts[number].len);
        if (!texts[number].out)
            die("out of memory");
    }
    for (i = 0; i < tree->count; i++) {
        number = tree->entries[i].directory;
        if (texts[number].out)
            entry_report(run, &tree->entries[i], texts[number].out);
    }
    for (number = (size_t)run->rank; number < tree->directories; number += ranks) {
        if (fclose(texts[number].out) != 0)
            die("out of memory");
        directory_write(run, number, texts[number].data, texts[number].len);
        free(texts[number].data);
    }
    free(texts);
}

/* ---- phase 2: big files, a transformed copy of each, written by all ranks ---- */

/* Reads one range, returns its checksum and writes it transformed to the same place. */
static uint64_t range_convert(
    struct run *run, int in, int out, off_t begin, off_t end, const char *path)
{
    uint64_t sum = checksum_start;
    size_t len;

    for (; begin < end; begin += (off_t)len) {
        len = end - begin < (off_t)BUFFER_BYTES ? (size_t)(end - begin) : BUFFER_BYTES;
        read_exactly(run, in, run->buffer, len, begin, path);
        sum = checksum_update(sum, run->buffer, len);
        transform(run->buffer, len);
        write_exactly(run, out, run->buffer, len, begin, path);
    }
    return sum;
}

/* Rank 0 knows all ranges' sums and writes them down. */
static void big_file_report(struct run *run,
                            const struct entry *entry,
                            const char *target,
                            const uint64_t *sums,
                            size_t ranges)
{
    char *path = join(target, "sum"), line[64];
    uint64_t sum =
        checksum_update(checksum_start, (const char *)sums, ranges * sizeof(*sums));
    int len, fd = open_or_die(path, O_WRONLY | O_CREAT | O_TRUNC);

    len = snprintf(
        line, sizeof(line), "%016" PRIx64 " %lld ", sum, (long long)entry->size_bytes);
    write_exactly(run, fd, line, (size_t)len, 0, path);
    write_exactly(run, fd, entry->path, strlen(entry->path), len, path);
    close_or_die(fd, path);
    free(path);
}

/* One rank makes the directory and the file in it, which all then open. */
static char *big_file_create(struct run *run, size_t index, off_t size_bytes)
{
    char *target, *copy;
    int fd;

    if (asprintf(&target, "%s/big-%06zu", run->output, index) < 0)
        die("out of memory");
    if (run->rank == 0) {
        make_directory(target);
        copy = join(target, "copy");
        fd = open_or_die(copy, O_WRONLY | O_CREAT | O_TRUNC);
        if (ftruncate(fd, size_bytes) != 0)
            die("truncate %s: %s", copy, strerror(errno));
        close_or_die(fd, copy);
        free(copy);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    return target;
}

static void big_file_convert(struct run *run, const struct entry *entry, size_t index)
{
    size_t i, ranges = (size_t)((entry->size_bytes + RANGE_BYTES - 1) / RANGE_BYTES);
    char *target = big_file_create(run, index, entry->size_bytes);
    char *path = join(run->input, entry->path), *copy = join(target, "copy");
    uint64_t *mine = calloc(ranges, sizeof(*mine)), *all = calloc(ranges, sizeof(*all));
    int in = open_or_die(path, O_RDONLY), out = open_or_die(copy, O_WRONLY);
    off_t begin, end;

    if (!mine || !all)
        die("out of memory");
    for (i = (size_t)run->rank; i < ranges; i += (size_t)run->ranks) {
        begin = (off_t)i * RANGE_BYTES;
        end = begin + RANGE_BYTES < entry->size_bytes ? begin + RANGE_BYTES
                                                      : entry->size_bytes;
        mine[i] = range_convert(run, in, out, begin, end, path);
    }
    close_or_die(in, path);
    close_or_die(out, copy);
    MPI_Reduce(mine, all, (int)ranges, MPI_UINT64_T, MPI_BXOR, 0, MPI_COMM_WORLD);
    if (run->rank == 0)
        big_file_report(run, entry, target, all, ranges);
    free(mine);
    free(all);
    free(copy);
    free(path);
    free(target);
}

static void phase_big_files(struct run *run, const struct tree *tree)
{
    for (size_t i = 0; i < tree->count; i++)
        if (entry_is_big(&tree->entries[i]))
            big_file_convert(run, &tree->entries[i], i);
}

/* ---- phase 3: ranks exchange files ---- */

static void block_fill(char *data, int block)
{
    uint64_t word = UINT64_C(0x9e3779b97f4a7c15) * (uint64_t)(block + 1);

    for (size_t i = 0; i + sizeof(word) <= EXCHANGE_BYTES; i += sizeof(word)) {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        memcpy(data + i, &word, sizeof(word));
    }
}

static char *block_path(const char *directory, int block, const char *suffix)
{
    char *path;

    if (asprintf(&path, "%s/exchange/block-%02d%s", directory, block, suffix) < 0)
        die("out of memory");
    return path;
}

/* Written under another name and renamed: what stands at the name is complete. */
static void
block_publish(struct run *run, const char *directory, int block, const char *data)
{
    char *part = block_path(directory, block, ".part");
    char *path = block_path(directory, block, "");
    int fd = open_or_die(part, O_WRONLY | O_CREAT | O_TRUNC);

    write_exactly(run, fd, data, EXCHANGE_BYTES, 0, part);
    close_or_die(fd, part);
    if (rename(part, path) != 0)
        die("rename %s to %s: %s", part, path, strerror(errno));
    free(part);
    free(path);
}

static void block_verify(struct run *run, int block, int writer)
{
    char *path = block_path(run->shared, block, ""),
         *expected = run->buffer + EXCHANGE_BYTES;
    int fd = open_or_die(path, O_RDONLY);
    struct stat st;

    if (fstat(fd, &st) != 0)
        die("stat %s: %s", path, strerror(errno));
    if (st.st_size != (off_t)EXCHANGE_BYTES)
        die("%s of rank %d: has %lld bytes, not %zu",
            path,
            writer,
            (long long)st.st_size,
            EXCHANGE_BYTES);
    read_exactly(run, fd, run->buffer, EXCHANGE_BYTES, 0, path);
    close_or_die(fd, path);
    block_fill(expected, block);
    if (memcmp(run->buffer, expected, EXCHANGE_BYTES) != 0)
        die("%s of rank %d on %s: not what that rank wrote",
            path,
            writer,
            run->hosts[writer]);
    free(path);
}

/* The next rank on another node than rank `writer`; the next rank if there is none. */
static int far_reader(const struct run *run, int writer)
{
    for (int i = 1; i < run->ranks; i++) {
        int rank = (writer + i) % run->ranks;
        if (strcmp(run->hosts[rank], run->hosts[writer]) != 0)
            return rank;
    }
    return (writer + 1) % run->ranks;
}

/* The writer's neighbour and a rank of another node verify each block; the latter also
 * writes what it read, transformed, to the output. Returns the blocks it read from
 * afar. */
static int blocks_read(struct run *run)
{
    int block, writer, from_afar = 0;

    for (block = 0; block < EXCHANGE_BLOCKS; block++) {
        writer = block % run->ranks;
        if ((writer + 1) % run->ranks == run->rank)
            block_verify(run, block, writer);
        if (far_reader(run, writer) != run->rank)
            continue;
        block_verify(run, block, writer);
        from_afar += strcmp(run->hosts[writer], run->hosts[run->rank]) != 0;
        transform(run->buffer, EXCHANGE_BYTES);
        block_publish(run, run->output, block, run->buffer);
    }
    return from_afar;
}

/* Returns how many blocks went from one node to another (on rank 0). */
static int phase_exchange(struct run *run)
{
    char *path, *directory = join(run->shared, "exchange");
    int block, mine, all = 0;

    if (run->rank == 0)
        make_directory(directory);
    MPI_Barrier(MPI_COMM_WORLD);
    for (block = run->rank; block < EXCHANGE_BLOCKS; block += run->ranks) {
        block_fill(run->buffer, block);
        block_publish(run, run->shared, block, run->buffer);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    mine = blocks_read(run);
    MPI_Reduce(&mine, &all, 1, MPI_INT, MPI_SUM, 0, MPI_COMM_WORLD);
    MPI_Barrier(MPI_COMM_WORLD);
    for (block = run->rank; block < EXCHANGE_BLOCKS; block += run->ranks) {
        path = block_path(run->shared, block, "");
        if (unlink(path) != 0)
            die("unlink %s: %s", path, strerror(errno));
        free(path);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    if (run->rank == 0 && rmdir(directory) != 0)
        die("rmdir %s: %s", directory, strerror(errno));
    if (run->rank == 0 && run->is_shared_default && rmdir(run->shared) != 0)
        die("rmdir %s: %s", run->shared, strerror(errno));
    free(directory);
    return all;
}

/* ---- the whole ---- */

static void run_init(struct run *run, char **argv, int argc)
{
    char name[MPI_MAX_PROCESSOR_NAME] = "";
    int len;

    *run = (struct run){.input = argv[1], .output = argv[2]};
    run->is_shared_default = argc == 3;
    run->shared =
        run->is_shared_default ? join(run->output, ".shared") : strdup(argv[3]);
    MPI_Comm_rank(MPI_COMM_WORLD, &run->rank);
    MPI_Comm_size(MPI_COMM_WORLD, &run->ranks);
    run->buffer = malloc(BUFFER_BYTES);
    run->hosts = calloc((size_t)run->ranks, sizeof(*run->hosts));
    if (!run->shared || !run->buffer || !run->hosts)
        die("out of memory");
    MPI_Get_processor_name(name, &len);
    MPI_Allgather(name,
                  sizeof(name),
                  MPI_CHAR,
                  run->hosts,
                  sizeof(name),
                  MPI_CHAR,
                  MPI_COMM_WORLD);
}

static void output_prepare(const struct run *run)
{
    char *path;

    if (run->rank == 0) {
        make_directory(run->output);
        make_directory(run->shared);
        path = join(run->output, "sums");
        make_directory(path);
        free(path);
        path = join(run->output, "exchange");
        make_directory(path);
        free(path);
    }
    MPI_Barrier(MPI_COMM_WORLD);
}

static int hosts_count(const struct run *run)
{
    int i, j, count = 0;

    for (i = 0; i < run->ranks; i++) {
        for (j = 0; j < i && strcmp(run->hosts[i], run->hosts[j]) != 0; j++)
            ;
        count += j == i;
    }
    return count;
}

static void
report(struct run *run, const struct tree *tree, const double *times, int from_afar)
{
    uint64_t mine[2] = {run->bytes_read, run->bytes_written}, all[2];
    const double mib = 1 << 20;

    MPI_Reduce(mine, all, 2, MPI_UINT64_T, MPI_SUM, 0, MPI_COMM_WORLD);
    if (run->rank != 0)
        return;
    printf("mpi_tree: %d ranks on %d nodes\n", run->ranks, hosts_count(run));
    printf("mpi_tree: walk: %zu entries in %zu directories, %.2f s\n",
           tree->count,
           tree->directories,
           times[1] - times[0]);
    printf("mpi_tree: checksums: %.2f s\n", times[2] - times[1]);
    printf("mpi_tree: big files: %.2f s\n", times[3] - times[2]);
    printf("mpi_tree: exchange: %d blocks, %d of them between nodes, %.2f s\n",
           EXCHANGE_BLOCKS,
           from_afar,
           times[4] - times[3]);
    printf("mpi_tree: read %.0f MiB, wrote %.0f MiB in %.2f s\n",
           (double)all[0] / mib,
           (double)all[1] / mib,
           times[4] - times[0]);
}

static double time_all_ranks(void)
{
    MPI_Barrier(MPI_COMM_WORLD);
    return MPI_Wtime();
}

int main(int argc, char **argv)
{
    struct tree tree = {0};
    struct run run;
    double times[5];
    int from_afar;

    MPI_Init(&argc, &argv);
    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: mpi_tree INPUT_DIR OUTPUT_DIR [SHARED_DIR]\n");
        MPI_Abort(MPI_COMM_WORLD, 2);
    }
    run_init(&run, argv, argc);
    output_prepare(&run);
    times[0] = time_all_ranks();
    tree_walk(&tree, AT_FDCWD, run.input, "");
    times[1] = time_all_ranks();
    phase_checksums(&run, &tree);
    times[2] = time_all_ranks();
    phase_big_files(&run, &tree);
    times[3] = time_all_ranks();
    from_afar = phase_exchange(&run);
    times[4] = time_all_ranks();
    report(&run, &tree, times, from_afar);
    tree_free(&tree);
    free(run.hosts);
    free(run.buffer);
    free(run.shared);
    MPI_Finalize();
    return 0;
}
