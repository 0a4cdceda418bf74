/* SPDX-License-Identifier: Apache-2.0
 * Checks of what a Slurm cluster brings: MUNGE, PMIx in Slurm, our plugin. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "cli/doctor.h"

#define PLUGIN_NAME   "benchfs_spank.so"
#define PLUGSTACK_MAX (1u << 20)

/* Without a configuration this is a machine beside a cluster, or a laptop: then nothing
 * of Slurm's is broken. */
static enum doctor_verdict slurm_verdict(void)
{
    bool is_configured =
        getenv("SLURM_CONF") || access("/etc/slurm/slurm.conf", F_OK) == 0;

    return is_configured ? DOCTOR_BROKEN : DOCTOR_NOTE;
}

static void munge_check(const struct benchfs_config *config, struct doctor_finding *ret)
{
    /* the round trip that every remote connection makes */
    char *const argv[] = {
        (char[]){"sh"}, (char[]){"-c"}, (char[]){"munge -n | unmunge"}, NULL};
    char output[4096];
    int status = doctor_command_run(argv, output, sizeof(output));

    (void)config;
    if (status == 0 && strstr(output, "Success"))
        doctor_ok(ret, "a credential was made and decoded");
    else if (strstr(output, "not found"))
        doctor_problem(ret,
                       DOCTOR_NOTE,
                       "install munge, on all nodes, with the same key",
                       "munge is not there: jobs of one machine only");
    else
        doctor_problem(ret,
                       slurm_verdict(),
                       "is munged running, with the same key on all nodes?",
                       "no round trip: %.200s",
                       output);
}

static void slurm_check(const struct benchfs_config *config, struct doctor_finding *ret)
{
    char *const argv[] = {(char[]){"scontrol"}, (char[]){"ping"}, NULL};
    char output[4096];
    int status = doctor_command_run(argv, output, sizeof(output));

    (void)config;
    if (status == -ENOENT)
        doctor_problem(ret,
                       DOCTOR_NOTE,
                       "without Slurm there is 'benchfs run'",
                       "Slurm is not there");
    else if (status != 0 || !strstr(output, "is UP"))
        doctor_problem(ret,
                       slurm_verdict(),
                       "look at slurm.conf and slurmctld",
                       "slurmctld does not answer: %.200s",
                       output);
    else
        doctor_ok(ret, "slurmctld answers");
}

static void pmix_check(const struct benchfs_config *config, struct doctor_finding *ret)
{
    char *const argv[] = {(char[]){"srun"}, (char[]){"--mpi=list"}, NULL};
    char output[4096];
    int status = doctor_command_run(argv, output, sizeof(output));

    (void)config;
    if (status == -ENOENT)
        doctor_problem(
            ret, DOCTOR_NOTE, "without Slurm there is 'benchfs run'", "no srun");
    else if (!strstr(output, "pmix"))
        doctor_problem(ret,
                       slurm_verdict(),
                       "install Slurm's PMIx plugin (libpmix2)",
                       "srun --mpi=list has no pmix");
    else
        doctor_ok(ret, "srun --mpi=list has pmix");
}

/* plugstack.conf as the configuration in use names it, else beside slurm.conf. */
static int plugstack_find(char *path, size_t size)
{
    char *const argv[] = {
        (char[]){"scontrol"}, (char[]){"show"}, (char[]){"config"}, NULL};
    const char *conf = getenv("SLURM_CONF");
    char output[65536];
    const char *at, *slash;

    if (doctor_command_run(argv, output, sizeof(output)) == 0
        && (at = strstr(output, "PlugStackConfig")) && (at = strchr(at, '='))) {
        at += 1 + strspn(at + 1, " ");
        snprintf(path, size, "%.*s", (int)strcspn(at, " \n"), at);
        return access(path, R_OK) < 0 ? -errno : 0;
    }
    slash = conf ? strrchr(conf, '/') : NULL;
    if (slash)
        snprintf(path, size, "%.*s/plugstack.conf", (int)(slash - conf), conf);
    else
        snprintf(path, size, "/etc/slurm/plugstack.conf");
    return access(path, R_OK) < 0 ? -errno : 0;
}

/* The first word of the plugin's line: "required", "optional"; empty: no such line. */
static void plugin_line_find(const char *text, char word[16])
{
    word[0] = '\0';
    for (const char *line = text; *line;
         line += strcspn(line, "\n"), line += *line != 0) {
        size_t len = strcspn(line, "\n");
        const char *start = line + strspn(line, " \t");
        const char *name;

        if (*start == '#')
            continue;
        name = memmem(line, len, PLUGIN_NAME, strlen(PLUGIN_NAME));
        if (name) {
            snprintf(word, 16, "%.*s", (int)strcspn(start, " \t\n"), start);
            return;
        }
    }
}

static void plugin_check(const struct benchfs_config *config,
                         struct doctor_finding *ret)
{
    char path[4096] = "", word[16];
    char *text = NULL;
    int rc = plugstack_find(path, sizeof(path));

    (void)config;
    if (rc == 0)
        rc = fs_file_read(path, PLUGSTACK_MAX, &text, NULL);
    if (rc) {
        doctor_problem(ret,
                       DOCTOR_NOTE,
                       "add 'required .../benchfs_spank.so' to it on all nodes for "
                       "srun --benchfs=on",
                       "%s: %s",
                       path,
                       strerror(-rc));
        return;
    }
    plugin_line_find(text, word);
    free(text);
    if (!word[0])
        doctor_problem(ret,
                       DOCTOR_NOTE,
                       "add 'required .../" PLUGIN_NAME
                       "' for srun --benchfs=on, or an "
                       "include of a file that has it",
                       "%s has no line for " PLUGIN_NAME,
                       path);
    else if (strcmp(word, "required") != 0)
        doctor_problem(ret,
                       DOCTOR_BROKEN,
                       "make it required",
                       "%s has the plugin as %s: a job whose start failed would run "
                       "without its burst buffer",
                       path,
                       word);
    else
        doctor_ok(ret, "%s has the plugin as required", path);
}

const struct doctor_check doctor_slurm_checks[] = {
    {"MUNGE", munge_check},
    {"Slurm", slurm_check},
    {"PMIx in Slurm", pmix_check},
    {"plugin", plugin_check},
    {NULL, NULL},
};
