/* SPDX-License-Identifier: Apache-2.0
 * benchfs doctor: looks at an installation part by part. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/doctor.h"
#include "config/config.h"
#include "launch/child.h"

#define COMMAND_MS 10000
#define GRACE_MS   500

static const char *const verdict_names[] = {
    [DOCTOR_OK] = "ok", [DOCTOR_NOTE] = "note", [DOCTOR_BROKEN] = "broken"};

/* ---- for the checks --------------------------------------------------------- */

void doctor_ok(struct doctor_finding *finding, const char *fmt, ...)
{
    va_list args;

    *finding = (struct doctor_finding){.verdict = DOCTOR_OK};
    va_start(args, fmt);
    vsnprintf(finding->text, sizeof(finding->text), fmt, args);
    va_end(args);
}

void doctor_problem(struct doctor_finding *finding,
                    enum doctor_verdict verdict,
                    const char *mend,
                    const char *fmt,
                    ...)
{
    va_list args;

    *finding = (struct doctor_finding){.verdict = verdict};
    snprintf(finding->mend, sizeof(finding->mend), "%s", mend);
    va_start(args, fmt);
    vsnprintf(finding->text, sizeof(finding->text), fmt, args);
    va_end(args);
    /* what commands say may have several lines */
    for (char *c = finding->text; (c = strchr(c, '\n'));)
        *c = c[1] ? ' ' : '\0';
}

/* Reads to the end or the deadline; what does not fit is dropped. */
static int output_read(int fd, struct deadline deadline, char *output, size_t size)
{
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    char rest[4096];
    size_t used = 0;

    for (;;) {
        bool is_full = used == size - 1;
        ssize_t n;

        output[used] = '\0';
        if (poll(&poller, 1, deadline_remaining_ms(deadline)) == 0)
            return -ETIMEDOUT;
        n = read(fd,
                 is_full ? rest : output + used,
                 is_full ? sizeof(rest) : size - 1 - used);
        if (n <= 0)
            return 0;
        if (!is_full)
            used += (size_t)n;
    }
}

int doctor_command_run(char *const argv[], char *output, size_t size)
{
    struct child child = CHILD_INIT(argv[0]);
    struct child_options options = {.is_own_session = true};
    struct deadline deadline = deadline_after_ms(COMMAND_MS);
    int fds[2], rc;

    output[0] = '\0';
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    options.stdout_fd = fds[1];
    options.stderr_fd = fds[1];
    rc = child_start(&child, argv, &options, NULL);
    close(fds[1]);
    if (rc == 0)
        rc = output_read(fds[0], deadline, output, size);
    close(fds[0]);
    if (rc == 0 || rc == -ETIMEDOUT)
        child_end(&child, rc ? deadline_after_ms(0) : deadline, GRACE_MS);
    child_fini(&child);
    if (rc)
        return rc;
    return WIFEXITED(child.status) ? WEXITSTATUS(child.status) : -EINTR;
}

/* ---- report ----------------------------------------------------------------- */

struct report {
    struct json *json; /* an array; NULL: text */
    unsigned n_broken;
    unsigned n_notes;
    int status; /* of making the JSON */
};

static int
json_put(struct json *array, const char *name, const struct doctor_finding *finding)
{
    struct json *object = json_make_object();
    int rc = json_append(array, object);

    rc = rc ? rc : json_set(object, "check", json_make_string(name));
    rc = rc ? rc
            : json_set(
                object, "verdict", json_make_string(verdict_names[finding->verdict]));
    rc = rc ? rc : json_set(object, "text", json_make_string(finding->text));
    if (rc == 0 && finding->mend[0])
        rc = json_set(object, "mend", json_make_string(finding->mend));
    return rc;
}

static void report_add(struct report *report,
                       const char *name,
                       const struct doctor_finding *finding)
{
    report->n_broken += finding->verdict == DOCTOR_BROKEN;
    report->n_notes += finding->verdict == DOCTOR_NOTE;
    if (report->json) {
        int rc = json_put(report->json, name, finding);

        report->status = report->status ? report->status : rc;
        return;
    }
    printf("%-6s  %-15s  %s\n", verdict_names[finding->verdict], name, finding->text);
    if (finding->mend[0])
        printf("%-6s  %-15s  -> %s\n", "", "", finding->mend);
}

static void checks_run(struct report *report,
                       const struct doctor_check *checks,
                       const struct benchfs_config *config)
{
    for (; checks->name; checks++) {
        struct doctor_finding finding = {.verdict = DOCTOR_BROKEN};

        checks->run(config, &finding);
        report_add(report, checks->name, &finding);
    }
}

/* Broken settings are the first finding; the rest is then checked with the defaults. */
static int settings_check(struct report *report,
                          struct benchfs_config **ret,
                          struct benchfs_error *err)
{
    const struct config_sources sources = {.option_count = 0};
    struct doctor_finding finding;
    int rc = config_load(&sources, ret, err);

    if (rc) {
        doctor_problem(
            &finding, DOCTOR_BROKEN, "mend the file or the variable", "%s", err->text);
        rc = config_default(ret, err);
    } else {
        doctor_ok(&finding, "file and environment are valid");
    }
    report_add(report, "settings", &finding);
    return rc;
}

static int run(const struct cli_command *command, int argc, char **argv)
{
    struct benchfs_error err = BENCHFS_ERROR_INIT;
    struct cli_common common = {.socket = NULL};
    struct report report = {.json = NULL};
    struct benchfs_config *config;

    if (cli_option_next(command, argc, argv, "", NULL, &common) == '?')
        return CLI_USAGE;
    if (common.wants_help)
        return CLI_OK;
    if (optind < argc)
        return cli_usage_fail(command, "%s: unexpected argument", argv[optind]);
    report.json = common.is_json ? json_make_array() : NULL;
    if (settings_check(&report, &config, &err)) {
        json_destroy(report.json);
        return cli_fail(command, &err);
    }
    checks_run(&report, doctor_node_checks, config);
    checks_run(&report, doctor_slurm_checks, config);
    config_destroy(config);
    if (report.json)
        report.status = report.status ? report.status : cli_json_print(report.json);
    else
        printf("%u broken, %u to note\n", report.n_broken, report.n_notes);
    json_destroy(report.json);
    return report.n_broken || report.status ? CLI_FAILED : CLI_OK;
}

const struct cli_command cmd_doctor = {
    .name = "doctor",
    .summary = "check the installation and say what to mend",
    .usage =
        "usage: benchfs doctor [--json]\n"
        "Looks at settings, programs, FUSE, space, directories, network, UCX, MUNGE,\n"
        "Slurm, PMIx and the plugin of this machine. 'broken' has to be mended,\n"
        "'note' only if what it names is wanted. Exits 1 if something is broken.\n"
        "  --json         as a JSON array\n",
    .run = run,
};
