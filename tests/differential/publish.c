/* SPDX-License-Identifier: Apache-2.0
 * Files whose content follows from their first 24 bytes: rank, generation, length.
 */
#include "publish.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rng.h"

enum { CONTENT_MAX = 300000, HEADER = 3 };

static size_t content_make(uint64_t rank, uint64_t generation, uint8_t *buf)
{
    struct rng rng = {.state = rank << 32 ^ generation};
    uint64_t header[HEADER] = {rank, generation, 0};
    size_t len = sizeof header + rng_below(&rng, CONTENT_MAX - sizeof header);

    header[2] = len;
    memcpy(buf, header, sizeof header);
    rng_fill(rng_next(&rng), buf + sizeof header, len - sizeof header);
    return len;
}

static void path_of(const char *dir, unsigned rank, const char *suffix, char path[4096])
{
    snprintf(path, 4096, "%s/published.%u%s", dir, rank, suffix);
}

static int fail(const char *path, const char *what)
{
    printf("DIFFERENCE %s: %s\n", path, what);
    fflush(stdout);
    return 1;
}

static int publish(struct publisher *publisher, uint8_t *buf)
{
    char path[4096], fresh[4096];
    size_t len = content_make(publisher->rank, ++publisher->generation, buf), done = 0;
    int fd;

    path_of(publisher->dir, publisher->rank, "", path);
    path_of(publisher->dir, publisher->rank, ".new", fresh);
    fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd < 0)
        return fail(fresh, strerrorname_np(errno));
    while (done < len) {
        ssize_t n = write(fd, buf + done, len - done < 70001 ? len - done : 70001);

        if (n <= 0)
            break;
        done += (size_t)n;
    }
    if (close(fd) != 0 || done < len)
        return fail(fresh, "can't be written");
    return rename(fresh, path) != 0 ? fail(path, strerrorname_np(errno)) : 0;
}

/* bufs: what is read, and what it should be. */
static int published_check(struct publisher *publisher, unsigned rank, uint8_t *bufs[2])
{
    char path[4096];
    uint64_t header[HEADER];
    size_t done = 0;
    int fd;

    path_of(publisher->dir, rank, "", path);
    fd = open(path, O_RDONLY);
    if (fd < 0)
        return errno == ENOENT && publisher->seen[rank] == 0
                   ? 0
                   : fail(path, strerrorname_np(errno));
    for (ssize_t n = 1; n > 0 && done<CONTENT_MAX; done += n> 0 ? (size_t)n : 0) {
        n = read(fd, bufs[0] + done, CONTENT_MAX - done);
        if (n < 0) {
            close(fd);
            return fail(path, strerrorname_np(errno));
        }
    }
    close(fd);
    if (done < sizeof header)
        return fail(path, "shorter than its header");
    memcpy(header, bufs[0], sizeof header);
    if (header[0] != rank || header[2] != done)
        return fail(path, "its header does not fit");
    if (content_make(rank, header[1], bufs[1]) != done
        || memcmp(bufs[0], bufs[1], done) != 0)
        return fail(path, "other content than was written");
    if (header[1] < publisher->seen[rank])
        return fail(path, "an older file than was seen before");
    publisher->seen[rank] = header[1];
    return 0;
}

int publisher_round(struct publisher *publisher)
{
    uint8_t *bufs[2] = {malloc(CONTENT_MAX), malloc(CONTENT_MAX)};
    int status = bufs[0] && bufs[1] ? publish(publisher, bufs[0]) : 1;

    for (unsigned rank = 0;
         status == 0 && rank < publisher->n_ranks && rank < PUBLISH_RANKS_MAX;
         rank++)
        status = published_check(publisher, rank, bufs);
    free(bufs[0]);
    free(bufs[1]);
    return status;
}

void publish_clear(const char *dir, unsigned n_ranks)
{
    for (unsigned rank = 0; rank < n_ranks; rank++) {
        char path[4096];

        path_of(dir, rank, "", path);
        unlink(path);
        path_of(dir, rank, ".new", path);
        unlink(path);
    }
}
