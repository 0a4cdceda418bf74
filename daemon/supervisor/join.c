/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/join.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "config/json.h"
#include "config/settings.h"
#include "supervisor/service_request.h"
#include "supervisor/words.h"

#define CONFIG_SIZE_MAX (1u << 20)
/* Between two looks at a service that another step is starting right now. */
#define RETRY_MS 50

/* What belongs to a step rather than to the service. */
static const char *const step_settings[] = {
    "enable", "stage_in", "stage_out", "report", NULL};

static bool is_service_setting(const struct config_setting *setting)
{
    if (!(setting->flags & CONFIG_SETTING_OPTION))
        return false;
    for (const char *const *name = step_settings; *name; name++) {
        if (strcmp(*name, setting->name) == 0)
            return false;
    }
    return true;
}

/* ---- comparing -------------------------------------------------------------- */

enum { WANTED, RUNNING, DEFAULTS, N_CONFIGS };

/* The setting's value as text; NULL: no memory. */
static char *value_text(const struct json *config, const char *name)
{
    struct json_cursor root = json_cursor_root(config, "");
    struct json_cursor member;
    const char *string;
    char *text = NULL;

    if (json_member_string(&root, name, &string, NULL) == 0)
        return strdup(string);
    if (json_cursor_member(&root, name, &member, NULL) == 0)
        (void)json_write(member.json, false, &text, NULL);
    return text;
}

static int setting_check(const struct config_setting *setting,
                         struct json *const configs[N_CONFIGS],
                         struct benchfs_error *err)
{
    char *texts[N_CONFIGS];
    int rc = 0;

    for (int i = 0; i < N_CONFIGS; i++)
        texts[i] = value_text(configs[i], setting->name);
    if (!texts[WANTED] || !texts[RUNNING] || !texts[DEFAULTS])
        rc = benchfs_error_set(err, ENOMEM, "no memory to compare settings");
    else if (strcmp(texts[WANTED], texts[RUNNING]) != 0
             && strcmp(texts[WANTED], texts[DEFAULTS]) != 0)
        rc = benchfs_error_set(err,
                               EINVAL,
                               "--%s=%s: the job's service runs with %s",
                               setting->option,
                               texts[WANTED],
                               texts[RUNNING]);
    for (int i = 0; i < N_CONFIGS; i++)
        free(texts[i]);
    return rc;
}

static struct json *config_json(const struct benchfs_config *config)
{
    struct json *json = NULL;
    char *text;

    if (config_to_json_string(config, false, &text))
        return NULL;
    if (json_parse(text, strlen(text), "", &json, NULL))
        json = NULL;
    free(text);
    return json;
}

int join_config_check(const struct benchfs_config *wanted,
                      const struct benchfs_config *running,
                      struct benchfs_error *err)
{
    const struct config_setting *setting = NULL;
    struct benchfs_config *defaults;
    struct json *configs[N_CONFIGS];
    int rc = config_default(&defaults, err);

    if (rc)
        return rc;
    configs[WANTED] = config_json(wanted);
    configs[RUNNING] = config_json(running);
    configs[DEFAULTS] = config_json(defaults);
    if (!configs[WANTED] || !configs[RUNNING] || !configs[DEFAULTS])
        rc = benchfs_error_set(err, ENOMEM, "no memory to compare settings");
    while (rc == 0 && (setting = config_setting_next(setting))) {
        if (is_service_setting(setting))
            rc = setting_check(setting, configs, err);
    }
    for (int i = 0; i < N_CONFIGS; i++)
        json_destroy(configs[i]);
    config_destroy(defaults);
    return rc;
}

static int running_config_load(const struct supervisor *supervisor,
                               struct benchfs_config **ret,
                               struct benchfs_error *err)
{
    char *path, *text;
    int rc;

    if (asprintf(&path, "%s/%s", supervisor->place.run_dir, JOIN_CONFIG_NAME) < 0)
        return benchfs_error_set(err, ENOMEM, "no memory for a path");
    rc = fs_file_read(path, CONFIG_SIZE_MAX, &text, NULL);
    if (rc) {
        benchfs_error_set(err, -rc, "%s: %s", path, strerror(-rc));
    } else {
        rc = config_from_json_string(text, ret, err);
        free(text);
    }
    free(path);
    return rc;
}

/* ---- waiting ---------------------------------------------------------------- */

/* 0: it has no holder any more. */
static bool is_lock_free(struct supervisor *supervisor)
{
    pid_t holder;

    return place_lock(&supervisor->place, &holder, NULL) == 0;
}

static int running_wait(struct supervisor *supervisor, struct benchfs_error *err)
{
    struct deadline deadline = supervisor->start_deadline;
    char socket_path[ENDPOINT_PATH_MAX + 1];
    enum service_state state;
    int rc;

    snprintf(
        socket_path, sizeof(socket_path), "%s/shard-0.sock", supervisor->place.run_dir);
    for (;;) {
        rc = service_request_state_get(socket_path, &state, err);
        if (rc == 0 && state != SERVICE_STARTING && state != SERVICE_STAGING_IN)
            return 0;
        if (rc == 0 && state == SERVICE_STAGING_IN) {
            words_stage_in();
            deadline = deadline_after_ms(supervisor->config->start_timeout_ms);
        }
        if (is_lock_free(supervisor))
            return benchfs_error_set(
                err, EAGAIN, "the job's service ended while this step joined it");
        if (deadline_expired(deadline))
            return benchfs_error_set(
                err, ETIMEDOUT, "the job's service is there and does not get ready");
        rc = supervisor_wait(supervisor, -1, deadline_after_ms(RETRY_MS));
        if (rc != -ETIMEDOUT)
            return supervisor_wait_error(supervisor, rc, err);
    }
}

int join_service(struct supervisor *supervisor, struct benchfs_error *err)
{
    struct benchfs_config *running;
    int rc = running_wait(supervisor, err);

    if (rc == 0)
        rc = running_config_load(supervisor, &running, err);
    if (rc)
        return rc;
    rc = join_config_check(supervisor->config, running, err);
    config_destroy(running);
    return rc;
}
