/* SPDX-License-Identifier: Apache-2.0 */
#include "load/witness.h"

#include "document/document.h"
#include "load/judgement.h"
#include "test.h"

#define ANSWER                                                                                   \
    "{\"host\":\"vm\",\"is_here\":true,\"spans\":9,\"entry_spans\":4,"                           \
    "\"figures\":[{\"key\":\"cpu\",\"title\":\"CPU in use\",\"unit\":\"ratio\",\"before\":null," \
    "\"during\":0.5,\"peak\":0.97}],"                                                            \
    "\"processes\":[{\"name\":\"app<1>\",\"cores\":1.25}],"                                      \
    "\"services\":[{\"service\":\"shop\",\"name\":\"GET /\",\"spans\":4,\"errors\":0,"           \
    "\"p95_ms\":12,\"slowest\":[{\"trace_id\":\"00aa\"}]}],"                                     \
    "\"findings\":[{\"severity\":\"warning\",\"claim\":\"It waits.\",\"evidence\":\"Often.\","   \
    "\"next_step\":\"Look.\"}],"                                                                 \
    "\"notes\":[{\"kind\":\"warning\",\"text\":\"p95 broke: it waits.\"},"                       \
    "{\"kind\":\"info\",\"text\":\"100 % of it\"}]}\n"

static void write_document(const struct witness *witness, enum document_form form, struct buf *out)
{
    struct document *document CLEANUP(document_freep) = document_new("t", 1 << 20);

    witness_document(witness, " at 5/s", document);
    EXPECT(document_write(document, form, NULL, out, NULL) == ERR_NONE);
}

TEST(what_a_daemon_saw_is_told_in_each_form)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(1 << 20);
    struct buf html CLEANUP(buf_done) = {0};
    struct buf markdown CLEANUP(buf_done) = {0};
    struct witness *witness;

    ASSERT(witness_read(STR(ANSWER), STR("http://127.0.0.1:7070/"), arena, &witness, NULL) ==
           ERR_NONE);
    EXPECT(
        str_starts(witness_json(witness), STR("{\"daemon\":\"http://127.0.0.1:7070\",\"host\"")));
    write_document(witness, FORM_HTML, &html);
    struct str text = buf_view(&html);
    EXPECT(str_find_str(text, STR("It waits. Often. Look.")) >= 0);
    EXPECT(str_find_str(text, STR("Seen at 5/s by the daemon")) >= 0);
    EXPECT(str_find_str(text, STR("app&lt;1&gt;")) >= 0 && str_find_str(text, STR("1.25")) >= 0);
    EXPECT(str_find_str(text, STR("<a href=\"http://127.0.0.1:7070/#/trace?id=00aa\">00aa</a>")) >=
           0);
    write_document(witness, FORM_MARKDOWN, &markdown);
    EXPECT(str_find_str(buf_view(&markdown),
                        STR("[00aa](http://127.0.0.1:7070/#/trace?id=00aa)")) >= 0);
    EXPECT(str_find_str(buf_view(&markdown), STR("97.0%")) >= 0);
}

TEST(its_sentences_join_the_verdict_without_failing_it)
{
    struct arena *arena CLEANUP(arena_freep) = arena_new(1 << 20);
    struct judgement judgement;
    struct witness *witness;

    judgement_init(&judgement, arena);
    ASSERT(witness_read(STR(ANSWER), STR("x"), arena, &witness, NULL) == ERR_NONE);
    witness_note(witness, &judgement);
    ASSERT(judgement.notes_count == 2);
    EXPECT(judgement.notes[0].kind == NOTE_WARNING && judgement.notes[1].kind == NOTE_INFO);
    EXPECT(str_eq(str_of(judgement.notes[1].text), STR("100 % of it")));
    EXPECT(!judgement.failed);
}

TEST(other_answers_are_refused_and_empty_ones_told)
{
    static const char *const bad[] = {
        "", "[]", "{}", "{\"entry_spans\":null}", "{\"entry_spans\":", "nothing"};
    struct arena *arena CLEANUP(arena_freep) = arena_new(1 << 20);
    struct buf text CLEANUP(buf_done) = {0};
    struct witness *witness;

    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        EXPECT(witness_read(str_of(bad[i]), STR("x"), arena, &witness, NULL) == ERR_INVALID);
    ASSERT(witness_read(STR("{\"entry_spans\":0,\"findings\":1,\"figures\":[2]}"), STR("x"), arena,
                        &witness, NULL) == ERR_NONE);
    write_document(witness, FORM_CONSOLE, &text);
    EXPECT(str_find_str(buf_view(&text), STR("another machine")) >= 0);
}

TEST_MAIN
