/* SPDX-License-Identifier: Apache-2.0 */
#include "store/terms.h"

#include <stdio.h>
#include <stdlib.h>

void terms_done(struct terms *terms)
{
    free(terms->hashes);
    *terms = (struct terms){0};
}

void terms_clear(struct terms *terms)
{
    terms->count = 0;
    terms->incomplete = false;
}

void terms_add(struct terms *terms, uint64_t hash)
{
    if (terms->count == TERMS_COUNT_MAX) {
        terms->incomplete = true;
        return;
    }
    if (terms->count == terms->capacity) {
        terms->capacity = terms->capacity == 0 ? 4096 : terms->capacity * 2;
        terms->hashes = reallocarray(terms->hashes, terms->capacity, sizeof(*terms->hashes));
        if (terms->hashes == NULL)
            must_memory(terms->capacity * sizeof(*terms->hashes));
    }
    terms->hashes[terms->count++] = hash;
}

bool term_text(const struct value *value, char scratch[TERM_TEXT_SIZE], struct str *ret_text)
{
    switch (value->kind) {
    case VALUE_TEXT:
        *ret_text = value->text;
        return true;
    case VALUE_BOOL:
        *ret_text = value->boolean ? STR("true") : STR("false");
        return true;
    case VALUE_INTEGER: {
        int size = snprintf(scratch, TERM_TEXT_SIZE, "%lld", (long long)value->integer);
        *ret_text = (struct str){scratch, (size_t)size};
        return true;
    }
    case VALUE_DOUBLE:
        *ret_text = (struct str){scratch, str_from_double(scratch, value->number)};
        return true;
    default:
        return false;
    }
}

uint64_t term_hash(struct str key, struct str text)
{
    return str_hash(text, str_hash(key, 1));
}

uint64_t term_hash_id(const uint8_t *id, size_t size)
{
    return str_hash((struct str){(const char *)id, size}, 2);
}

/* Two halves of the hash give all probes (Kirsch, Mitzenmacher). */
static size_t probe(uint64_t hash, unsigned number, size_t bits)
{
    return ((hash & UINT32_MAX) + number * (hash >> 32 | 1)) % bits;
}

void terms_write(const struct terms *terms, unsigned bits_each, struct buf *out)
{
    size_t bytes = terms->count * bits_each / 8 + 8;

    if (terms->incomplete)
        return;
    uint8_t *set = (uint8_t *)buf_reserve(out, bytes);
    memset(set, 0, bytes);
    out->size += bytes;
    for (size_t i = 0; i < terms->count; i++) {
        for (unsigned p = 0; p < TERMS_PROBES; p++) {
            size_t bit = probe(terms->hashes[i], p, bytes * 8);
            set[bit / 8] |= (uint8_t)(1 << bit % 8);
        }
    }
}

bool terms_may_have(struct str set, uint64_t hash)
{
    if (set.size == 0)
        return true;
    for (unsigned p = 0; p < TERMS_PROBES; p++) {
        size_t bit = probe(hash, p, set.size * 8);
        if (((uint8_t)set.data[bit / 8] >> bit % 8 & 1) == 0)
            return false;
    }
    return true;
}
