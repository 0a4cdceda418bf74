/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/survey.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/table.h"
#include "daemon/claim.h"
#include "daemon/intent.h"
#include "store/store_check.h"

#define PRINT_SPACE (256u << 10)

/* Positive: does not fit any more. */
static int record_put(struct survey *survey, const struct survey_record *record)
{
    struct wire_writer *w = &survey->writer;
    size_t start = w->length;

    survey_record_put(w, record);
    if (w->failed) {
        w->failed = false;
        w->length = start;
        return 1;
    }
    survey->n_records++;
    return 0;
}

static int inode_put(struct survey *survey, const struct store_inode *inode)
{
    bool is_open = survey->is_open && survey->is_open(survey->arg, inode->ino);

    return record_put(survey,
                      &(struct survey_record){
                          .table = SURVEY_INODES,
                          .ino = inode->ino,
                          .parent = inode->parent,
                          .size = inode->size,
                          .mode = inode->mode,
                          .nlink = inode->nlink,
                          .chunk_size = inode->chunk_size,
                          .base = inode->base,
                          .layout = inode->layout,
                          .is_open = is_open,
                      });
}

/* ---- what is pending */

static int pending_inode(void *arg, uint64_t ino)
{
    return record_put(arg,
                      &(struct survey_record){.table = SURVEY_PENDING, .ino = ino});
}

static int pending_entry(void *arg, uint64_t dir, struct wire_text name)
{
    return record_put(
        arg,
        &(struct survey_record){.table = SURVEY_PENDING, .parent = dir, .name = name});
}

static int claim_put_pending(struct survey *survey, const struct store_claim *claim)
{
    return claim->kind == CLAIM_LOCK ? 0 : pending_inode(survey, claim->id);
}

/* An intent comes whole or not at all. */
static int intent_put_pending(struct survey *survey, const struct store_record *record)
{
    uint32_t n = survey->n_records;
    size_t start = survey->writer.length;
    int rc = intent_survey(
        record->intent, record->intent_len, pending_inode, pending_entry, survey);

    if (rc > 0) {
        survey->n_records = n;
        survey->writer.length = start;
    }
    return rc;
}

/* ---- tables */

static int each(void *arg, const struct store_record *record)
{
    struct survey *survey = arg;
    struct survey_record out = {.table = (uint8_t)survey->table, .ino = record->ino};

    switch (record->table) {
    case STORE_TABLE_INODES:
        return inode_put(survey, &record->inode);
    case STORE_TABLE_DENTRIES:
        out.parent = record->ino;
        out.ino = record->entry.ino;
        out.mode = record->entry.type;
        out.name = (struct wire_text){record->entry.name, record->entry.name_len};
        break;
    case STORE_TABLE_DIRPARTS:
        out.size = record->part.n_entries;
        out.mode = record->part.is_sealed;
        break;
    case STORE_TABLE_CHUNKS:
        out.parent = record->chunk;
        out.size = record->chunk_end;
        break;
    case STORE_TABLE_DIRMEMBERS:
        out.base = record->member;
        break;
    case STORE_TABLE_CLAIMS:
        return claim_put_pending(survey, &record->claim);
    case STORE_TABLE_INTENTS:
        return intent_put_pending(survey, record);
    default:
        break;
    }
    return record_put(survey, &out);
}

static void fault_put(void *arg, const char *text)
{
    struct survey_record record = {
        .table = SURVEY_FAULTS,
        .name = {text, (uint16_t)strnlen(text, WIRE_TEXT_MAX)},
    };

    (void)record_put(arg, &record); /* those that fit are enough */
}

static int faults_fill(struct survey *survey)
{
    int rc = store_check(survey->store, fault_put, survey);

    return rc == -EUCLEAN ? 0 : rc;
}

int survey_fill(struct survey *survey)
{
    static const enum store_table tables[] = {
        [SURVEY_INODES] = STORE_TABLE_INODES,
        [SURVEY_DENTRIES] = STORE_TABLE_DENTRIES,
        [SURVEY_DIRPARTS] = STORE_TABLE_DIRPARTS,
        [SURVEY_CHUNKS] = STORE_TABLE_CHUNKS,
        [SURVEY_ORPHANS] = STORE_TABLE_ORPHANS,
        [SURVEY_PENDING] = STORE_TABLE_CLAIMS,
        [SURVEY_MEMBERS] = STORE_TABLE_DIRMEMBERS,
    };
    enum store_table table;
    int rc;

    if (survey->table == SURVEY_FAULTS)
        return faults_fill(survey);
    table = survey->part ? STORE_TABLE_INTENTS : tables[survey->table];
    rc = store_survey(survey->store, table, &survey->position, each, survey);
    if (rc == 0 && survey->table == SURVEY_PENDING && survey->part == 0) {
        survey->part = 1;
        return 1;
    }
    return rc;
}

/* ---- without a service */

static int chunk_print(uint32_t target, const struct survey *survey)
{
    uint8_t head[8];
    struct wire_writer w = {.data = head, .capacity = sizeof(head)};

    wire_put_u32(&w, target);
    wire_put_u32(&w, (uint32_t)survey->writer.length);
    if (fwrite(head, sizeof(head), 1, stdout) != 1
        || fwrite(survey->writer.data, 1, survey->writer.length, stdout)
               != survey->writer.length)
        return -EIO;
    return 0;
}

static int
open_note(void *arg, uint64_t client, uint64_t ino, const struct store_open *open)
{
    int rc = table_put(arg, ino, arg);

    (void)client;
    (void)open;
    return rc == -EEXIST ? 0 : rc;
}

static bool is_open_stored(void *arg, uint64_t ino)
{
    return table_get(arg, ino) != NULL;
}

static int
store_print(struct store *store, uint32_t target, struct table *opens, uint8_t *buffer)
{
    int rc = store_open_scan(store, open_note, opens);

    for (int table = 0; rc == 0 && table < SURVEY_N_TABLES; table++) {
        struct survey survey = {.store = store,
                                .table = (enum survey_table)table,
                                .is_open = is_open_stored,
                                .arg = opens};

        do {
            survey.writer =
                (struct wire_writer){.data = buffer, .capacity = PRINT_SPACE};
            rc = survey_fill(&survey);
            if (rc >= 0 && survey.writer.length > 0 && chunk_print(target, &survey))
                rc = -EIO;
        } while (rc > 0);
    }
    return rc;
}

static int directory_print(const char *path, struct benchfs_error *err)
{
    struct store_config config = {.directory = path};
    uint8_t *buffer = malloc(PRINT_SPACE);
    struct store *store = NULL;
    struct table opens;
    char *job = NULL;
    int rc = buffer ? store_identify(&config, &job, err)
                    : benchfs_error_set(err, ENOMEM, "out of memory");

    table_init(&opens);
    if (rc == 0)
        rc = store_open(&config, &store, err);
    if (rc == 0) {
        rc = store_txn_begin(store);
        if (rc == 0)
            rc = store_print(store, config.target, &opens, buffer);
        if (rc)
            benchfs_error_set(err, -rc, "%s: %s", path, strerror(-rc));
    }
    store_close(store);
    table_fini(&opens);
    free(job);
    free(buffer);
    return rc;
}

int survey_print(const char *directory)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    char path[PATH_MAX];
    struct stat st;
    unsigned n = 0;

    for (;; n++) {
        snprintf(path, sizeof(path), "%s/shard-%u", directory, n);
        if (stat(path, &st) < 0)
            break;
        if (directory_print(path, &err)) {
            log_error("%s", err.text);
            return EXIT_FAILURE;
        }
    }
    if (n == 0)
        log_error("%s: no store of BenchFS", directory);
    return n > 0 && fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
