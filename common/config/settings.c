/* SPDX-License-Identifier: Apache-2.0
 * The table of all settings. schemas/config.schema.json and docs/config.md are checked
 * against it. */
#include "config/settings.h"

#include <string.h>

#include "base/units.h"
#include "config/config.h"
#include "config/types.h"

#define MS_PER_SECOND UINT64_C(1000)
#define MS_PER_HOUR   (3600 * MS_PER_SECOND)

static const char *const connection_modes[] = {"socket", "address", NULL};
static const char *const log_levels[] = {"error", "warn", "info", "debug", NULL};

_Static_assert(LOG_LEVEL_ERROR == 0 && LOG_LEVEL_DEBUG == 3, "order of log_levels");

static const struct config_setting settings[] = {
    {
        .name = "enable",
        .env = "BENCHFS",
        .option = "benchfs",
        .argument = "on|off",
        .default_text = "off",
        .help = "give the job a burst buffer",
        .type = &config_type_boolean,
        .flags = CONFIG_SETTING_OPTION,
        .offset = offsetof(struct benchfs_config, enable),
    },
    {
        .name = "mount",
        .env = "BENCHFS_MOUNT",
        .option = "benchfs-mount",
        .argument = "DIR",
        .default_text = "/benchfs",
        .help = "where tasks see the scratch",
        .type = &config_type_path,
        .flags = CONFIG_SETTING_OPTION,
        .offset = offsetof(struct benchfs_config, mount),
    },
    {
        .name = "store",
        .env = "BENCHFS_STORE",
        .option = "benchfs-store",
        .argument = "memory|disk|DIR",
        .default_text = "memory",
        .help = "what the scratch is made of: memory, local disk or a directory",
        .type = &config_type_store,
        .flags = CONFIG_SETTING_OPTION,
        .offset = offsetof(struct benchfs_config, store),
    },
    {
        .name = "capacity",
        .env = "BENCHFS_CAPACITY",
        .option = "benchfs-capacity",
        .argument = "SIZE|auto",
        .default_text = "auto",
        .help = "size per node; auto is half of the free space of the store",
        .type = &config_type_size,
        .flags = CONFIG_SETTING_OPTION | CONFIG_SETTING_AUTO,
        .offset = offsetof(struct benchfs_config, capacity_bytes),
        .min = UNITS_MIB,
        .max = 1024 * 1024 * UNITS_TIB,
    },
    {
        .name = "chunk_size",
        .env = "BENCHFS_CHUNK_SIZE",
        .option = "benchfs-chunk-size",
        .argument = "SIZE",
        .default_text = "1MiB",
        .help = "how files are cut up: a power of two",
        .type = &config_type_size_power,
        .flags = CONFIG_SETTING_OPTION,
        .offset = offsetof(struct benchfs_config, chunk_size_bytes),
        .min = 64 * UNITS_KIB,
        .max = 64 * UNITS_MIB,
    },
    {
        .name = "stage_in",
        .env = "BENCHFS_STAGE_IN",
        .option = "benchfs-stage-in",
        .argument = "SRC:DST",
        .default_text = "",
        .help = "copy SRC to DST in the scratch before the program starts",
        .type = &config_type_stage,
        .flags = CONFIG_SETTING_OPTION | CONFIG_SETTING_REPEAT,
        .offset = offsetof(struct benchfs_config, stage_in),
    },
    {
        .name = "stage_out",
        .env = "BENCHFS_STAGE_OUT",
        .option = "benchfs-stage-out",
        .argument = "SRC:DST",
        .default_text = "",
        .help = "copy SRC of the scratch to DST after the program's end",
        .type = &config_type_stage,
        .flags = CONFIG_SETTING_OPTION | CONFIG_SETTING_REPEAT,
        .offset = offsetof(struct benchfs_config, stage_out),
    },
    {
        .name = "report",
        .env = "BENCHFS_REPORT",
        .option = "benchfs-report",
        .argument = "FILE",
        .default_text = "",
        .help = "write a JSON report to FILE at the end of the job",
        .type = &config_type_path,
        .flags = CONFIG_SETTING_OPTION,
        .offset = offsetof(struct benchfs_config, report),
    },
    {
        .name = "shards",
        .env = "BENCHFS_SHARDS",
        .argument = "COUNT|auto",
        .default_text = "auto",
        .help = "worker threads per daemon; auto is one per 8 CPUs, 1 to 4",
        .type = &config_type_count,
        .flags = CONFIG_SETTING_AUTO,
        .offset = offsetof(struct benchfs_config, shards),
        .min = 1,
        .max = 64,
    },
    {
        .name = "memory_dir",
        .env = "BENCHFS_MEMORY_DIR",
        .argument = "DIR",
        .default_text = "/dev/shm/benchfs",
        .help = "directory of the memory store",
        .type = &config_type_path,
        .flags = CONFIG_SETTING_PRIVILEGED,
        .offset = offsetof(struct benchfs_config, memory_dir),
    },
    {
        .name = "disk_dir",
        .env = "BENCHFS_DISK_DIR",
        .argument = "DIR",
        .default_text = "/var/tmp/benchfs",
        .help = "directory of the disk store",
        .type = &config_type_path,
        .flags = CONFIG_SETTING_PRIVILEGED,
        .offset = offsetof(struct benchfs_config, disk_dir),
    },
    {
        .name = "run_dir",
        .env = "BENCHFS_RUN_DIR",
        .argument = "DIR",
        .default_text = "/run/benchfs",
        .help = "directory of sockets, mounts and state",
        .type = &config_type_path,
        .flags = CONFIG_SETTING_PRIVILEGED,
        .offset = offsetof(struct benchfs_config, run_dir),
    },
    {
        .name = "connection_mode",
        .env = "BENCHFS_CONNECTION_MODE",
        .argument = "socket|address",
        .default_text = "socket",
        .help = "how clients connect: UCX listener or UCX worker addresses",
        .type = &config_type_choice,
        .offset = offsetof(struct benchfs_config, connection_mode),
        .choices = connection_modes,
    },
    {
        .name = "interface",
        .env = "BENCHFS_INTERFACE",
        .argument = "NAME|SUBNET",
        .default_text = "",
        .help = "network interface the daemons listen on",
        .type = &config_type_interface,
        .offset = offsetof(struct benchfs_config, interface),
    },
    {
        .name = "client_limit",
        .env = "BENCHFS_CLIENT_LIMIT",
        .argument = "COUNT",
        .default_text = "1024",
        .help = "client connections a daemon keeps open",
        .type = &config_type_count,
        .offset = offsetof(struct benchfs_config, client_limit),
        .min = 1,
        .max = 1000000,
    },
    {
        .name = "restart_limit",
        .env = "BENCHFS_RESTART_LIMIT",
        .argument = "COUNT",
        .default_text = "5",
        .help = "times a minute that a daemon is started again when it dies",
        .type = &config_type_count,
        .offset = offsetof(struct benchfs_config, restart_limit),
        .min = 0,
        .max = 1000,
    },
    {
        .name = "request_timeout",
        .env = "BENCHFS_REQUEST_TIMEOUT",
        .argument = "TIME",
        .default_text = "30s",
        .help = "deadline of a request",
        .type = &config_type_duration,
        .offset = offsetof(struct benchfs_config, request_timeout_ms),
        .min = 100,
        .max = 24 * MS_PER_HOUR,
    },
    {
        .name = "connect_timeout",
        .env = "BENCHFS_CONNECT_TIMEOUT",
        .argument = "TIME",
        .default_text = "10s",
        .help = "deadline of connecting to a daemon",
        .type = &config_type_duration,
        .offset = offsetof(struct benchfs_config, connect_timeout_ms),
        .min = 100,
        .max = 24 * MS_PER_HOUR,
    },
    {
        .name = "start_timeout",
        .env = "BENCHFS_START_TIMEOUT",
        .argument = "TIME",
        .default_text = "10s",
        .help = "time the daemons have to become ready",
        .type = &config_type_duration,
        .offset = offsetof(struct benchfs_config, start_timeout_ms),
        .min = MS_PER_SECOND,
        .max = MS_PER_HOUR,
    },
    {
        .name = "log_level",
        .env = "BENCHFS_LOG_LEVEL",
        .argument = "error|warn|info|debug",
        .default_text = "warn",
        .help = "what the daemons log",
        .type = &config_type_choice,
        .offset = offsetof(struct benchfs_config, log_level),
        .choices = log_levels,
    },
};

#define SETTING_COUNT (sizeof(settings) / sizeof(settings[0]))

size_t config_setting_count(void)
{
    return SETTING_COUNT;
}

size_t config_setting_index(const struct config_setting *setting)
{
    return (size_t)(setting - settings);
}

const struct config_setting *config_setting_next(const struct config_setting *setting)
{
    if (!setting)
        return settings;
    return setting + 1 < settings + SETTING_COUNT ? setting + 1 : NULL;
}

const struct config_setting *config_setting_find(const char *name)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        if (strcmp(settings[i].name, name) == 0)
            return &settings[i];
    }
    return NULL;
}

const struct config_setting *config_setting_find_option(const char *option)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        if (settings[i].option && strcmp(settings[i].option, option) == 0)
            return &settings[i];
    }
    return NULL;
}

const char *config_setting_type_name(const struct config_setting *setting)
{
    return setting->type->name;
}
