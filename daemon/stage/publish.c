/* SPDX-License-Identifier: Apache-2.0 */
#include "stage_queue/publish.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/list.h"
#include "base/units.h"
#include "stage_queue/report.h"

#define LINES_NS     (5 * CLOCK_NS_PER_SEC)
#define BAR_NS       (CLOCK_NS_PER_SEC / 4)
#define BAR_WIDTH    30u
#define OUTPUT_LIMIT (256u << 10)
#define ERASE_LINE   "\r\033[K"

/* A stage whose end has not been told yet. */
struct shown {
    struct list_node link;
    uint64_t stage;
    enum stage_direction direction;
    enum stage_progress progress;
    uint64_t from_ns;
    uint64_t to_ns;             /* 0: it runs */
    uint64_t next_ns;           /* when to tell of its progress */
    struct stage_status status; /* texts: copies, in `texts` */
    char *texts[STAGE_TEXTS_MAX];
    unsigned n_told; /* of the texts */
    bool is_told;    /* the last line is out, the report is not */
};

struct stage_publisher {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    char *report_path;
    char *job;
    int fd;
    /* under the lock */
    struct list shown;
    struct report report;
    bool is_stopping;
};

/* ---- texts */

const char *stage_direction_name(enum stage_direction direction)
{
    return direction == STAGE_IN ? "stage-in" : "stage-out";
}

static void bytes_format(char *text, size_t size, uint64_t bytes)
{
    static const char *const names[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes / 1024;
    size_t i = 0;

    if (bytes < 1024) {
        snprintf(text, size, "%u B", (unsigned)bytes);
        return;
    }
    while (value >= 1023.995 && i + 1 < sizeof(names) / sizeof(names[0])) {
        value /= 1024;
        i++;
    }
    snprintf(text, size, "%.2f %s", value, names[i]);
}

static double rate_mib(uint64_t bytes, uint64_t duration_ns)
{
    double seconds = (double)(duration_ns ? duration_ns : 1) / 1e9;

    return (double)bytes / (double)UNITS_MIB / seconds;
}

char *stage_summary_format(char *text,
                           size_t size,
                           const struct stage_status *status,
                           uint64_t duration_ns)
{
    char amount[UNITS_TEXT_MAX];
    int len;

    bytes_format(amount, sizeof(amount), status->n_bytes);
    len = snprintf(text,
                   size,
                   "%llu files, %s in %.1f s (%.0f MiB/s)",
                   (unsigned long long)status->n_files,
                   amount,
                   (double)duration_ns / 1e9,
                   rate_mib(status->n_bytes, duration_ns));
    if (status->n_errors > 0 && len > 0 && (size_t)len < size)
        snprintf(text + len,
                 size - (size_t)len,
                 ", %llu failed",
                 (unsigned long long)status->n_errors);
    return text;
}

/* The beginning of each line; on a terminal it replaces the bar. */
static void line_begin(const struct shown *shown, struct bytes *out)
{
    bytes_printf(out,
                 "%sbenchfs: %s: ",
                 shown->progress == STAGE_PROGRESS_BAR ? ERASE_LINE : "",
                 stage_direction_name(shown->direction));
}

/* File names are the user's: no control character of theirs reaches the terminal. */
static void text_append(const char *text, struct bytes *out)
{
    for (; *text; text++) {
        char c = (unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text;

        bytes_append(out, &c, 1);
    }
    bytes_append(out, "\n", 1);
}

static void errors_format(struct shown *shown, struct bytes *out)
{
    for (; shown->n_told < shown->status.n_texts; shown->n_told++) {
        line_begin(shown, out);
        text_append(shown->texts[shown->n_told], out);
    }
}

static void end_format(struct shown *shown, struct bytes *out)
{
    const struct stage_status *status = &shown->status;
    uint64_t n_messages = status->n_errors + status->n_skipped;
    char text[128];

    if (n_messages > status->n_texts) {
        line_begin(shown, out);
        bytes_printf(out,
                     "... and %llu more\n",
                     (unsigned long long)(n_messages - status->n_texts));
    }
    stage_summary_format(text, sizeof(text), status, shown->to_ns - shown->from_ns);
    line_begin(shown, out);
    bytes_printf(out, "%s\n", text);
}

static void bar_format(const struct shown *shown, struct bytes *out)
{
    const struct stage_status *status = &shown->status;
    double part = 0;
    unsigned width;

    if (status->n_known_bytes > 0)
        part = (double)status->n_bytes / (double)status->n_known_bytes;
    width = part >= 1 ? BAR_WIDTH : (unsigned)(part * BAR_WIDTH);
    bytes_append(out, "[", 1);
    for (unsigned i = 0; i < BAR_WIDTH; i++)
        bytes_append(out, i < width ? "#" : " ", 1);
    bytes_append(out, "] ", 2);
}

static void progress_format(const struct shown *shown, uint64_t now, struct bytes *out)
{
    const struct stage_status *status = &shown->status;
    bool is_bar = shown->progress == STAGE_PROGRESS_BAR;
    char amount[UNITS_TEXT_MAX];

    line_begin(shown, out);
    if (status->n_known_files == 0 && !is_bar) {
        bytes_printf(out, "started\n");
        return;
    }
    bytes_format(amount, sizeof(amount), status->n_bytes);
    if (is_bar)
        bar_format(shown, out);
    bytes_printf(out,
                 "%llu of %llu files, %s (%.0f MiB/s)%s",
                 (unsigned long long)status->n_files,
                 (unsigned long long)status->n_known_files,
                 amount,
                 rate_mib(status->n_bytes, now - shown->from_ns),
                 is_bar ? "" : "\n");
}

/* ---- the thread */

static void shown_free(struct shown *shown)
{
    list_remove(&shown->link);
    for (unsigned i = 0; i < shown->status.n_texts; i++)
        free(shown->texts[i]);
    free(shown);
}

/* Adds what there is to tell of a stage now; true if its end is part of it. */
static bool shown_format(struct shown *shown, uint64_t now, struct bytes *out)
{
    if (shown->progress != STAGE_PROGRESS_NONE) {
        errors_format(shown, out);
        if (!shown->to_ns && now >= shown->next_ns) {
            shown->next_ns =
                now + (shown->progress == STAGE_PROGRESS_BAR ? BAR_NS : LINES_NS);
            progress_format(shown, now, out);
        }
        if (shown->to_ns)
            end_format(shown, out);
    }
    return shown->to_ns != 0;
}

static bool all_format(struct stage_publisher *publisher, struct bytes *out)
{
    uint64_t now = clock_now_ns();
    bool is_end = false;

    list_for_each(node, &publisher->shown)
    {
        struct shown *shown = list_entry(node, struct shown, link);

        shown->is_told = shown_format(shown, now, out);
        is_end |= shown->is_told;
    }
    return is_end;
}

static void told_remove(struct stage_publisher *publisher)
{
    list_for_each(node, &publisher->shown)
    {
        struct shown *shown = list_entry(node, struct shown, link);

        if (shown->is_told)
            shown_free(shown);
    }
}

static void publisher_wait(struct stage_publisher *publisher)
{
    uint64_t next = UINT64_MAX;
    struct timespec until;

    list_for_each(node, &publisher->shown)
    {
        const struct shown *shown = list_entry(node, struct shown, link);

        if (shown->progress != STAGE_PROGRESS_NONE && shown->next_ns < next)
            next = shown->next_ns;
    }
    if (next == UINT64_MAX) {
        pthread_cond_wait(&publisher->changed, &publisher->lock);
        return;
    }
    until.tv_sec = (time_t)(next / CLOCK_NS_PER_SEC);
    until.tv_nsec = (long)(next % CLOCK_NS_PER_SEC);
    pthread_cond_timedwait(&publisher->changed, &publisher->lock, &until);
}

/* Writes the report as it is, without the lock. */
static void report_update(struct stage_publisher *publisher, struct bytes *out)
{
    struct report report = publisher->report;
    int rc;

    if (publisher->report_path[0] == '\0')
        return;
    pthread_mutex_unlock(&publisher->lock);
    rc = report_write(&report, publisher->report_path, clock_now_ns());
    pthread_mutex_lock(&publisher->lock);
    if (rc)
        bytes_printf(
            out, "benchfs: report: %s: %s\n", publisher->report_path, strerror(-rc));
}

static void output_write(struct stage_publisher *publisher, struct bytes *out)
{
    if (out->size == 0)
        return;
    pthread_mutex_unlock(&publisher->lock);
    (void)fs_write_all(publisher->fd, out->data, out->size); /* nobody may read it */
    pthread_mutex_lock(&publisher->lock);
    bytes_clear(out);
}

static void *publisher_main(void *arg)
{
    struct stage_publisher *publisher = arg;
    struct bytes out = BYTES_INIT(OUTPUT_LIMIT);

    pthread_mutex_lock(&publisher->lock);
    for (;;) {
        bool is_end = all_format(publisher, &out);

        if (!is_end && out.size == 0) {
            if (publisher->is_stopping)
                break;
            publisher_wait(publisher);
            continue;
        }
        if (is_end)
            report_update(publisher, &out);
        output_write(publisher, &out);
        told_remove(publisher);
    }
    report_update(publisher, &out);
    output_write(publisher, &out);
    pthread_mutex_unlock(&publisher->lock);
    bytes_fini(&out);
    return NULL;
}

/* ---- from the shard */

static int publisher_start(struct stage_publisher *publisher)
{
    pthread_condattr_t attr;
    int rc;

    pthread_mutex_init(&publisher->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&publisher->changed, &attr);
    pthread_condattr_destroy(&attr);
    rc = pthread_create(&publisher->thread, NULL, publisher_main, publisher);
    return -rc;
}

static void publisher_free(struct stage_publisher *publisher)
{
    struct list_node *node;

    while ((node = list_front(&publisher->shown)))
        shown_free(list_entry(node, struct shown, link));
    free(publisher->report_path);
    free(publisher->job);
    free(publisher);
}

int stage_publisher_create(const char *job,
                           const char *report_path,
                           int fd,
                           struct stage_publisher **ret)
{
    struct stage_publisher *publisher = calloc(1, sizeof(*publisher));
    int rc = -ENOMEM;

    if (!publisher)
        return -ENOMEM;
    list_init(&publisher->shown);
    publisher->fd = fd;
    publisher->job = strdup(job);
    publisher->report_path = strdup(report_path);
    if (publisher->job && publisher->report_path) {
        report_init(&publisher->report, publisher->job, clock_now_ns());
        rc = publisher_start(publisher);
    }
    if (rc) {
        publisher_free(publisher);
        return rc;
    }
    *ret = publisher;
    return 0;
}

void stage_publisher_destroy(struct stage_publisher *publisher)
{
    if (!publisher)
        return;
    pthread_mutex_lock(&publisher->lock);
    publisher->is_stopping = true;
    pthread_cond_signal(&publisher->changed);
    pthread_mutex_unlock(&publisher->lock);
    pthread_join(publisher->thread, NULL);
    pthread_mutex_destroy(&publisher->lock);
    pthread_cond_destroy(&publisher->changed);
    publisher_free(publisher);
}

int stage_publisher_begin(struct stage_publisher *publisher,
                          uint64_t stage,
                          enum stage_direction direction,
                          enum stage_progress progress)
{
    struct shown *shown = calloc(1, sizeof(*shown));

    if (!shown)
        return -ENOMEM;
    shown->stage = stage;
    shown->direction = direction;
    shown->progress = progress;
    shown->from_ns = clock_now_ns();
    shown->next_ns = shown->from_ns;
    pthread_mutex_lock(&publisher->lock);
    report_stage_started(&publisher->report, direction, shown->from_ns);
    list_push_back(&publisher->shown, &shown->link);
    pthread_cond_signal(&publisher->changed);
    pthread_mutex_unlock(&publisher->lock);
    return 0;
}

static struct shown *shown_find(struct stage_publisher *publisher, uint64_t stage)
{
    list_for_each(node, &publisher->shown)
    {
        struct shown *shown = list_entry(node, struct shown, link);

        if (shown->stage == stage)
            return shown;
    }
    return NULL;
}

/* True: there is something to tell at once. */
static bool shown_update(struct shown *shown, const struct stage_status *status)
{
    unsigned n_texts = shown->status.n_texts;
    bool is_news = status->n_texts > n_texts || status->is_finished;

    shown->status = *status;
    shown->status.texts = NULL;
    while (n_texts < status->n_texts) {
        shown->texts[n_texts] = strdup(status->texts[n_texts]);
        if (!shown->texts[n_texts])
            break;
        n_texts++;
    }
    shown->status.n_texts = n_texts;
    return is_news;
}

static void shown_finish(struct stage_publisher *publisher, struct shown *shown)
{
    struct report_stage stage = {
        .n_files = shown->status.n_files,
        .n_bytes = shown->status.n_bytes,
        .n_errors = shown->status.n_errors,
    };

    shown->to_ns = clock_now_ns();
    stage.duration_ns = shown->to_ns - shown->from_ns;
    report_stage_finished(&publisher->report, shown->direction, &stage, shown->to_ns);
}

void stage_publisher_update(struct stage_publisher *publisher,
                            uint64_t stage,
                            const struct stage_status *status)
{
    struct shown *shown;

    pthread_mutex_lock(&publisher->lock);
    shown = shown_find(publisher, stage);
    if (shown && !shown->to_ns && shown_update(shown, status)) {
        if (status->is_finished)
            shown_finish(publisher, shown);
        pthread_cond_signal(&publisher->changed);
    }
    pthread_mutex_unlock(&publisher->lock);
}

bool stage_publisher_is_done(struct stage_publisher *publisher, uint64_t stage)
{
    bool is_done;

    pthread_mutex_lock(&publisher->lock);
    is_done = shown_find(publisher, stage) == NULL;
    pthread_mutex_unlock(&publisher->lock);
    return is_done;
}
