/* SPDX-License-Identifier: Apache-2.0
 * The journal of a durable store, after whatever the disk has made of it: read up to
 * what is whole, or refused. */
#include "fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "store/journal.h"

static char directory[] = "/dev/shm/benchfs-fuzz-XXXXXX";

static void file_path(char *ret, size_t size)
{
    snprintf(ret, size, "%s/journal", directory);
}

static void directory_remove(void)
{
    char path[64];

    file_path(path, sizeof(path));
    unlink(path);
    rmdir(directory);
}

static int each(void *arg, const struct journal_record *record)
{
    uint8_t *sum = arg;

    if (record->db < 0)
        return 0;
    for (size_t i = 0; i < record->key_size; i++)
        *sum ^= record->key[i];
    for (size_t i = 0; i < record->value_size; i++)
        *sum ^= record->value[i];
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t boot[JOURNAL_BOOT_SIZE] = "this boot";
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct journal *journal;
    bool is_intact;
    uint8_t sum = 0;
    char path[64];
    int fd;

    if (strstr(directory, "XXXXXX")) {
        FUZZ_CHECK(mkdtemp(directory));
        atexit(directory_remove);
    }
    file_path(path, sizeof(path));
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    FUZZ_CHECK(fd >= 0);
    FUZZ_CHECK(write(fd, data, size) == (ssize_t)size);
    close(fd);
    if (journal_open(directory, boot, &journal, &is_intact, &err)) {
        FUZZ_CHECK(err.code != 0 && err.text[0] != '\0');
        return 0;
    }
    if (journal_replay(journal, each, &sum) == 0) {
        FUZZ_CHECK(journal_length(journal) <= size || journal_is_empty(journal));
        /* what was written after it is there the next time */
        FUZZ_CHECK(journal_put(journal, 1, "key", 3, "value", 5) == 0);
        FUZZ_CHECK(journal_append(journal, 1) == 0);
        FUZZ_CHECK(journal_adopt(journal) == 0);
        size = journal_length(journal);
        FUZZ_CHECK(journal_replay(journal, each, &sum) == 0);
        FUZZ_CHECK(journal_length(journal) <= size);
    }
    journal_close(journal);
    return 0;
}
