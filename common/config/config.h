/* SPDX-License-Identifier: Apache-2.0
 * The configuration: what it holds, and how it is loaded. Options, environment and file
 * share one set of names; the order is option, environment, file, default.
 * docs/config.md describes every setting. */
#ifndef BENCHFS_CONFIG_CONFIG_H
#define BENCHFS_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/log.h"

#define CONFIG_FILE_DEFAULT "/etc/benchfs/benchfs.json"
#define CONFIG_FILE_ENV     "BENCHFS_CONFIG"

enum config_connection_mode {
    CONFIG_CONNECTION_SOCKET,
    CONFIG_CONNECTION_ADDRESS,
};

/* One directive SRC:DST; both paths are absolute and normal (no "//", ".", "..", no
 * slash at the end). The scratch side counts from the root of the scratch. A source may
 * be a glob. */
struct config_stage {
    char *source;
    char *target;
};

struct config_stage_list {
    struct config_stage *items;
    size_t count;
};

/* Never changes after it was loaded; any thread may read it. Strings are never NULL; a
 * text that is not set is empty. */
struct benchfs_config {
    bool enable;
    char *mount;
    char *store;               /* "memory", "disk" or a directory: config_store_dir() */
    uint64_t capacity_bytes;   /* per node; 0: auto, half of the store's free space */
    uint64_t chunk_size_bytes; /* a power of two */
    struct config_stage_list stage_in;
    struct config_stage_list stage_out;
    char *report;    /* file, or empty */
    uint64_t shards; /* per daemon; 0: auto, config_shard_count() */
    char *memory_dir;
    char *disk_dir;
    char *run_dir;
    enum config_connection_mode connection_mode;
    char *interface; /* name or subnet, or empty */
    uint64_t client_limit;
    uint64_t restart_limit; /* of a server process, in a minute */
    uint64_t request_timeout_ms;
    uint64_t connect_timeout_ms;
    uint64_t start_timeout_ms;
    enum log_level log_level;
};

/* A value of the command line: a setting's name ("chunk_size") and its text. */
struct config_option {
    const char *name;
    const char *value;
};

struct config_sources {
    /* In order; a repeated one-value setting takes the last, a list takes all. */
    const struct config_option *options;
    size_t option_count;
    /* NULL: getenv(3). Returns NULL when the variable is not set. */
    const char *(*env_get)(void *context, const char *name);
    void *env_context;
    /* NULL: $BENCHFS_CONFIG, which must exist, or the default, which need not. Given,
     * it must exist. */
    const char *file;
    /* For whatever runs as root, and for what must agree with it (all of a Slurm job):
     * settings that name directories of root's come from the file only, $BENCHFS_CONFIG
     * is ignored, and the file must belong to root and be writable by nobody else. */
    bool is_privileged;
};

/* Reads all sources, checks everything, and only then hands out the result. On failure
 * (-EINVAL, -ENOMEM, or what reading the file gives) err names source, setting, value
 * and reason in one line. config_destroy() the result. */
int config_load(const struct config_sources *sources,
                struct benchfs_config **ret_config,
                struct benchfs_error *err);

/* The defaults alone. */
int config_default(struct benchfs_config **ret_config, struct benchfs_error *err);

/* NULL is fine. */
void config_destroy(struct benchfs_config *config);

/* All settings as one JSON object (free() it), which config_from_json_string() turns
 * into the same configuration; it is also valid as a configuration file. Return 0 or
 * -errno. The text read back may set everything, so never give a root part one of a
 * user's. */
int config_to_json_string(const struct benchfs_config *config,
                          bool is_pretty,
                          char **ret_text);
int config_from_json_string(const char *text,
                            struct benchfs_config **ret_config,
                            struct benchfs_error *err);

/* The name of the first setting that differs, or NULL when all are the same. Without
 * memory it may name one that doesn't. */
const char *config_difference(const struct benchfs_config *a,
                              const struct benchfs_config *b);

/* The directory that `store` stands for. Belongs to the configuration. */
const char *config_store_dir(const struct benchfs_config *config);
/* Whether fsync means the disk: not of the store in memory. */
bool config_store_is_durable(const struct benchfs_config *config);

/* Shards of a daemon on a node with so many CPUs: as set, or 1 to 4, one per 8 CPUs. */
unsigned config_shard_count(const struct benchfs_config *config, unsigned cpus);

#endif
