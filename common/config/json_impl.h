/* SPDX-License-Identifier: Apache-2.0
 * Private to this component: a struct json is a struct json_object under another name.
 */
#ifndef BENCHFS_CONFIG_JSON_IMPL_H
#define BENCHFS_CONFIG_JSON_IMPL_H

#include <json-c/json_object.h>

#include "config/json.h"

/* json-c takes no const, also where it only reads. */
static inline struct json_object *json_to_c(const struct json *json)
{
    return (struct json_object *)json;
}

static inline struct json *json_from_c(struct json_object *object)
{
    return (struct json *)object;
}

#endif
