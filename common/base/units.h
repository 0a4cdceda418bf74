/* SPDX-License-Identifier: Apache-2.0
 * Sizes, durations and rates as people write and read them. */
#ifndef BENCHFS_BASE_UNITS_H
#define BENCHFS_BASE_UNITS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define UNITS_KIB (UINT64_C(1) << 10)
#define UNITS_MIB (UINT64_C(1) << 20)
#define UNITS_GIB (UINT64_C(1) << 30)
#define UNITS_TIB (UINT64_C(1) << 40)

#define UNITS_TEXT_MAX 32

/* "4096", "10G", "512MiB", "1.5T", "100 GB": K, M, G, T, P, E and KiB.. are powers of
 * 1024, KB.. powers of 1000, in either case; a fraction needs a unit and is rounded
 * down to a byte. Returns 0, -EINVAL (not a size) or -ERANGE (2^64 or more), the text
 * in err says which and does not repeat the value. */
int units_size_parse(const char *text, uint64_t *ret_bytes, struct benchfs_error *err);

/* "500ms", "30s", "1.5s", "10m", "2h", "1d", also "min"; a plain number has no meaning
 * but 0. Rounded down to a millisecond. Returns as units_size_parse. */
int units_duration_parse(const char *text, uint64_t *ret_ms, struct benchfs_error *err);

/* Digits only, decimal. Returns as units_size_parse. */
int units_count_parse(const char *text, uint64_t *ret_count, struct benchfs_error *err);

/* For people: "0 B", "1.5 GiB", "1023 B". Returns text. UNITS_TEXT_MAX fits all. */
char *units_size_format(char *text, size_t size, uint64_t bytes);

/* "512.0 MiB/s"; in no time at all it is "-". */
char *units_rate_format(char *text, size_t size, uint64_t bytes, uint64_t duration_ns);

/* "0.3 ms", "1.24 s", "75.0 s", "12 min 5 s", "3 h 2 min". */
char *units_seconds_format(char *text, size_t size, uint64_t duration_ns);

#endif
