/* SPDX-License-Identifier: Apache-2.0 */

/* feed - the data of one chart: history by query, then points by the live stream.
 *
 * load() takes back whatever is still in flight, so a person who drags through ranges causes
 * one answer, not twenty. Live points that arrive while history loads are kept and joined to it,
 * so the seam has no hole. */
import { isAbort, queryRange } from './api.js';
import { alignWindow, rateWindow } from './range.js';
import { appendVector, buildFrame, emptyFrame, trimFrame } from './series.js';

const WINDOW_MARK = '$window';

/* The daemon streams nothing slower than once an hour; coarser steps then move within theirs. */
const LIVE_STEP_MS_MAX = 3600e3;

/* "$window" in an expression stands for the rate window that suits the step. */
export function fillWindow(expr, step_ms) {
    return expr.replaceAll(WINDOW_MARK, rateWindow(step_ms));
}

export class Feed {
    #targets;
    #live;
    #on_change;
    #abort = null;
    #stops = [];
    #early = [];
    #view = null;
    #step_ms = 1000;

    frame = emptyFrame();
    error = null;
    loading = false;

    /* targets: [{ expr, name }]; on_change() after every change of frame, error or loading. */
    constructor({ targets, live, on_change }) {
        this.#targets = targets;
        this.#live = live;
        this.#on_change = on_change;
    }

    get step_ms() {
        return this.#step_ms;
    }

    expressions() {
        return this.#targets.map(({ expr }) => fillWindow(expr, this.#step_ms));
    }

    async load(view, step_ms) {
        this.stop();
        this.#view = view;
        this.#step_ms = step_ms;
        this.loading = true;
        this.#on_change();
        if (view.live) this.#subscribe();
        const abort = new AbortController();
        this.#abort = abort;
        try {
            const results = await this.#fetch(view, abort.signal);
            this.frame = buildFrame(results, this.#targets, step_ms);
            this.error = null;
            this.#joinEarly();
        } catch (error) {
            if (isAbort(error) || abort.signal.aborted) return;
            this.error = error;
            /* Out of reach, the old picture is better than none; the badge tells how old. */
            if (error.code !== 'unreachable') this.frame = emptyFrame();
        }
        this.loading = false;
        this.#abort = null;
        this.#on_change();
    }

    /* No more answers, no more points; what is there stays. */
    stop() {
        this.#abort?.abort();
        this.#abort = null;
        for (const stop of this.#stops) stop();
        this.#stops = [];
        this.#early = [];
        this.loading = false;
    }

    #fetch(view, signal) {
        const { start, end } = alignWindow(view.from, view.to, this.#step_ms);
        const question = { start, end, step_ms: this.#step_ms, signal };
        return Promise.all(this.expressions().map((expr) => queryRange(expr, question)));
    }

    #subscribe() {
        this.#stops = this.expressions().map((expr, target_index) =>
            this.#live.subscribe({
                expr,
                step_ms: Math.min(this.#step_ms, LIVE_STEP_MS_MAX),
                on_point: (point) => this.#pushed(target_index, point),
                on_error: ({ message, hint }) => this.#refused(message, hint),
            }),
        );
    }

    #pushed(target_index, point) {
        if (this.loading) {
            this.#early.push([target_index, point]);
            return;
        }
        this.#append(target_index, point);
        this.error = null;
        trimFrame(this.frame, point.time_ms - this.#view.range_ms);
        this.#on_change();
    }

    #append(target_index, { time_ms, result }) {
        const target = this.#targets[target_index];
        appendVector(this.frame, result, { time_ms, target_index, target, step_ms: this.#step_ms });
    }

    #joinEarly() {
        for (const [target_index, point] of this.#early) this.#append(target_index, point);
        this.#early = [];
    }

    #refused(message, hint) {
        if (this.loading) return; /* The query will say it, with a position. */
        this.error = Object.assign(new Error(message), { hint });
        this.#on_change();
    }
}
