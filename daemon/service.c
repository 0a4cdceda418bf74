/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/service.h"

#include <errno.h>
#include <stdlib.h>

#include "base/table.h"
#include "daemon/stage_host.h"
#include "store/store.h"

#define STEP_TASKS_MAX (16u << 20)

/* The tasks of a step that have ended, a bit each. */
struct step {
    uint32_t n_tasks;
    uint32_t n_ended;
    uint8_t ended[];
};

struct service {
    enum service_state state;
    struct table steps; /* step id -> struct step */
    struct stage_host *stage;
};

int service_create(struct service **ret)
{
    struct service *service = calloc(1, sizeof(*service));

    if (!service)
        return -ENOMEM;
    service->state = SERVICE_STARTING;
    table_init(&service->steps);
    *ret = service;
    return 0;
}

void service_destroy(struct service *service)
{
    struct step *step;
    size_t cursor = 0;

    if (!service)
        return;
    while ((step = table_next(&service->steps, &cursor, NULL)))
        free(step);
    table_fini(&service->steps);
    stage_host_destroy(service->stage);
    free(service);
}

enum service_state service_state_get(const struct service *service)
{
    return service->state;
}

void service_state_set(struct service *service, enum service_state state)
{
    service->state = state;
}

const char *service_state_name(enum service_state state)
{
    switch (state) {
    case SERVICE_STARTING:
        return "starting";
    case SERVICE_STAGING_IN:
        return "staging-in";
    case SERVICE_STAGED_IN:
        return "staged-in";
    case SERVICE_RUNNING:
        return "running";
    case SERVICE_STAGING_OUT:
        return "staging-out";
    case SERVICE_TEARDOWN:
        return "teardown";
    }
    return "unknown";
}

struct stage_host *service_stage(const struct service *service)
{
    return service->stage;
}

void service_stage_set(struct service *service, struct stage_host *stage)
{
    service->stage = stage;
}

static struct step *step_get(struct service *service, uint32_t id, uint32_t n_tasks)
{
    struct step *step = table_get(&service->steps, id);

    if (step)
        return step;
    step = calloc(1, sizeof(*step) + n_tasks / 8 + 1);
    if (!step)
        return NULL;
    step->n_tasks = n_tasks;
    if (table_put(&service->steps, id, step)) {
        free(step);
        return NULL;
    }
    return step;
}

int service_task_exit(struct service *service,
                      uint32_t step_id,
                      uint32_t task,
                      uint32_t n_tasks,
                      bool *ret_is_last)
{
    struct step *step;
    uint8_t bit = (uint8_t)(1u << (task % 8));

    if (task >= n_tasks || n_tasks > STEP_TASKS_MAX)
        return -EINVAL;
    step = step_get(service, step_id, n_tasks);
    if (!step)
        return -ENOMEM;
    if (step->n_tasks != n_tasks)
        return -EINVAL;
    if (!(step->ended[task / 8] & bit)) {
        step->ended[task / 8] |= bit;
        step->n_ended++;
    }
    *ret_is_last = step->n_ended == step->n_tasks;
    return 0;
}

/* ---- over a restart */

enum note_kind {
    NOTE_STATE = 1,
    NOTE_TASK = 2, /* a: step, b: task, value: tasks of the step */
};

int service_state_store(struct store *store, enum service_state state)
{
    const struct store_note note = {.kind = NOTE_STATE, .value = state};

    return store_note_put(store, &note);
}

int service_task_store(struct store *store,
                       uint32_t step,
                       uint32_t task,
                       uint32_t n_tasks)
{
    const struct store_note note = {
        .kind = NOTE_TASK, .a = step, .b = task, .value = n_tasks};

    return store_note_put(store, &note);
}

static int note_load(void *arg, const struct store_note *note)
{
    struct service *service = arg;
    bool is_last;

    if (note->kind == NOTE_STATE && note->value <= SERVICE_TEARDOWN)
        service->state = note->value;
    if (note->kind == NOTE_TASK)
        return service_task_exit(service, note->a, note->b, note->value, &is_last);
    return 0;
}

int service_load(struct service *service, struct store *store)
{
    return store_note_scan(store, note_load, service);
}
