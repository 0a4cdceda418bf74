/* SPDX-License-Identifier: Apache-2.0
 * Stage directives SRC:DST. Both sides are absolute, so they part at the ":/". */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/types.h"

#define STAGE_COUNT_MAX 1024

static int parse_side(const char *side,
                      const char *text,
                      size_t size,
                      char **ret_path,
                      struct benchfs_error *err)
{
    int status = config_path_parse(text, size, ret_path, err);

    if (status < 0)
        benchfs_error_prefix(err, "%s: ", side);
    return status;
}

static int parse_directive(const char *text,
                           struct config_stage *ret_stage,
                           struct benchfs_error *err)
{
    const char *colon = strstr(text, ":/");
    struct config_stage stage = {.source = NULL};
    int status;

    if (text[0] != '/' || !colon)
        return benchfs_error_set(
            err, EINVAL, "not SRC:DST, two absolute paths with a colon between");
    if (strstr(colon + 1, ":/"))
        return benchfs_error_set(
            err, EINVAL, "more than one \":/\", so SRC and DST can't be told apart");
    status = parse_side("SRC", text, (size_t)(colon - text), &stage.source, err);
    if (status < 0)
        return status;
    status = parse_side("DST", colon + 1, strlen(colon + 1), &stage.target, err);
    if (status < 0) {
        free(stage.source);
        return status;
    }
    *ret_stage = stage;
    return 0;
}

static int stage_parse(const struct config_setting *setting,
                       const char *text,
                       void *field,
                       struct benchfs_error *err)
{
    struct config_stage_list *list = field;
    struct config_stage *items;
    int status;

    (void)setting;
    if (list->count == STAGE_COUNT_MAX)
        return benchfs_error_set(
            err, EINVAL, "more than %d directives", STAGE_COUNT_MAX);
    items = realloc(list->items, (list->count + 1) * sizeof(*items));
    if (!items)
        return benchfs_error_set(err, ENOMEM, "out of memory");
    list->items = items;
    status = parse_directive(text, &items[list->count], err);
    if (status == 0)
        list->count++;
    return status;
}

static void stage_clear(void *field)
{
    struct config_stage_list *list = field;

    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i].source);
        free(list->items[i].target);
    }
    free(list->items);
    *list = (struct config_stage_list){.items = NULL};
}

static struct json *directive_to_json(const struct config_stage *stage)
{
    struct json *json;
    char *text;

    if (asprintf(&text, "%s:%s", stage->source, stage->target) < 0)
        return NULL;
    json = json_make_string(text);
    free(text);
    return json;
}

static struct json *stage_to_json(const struct config_setting *setting,
                                  const void *field)
{
    const struct config_stage_list *list = field;
    struct json *array = json_make_array();

    (void)setting;
    for (size_t i = 0; i < list->count; i++) {
        if (json_append(array, directive_to_json(&list->items[i])) < 0) {
            json_destroy(array);
            return NULL;
        }
    }
    return array;
}

const struct config_type config_type_stage = {
    .name = "list",
    .parse = stage_parse,
    .clear = stage_clear,
    .to_json = stage_to_json,
};
