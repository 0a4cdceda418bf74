/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/survey.h"

void survey_record_put(struct wire_writer *w, const struct survey_record *record)
{
    wire_put_u8(w, record->table);
    wire_put_u64(w, record->ino);
    wire_put_u64(w, record->parent);
    wire_put_u64(w, record->size);
    wire_put_u32(w, record->mode);
    wire_put_u32(w, record->nlink);
    wire_put_u32(w, record->chunk_size);
    wire_put_u32(w, record->base);
    wire_put_u8(w, record->layout);
    wire_put_u8(w, record->is_open);
    wire_put_text(w, record->name);
}

void survey_record_get(struct wire_reader *r, struct survey_record *ret)
{
    ret->table = wire_get_u8(r);
    ret->ino = wire_get_u64(r);
    ret->parent = wire_get_u64(r);
    ret->size = wire_get_u64(r);
    ret->mode = wire_get_u32(r);
    ret->nlink = wire_get_u32(r);
    ret->chunk_size = wire_get_u32(r);
    ret->base = wire_get_u32(r);
    ret->layout = wire_get_u8(r);
    ret->is_open = wire_get_u8(r);
    ret->name = wire_get_text(r, WIRE_TEXT_MAX);
    if (ret->table >= SURVEY_N_TABLES)
        r->failed = true;
}
