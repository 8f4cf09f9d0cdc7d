/* SPDX-License-Identifier: Apache-2.0 */
/* The modes of the terminal outlive the process that set them, so they are put back on every way
 * out: screen_close; the signals that end a program, which arrive through a signalfd and become an
 * event; SIGTSTP, around which the screen is left and entered again; and a crash, where a handler
 * that may do little else writes the few bytes needed. For the last there has to be one file-level
 * variable: there is one terminal, as there is one standard error. */
#include "cli/screen.h"
#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

/* Alternate screen, no cursor, no line wrap; and back. */
#define ENTER_TEXT "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"
#define LEAVE_TEXT "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"

struct screen {
    int signals;
    sigset_t caught, before;
    unsigned char keys[64]; /* Read and not yet given out. */
    size_t keys_count;
};

static struct {
    volatile sig_atomic_t entered;
    struct termios before;
} crash;

static const int crash_signals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE};

static void write_plain(const char *text, size_t size)
{
    if (write(STDOUT_FILENO, text, size) < 0)
        return; /* The terminal has gone. */
}

static void leave(void)
{
    if (!crash.entered)
        return;
    crash.entered = 0;
    write_plain(LEAVE_TEXT, sizeof(LEAVE_TEXT) - 1);
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &crash.before); /* Nothing else can be done. */
}

static void on_crash(int signal_number)
{
    leave();
    (void)signal(signal_number, SIG_DFL);
    (void)raise(signal_number);
}

static enum err enter(struct why *why)
{
    struct termios raw;

    if (tcgetattr(STDIN_FILENO, &crash.before) != 0)
        return fail_errno(why, errno, "cannot read the terminal's modes");
    raw = crash.before;
    raw.c_lflag &= (tcflag_t) ~(ICANON | ECHO | IEXTEN);
    raw.c_iflag &= (tcflag_t) ~(IXON | ICRNL | INLCR);
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw) != 0)
        return fail_errno(why, errno, "cannot set the terminal's modes");
    crash.entered = 1;
    write_plain(ENTER_TEXT, sizeof(ENTER_TEXT) - 1);
    return ERR_NONE;
}

enum err screen_open(struct screen **ret_screen, struct why *why)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP, SIGCONT};
    struct screen *screen;

    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
        (void)fail(why, ERR_UNSUPPORTED, "a live view needs a terminal");
        hint(why, "--once prints one snapshot, --json one for programs");
        return ERR_UNSUPPORTED;
    }
    screen = calloc(1, sizeof(*screen));
    if (screen == NULL)
        must_memory(sizeof(*screen));
    (void)sigemptyset(&screen->caught); /* Valid signal numbers: these calls cannot fail. */
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++)
        (void)sigaddset(&screen->caught, numbers[i]);
    (void)sigprocmask(SIG_BLOCK, &screen->caught, &screen->before);
    screen->signals = signalfd(-1, &screen->caught, SFD_CLOEXEC | SFD_NONBLOCK);
    for (size_t i = 0; i < ARRAY_COUNT(crash_signals); i++)
        (void)signal(crash_signals[i], on_crash);
    enum err err =
        screen->signals < 0 ? fail_errno(why, errno, "cannot wait for signals") : enter(why);
    if (err != ERR_NONE) {
        screen_close(screen);
        return err;
    }
    *ret_screen = screen;
    return ERR_NONE;
}

struct screen *screen_close(struct screen *screen)
{
    if (screen == NULL)
        return NULL;
    leave();
    for (size_t i = 0; i < ARRAY_COUNT(crash_signals); i++)
        (void)signal(crash_signals[i], SIG_DFL);
    if (screen->signals >= 0)
        (void)close(screen->signals); /* Nothing was written. */
    (void)sigprocmask(SIG_SETMASK, &screen->before, NULL);
    free(screen);
    return NULL;
}

/* ---- Keys. ---- */

static const struct {
    const char *bytes;
    int key;
} sequences[] = {
    {"\x1b[A", SCREEN_KEY_UP},       {"\x1bOA", SCREEN_KEY_UP},
    {"\x1b[B", SCREEN_KEY_DOWN},     {"\x1bOB", SCREEN_KEY_DOWN},
    {"\x1b[C", SCREEN_KEY_RIGHT},    {"\x1bOC", SCREEN_KEY_RIGHT},
    {"\x1b[D", SCREEN_KEY_LEFT},     {"\x1bOD", SCREEN_KEY_LEFT},
    {"\x1b[5~", SCREEN_KEY_PAGE_UP}, {"\x1b[6~", SCREEN_KEY_PAGE_DOWN},
    {"\x1b[H", SCREEN_KEY_HOME},     {"\x1b[1~", SCREEN_KEY_HOME},
    {"\x1bOH", SCREEN_KEY_HOME},     {"\x1b[F", SCREEN_KEY_END},
    {"\x1b[4~", SCREEN_KEY_END},     {"\x1bOF", SCREEN_KEY_END},
};

static void drop_keys(struct screen *screen, size_t count)
{
    screen->keys_count -= count;
    memmove(screen->keys, screen->keys + count, screen->keys_count);
}

/* An escape sequence that we do not know is swallowed up to its final byte. */
static size_t unknown_sequence(const struct screen *screen)
{
    size_t size = 2;

    while (size < screen->keys_count && (screen->keys[size] < 0x40 || screen->keys[size] > 0x7e))
        size++;
    return size < screen->keys_count ? size + 1 : size;
}

static int take_key(struct screen *screen)
{
    struct str typed = {(const char *)screen->keys, screen->keys_count};
    int key = screen->keys[0];

    for (size_t i = 0; i < ARRAY_COUNT(sequences); i++) {
        struct str bytes = str_of(sequences[i].bytes);
        if (str_starts(typed, bytes)) {
            drop_keys(screen, bytes.size);
            return sequences[i].key;
        }
    }
    if (key == 0x1b && screen->keys_count > 1 &&
        (screen->keys[1] == '[' || screen->keys[1] == 'O')) {
        drop_keys(screen, unknown_sequence(screen));
        return SCREEN_KEY_NONE;
    }
    drop_keys(screen, 1);
    return key == '\n' ? SCREEN_KEY_ENTER : key == '\b' ? SCREEN_KEY_BACKSPACE : key;
}

/* ---- Waiting. ---- */

static void stop_here(void)
{
    struct why why = WHY_INIT;

    leave();
    (void)raise(SIGSTOP);
    if (enter(&why) != ERR_NONE)
        return; /* The terminal has gone; reading will tell. */
}

static bool signal_event(struct screen *screen, enum screen_event *ret_event)
{
    struct signalfd_siginfo info;

    if (read(screen->signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return false;
    switch (info.ssi_signo) {
    case SIGTSTP:
        stop_here();
        *ret_event = SCREEN_RESIZED;
        return true;
    case SIGWINCH:
    case SIGCONT:
        *ret_event = SCREEN_RESIZED;
        return true;
    default:
        *ret_event = SCREEN_ENDED;
        return true;
    }
}

enum screen_event screen_wait(struct screen *screen, int64_t timeout_ms, int *ret_key)
{
    int64_t deadline = clock_monotonic_ns() + timeout_ms * CLOCK_NS_PER_MS;
    enum screen_event event;

    for (;;) {
        while (screen->keys_count > 0) {
            *ret_key = take_key(screen);
            if (*ret_key != SCREEN_KEY_NONE)
                return SCREEN_KEY;
        }
        int64_t left_ms = (deadline - clock_monotonic_ns() + CLOCK_NS_PER_MS - 1) / CLOCK_NS_PER_MS;
        struct pollfd waits[] = {
            {.fd = STDIN_FILENO, .events = POLLIN},
            {.fd = screen->signals, .events = POLLIN},
        };
        int ready = poll(waits, ARRAY_COUNT(waits), left_ms > 0 ? (int)left_ms : 0);
        if (ready == 0)
            return SCREEN_TIMEOUT;
        if (ready < 0 && errno != EINTR)
            return SCREEN_ENDED;
        if (ready > 0 && waits[1].revents != 0 && signal_event(screen, &event))
            return event;
        if (ready > 0 && waits[0].revents != 0) {
            ssize_t size = read(STDIN_FILENO, screen->keys, sizeof(screen->keys));
            if (size <= 0)
                return SCREEN_ENDED;
            screen->keys_count = (size_t)size;
        }
    }
}

void screen_show(struct screen *screen, const struct terminal *terminal, struct str frame)
{
    struct buf out CLEANUP(buf_done) = {0};
    int rows = 0;

    buf_text(&out, "\x1b[H");
    while (frame.data != NULL && rows < terminal->rows) {
        struct str line = str_split(&frame, '\n');
        if (line.size == 0 && frame.data == NULL)
            break;
        buf_text(&out, rows > 0 ? "\r\n" : "");
        buf_str(&out, line);
        buf_text(&out, "\x1b[0m\x1b[K");
        rows++;
    }
    if (rows < terminal->rows)
        buf_text(&out, "\r\n\x1b[J");
    if (terminal_write(terminal, buf_view(&out), NULL) != ERR_NONE)
        return; /* The terminal has gone; waiting for a key will tell. */
}
