/* SPDX-License-Identifier: Apache-2.0 */
/* B3, tracestate and baggage: in from a request, out to another. */
#include "client/client_priv.h"
#include "test.h"

#include <string.h>
#include <strings.h>

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN  "00f067aa0ba902b7"

struct header {
    const char *name;
    const char *value;
};

struct request {
    const struct header *headers;
    size_t count;
};

static const char *get(void *self, const char *name)
{
    const struct request *request = self;

    for (size_t i = 0; i < request->count; i++) {
        if (strcasecmp(request->headers[i].name, name) == 0)
            return request->headers[i].value;
    }
    return NULL;
}

struct outgoing {
    char text[SONDE_BAGGAGE_BYTES_MAX + 1024];
};

static void put(void *self, const char *name, const char *value)
{
    struct outgoing *outgoing = self;
    size_t size = strlen(outgoing->text);

    (void)snprintf(outgoing->text + size, sizeof(outgoing->text) - size, "%s: %s\n", name, value);
}

static struct sonde_headers read_of(const struct header *headers, size_t count, bool expected)
{
    static struct sonde_headers read;
    struct request request = {headers, count};

    EXPECT(sonde_headers_read(&read, get, &request) == expected);
    return read;
}

TEST(b3_comes_out_as_it_went_in)
{
    static const char *const texts[] = {
        TRACE "-" SPAN "-1",
        TRACE "-" SPAN "-0",
    };
    struct sonde_context context;
    char text[SONDE_B3_SIZE];

    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        ASSERT(sonde_context_read_b3(texts[i], &context));
        EXPECT(context.flags == (i == 0));
        sonde_context_write_b3(&context, text);
        EXPECT_TEXT(text, texts[i]);
    }
    EXPECT(sonde_context_read_b3(TRACE "-" SPAN, &context) && context.flags == 1);
    EXPECT(sonde_context_read_b3(TRACE "-" SPAN "-d-05e3ac9a4f6e3b90", &context) &&
           context.flags == 1);
    /* 64 bits get zeros before them. */
    ASSERT(sonde_context_read_b3("a3ce929d0e0e4736-" SPAN "-1", &context));
    sonde_context_write_b3(&context, text);
    EXPECT_TEXT(text, "0000000000000000a3ce929d0e0e4736-" SPAN "-1");
}

TEST(what_is_no_b3_is_nowhere)
{
    static const char *const wrong[] = {
        "",
        "0",
        "1",
        TRACE,
        TRACE "-",
        TRACE "-" SPAN "-",
        TRACE "-" SPAN "-2",
        TRACE "-" SPAN "-1-",
        TRACE "-" SPAN "-1-05e3ac9a4f6e3b9",
        TRACE "-" SPAN "-1-05e3ac9a4f6e3b90x",
        TRACE "-00f067aa0ba902b",
        TRACE "0-" SPAN "-1",
        "00000000000000000000000000000000-" SPAN "-1",
        TRACE "-0000000000000000-1",
        "4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN "-1",
    };
    struct sonde_context context;
    char text[SONDE_B3_SIZE] = "x";

    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++)
        EXPECT(!sonde_context_read_b3(wrong[i], &context) && client_is_nowhere(&context));
    EXPECT(!sonde_context_read_b3(NULL, &context) && !sonde_context_read_b3(TRACE, NULL));
    sonde_context_write_b3(&context, text);
    EXPECT_TEXT(text, "");
}

TEST(the_older_form_of_b3_has_a_header_for_each)
{
    const struct header sampled[] = {
        {"X-B3-TraceId", TRACE}, {"X-B3-SpanId", SPAN}, {"X-B3-Sampled", "1"}};
    const struct header denied[] = {
        {"X-B3-TraceId", TRACE}, {"X-B3-SpanId", SPAN}, {"X-B3-Sampled", "false"}};
    const struct header debug[] = {
        {"X-B3-TraceId", TRACE}, {"X-B3-SpanId", SPAN}, {"X-B3-Flags", "1"}, {"X-B3-Sampled", "0"}};
    const struct header broken[] = {{"X-B3-TraceId", TRACE "ab"}, {"X-B3-SpanId", SPAN}};

    EXPECT(read_of(sampled, ARRAY_COUNT(sampled), true).context.flags == 1);
    EXPECT(read_of(denied, ARRAY_COUNT(denied), true).context.flags == 0);
    EXPECT(read_of(debug, ARRAY_COUNT(debug), true).context.flags == 1);
    (void)read_of(broken, ARRAY_COUNT(broken), false);
    (void)read_of(sampled, 1, false);
}

TEST(headers_are_handed_on_in_every_form)
{
    const struct header in[] = {{"traceparent", "00-" TRACE "-" SPAN "-01"},
                                {"tracestate", "vendor=a1,other=b2"},
                                {"baggage", "user=42,region=eu%20west;ttl=3"},
                                {"b3", "0"}};
    struct sonde_headers headers = read_of(in, ARRAY_COUNT(in), true);
    struct outgoing out = {""};
    struct sonde_context own = headers.context;

    own.span_id[0] = 0xff;
    sonde_headers_write(&headers, &own, SONDE_W3C | SONDE_B3 | SONDE_B3_MULTI, put, &out);
    EXPECT_TEXT(out.text, "baggage: user=42,region=eu%20west;ttl=3\n"
                          "traceparent: 00-" TRACE "-fff067aa0ba902b7-01\n"
                          "tracestate: vendor=a1,other=b2\n"
                          "b3: " TRACE "-fff067aa0ba902b7-1\n"
                          "X-B3-TraceId: " TRACE "\nX-B3-SpanId: fff067aa0ba902b7\n"
                          "X-B3-Sampled: 1\n");
    out.text[0] = '\0';
    sonde_headers_write(&headers, NULL, SONDE_B3, put, &out);
    EXPECT_TEXT(out.text, "baggage: user=42,region=eu%20west;ttl=3\nb3: " TRACE "-" SPAN "-1\n");
    out.text[0] = '\0';
    sonde_headers_write(NULL, NULL, SONDE_W3C, put, &out);
    sonde_headers_write(&headers, NULL, SONDE_W3C, NULL, &out);
    EXPECT_TEXT(out.text, "");
    EXPECT(!sonde_headers_read(NULL, get, &out) && !sonde_headers_read(&headers, NULL, NULL));
}

TEST(what_could_end_a_header_is_not_handed_on)
{
    const struct header in[] = {{"traceparent", "00-" TRACE "-" SPAN "-01"},
                                {"tracestate", "a=1\r\nx-admin: yes"},
                                {"baggage", "a=1\nb: 2"}};
    struct sonde_headers headers = read_of(in, ARRAY_COUNT(in), true);

    EXPECT_TEXT(headers.tracestate, "");
    EXPECT_TEXT(headers.baggage, "");
    EXPECT(sonde_baggage_set(&headers, "a", "1\r\nx-admin: yes"));
    EXPECT_TEXT(headers.baggage, "a=1%0d%0ax-admin:%20yes");
}

TEST(what_is_too_long_loses_whole_members)
{
    static char state[2048];
    const struct header in[] = {{"traceparent", "00-" TRACE "-" SPAN "-01"}, {"tracestate", state}};

    for (size_t i = 0, size = 0; i < 20; i++)
        size += (size_t)snprintf(state + size, sizeof(state) - size, "%svendor%02zu=%049d",
                                 i == 0 ? "" : ",", i, 7); /* Fits. */
    struct sonde_headers headers = read_of(in, 2, true);
    EXPECT(strlen(headers.tracestate) <= SONDE_TRACESTATE_BYTES_MAX);
    EXPECT(strncmp(headers.tracestate, state, strlen(headers.tracestate)) == 0);
    EXPECT(state[strlen(headers.tracestate)] == ',');
    /* Another trace's state means nothing without its context. */
    const struct header alone[] = {{"tracestate", "a=1"}};
    headers = read_of(alone, 1, false);
    EXPECT_TEXT(headers.tracestate, "");
}

TEST(baggage_is_asked_and_set)
{
    const struct header in[] = {
        {"baggage", " user = 42 ;ttl=3 , region=eu%20west,users=9,odd=%zz%4"}};
    struct sonde_headers headers = read_of(in, 1, false);
    char value[32];

    EXPECT(sonde_baggage_get(&headers, "user", value, sizeof(value)));
    EXPECT_TEXT(value, "42");
    EXPECT(sonde_baggage_get(&headers, "region", value, sizeof(value)));
    EXPECT_TEXT(value, "eu west");
    EXPECT(sonde_baggage_get(&headers, "odd", value, sizeof(value)));
    EXPECT_TEXT(value, "%zz%4");
    EXPECT(!sonde_baggage_get(&headers, "use", value, sizeof(value)));
    EXPECT(!sonde_baggage_get(&headers, "region", value, 7));
    EXPECT_TEXT(value, "");
    EXPECT(sonde_baggage_get(&headers, "region", value, 8));

    EXPECT(sonde_baggage_set(&headers, "user", "ü, 1"));
    EXPECT_TEXT(headers.baggage, " region=eu%20west,users=9,odd=%zz%4,user=%c3%bc%2c%201");
    EXPECT(sonde_baggage_get(&headers, "user", value, sizeof(value)));
    EXPECT_TEXT(value, "ü, 1");
    EXPECT(sonde_baggage_set(&headers, "user", NULL) && sonde_baggage_set(&headers, "user", NULL));
    EXPECT_TEXT(headers.baggage, " region=eu%20west,users=9,odd=%zz%4");
    EXPECT(!sonde_baggage_set(&headers, "", "1") && !sonde_baggage_set(&headers, "a b", "1") &&
           !sonde_baggage_set(&headers, NULL, "1") && !sonde_baggage_set(NULL, "a", "1"));
}

TEST(baggage_is_bounded)
{
    struct sonde_headers headers = {.baggage = ""};
    static char value[SONDE_BAGGAGE_BYTES_MAX + 1];
    char key[16];

    for (int i = 0; i < SONDE_BAGGAGE_MEMBERS_MAX; i++) {
        (void)snprintf(key, sizeof(key), "key%d", i);
        EXPECT(sonde_baggage_set(&headers, key, "1"));
    }
    EXPECT(!sonde_baggage_set(&headers, "another", "1"));
    EXPECT(sonde_baggage_set(&headers, "key0", "2"));
    memset(value, 'x', SONDE_BAGGAGE_BYTES_MAX);
    size_t before = strlen(headers.baggage);
    EXPECT(!sonde_baggage_set(&headers, "key0", value) && strlen(headers.baggage) == before);
    headers.baggage[0] = '\0';
    value[SONDE_BAGGAGE_BYTES_MAX - 3] = '\0';
    EXPECT(sonde_baggage_set(&headers, "k", value));
    EXPECT(strlen(headers.baggage) <= SONDE_BAGGAGE_BYTES_MAX);
}

TEST_MAIN
