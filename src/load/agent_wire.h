/* SPDX-License-Identifier: Apache-2.0 */
/* agent_wire - what `sonde load` and its agents say to each other, as bytes in the frames of
 * io/sealed.h. Pure; whatever is read is checked against bounds.
 *
 *     load                    agent
 *     HELLO            ──►                  version of the protocol and of sonde
 *                      ◄──    HELLO         the same, or REFUSED and why
 *     PARCEL           ──►                  what the plan is made of
 *                      ◄──    PLANNED       it is understood
 *     OPEN             ──►                  all agents have understood theirs
 *                      ◄──    READY         connections are open
 *     PING             ──►
 *                      ◄──    PONG          … a few times: how long a word takes
 *     GO               ──►                  the clock starts in so many nanoseconds
 *                      ◄──    INTERVAL      what came, step by step; again and again
 *     PING, STOP       ──►    PONG
 *                      ◄──    END           how it ended
 *
 * REFUSED may stand in the place of any answer. Silence of AGENT_SILENCE_NS ends it, on both sides.
 */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "load/stream_tally.h"
#include "load/tally.h"
#include "load/trail.h"

enum {
    AGENT_PROTOCOL = 1,
    AGENT_PORT = 7079,
    AGENT_VERSION_MAX = 64,
    AGENT_FRAME_BYTES_MAX = 64 << 20, /* Of an agent's frames; PARCEL_BYTES_MAX of the other's. */
};
#define AGENT_SILENCE_NS (20 * INT64_C(1000000000))
#define AGENT_ANSWER_NS  (120 * INT64_C(1000000000)) /* To read a plan, to open connections. */
#define AGENT_HELLO_NS   (15 * INT64_C(1000000000))

enum agent_word {
    AGENT_HELLO = 1,
    AGENT_REFUSED,
    AGENT_PARCEL,
    AGENT_PLANNED,
    AGENT_OPEN,
    AGENT_READY,
    AGENT_PING,
    AGENT_PONG,
    AGENT_GO,
    AGENT_INTERVAL,
    AGENT_STOP,
    AGENT_END,
};

struct agent_hello {
    uint64_t protocol;
    struct str version; /* Into the bytes. */
};

struct agent_planned {
    uint64_t steps;   /* Must be as many as here. */
    uint64_t threads; /* That it will use. */
};

struct agent_end {
    int64_t measured_ns; /* As outcome.duration_s. */
    int64_t cpu_ns;
    double busiest;
    bool saturated;
    bool interrupted;   /* By somebody at the agent's own machine, before we asked for it. */
    struct trail trail; /* intended_ns is counted from the start of the clock. */
};

/* Each takes all of bytes; ERR_CORRUPT. */
void agent_put_hello(struct buf *out, struct str version);
CHECKED enum err agent_take_hello(struct str bytes, struct agent_hello *ret_hello, struct why *why);
void agent_put_planned(struct buf *out, const struct agent_planned *planned);
CHECKED enum err agent_take_planned(struct str bytes, struct agent_planned *ret_planned,
                                    struct why *why);
void agent_put_end(struct buf *out, const struct agent_end *end);
CHECKED enum err agent_take_end(struct str bytes, size_t steps_count, struct agent_end *ret_end,
                                struct why *why);
/* One number: of GO the delay in ns, of STOP 1 or 2, of PING and PONG any. */
void agent_put_number(struct buf *out, uint64_t number);
CHECKED enum err agent_take_number(struct str bytes, uint64_t most, uint64_t *ret_number,
                                   struct why *why);
/* An error as the other side told it: always fails, with its words or ERR_CORRUPT. */
void agent_put_refusal(struct buf *out, const struct why *why);
enum err agent_take_refusal(struct str bytes, struct why *why);

/* An interval is its steps, each put as it comes, and then the links, which end it. */
void agent_put_step(struct buf *out, size_t step, const struct tally *tally,
                    const struct stream_tally *streams); /* streams may be NULL. */
void agent_put_links(struct buf *out, int64_t until_ns, const struct tally_links *links);
/* The next step of the interval, into tally and streams, which are overwritten; *ret_step is
 * steps_count when there is none left and the links follow. */
CHECKED enum err agent_take_step(struct str *rest, size_t steps_count, size_t *ret_step,
                                 struct tally *tally, struct stream_tally *streams,
                                 bool *ret_streams, struct why *why);
CHECKED enum err agent_take_links(struct str rest, int64_t *ret_until_ns, struct tally_links *links,
                                  struct why *why);
