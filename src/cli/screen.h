/* SPDX-License-Identifier: Apache-2.0 */
/* screen - the whole terminal for one program: alternate screen, single keys, and everything put
 * back as it was, however the program ends.
 *
 * One screen at a time, one thread. Uses standard input and output. */
#pragma once
#include "base/buf.h"
#include "cli/terminal.h"

struct screen;

enum screen_key {
    SCREEN_KEY_NONE = 0,
    /* 1 … 255: the byte as typed. */
    SCREEN_KEY_ESCAPE = 0x1b,
    SCREEN_KEY_ENTER = '\r',
    SCREEN_KEY_BACKSPACE = 0x7f,
    SCREEN_KEY_UP = 0x100,
    SCREEN_KEY_DOWN,
    SCREEN_KEY_LEFT,
    SCREEN_KEY_RIGHT,
    SCREEN_KEY_PAGE_UP,
    SCREEN_KEY_PAGE_DOWN,
    SCREEN_KEY_HOME,
    SCREEN_KEY_END,
};

enum screen_event {
    SCREEN_TIMEOUT,
    SCREEN_KEY,
    SCREEN_RESIZED, /* Or back from the background: draw again. */
    SCREEN_ENDED,   /* A signal asks to end, or the terminal has gone. */
};

/* ERR_UNSUPPORTED: standard input or output is no terminal. */
CHECKED enum err screen_open(struct screen **ret_screen, struct why *why);
struct screen *screen_close(struct screen *screen); /* Always returns NULL. */

/* Waits for a key, a new size or the end, at most timeout_ms. */
enum screen_event screen_wait(struct screen *screen, int64_t timeout_ms, int *ret_key);

/* Shows frame: lines separated by '\n', at most as many as the terminal has rows. */
void screen_show(struct screen *screen, const struct terminal *terminal, struct str frame);
