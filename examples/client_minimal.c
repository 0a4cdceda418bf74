/* SPDX-License-Identifier: Apache-2.0
 *
 * The smallest program on libbenchfs: writes a file to the job's burst buffer with
 * several transfers under way at once, reads it back, and lists the root directory.
 *
 *   cc client_minimal.c $(pkg-config --cflags --libs benchfs) -o client_minimal
 */
#include <benchfs/benchfs.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARTS     4
#define PART_SIZE ((size_t)8 << 20)

static int check(const char *what, ssize_t result)
{
    if (result < 0)
        fprintf(stderr, "client_minimal: %s: %s\n", what, strerror((int)-result));
    return result < 0 ? -1 : 0;
}

static int write_parts(struct benchfs *fs, int fd, const char *data)
{
    struct benchfs_request *requests[PARTS];
    int status = 0;
    int n = 0;

    while (n < PARTS && status == 0) {
        size_t at = (size_t)n * PART_SIZE;

        status = check("write",
                       benchfs_pwrite_async(
                           fs, fd, data + at, PART_SIZE, (off_t)at, &requests[n]));
        if (status == 0)
            n++;
    }
    /* here a program would compute */
    for (int i = 0; i < n; i++) {
        if (check("write", benchfs_wait(requests[i])) < 0)
            status = -1;
    }
    return status;
}

static int write_and_read(struct benchfs *fs, char *data, char *back)
{
    const size_t size = PARTS * PART_SIZE;
    int status;
    int fd = benchfs_open(fs, "/minimal.dat", O_CREAT | O_TRUNC | O_RDWR, 0644);

    if (check("/minimal.dat", fd) < 0)
        return -1;
    for (size_t i = 0; i < size; i++)
        data[i] = (char)(i * 31 + i / 4096);
    status = write_parts(fs, fd, data);
    if (status == 0)
        status = check("read", benchfs_pread(fs, fd, back, size, 0));
    if (status == 0 && memcmp(data, back, size) != 0) {
        fprintf(stderr, "client_minimal: what was read is not what was written\n");
        status = -1;
    }
    if (check("close", benchfs_close(fs, fd)) < 0)
        status = -1;
    return status;
}

static int list(struct benchfs *fs, const char *path)
{
    struct benchfs_dir *dir;
    struct dirent entry;
    int status = benchfs_opendir(fs, path, &dir);

    if (check(path, status) < 0)
        return -1;
    while ((status = benchfs_readdir(dir, &entry)) > 0)
        printf("%s\n", entry.d_name);
    benchfs_closedir(dir);
    return check(path, status);
}

int main(void)
{
    struct benchfs_options options;
    char error[256] = "";
    char *memory = malloc(2 * PARTS * PART_SIZE);
    struct benchfs *fs;
    int status;

    if (!memory)
        return 1;
    benchfs_options_init(&options);
    options.error = error;
    options.error_size = sizeof(error);
    if (benchfs_init(&fs, &options) < 0) {
        fprintf(stderr, "client_minimal: %s\n", error);
        free(memory);
        return 1;
    }
    status = write_and_read(fs, memory, memory + PARTS * PART_SIZE);
    if (status == 0)
        status = list(fs, "/");
    if (check("end", benchfs_fini(fs)) < 0)
        status = -1;
    free(memory);
    return status < 0 ? 1 : 0;
}
