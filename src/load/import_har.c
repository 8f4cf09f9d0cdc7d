/* SPDX-License-Identifier: Apache-2.0 */
/* A recording holds all that a page asked for, from many hosts. The first request tells the host
 * that is meant; those to others are left out, since nobody wants to load their neighbours'
 * servers, and how many these were is said. Pauses of people become pauses. */
#include "load/import_priv.h"

#include "base/clock.h"
#include "codec/json_tree.h"

#include <inttypes.h>
#include <stdlib.h>

enum { SOURCE_BYTES_MAX = 256 << 20, PAUSE_LEAST_MS = 200, PAUSE_MOST_MS = 60000 };

struct recording {
    struct str base;
    size_t left_out;
    size_t steps;
    int64_t last_ms;
};

static struct str text_of(const struct node *node, const char *key)
{
    const struct node *child = node_get(node, key);

    return child == NULL || child->kind != NODE_SCALAR ? STR_NONE : child->text;
}

static void read_headers(const struct node *request, struct draft *draft)
{
    const struct node *headers = node_get(request, "headers");

    if (headers == NULL || headers->kind != NODE_LIST)
        return;
    NODE_EACH(headers, header)
    {
        struct str name = text_of(header, "name");
        struct str value = text_of(header, "value");
        if (import_is_own_field(name) || draft->headers_count == DRAFT_HEADERS_MAX ||
            !http_is_token(name) || !http_is_field_value(value))
            continue;
        draft->headers[draft->headers_count++] = (struct http_header){name, value};
    }
}

static void write_pause(struct recording *recording, const struct node *entry, struct buf *out)
{
    struct str started = text_of(entry, "startedDateTime");
    int64_t at_ms;

    if (!clock_parse(started.data, started.size, &at_ms))
        return;
    int64_t pause_ms = at_ms - recording->last_ms;
    if (recording->last_ms != 0 && pause_ms >= PAUSE_LEAST_MS)
        buf_printf(out, "  - pause: %" PRId64 "ms\n",
                   pause_ms > PAUSE_MOST_MS ? (int64_t)PAUSE_MOST_MS : pause_ms);
    recording->last_ms = at_ms;
}

static enum err write_entry(struct recording *recording, const struct node *entry, struct buf *out,
                            struct why *why)
{
    const struct node *request = node_get(entry, "request");
    const struct node *response = node_get(entry, "response");
    const struct node *post = request == NULL ? NULL : node_get(request, "postData");
    struct str url = text_of(request, "url");
    struct draft *draft;
    int64_t status = 0;

    size_t host = import_host_size(url);
    struct str base = {url.data, host};
    if (host == 0 || (!str_starts(url, STR("http://")) && !str_starts(url, STR("https://"))) ||
        (recording->base.data != NULL && !str_eq(base, recording->base)) ||
        str_eq(text_of(request, "method"), STR("CONNECT"))) {
        recording->left_out++;
        return ERR_NONE;
    }
    if (recording->base.data == NULL) {
        recording->base = base;
        buf_text(out, "# From a browser's recording.\nbase: ");
        import_text(base, out);
        buf_text(out, "\nload:\n  users: 10\n  duration: 30s\nsteps:\n");
    }
    write_pause(recording, entry, out);
    draft = calloc(1, sizeof(*draft));
    if (draft == NULL)
        must_memory(sizeof(*draft));
    draft->method = text_of(request, "method");
    draft->url = host == url.size ? STR("/") : (struct str){url.data + host, url.size - host};
    ptrdiff_t fragment = str_find(draft->url, '#');
    if (fragment >= 0)
        draft->url.size = (size_t)fragment;
    draft->body = post == NULL ? STR_NONE : text_of(post, "text");
    read_headers(request, draft);
    if (response != NULL && node_get(response, "status") != NULL &&
        node_i64(node_get(response, "status"), &status, NULL) == ERR_NONE && status >= 100 &&
        status < 600)
        draft->status = status == 304 ? 200 : (unsigned)status;
    enum err err = import_draft(draft, out, why);
    free(draft);
    recording->steps++;
    return err;
}

enum err import_har(struct str source, const char *name, struct arena *arena, struct buf *out,
                    struct why *why)
{
    struct recording recording = {0};
    const struct node *root, *log, *entries;

    TRY(json_read(source, name, SOURCE_BYTES_MAX, arena, &root, why));
    TRY(node_need(root, "log", &log, why));
    TRY(node_need(log, "entries", &entries, why));
    TRY(node_list(entries, why));
    NODE_EACH(entries, entry)
    {
        TRY(write_entry(&recording, entry, out, why));
    }
    if (recording.steps == 0)
        return fail(why, ERR_INVALID, "%s: the recording holds no request", name);
    if (recording.left_out > 0)
        buf_printf(out, "# %zu request%s to other hosts %s left out.\n", recording.left_out,
                   str_plural(recording.left_out), recording.left_out == 1 ? "was" : "were");
    return ERR_NONE;
}
