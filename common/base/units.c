/* SPDX-License-Identifier: Apache-2.0
 * Sizes, durations and rates as people write and read them. */
#include "base/units.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <strings.h>

/* Past this many digits a fraction can't matter to a size of 64 bits. */
#define FRACTION_DIGITS_MAX 18

struct unit {
    const char *name;
    uint64_t factor;
};

struct number {
    uint64_t whole;
    uint64_t fraction; /* in units of 1 / fraction_scale */
    uint64_t fraction_scale;
    bool has_fraction;
};

#define KB UINT64_C(1000)

static const struct unit size_units[] = {
    {"", 1},
    {"B", 1},
    {"K", UNITS_KIB},
    {"KiB", UNITS_KIB},
    {"KB", KB},
    {"M", UNITS_MIB},
    {"MiB", UNITS_MIB},
    {"MB", KB *KB},
    {"G", UNITS_GIB},
    {"GiB", UNITS_GIB},
    {"GB", KB *KB *KB},
    {"T", UNITS_TIB},
    {"TiB", UNITS_TIB},
    {"TB", KB *KB *KB *KB},
    {"P", UNITS_TIB << 10},
    {"PiB", UNITS_TIB << 10},
    {"PB", KB *KB *KB *KB *KB},
    {"E", UNITS_TIB << 20},
    {"EiB", UNITS_TIB << 20},
    {"EB", KB *KB *KB *KB *KB *KB},
    {NULL, 0},
};

static const struct unit duration_units[] = {
    {"ms", 1},
    {"s", 1000},
    {"m", 60 * 1000},
    {"min", 60 * 1000},
    {"h", 3600 * 1000},
    {"d", 24 * 3600 * 1000},
    {NULL, 0},
};

static const struct unit *find_unit(const struct unit *units, const char *name)
{
    for (; units->name; units++) {
        if (strcasecmp(units->name, name) == 0)
            return units;
    }
    return NULL;
}

/* Returns what follows the digits, or NULL with errno EINVAL (none) or ERANGE. */
static const char *parse_digits(const char *text, uint64_t *ret_value)
{
    uint64_t value = 0;

    errno = EINVAL;
    if (!isdigit((unsigned char)*text))
        return NULL;
    for (; isdigit((unsigned char)*text); text++) {
        if (__builtin_mul_overflow(value, UINT64_C(10), &value)
            || __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value)) {
            errno = ERANGE;
            return NULL;
        }
    }
    *ret_value = value;
    return text;
}

static const char *parse_fraction(const char *text, struct number *number)
{
    int digits = 0;

    errno = EINVAL;
    if (!isdigit((unsigned char)*text))
        return NULL;
    number->has_fraction = true;
    for (; isdigit((unsigned char)*text); text++) {
        if (digits++ == FRACTION_DIGITS_MAX)
            return NULL;
        number->fraction = number->fraction * 10 + (uint64_t)(*text - '0');
        number->fraction_scale *= 10;
    }
    return text;
}

/* Returns the unit's name after the number, or NULL with errno set. */
static const char *parse_number(const char *text, struct number *ret_number)
{
    struct number number = {.fraction_scale = 1};

    text = parse_digits(text, &number.whole);
    if (text && *text == '.')
        text = parse_fraction(text + 1, &number);
    if (!text)
        return NULL;
    while (*text == ' ')
        text++;
    *ret_number = number;
    return text;
}

static int
scale_number(const struct number *number, uint64_t factor, uint64_t *ret_value)
{
    unsigned __int128 part =
        (unsigned __int128)number->fraction * factor / number->fraction_scale;
    uint64_t value;

    if (__builtin_mul_overflow(number->whole, factor, &value)
        || __builtin_add_overflow(value, (uint64_t)part, &value))
        return -ERANGE;
    *ret_value = value;
    return 0;
}

int units_size_parse(const char *text, uint64_t *ret_bytes, struct benchfs_error *err)
{
    struct number number;
    const char *name = parse_number(text, &number);
    const struct unit *unit;

    if (!name && errno == ERANGE)
        return benchfs_error_set(err, ERANGE, "too large");
    unit = name ? find_unit(size_units, name) : NULL;
    if (!unit || (number.has_fraction && unit->factor == 1))
        return benchfs_error_set(
            err, EINVAL, "not a size (such as 4096, 512MiB, 10G or 1.5T)");
    if (scale_number(&number, unit->factor, ret_bytes) < 0)
        return benchfs_error_set(err, ERANGE, "too large");
    return 0;
}

int units_duration_parse(const char *text, uint64_t *ret_ms, struct benchfs_error *err)
{
    struct number number;
    const char *name = parse_number(text, &number);
    const struct unit *unit;

    if (!name && errno == ERANGE)
        return benchfs_error_set(err, ERANGE, "too large");
    unit = name ? find_unit(duration_units, name) : NULL;
    if (!unit && name && *name == '\0' && number.whole == 0 && number.fraction == 0)
        unit = &duration_units[0];
    if (!unit)
        return benchfs_error_set(
            err, EINVAL, "not a duration (such as 500ms, 30s, 10m or 2h)");
    if (scale_number(&number, unit->factor, ret_ms) < 0)
        return benchfs_error_set(err, ERANGE, "too large");
    return 0;
}

int units_count_parse(const char *text, uint64_t *ret_count, struct benchfs_error *err)
{
    uint64_t count = 0;
    const char *rest = parse_digits(text, &count);

    if (!rest && errno == ERANGE)
        return benchfs_error_set(err, ERANGE, "too large");
    if (!rest || *rest != '\0')
        return benchfs_error_set(err, EINVAL, "not a number");
    *ret_count = count;
    return 0;
}

char *units_size_format(char *text, size_t size, uint64_t bytes)
{
    static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    size_t i = 0;

    /* 1023.95 and up would print as 1024.0 */
    while (value >= 1023.95 && i + 1 < sizeof(names) / sizeof(names[0])) {
        value /= 1024;
        i++;
    }
    snprintf(text, size, "%.*f %s", i == 0 ? 0 : 1, value, names[i]);
    return text;
}

char *units_rate_format(char *text, size_t size, uint64_t bytes, uint64_t duration_ns)
{
    double mib;

    if (duration_ns == 0) {
        snprintf(text, size, "-");
        return text;
    }
    mib = (double)bytes / (double)UNITS_MIB / ((double)duration_ns / 1e9);
    snprintf(text, size, "%.1f MiB/s", mib);
    return text;
}

char *units_seconds_format(char *text, size_t size, uint64_t duration_ns)
{
    double seconds = (double)duration_ns / 1e9;
    unsigned long long whole = (unsigned long long)(seconds + 0.5);

    if (seconds < 0.9995)
        snprintf(text, size, "%.1f ms", seconds * 1e3);
    else if (seconds < 9.995)
        snprintf(text, size, "%.2f s", seconds);
    else if (seconds < 119.95)
        snprintf(text, size, "%.1f s", seconds);
    else if (whole < 3600)
        snprintf(text, size, "%llu min %llu s", whole / 60, whole % 60);
    else
        snprintf(text, size, "%llu h %llu min", whole / 3600, whole % 3600 / 60);
    return text;
}
