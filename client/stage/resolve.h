/* SPDX-License-Identifier: Apache-2.0
 *
 * From directives SRC:DST to the first items: which files they name, and where these
 * go.
 *
 *   SRC a directory      its content goes into DST, which is made if it is missing
 *   SRC another file     DST is its path, or the directory it goes into, if that is one
 *                        or ends in '/'
 *   SRC with * ? [       DST is a directory, each match goes into it under its name
 */
#ifndef BENCHFS_STAGE_RESOLVE_H
#define BENCHFS_STAGE_RESOLVE_H

#include "config/config.h"
#include "stage/work.h"

#define RESOLVE_DIRECTIVES_MAX 4096u

/* Directives on the wire: {U16 length, source, U16 length, destination} each. */
int resolve_directives_encode(const struct config_stage_list *list, struct bytes *out);

/* Does a STAGE_ITEM_DIRECTIVES: adds an item for each file or tree. On the way in a
 * source that is missing fails all of it, before anything is copied. */
void resolve_run(struct work *work, const void *data, size_t len);

/* Whether a path is a pattern. */
bool resolve_is_pattern(const char *path);
/* The last component; "" for "/". Points into path. */
const char *resolve_base_name(const char *path);
/* All but the last component, "/" at least; ret has PATH_MAX bytes. */
void resolve_dir_name(const char *path, char *ret);

#endif
