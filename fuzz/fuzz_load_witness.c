/* SPDX-License-Identifier: Apache-2.0 */
/* What a daemon answers about a load: refused, or told in every form. */
#include "document/document.h"
#include "load/judgement.h"
#include "load/witness.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_BYTES = 64 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(ARENA_BYTES);
    struct judgement judgement;
    struct witness *witness;

    if (witness_read((struct str){(const char *)data, size}, STR("http://127.0.0.1:7070/"), arena,
                     &witness, NULL) != ERR_NONE)
        return 0;
    judgement_init(&judgement, arena);
    witness_note(witness, &judgement);
    MUST(!judgement.failed); /* A daemon explains; it does not judge. */
    MUST(str_starts(witness_json(witness), STR("{\"daemon\":")));
    struct document *document CLEANUP(document_freep) = document_new("fuzz", ARENA_BYTES);
    witness_document(witness, " at 5/s", document);
    for (int form = 0; form < FORM_COUNT; form++) {
        struct buf out CLEANUP(buf_done) = {0};
        (void)document_write(document, (enum document_form)form, NULL, &out, NULL);
    }
    return 0;
}
