/* SPDX-License-Identifier: Apache-2.0
 * Records of dentries and directory parts, for dentry.c and the check.
 *
 * A dentry's key is directory, 40-bit hash of the name, ordinal, name. The ordinal
 * (from 1) tells names of equal hash apart, so that hash and ordinal together are a
 * cookie no other name of the directory has. */
#ifndef BENCHFS_STORE_DENTRY_H
#define BENCHFS_STORE_DENTRY_H

#include "store/index.h"
#include "store/store.h"

#define DENTRY_COOKIE_BITS 48
#define DENTRY_KEY_HEAD    14u /* directory, hash, ordinal */
#define DENTRY_KEY_MAX     (DENTRY_KEY_HEAD + STORE_NAME_MAX)
#define DIRPART_KEY_SIZE   8u

uint64_t dentry_name_hash(const char *name, size_t len);
/* 0 or -EUCLEAN; name and cookie of *ret from the key, the rest from the value. */
int dentry_decode(const MDB_val *key,
                  const MDB_val *value,
                  uint64_t *ret_dir,
                  struct store_dirent *ret);
int dirpart_decode(const MDB_val *value, struct store_dirpart *ret);

#endif
