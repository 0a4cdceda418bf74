/* SPDX-License-Identifier: Apache-2.0
 * Small facts about the service that its first target keeps over a restart: key kind
 * and two numbers, value a number. */
#include <errno.h>

#include "store/codec.h"
#include "store/store_impl.h"

#define NOTE_VERSION  1
#define NOTE_KEY_SIZE (1 + 4 + 4)
#define NOTE_SIZE     (1 + 4)

int store_note_put(struct store *store, const struct store_note *note)
{
    uint8_t key[NOTE_KEY_SIZE], value[NOTE_SIZE];
    uint8_t *p = codec_put_be(key, note->kind, 1);

    codec_put_be(codec_put_be(p, note->a, 4), note->b, 4);
    codec_put(codec_put(value, NOTE_VERSION, 1), note->value, 4);
    return index_put(
        store->index, INDEX_NOTE, key, sizeof(key), value, sizeof(value), INDEX_FREE);
}

int store_note_scan(struct store *store,
                    int (*each)(void *arg, const struct store_note *note),
                    void *arg)
{
    const uint8_t start[NOTE_KEY_SIZE] = {0};
    struct store_note note;
    MDB_val key, value;
    int rc = index_seek(store->index, INDEX_NOTE, start, sizeof(start), &key, &value);

    while (rc == 0) {
        const uint8_t *k = key.mv_data, *p = value.mv_data;

        if (key.mv_size != NOTE_KEY_SIZE || value.mv_size != NOTE_SIZE
            || codec_get(&p, 1) != NOTE_VERSION)
            return -EUCLEAN;
        note.kind = (uint8_t)codec_get_be(&k, 1);
        note.a = (uint32_t)codec_get_be(&k, 4);
        note.b = (uint32_t)codec_get_be(&k, 4);
        note.value = (uint32_t)codec_get(&p, 4);
        rc = each(arg, &note);
        if (rc)
            return rc;
        rc = index_next(store->index, INDEX_NOTE, &key, &value);
    }
    return rc == -ENOENT ? 0 : rc;
}
