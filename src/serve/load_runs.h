/* SPDX-License-Identifier: Apache-2.0 */
/* load_runs - loads that the daemon was asked to make, while they go on.
 *
 * The daemon makes none itself: it runs its own program as `sonde load`, looks at the progress that
 * this tells, and hands the report to load_kept. Loop thread. */
#pragma once
struct load_desk;
struct server;

struct load_desk *load_desk_new(struct server *server);
/* Ends what runs. Always returns NULL. */
struct load_desk *load_desk_free(struct load_desk *desk);
