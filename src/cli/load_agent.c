/* SPDX-License-Identifier: Apache-2.0 */
/* `sonde load agent`: waits for those who share a load with this machine. Each connection is served
 * by a child process, so that a run leaves nothing behind, and nothing that comes by a connection
 * can harm the next. Several may knock at a time; one makes traffic, and the others hear that it
 * is busy. */
#include "cli/load.h"
#include "io/sealed.h"
#include "load/agent.h"
#include "load/parcel.h"
#include "sonde_version.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SESSIONS_MAX = 8, LOOK_MS = 100, IDLE_MS = 1000, PLACE_BYTES = 4096, PEER_SIZE = 80 };

/* Shared with the children: who makes traffic. */
struct place {
    atomic_int taken; /* The process, or 0. */
};

struct desk {
    struct load *load;
    const atomic_int *interrupts;
    struct place *place;
    int listener;
    pid_t children[SESSIONS_MAX];
    int interrupts_passed_on;
};

/* ---- A session, in its child. ---- */

struct guest {
    struct desk *desk;
    struct options *options;
    struct invocation invocation;
    struct load load;
    struct load_run run;
};

static enum err admit(void *self, struct why *why)
{
    struct guest *guest = self;
    int nobody = 0;

    if (atomic_compare_exchange_strong(&guest->desk->place->taken, &nobody, (int)getpid()))
        return ERR_NONE;
    enum err err = fail(why, ERR_BUSY, "it is making another load");
    hint(why, "wait for it: two at a time would disturb each other");
    return err;
}

static void leave_place(struct place *place, pid_t pid)
{
    int taken = (int)pid;

    (void)atomic_compare_exchange_strong(&place->taken, &taken, 0); /* If it had it. */
}

static void leave(void *self)
{
    struct guest *guest = self;

    leave_place(guest->desk->place, getpid());
}

static enum err make(void *self, struct parcel *parcel, const struct plan **ret_plan,
                     struct why *why)
{
    struct guest *guest = self;
    const struct parcel_figures *figures = &parcel->figures;
    struct load_run *run = &guest->run;

    if (figures->target > LOAD_TARGET_FILE)
        return fail(why, ERR_CORRUPT, "the plan that came has no target");
    TRY(load_unpack(parcel, guest->options, &guest->load.where, why));
    guest->invocation = *guest->desk->load->invocation;
    guest->invocation.options = guest->options;
    guest->load.invocation = &guest->invocation;
    guest->load.target = (enum load_target)figures->target;
    *run = (struct load_run){.load = &guest->load,
                             .has_level = figures->level_kind > 0,
                             .level_is_rate = figures->level_kind == 2,
                             .level = figures->level,
                             .probe_ns = (int64_t)figures->probe_ns,
                             .probe_connections = (unsigned)figures->connections};
    run->plan = plan_new(LOAD_PLAN_BYTES_MAX);
    run->plan->parcel = parcel;
    run->plan->part = (unsigned)figures->part;
    run->plan->parts = (unsigned)figures->parts;
    run->plan->trace_run = figures->trace_run;
    TRY(load_plan_make(run, why));
    run->plan->seed = figures->seed;
    *ret_plan = run->plan;
    return ERR_NONE;
}

static void tell(const struct desk *desk, const char *peer, const struct guest *guest,
                 const struct agent_report *report, const struct why *why)
{
    const struct plan *plan = guest->run.plan;

    if (options_bool(desk->load->invocation->options, LOAD_QUIET))
        return;
    if (report->ran)
        fprintf(stderr, "sonde: %s: %s: %llu request%s, %llu error%s in %.1f s\n", peer,
                plan == NULL || plan->title == NULL ? "load" : plan->title,
                (unsigned long long)report->requests, str_plural(report->requests),
                (unsigned long long)report->failures, str_plural(report->failures),
                report->duration_s);
    if (why->text[0] != '\0')
        fprintf(stderr, "sonde: %s: %s\n", peer, why->text);
}

static void serve_guest(struct desk *desk, int fd, const char *peer)
{
    struct guest guest = {.desk = desk};
    struct agent_report report;
    struct why why = WHY_INIT;

    guest.options = options_new(load_options, LOAD_OPTIONS_COUNT);
    const struct agent_host host = {
        .self = &guest,
        .secret = buf_view(&desk->load->secret),
        .version = STR(SONDE_VERSION),
        .admit = admit,
        .leave = leave,
        .make = make,
        .interrupts = desk->interrupts,
    };
    if (agent_serve(fd, &host, &report, &why) == ERR_NONE)
        why = WHY_INIT;
    tell(desk, peer, &guest, &report, &why);
    load_run_done(&guest.run);
    guest.options = options_free(guest.options);
}

/* ---- Children. ---- */

static ptrdiff_t find_child(const struct desk *desk, pid_t pid)
{
    for (size_t i = 0; i < SESSIONS_MAX; i++) {
        if (desk->children[i] == pid)
            return (ptrdiff_t)i;
    }
    return -1;
}

static void reap(struct desk *desk)
{
    pid_t pid;

    while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
        ptrdiff_t child = find_child(desk, pid);
        if (child >= 0)
            desk->children[child] = 0;
        leave_place(desk->place, pid); /* However it ended. */
    }
}

static void write_peer(const struct sockaddr_storage *address, socklen_t size, char peer[PEER_SIZE])
{
    char host[64] = "?", port[8] = "?";

    (void)getnameinfo((const struct sockaddr *)address, size, host, sizeof(host), port,
                      sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV);
    (void)snprintf(peer, PEER_SIZE, strchr(host, ':') != NULL ? "[%s]:%s" : "%s:%s", host, port);
}

static void take_one(struct desk *desk)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);
    char peer[PEER_SIZE];
    int fd = accept4(desk->listener, (struct sockaddr *)&address, &size, SOCK_CLOEXEC);
    ptrdiff_t child = find_child(desk, 0);

    if (fd < 0)
        return; /* It has gone again, or descriptors are short for a while. */
    (void)fflush(NULL);
    pid_t pid = child < 0 ? -1 : fork();
    if (pid == 0) {
        /* Ctrl-C is for the parent, which passes it on; and nobody outlives it. */
        (void)setpgid(0, 0);
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
        (void)close(desk->listener);
        write_peer(&address, size, peer);
        serve_guest(desk, fd, peer);
        exit(EXIT_GOOD);
    }
    if (pid > 0)
        desk->children[child] = pid;
    (void)close(fd);
}

static void pass_on(struct desk *desk, int signal_number)
{
    for (size_t i = 0; i < SESSIONS_MAX; i++) {
        if (desk->children[i] > 0)
            (void)kill(desk->children[i], signal_number);
    }
}

static bool has_children(const struct desk *desk)
{
    for (size_t i = 0; i < SESSIONS_MAX; i++) {
        if (desk->children[i] > 0)
            return true;
    }
    return false;
}

static void wait_and_serve(struct desk *desk)
{
    for (;;) {
        int interrupts = atomic_load(desk->interrupts);
        struct pollfd fds = {desk->listener, POLLIN, 0};
        reap(desk);
        for (; desk->interrupts_passed_on < interrupts; desk->interrupts_passed_on++)
            pass_on(desk, SIGTERM);
        if (interrupts > 0 && !has_children(desk))
            return;
        int ready = poll(&fds, interrupts > 0 ? 0 : 1, has_children(desk) ? LOOK_MS : IDLE_MS);
        if (ready > 0)
            take_one(desk);
    }
}

/* ---- Listening. ---- */

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == 127;
    return address->sa_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)address)->sin6_addr);
}

static enum err listen_on(const struct addrinfo *address, const char *text, bool has_secret,
                          int *ret_fd, struct why *why)
{
    int on = 1;

    if (!has_secret && !is_loopback(address->ai_addr)) {
        enum err err = fail(why, ERR_INVALID,
                            "--listen %s is beyond loopback: that needs a secret, or anybody could "
                            "make traffic from here",
                            text);
        hint(why, "name one with --token-from; `openssl rand -hex 16` makes a good one");
        return err;
    }
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fail_errno(why, errno, "making a socket");
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)); /* Else bind tells. */
    if (bind(fd, address->ai_addr, address->ai_addrlen) < 0 || listen(fd, SESSIONS_MAX) < 0) {
        enum err err = fail_errno(why, errno, "--listen %s", text);
        hint(why, "name another address or port with --listen");
        (void)close(fd);
        return err;
    }
    *ret_fd = fd;
    return ERR_NONE;
}

static enum err open_listener(struct desk *desk, struct why *why)
{
    const char *text = options_cstr(desk->load->invocation->options, LOAD_LISTEN);
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    const char *colon = strrchr(text, ':');
    char host[256];

    (void)snprintf(host, sizeof(host), "%.*s", colon == NULL ? 0 : (int)(colon - text), text);
    size_t size = strlen(host);
    if (size > 2 && host[0] == '[' && host[size - 1] == ']') {
        host[size - 1] = '\0';
        memmove(host, host + 1, size - 1);
    }
    int result = getaddrinfo(host[0] == '\0' || strcmp(host, "*") == 0 ? NULL : host,
                             colon == NULL ? "0" : colon + 1, &hints, &found);
    if (result != 0)
        return fail(why, ERR_INVALID, "--listen %s: %s", text, gai_strerror(result));
    enum err err = listen_on(found, text, desk->load->secret.size > 0, &desk->listener, why);
    freeaddrinfo(found);
    return err;
}

static void say_where(const struct desk *desk)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);
    char place[PEER_SIZE];

    if (getsockname(desk->listener, (struct sockaddr *)&address, &size) < 0)
        return;
    write_peer(&address, size, place);
    if (desk->load->invocation->json)
        printf("{\"waits_on\":\"%s\",\"secret\":%s}\n", place,
               desk->load->secret.size > 0 ? "true" : "false");
    else
        printf("sonde load agent waits on %s%s\n", place,
               desk->load->secret.size > 0 ? "" : " (for this machine, without a secret)");
    (void)fflush(stdout); /* Whoever started it may wait for the line. */
}

enum exit_code load_agent(struct load *load, const atomic_int *interrupts)
{
    struct desk desk = {.load = load, .interrupts = interrupts, .listener = -1};
    struct why why = WHY_INIT;

    enum err err = load_read_secret(load, &load->secret, &why);
    if (err == ERR_NONE)
        err = open_listener(&desk, &why);
    if (err != ERR_NONE) {
        buf_done(&load->secret);
        return command_fail(load->invocation, &why);
    }
    desk.place = mmap(NULL, PLACE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (desk.place == MAP_FAILED)
        must_memory(PLACE_BYTES);
    say_where(&desk);
    wait_and_serve(&desk);
    (void)munmap(desk.place, PLACE_BYTES);
    (void)close(desk.listener);
    buf_done(&load->secret);
    return EXIT_GOOD;
}
