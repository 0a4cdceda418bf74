/* SPDX-License-Identifier: Apache-2.0 */
#include "stage_queue/report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "config/json.h"

#define REPORT_MODE 0644

void report_init(struct report *report, const char *job, uint64_t now_ns)
{
    *report = (struct report){.job = job, .run_from_ns = now_ns};
}

void report_stage_started(struct report *report,
                          enum stage_direction direction,
                          uint64_t now_ns)
{
    if (direction == STAGE_OUT && report->run_to_ns == 0)
        report->run_to_ns = now_ns;
}

void report_stage_finished(struct report *report,
                           enum stage_direction direction,
                           const struct report_stage *stage,
                           uint64_t now_ns)
{
    struct report_stage *sum =
        direction == STAGE_IN ? &report->stage_in : &report->stage_out;

    sum->n_stages++;
    sum->n_files += stage->n_files;
    sum->n_bytes += stage->n_bytes;
    sum->n_errors += stage->n_errors;
    sum->duration_ns += stage->duration_ns;
    /* what follows a stage-in is the run, also after a stage-out by hand */
    if (direction == STAGE_IN && report->stage_out.n_stages == 0) {
        report->run_from_ns = now_ns;
        report->run_to_ns = 0;
    }
}

static double seconds(uint64_t from_ns, uint64_t to_ns)
{
    return to_ns > from_ns ? (double)(to_ns - from_ns) / 1e9 : 0;
}

static int stage_put(struct json *report, const char *key, const struct report_stage *s)
{
    struct json *stage = json_make_object();
    int rc = json_set(report, key, stage);

    if (rc == 0)
        rc = json_set(stage, "files", json_make_u64(s->n_files));
    if (rc == 0)
        rc = json_set(stage, "bytes", json_make_u64(s->n_bytes));
    if (rc == 0)
        rc = json_set(stage, "seconds", json_make_real(seconds(0, s->duration_ns)));
    if (rc == 0)
        rc = json_set(stage, "errors", json_make_u64(s->n_errors));
    return rc;
}

static int run_put(struct json *report, double run_seconds)
{
    struct json *run = json_make_object();
    int rc = json_set(report, "run", run);

    return rc ? rc : json_set(run, "seconds", json_make_real(run_seconds));
}

static int report_text(const struct report *report, uint64_t now_ns, char **ret)
{
    uint64_t to_ns = report->run_to_ns ? report->run_to_ns : now_ns;
    struct json *json = json_make_object();
    int rc = json_set(json, "job", json_make_string(report->job));

    if (rc == 0)
        rc = stage_put(json, "stage_in", &report->stage_in);
    if (rc == 0)
        rc = run_put(json, seconds(report->run_from_ns, to_ns));
    if (rc == 0)
        rc = stage_put(json, "stage_out", &report->stage_out);
    if (rc == 0)
        rc = json_write(json, true, ret, NULL);
    json_destroy(json);
    return rc;
}

int report_write(const struct report *report, const char *path, uint64_t now_ns)
{
    char *text;
    int rc = report_text(report, now_ns, &text);

    if (rc)
        return rc;
    rc = fs_file_write_atomic(AT_FDCWD, path, text, strlen(text), REPORT_MODE);
    free(text);
    return rc;
}
