/* SPDX-License-Identifier: Apache-2.0
 *
 * Many clients of one service in one process: AT_ONCE of them, each with a file of its
 * own open, all in random turns; then others, until there have been TOTAL. Each
 * operation must succeed, whatever the daemons' limit of connections, and what a client
 * has open stays open. usage: manyclients TOTAL AT_ONCE ROUNDS [DIRECTORY]
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <benchfs/benchfs.h>

struct one {
    struct benchfs *fs;
    int fd;
    uint64_t written; /* of how often, the content */
    unsigned number;
};

static const char *directory = "/many";
static uint64_t random_state = 88172645463325252u;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static void die(const struct one *one, const char *what, long status)
{
    fprintf(stderr,
            "manyclients: client %u: %s: %s\n",
            one->number,
            what,
            status < 0 ? strerror((int)-status) : "wrong");
    exit(1);
}

static void path_of(const struct one *one, char path[64])
{
    snprintf(path, 64, "%.40s/%u", directory, one->number);
}

/* Its name is removed at once: only the open descriptor keeps the file. */
static void one_start(struct one *one, unsigned number)
{
    char path[64], text[256] = "";
    struct benchfs_options options;
    int rc;

    *one = (struct one){.number = number};
    benchfs_options_init(&options);
    options.error = text;
    options.error_size = sizeof(text);
    rc = benchfs_init(&one->fs, &options);
    if (rc)
        die(one, text, rc);
    path_of(one, path);
    one->fd = benchfs_open(one->fs, path, O_CREAT | O_EXCL | O_RDWR, 0644);
    if (one->fd < 0)
        die(one, "create", one->fd);
    rc = benchfs_unlink(one->fs, path);
    if (rc)
        die(one, "unlink", rc);
}

static void one_turn(struct one *one)
{
    uint64_t value[2] = {one->number, ++one->written}, back[2];
    ssize_t n = benchfs_pwrite(one->fs, one->fd, value, sizeof(value), 100);

    if (n != (ssize_t)sizeof(value))
        die(one, "write", n);
    n = benchfs_pread(one->fs, one->fd, back, sizeof(back), 100);
    if (n != (ssize_t)sizeof(back) || memcmp(back, value, sizeof(back)) != 0)
        die(one, "read", n);
}

static void one_end(struct one *one)
{
    struct stat st;
    int rc = benchfs_fstat(one->fs, one->fd, &st);

    if (rc || st.st_nlink != 0 || st.st_size != 116)
        die(one, "attributes", rc);
    rc = benchfs_close(one->fs, one->fd);
    if (rc)
        die(one, "close", rc);
    rc = benchfs_fini(one->fs);
    if (rc)
        die(one, "end", rc);
}

static void descriptors_allow(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv)
{
    unsigned total, at_once, rounds, number = 0;
    struct benchfs *fs;
    struct one *all;

    if (argc != 4 && argc != 5)
        return 2;
    if (argc == 5)
        directory = argv[4];
    total = (unsigned)strtoul(argv[1], NULL, 10);
    at_once = (unsigned)strtoul(argv[2], NULL, 10);
    rounds = (unsigned)strtoul(argv[3], NULL, 10);
    descriptors_allow();
    if (benchfs_init(&fs, NULL) || benchfs_mkdir(fs, directory, 0755))
        return 1;
    all = at_once > 0 ? calloc(at_once, sizeof(*all)) : NULL;
    if (!all)
        return 2;
    for (unsigned i = 0; i < at_once; i++)
        one_start(&all[i], number++);
    for (unsigned i = 0; i < at_once * rounds; i++)
        one_turn(&all[next_random() % at_once]);
    for (unsigned i = 0; i < at_once; i++)
        one_turn(&all[i]);
    while (number < total) { /* one goes, another comes */
        struct one *one = &all[next_random() % at_once];

        one_end(one);
        one_start(one, number++);
        one_turn(one);
    }
    for (unsigned i = 0; i < at_once; i++)
        one_end(&all[i]);
    free(all);
    if (benchfs_rmdir(fs, directory) || benchfs_fini(fs))
        return 1;
    printf("%u clients, %u at once\n", number, at_once);
    return 0;
}
