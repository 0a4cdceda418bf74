/* SPDX-License-Identifier: Apache-2.0
 * The hooks that Slurm calls, and in which of its programs each does something. */
#include "spank/plugin.h"

#include <stdlib.h>
#include <string.h>

SPANK_PLUGIN(benchfs, 1)

/* Slurm passes hooks no context: the one place where it is kept. */
static struct plugin plugin;

static int on_option(int value, const char *argument, int is_remote)
{
    const struct config_setting *setting = NULL;
    struct benchfs_error err = BENCHFS_ERROR_INIT;

    for (int i = 0; i <= value; i++)
        setting = config_setting_next(setting);
    if (options_set(&plugin.options, setting, argument, &err) == 0)
        return 0;
    /* It has been checked where it was typed. */
    if (is_remote)
        return 0;
    slurm_error("benchfs: %s", err.text);
    return -1;
}

static void options_register(spank_t spank)
{
    const struct config_setting *setting = NULL;

    for (int i = 0; (setting = config_setting_next(setting)); i++) {
        struct spank_option option = {
            .name = (char *)(uintptr_t)setting->option,
            .arginfo = (char *)(uintptr_t)setting->argument,
            .usage = (char *)(uintptr_t)setting->help,
            .has_arg = 1,
            .val = i,
            .cb = on_option,
        };

        if (setting->option)
            spank_option_register(spank, &option);
    }
}

static int arguments_parse(int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "config=", 7) == 0) {
            plugin.config_file = argv[i] + 7;
        } else if (strncmp(argv[i], "benchfsd=", 9) == 0) {
            plugin.benchfsd = argv[i] + 9;
        } else {
            slurm_error("benchfs: plugstack.conf: unknown argument: %s", argv[i]);
            return -1;
        }
    }
    return 0;
}

int slurm_spank_init(spank_t spank, int argc, char **argv)
{
    if (arguments_parse(argc, argv) < 0)
        return -1;
    options_init(&plugin.options, plugin.config_file);
    plugin.launch.socket = -1;
    if (spank_context() != S_CTX_SLURMD)
        options_register(spank);
    if (spank_context() == S_CTX_LOCAL || spank_context() == S_CTX_ALLOCATOR)
        local_init(&plugin);
    return 0;
}

int slurm_spank_init_post_opt(spank_t spank, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    if (spank_context() != S_CTX_LOCAL && spank_context() != S_CTX_ALLOCATOR)
        return 0;
    return local_resolve(&plugin, spank);
}

int slurm_spank_local_user_init(spank_t spank, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return local_start(&plugin, spank);
}

int slurm_spank_user_init(spank_t spank, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    remote_start(&plugin, spank);
    return 0;
}

int slurm_spank_task_init(spank_t spank, int argc, char **argv)
{
    (void)spank;
    (void)argc;
    (void)argv;
    remote_task_init(&plugin);
    return 0;
}

int slurm_spank_task_exit(spank_t spank, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    remote_task_exit(&plugin, spank);
    return 0;
}

int slurm_spank_exit(spank_t spank, int argc, char **argv)
{
    (void)spank;
    (void)argc;
    (void)argv;
    if (spank_context() == S_CTX_LOCAL)
        local_exit(&plugin);
    if (spank_context() == S_CTX_REMOTE)
        remote_exit(&plugin);
    options_fini(&plugin.options);
    config_destroy(plugin.config);
    config_destroy(plugin.step);
    config_destroy(plugin.admin);
    free(plugin.job_json);
    memset(&plugin, 0, sizeof(plugin));
    return 0;
}

int slurm_spank_job_prolog(spank_t spank, int argc, char **argv)
{
    if (arguments_parse(argc, argv) == 0)
        script_prolog(&plugin, spank);
    return 0;
}

int slurm_spank_job_epilog(spank_t spank, int argc, char **argv)
{
    if (arguments_parse(argc, argv) == 0)
        script_epilog(&plugin, spank);
    return 0;
}
