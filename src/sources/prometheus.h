/* SPDX-License-Identifier: Apache-2.0 */
/* prometheus - fetches what other programs tell at /metrics, as Prometheus does: on a schedule,
 * into one batch a fetch, with `up`, `scrape_duration_seconds` and `scrape_samples_scraped` beside.
 *
 * A target that does not answer, or with something that cannot be read, has up 0 and its series end
 * with stale markers. Samples carry the planned time, a multiple of the period. One fetch of a
 * target at a time. Loop thread only, except scraper_status, which any thread may call. */
#pragma once
#include "base/err.h"
#include "sources/sources.h"

struct http_client;
struct hub;
struct loop;
struct scraper;

#define SCRAPE_TARGETS_MAX 256
#define SCRAPE_PERIOD_MS   15000
#define SCRAPE_TIMEOUT_MS  10000
#define SCRAPE_BODY_BYTES  (64u << 20)

struct scrape_target {
    struct str url;             /* http:// or https:// */
    int64_t period_ms;          /* 0 takes SCRAPE_PERIOD_MS; 100 at least. */
    int64_t timeout_ms;         /* 0 takes SCRAPE_TIMEOUT_MS; never over the period. */
    const struct label *labels; /* instance is the URL's host and port, job is "scrape", unless
                                 * they are among them. */
    size_t labels_count;
};

/* Copies the targets. ERR_INVALID: a URL or a number will not do. */
CHECKED enum err scraper_open(const struct scrape_target *targets, size_t count, struct loop *loop,
                              struct http_client *client, struct hub *hub,
                              struct scraper **ret_scraper, struct why *why);
/* Cancels what is under way. Before the client is freed. Always returns NULL. */
struct scraper *scraper_close(struct scraper *scraper);

size_t scraper_count(const struct scraper *scraper);
/* name is "scrape", summary the URL. */
void scraper_status(struct scraper *scraper, size_t index, struct source_status *ret_status);
