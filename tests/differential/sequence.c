/* SPDX-License-Identifier: Apache-2.0
 * Running a sequence and shortening one.
 */
#include "sequence.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* An operation on a closed slot takes the next open one, which is the same on both
 * sides. */
static void op_resolve(const struct side *side, struct op *op)
{
    if (op->kind == OP_OPEN)
        return;
    for (int i = 0; i < 2; i++) {
        for (unsigned k = 0; k < OP_SLOTS; k++) {
            unsigned slot = (op->slot[i] + k) % OP_SLOTS;

            if (side->fds[slot] >= 0) {
                op->slot[i] = slot;
                break;
            }
        }
    }
}

static bool step_run(struct side sides[2],
                     const struct op *given,
                     bool has_facts,
                     char why[WHY_MAX])
{
    struct facts before[2], after[2];
    struct result results[2];
    struct op op = *given;

    op_resolve(&sides[0], &op);
    for (int i = 0; i < 2; i++) {
        if (has_facts)
            side_facts(&sides[i], &op, &before[i]);
        side_apply(&sides[i], &op, &results[i]);
        if (has_facts)
            side_facts(&sides[i], &op, &after[i]);
    }
    if (!results_equal(sides, &op, results, why))
        return false;
    return !has_facts || facts_equal(&op, &results[0], before, after, why);
}

static int place_clear(const struct place *place)
{
    int status = 0;

    for (int i = 0; i < 2; i++) {
        int parent = open(place->paths[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int fd = openat(parent, place->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd >= 0) {
            status = side_clear(fd);
            close(fd);
            if (unlinkat(parent, place->name, AT_REMOVEDIR) != 0 && status == 0)
                status = -errno;
        }
        if (parent >= 0)
            close(parent);
    }
    return status;
}

int sequence_run(const struct place *place,
                 const struct op *const *list,
                 size_t n,
                 struct outcome *ret)
{
    struct side sides[2] = {{.root = -1}, {.root = -1}};
    int status = 0;

    *ret = (struct outcome){.is_equal = true, .at = n};
    for (int i = 0; i < 2 && status == 0; i++)
        status = side_open(&sides[i], place->labels[i], place->paths[i], place->name);
    for (size_t i = 0; status == 0 && ret->is_equal && i < n; i++) {
        time_t began = time(NULL);

        ret->is_equal = step_run(sides, list[i], i % place->facts_every == 0, ret->why);
        if (!ret->is_equal) {
            ret->at = i;
            ret->seconds = time(NULL) - began;
        }
    }
    if (status == 0 && ret->is_equal)
        ret->is_equal = sides_equal(sides, ret->why);
    if (status == 0 && ret->is_equal) {
        sides_unlock(sides);
        ret->is_equal = sides_equal(sides, ret->why);
    }
    for (int i = 0; i < 2; i++) {
        if (sides[i].data)
            side_close(&sides[i]);
    }
    if (status == 0) {
        status = place_clear(place);
        if (status != 0 && ret->is_equal) {
            ret->is_equal = false;
            snprintf(ret->why,
                     WHY_MAX,
                     "what is left can't be removed: %s",
                     strerrorname_np(-status));
            status = 0;
        }
    }
    return status;
}

/* Tries list without its elements from..to-1; keeps that if it still differs. */
static bool cut_try(const struct place *place,
                    const struct op **list,
                    size_t *n,
                    size_t from,
                    size_t to,
                    struct outcome *ret)
{
    const struct op **shorter = calloc(*n, sizeof *shorter);
    struct outcome outcome;
    size_t len = *n - (to - from);
    bool is_kept = false;

    if (!shorter)
        return false;
    memcpy(shorter, list, from * sizeof *list);
    memcpy(shorter + from, list + to, (*n - to) * sizeof *list);
    if (sequence_run(place, shorter, len, &outcome) == 0 && !outcome.is_equal) {
        is_kept = true;
        *n = outcome.at < len ? outcome.at + 1 : len;
        memcpy(list, shorter, *n * sizeof *list);
        *ret = outcome;
    }
    free(shorter);
    return is_kept;
}

size_t sequence_shrink(const struct place *given,
                       const struct op **list,
                       size_t n,
                       unsigned limit_s,
                       struct outcome *ret)
{
    time_t end = time(NULL) + (time_t)limit_s;
    struct place place = *given;

    place.facts_every = 1; /* the same ones, whatever is cut away */
    if (ret->at < n)
        n = ret->at + 1;
    for (size_t piece = n / 2 ? n / 2 : 1; piece > 0; piece /= 2) {
        bool is_shorter = true;

        while (is_shorter) {
            is_shorter = false;
            for (size_t from = 0; from < n && time(NULL) < end;) {
                size_t to = from + piece < n ? from + piece : n;

                if (to - from < n && cut_try(&place, list, &n, from, to, ret))
                    is_shorter = true;
                else
                    from += piece;
            }
        }
    }
    return n;
}
