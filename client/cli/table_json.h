/* SPDX-License-Identifier: Apache-2.0
 * The endpoint table as JSON (schemas/endpoint_table.schema.json). */
#ifndef BENCHFS_CLI_TABLE_JSON_H
#define BENCHFS_CLI_TABLE_JSON_H

#include "config/json.h"
#include "proto/endpoint_table.h"

/* NULL when memory is short. json_destroy() it. */
struct json *table_json_make(const struct endpoint_table *table);

#endif
