/* SPDX-License-Identifier: Apache-2.0 */
/* On the wire a parcel is a row of varints and texts:
 *
 *     figures: target, level kind, level (8 bytes, little-endian double), probe ns, connections,
 *              seed, trace run, part, parts
 *     items:   how many, then of each its kind, the size of its name, the name, the size of its
 *              text, the text
 *
 * Nothing follows. */
#include "load/parcel.h"

#include "base/file.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct parcel *parcel_new(void)
{
    struct parcel *parcel = calloc(1, sizeof(*parcel));

    if (parcel == NULL)
        must_memory(sizeof(*parcel));
    parcel->figures.parts = 1;
    return parcel;
}

struct parcel *parcel_free(struct parcel *parcel)
{
    if (parcel == NULL)
        return NULL;
    for (size_t i = 0; i < parcel->items_count; i++) {
        free((char *)parcel->items[i].name.data);
        free((char *)parcel->items[i].text.data);
    }
    for (size_t i = 0; i < parcel->fds_count; i++)
        (void)close(parcel->fds[i]);
    free(parcel->items);
    free(parcel->fds);
    free(parcel);
    return NULL;
}

void parcel_freep(struct parcel **parcel)
{
    *parcel = parcel_free(*parcel);
}

static struct str copy_of(struct str text)
{
    char *copy = malloc(text.size + 1);

    if (copy == NULL)
        must_memory(text.size + 1);
    if (text.size > 0)
        memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    return (struct str){copy, text.size};
}

static void *grown(void *array, size_t count, size_t size)
{
    /* A power of two of places at a time. */
    if (count > 0 && (count & (count - 1)) != 0)
        return array;
    void *more = realloc(array, (count == 0 ? 1 : count * 2) * size);
    if (more == NULL)
        must_memory(count * 2 * size);
    return more;
}

enum err parcel_put(struct parcel *parcel, enum parcel_kind kind, struct str name, struct str text,
                    struct why *why)
{
    enum { ITEM_BYTES = 32 }; /* What an item takes on the wire beside its texts, at most. */

    if (parcel->items_count == PARCEL_ITEMS_MAX)
        return fail(why, ERR_LIMIT, "the plan takes more than %d files and settings",
                    PARCEL_ITEMS_MAX);
    parcel->bytes += name.size + text.size + ITEM_BYTES;
    if (parcel->bytes > PARCEL_BYTES_MAX - 256) {
        enum err err = fail(why, ERR_LIMIT, "the files of the plan are more than %zu MiB together",
                            PARCEL_BYTES_MAX >> 20);
        hint(why, "agents are sent all files of the plan; make them smaller");
        return err;
    }
    parcel->items = grown(parcel->items, parcel->items_count, sizeof(*parcel->items));
    parcel->items[parcel->items_count++] = (struct parcel_item){kind, copy_of(name), copy_of(text)};
    return ERR_NONE;
}

const struct parcel_item *parcel_find(const struct parcel *parcel, enum parcel_kind kind,
                                      struct str name)
{
    for (size_t i = 0; i < parcel->items_count; i++) {
        if (parcel->items[i].kind == kind && str_eq(parcel->items[i].name, name))
            return &parcel->items[i];
    }
    return NULL;
}

/* ---- For those who make a plan. ---- */

static enum err find_file(const struct parcel *parcel, const char *path, size_t limit_bytes,
                          const struct parcel_item **ret_file, struct why *why)
{
    const struct parcel_item *file = parcel_find(parcel, PARCEL_FILE, str_of(path));

    if (file == NULL)
        return fail(why, ERR_NOT_FOUND, "%s: was not sent with the plan", path);
    if (file->text.size > limit_bytes)
        return fail(why, ERR_TOO_LARGE, "%s: more than %zu bytes", path, limit_bytes);
    *ret_file = file;
    return ERR_NONE;
}

enum err parcel_file(struct parcel *parcel, const char *path, size_t limit_bytes, struct buf *out,
                     struct why *why)
{
    const struct parcel_item *file;
    size_t before = out->size;

    if (parcel != NULL && parcel->arrived) {
        TRY(find_file(parcel, path, limit_bytes, &file, why));
        buf_str(out, file->text);
        return ERR_NONE;
    }
    TRY(file_read(path, limit_bytes, out, why));
    if (parcel == NULL || parcel_find(parcel, PARCEL_FILE, str_of(path)) != NULL)
        return ERR_NONE;
    return parcel_put(parcel, PARCEL_FILE, str_of(path),
                      (struct str){out->data + before, out->size - before}, why);
}

enum err parcel_path(struct parcel *parcel, const char *path, size_t limit_bytes, char ret_path[64],
                     struct why *why)
{
    const struct parcel_item *file;

    TRY(find_file(parcel, path, limit_bytes, &file, why));
    int fd = memfd_create("sonde", MFD_CLOEXEC);
    if (fd < 0)
        return fail_errno(why, errno, "%s: keeping it in memory", path);
    parcel->fds = grown(parcel->fds, parcel->fds_count, sizeof(*parcel->fds));
    parcel->fds[parcel->fds_count++] = fd;
    for (size_t at = 0; at < file->text.size;) {
        ssize_t count = write(fd, file->text.data + at, file->text.size - at);
        if (count < 0 && errno != EINTR)
            return fail_errno(why, errno, "%s: keeping it in memory", path);
        at += count > 0 ? (size_t)count : 0;
    }
    (void)snprintf(ret_path, 64, "/proc/self/fd/%d", fd);
    return ERR_NONE;
}

enum err parcel_variable(struct parcel *parcel, const char *name, const char **ret_value,
                         struct why *why)
{
    const struct parcel_item *item;

    if (parcel != NULL && parcel->arrived) {
        item = parcel_find(parcel, PARCEL_VARIABLE, str_of(name));
        *ret_value = item == NULL ? NULL : item->text.data;
        return ERR_NONE;
    }
    *ret_value = getenv(name);
    if (parcel == NULL || *ret_value == NULL ||
        parcel_find(parcel, PARCEL_VARIABLE, str_of(name)) != NULL)
        return ERR_NONE;
    return parcel_put(parcel, PARCEL_VARIABLE, str_of(name), str_of(*ret_value), why);
}

/* ---- The wire. ---- */

static void put_text(struct buf *out, struct str text)
{
    buf_varint(out, text.size);
    buf_str(out, text);
}

void parcel_write(const struct parcel *parcel, struct buf *out)
{
    const struct parcel_figures *figures = &parcel->figures;
    uint64_t bits;

    memcpy(&bits, &figures->level, sizeof(bits));
    buf_varint(out, figures->target);
    buf_varint(out, figures->level_kind);
    buf_u64(out, bits);
    buf_varint(out, figures->probe_ns);
    buf_varint(out, figures->connections);
    buf_varint(out, figures->seed);
    buf_varint(out, figures->trace_run);
    buf_varint(out, figures->part);
    buf_varint(out, figures->parts);
    buf_varint(out, parcel->items_count);
    for (size_t i = 0; i < parcel->items_count; i++) {
        buf_varint(out, parcel->items[i].kind);
        put_text(out, parcel->items[i].name);
        put_text(out, parcel->items[i].text);
    }
}

static bool take_double(struct str *rest, double *ret_value)
{
    uint64_t bits = 0;

    if (rest->size < 8)
        return false;
    for (int i = 0; i < 8; i++)
        bits |= (uint64_t)(uint8_t)rest->data[i] << (8 * i);
    memcpy(ret_value, &bits, sizeof(bits));
    rest->data += 8;
    rest->size -= 8;
    return isfinite(*ret_value);
}

static bool take_text(struct str *rest, struct str *ret_text)
{
    uint64_t size;

    if (!buf_take_varint(rest, &size) || size > rest->size)
        return false;
    *ret_text = (struct str){rest->data, (size_t)size};
    rest->data += size;
    rest->size -= (size_t)size;
    return true;
}

static bool take_figures(struct str *rest, struct parcel_figures *figures)
{
    return buf_take_varint(rest, &figures->target) && buf_take_varint(rest, &figures->level_kind) &&
           take_double(rest, &figures->level) && buf_take_varint(rest, &figures->probe_ns) &&
           buf_take_varint(rest, &figures->connections) && buf_take_varint(rest, &figures->seed) &&
           buf_take_varint(rest, &figures->trace_run) && buf_take_varint(rest, &figures->part) &&
           buf_take_varint(rest, &figures->parts) && figures->level_kind <= 2 &&
           figures->probe_ns <= INT64_MAX && figures->connections <= UINT32_MAX &&
           figures->parts <= UINT32_MAX && figures->part < figures->parts;
}

enum err parcel_read(struct str bytes, struct parcel **ret_parcel, struct why *why)
{
    struct parcel *parcel CLEANUP(parcel_freep) = parcel_new();
    struct str rest = bytes;
    struct str name, text;
    uint64_t count, kind;

    if (bytes.size > PARCEL_BYTES_MAX)
        return fail(why, ERR_TOO_LARGE, "the plan is larger than %zu MiB", PARCEL_BYTES_MAX >> 20);
    if (!take_figures(&rest, &parcel->figures) || !buf_take_varint(&rest, &count) ||
        count > PARCEL_ITEMS_MAX)
        return fail(why, ERR_CORRUPT, "the plan that came is damaged in its figures");
    for (uint64_t i = 0; i < count; i++) {
        if (!buf_take_varint(&rest, &kind) || kind >= PARCEL_KIND_COUNT ||
            !take_text(&rest, &name) || !take_text(&rest, &text))
            return fail(why, ERR_CORRUPT, "the plan that came is damaged in item %u",
                        (unsigned)i + 1);
        TRY(parcel_put(parcel, (enum parcel_kind)kind, name, text, why));
    }
    if (rest.size > 0)
        return fail(why, ERR_CORRUPT, "the plan that came has bytes behind its end");
    parcel->arrived = true;
    *ret_parcel = TAKE(parcel);
    return ERR_NONE;
}
