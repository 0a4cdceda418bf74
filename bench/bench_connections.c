/* SPDX-License-Identifier: Apache-2.0
 *
 * Many clients in one process, each of which asks for one file's attributes: the first
 * time, which connects it with the file's target, and then in turns.
 * usage: bench_connections CLIENTS TURNS PATH READY GO
 * Makes READY when all are connected, and ends when there is GO. Prints a line of JSON:
 * per client the seconds of the first time, resident bytes and descriptors; the median
 * of a turn's microseconds.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <benchfs/benchfs.h>

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    unsigned long pages[2] = {0};

    if (!file)
        return 0;
    if (fscanf(file, "%lu %lu", &pages[0], &pages[1]) != 2)
        pages[1] = 0;
    fclose(file);
    return (double)pages[1] * (double)sysconf(_SC_PAGESIZE);
}

static double descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    double n = 0;

    if (!dir)
        return 0;
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void die(const char *what, long status)
{
    fprintf(stderr, "bench_connections: %s: %s\n", what, strerror((int)-status));
    exit(1);
}

static void ask(struct benchfs *fs, const char *path)
{
    struct stat st;
    int rc = benchfs_stat(fs, path, &st);

    if (rc)
        die("stat", rc);
}

static struct benchfs *client_make(void)
{
    struct benchfs *fs;
    int rc = benchfs_init(&fs, NULL);

    if (rc)
        die("init", rc);
    return fs;
}

static void wait_for(const char *path)
{
    for (int i = 0; i < 6000 && access(path, F_OK); i++)
        usleep(10000);
}

int main(int argc, char **argv)
{
    size_t n = argc == 6 ? strtoul(argv[1], NULL, 10) : 0;
    size_t turns = argc == 6 ? strtoul(argv[2], NULL, 10) : 0;
    struct benchfs **clients = calloc(n + 1, sizeof(struct benchfs *));
    double *times = calloc(n * turns + 1, sizeof(*times));
    double setup_s, bytes, fds;

    if (n == 0 || turns == 0 || !clients || !times) {
        free(clients);
        free(times);
        return 2;
    }
    /* what the first one makes for all: libraries, and their memory */
    clients[n] = client_make();
    ask(clients[n], argv[3]);
    bytes = resident_bytes();
    fds = descriptors();
    setup_s = now_s();
    for (size_t i = 0; i < n; i++) {
        clients[i] = client_make();
        ask(clients[i], argv[3]);
    }
    setup_s = now_s() - setup_s;
    for (size_t i = 0; i < n * turns; i++) {
        double begin = now_s();

        ask(clients[i % n], argv[3]);
        times[i] = now_s() - begin;
    }
    bytes = resident_bytes() - bytes;
    fds = descriptors() - fds;
    qsort(times, n * turns, sizeof(*times), compare);
    close(open(argv[4], O_WRONLY | O_CREAT, 0600));
    wait_for(argv[5]);
    for (size_t i = 0; i <= n; i++) {
        int rc = benchfs_fini(clients[i]);

        if (rc)
            die("end", rc);
    }
    printf(
        "{\"setup_s\": %.9f, \"latency_us\": %.3f, \"bytes\": %.0f, \"descriptors\": "
        "%.2f}\n",
        setup_s / (double)n,
        times[n * turns / 2] * 1e6,
        bytes / (double)n,
        fds / (double)n);
    free(clients);
    free(times);
    return 0;
}
