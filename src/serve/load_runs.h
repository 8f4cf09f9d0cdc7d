/* SPDX-License-Identifier: Apache-2.0 */
/* load_runs - loads that the daemon was asked to make, and all that were kept.
 *
 * The daemon makes none itself: it runs its own program as `sonde load`, looks at the progress that
 * this tells, and keeps the report as a record of kind "load_run". A report that somebody made
 * elsewhere is kept the same way. Loop thread. */
#pragma once
struct load_desk;
struct server;

struct load_desk *load_desk_new(struct server *server);
/* Ends what runs. Always returns NULL. */
struct load_desk *load_desk_free(struct load_desk *desk);
