/* SPDX-License-Identifier: Apache-2.0 */
/* terms - which key=value pairs a block has, and which traces: small sets that may say "perhaps"
 * wrongly now and then, and never say "no" wrongly. So a search opens few blocks.
 *
 * A set is a run of bytes: bits, five of them set for each thing inside. Pure; any thread. */
#pragma once
#include "base/buf.h"
#include "model/attribute.h"

enum {
    TERMS_BITS_PAIR = 10,  /* Of each pair: wrong once in a hundred. */
    TERMS_BITS_TRACE = 16, /* Of each trace: once in seven hundred, as every block is asked. */
    TERMS_PROBES = 5,
    TERMS_COUNT_MAX = 1 << 20, /* More things in one block: then no set is made. */
};

/* The pseudo-keys of what is no attribute. */
#define TERM_NAME STR("\001name")

/* A growing list of hashes; all zero is empty. */
struct terms {
    uint64_t *hashes;
    size_t count;
    size_t capacity;
    bool incomplete; /* Something could not be told: no set is made. */
};

void terms_done(struct terms *terms);
void terms_clear(struct terms *terms);
void terms_add(struct terms *terms, uint64_t hash);

/* A scalar value as the text that searches compare with; lists, maps and bytes have none. */
#define TERM_TEXT_SIZE 32
bool term_text(const struct value *value, char scratch[TERM_TEXT_SIZE], struct str *ret_text);
uint64_t term_hash(struct str key, struct str text);
uint64_t term_hash_id(const uint8_t *id, size_t size);

/* Appends the set; nothing when terms is incomplete. */
void terms_write(const struct terms *terms, unsigned bits_each, struct buf *out);
/* False: it is certainly not inside. An empty set of bytes says "perhaps" to everything. */
bool terms_may_have(struct str set, uint64_t hash);
