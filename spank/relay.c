/* SPDX-License-Identifier: Apache-2.0
 * Line by line where a line could be Slurm's, at once where it is not (progress bars).
 */
#include "spank/relay.h"

#include <string.h>
#include <unistd.h>

/* What tells a user of the job nothing: a cluster without task/affinity
 * (--cpu-bind=none is meant for the others), and a job that ends before the daemons
 * have. */
static const char *const noise[] = {
    "srun: cluster configuration lacks support for cpu binding",
    "srun: Job step aborted: Waiting up to",
    "srun: Force Terminated StepId",
    "srun: launch/slurm: _step_signal: Terminating",
};
static const char *const slurm_prefixes[] = {"srun: ", "slurmstepd"};

void relay_init(struct relay *relay, int fd)
{
    memset(relay, 0, sizeof(*relay));
    relay->fd = fd;
    relay->is_holding = true;
}

static void put(const struct relay *relay, const char *data, size_t size)
{
    while (relay->fd >= 0 && size > 0) {
        ssize_t done = write(relay->fd, data, size);

        /* Nobody reads the user's stderr any more: nothing to be done about it. */
        if (done <= 0)
            return;
        data += done;
        size -= (size_t)done;
    }
}

/* Whether the bytes so far are the start of `prefix`, or start with it. */
static bool could_be(const char *line, size_t size, const char *prefix)
{
    size_t length = strlen(prefix);

    return memcmp(line, prefix, size < length ? size : length) == 0;
}

static bool could_be_slurms(const struct relay *relay)
{
    for (size_t i = 0; i < sizeof(slurm_prefixes) / sizeof(slurm_prefixes[0]); i++) {
        if (could_be(relay->line, relay->line_size, slurm_prefixes[i]))
            return true;
    }
    return false;
}

static void hold(struct relay *relay)
{
    size_t room = sizeof(relay->held) - relay->held_size;
    size_t size = relay->line_size < room ? relay->line_size : room;

    memcpy(relay->held + relay->held_size, relay->line, size);
    relay->held_size += size;
}

static bool is_noise(const struct relay *relay)
{
    for (size_t i = 0; i < sizeof(noise) / sizeof(noise[0]); i++) {
        if (relay->line_size >= strlen(noise[i])
            && could_be(relay->line, relay->line_size, noise[i]))
            return true;
    }
    /* "slurmstepd: error: *** STEP 1.0 ON n1 CANCELLED AT ..." */
    return memmem(relay->line, relay->line_size, ": *** STEP ", 11) != NULL;
}

/* "srun: error: n2: task 1: Exited with exit code 1", "srun: error: task 0 launch
 * failed: ..." */
static bool tells_of_task(const struct relay *relay)
{
    static const char prefix[] = "srun: error: ";

    return relay->line_size > strlen(prefix)
           && could_be(relay->line, relay->line_size, prefix)
           && memmem(relay->line, relay->line_size, "task", 4);
}

/* A whole line that begins like one of Slurm's. */
static void line_end(struct relay *relay)
{
    relay->has_lost |= tells_of_task(relay);
    if (is_noise(relay))
        ; /* dropped */
    else if (relay->is_holding)
        hold(relay);
    else
        put(relay, relay->line, relay->line_size);
    relay->line_size = 0;
}

/* What is in `line` is not Slurm's. */
static void pass(struct relay *relay)
{
    put(relay, relay->line, relay->line_size);
    relay->is_in_line = relay->line[relay->line_size - 1] != '\n';
    relay->has_spoken = true;
    relay->line_size = 0;
}

void relay_feed(struct relay *relay, const char *data, size_t size)
{
    while (size > 0) {
        if (relay->is_in_line) {
            const char *end = memchr(data, '\n', size);
            size_t part = end ? (size_t)(end - data) + 1 : size;

            put(relay, data, part);
            relay->is_in_line = !end;
            data += part;
            size -= part;
            continue;
        }
        relay->line[relay->line_size++] = *data++;
        size--;
        if (!could_be_slurms(relay))
            pass(relay);
        else if (relay->line[relay->line_size - 1] == '\n'
                 || relay->line_size == sizeof(relay->line))
            line_end(relay);
    }
}

void relay_release(struct relay *relay)
{
    relay->is_holding = false;
    relay->held_size = 0;
}

void relay_silence(struct relay *relay)
{
    relay->fd = -1;
}

void relay_finish(struct relay *relay)
{
    if (relay->line_size > 0)
        line_end(relay);
    if (relay->is_holding && !relay->has_spoken)
        put(relay, relay->held, relay->held_size);
    relay->held_size = 0;
}
