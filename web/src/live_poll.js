/* SPDX-License-Identifier: Apache-2.0 */

/* live_poll - the stream's stand-in where no WebSocket comes through: each subscription is asked
 * for as an ordinary question, again and again, and what comes back is a point like any other.
 *
 * A network that blocks the stream is slow or guarded, so nothing is asked more often than every
 * two seconds, and nothing again before it was answered. */

const PERIOD_MS_MIN = 2000;

export class LivePoll {
    #ask;
    #on_point;
    #on_error;
    #asked = new Map(); /* id -> when to ask again; Infinity while a question is under way. */
    #timer = null;
    #generation = 0;

    /* ask({ expr, step_ms }) -> Promise<{ time_ms, result }>; on_point(id, point);
     * on_error(error). */
    constructor({ ask, on_point, on_error }) {
        this.#ask = ask;
        this.#on_point = on_point;
        this.#on_error = on_error;
    }

    get running() {
        return this.#timer !== null;
    }

    /* subscriptions: a Map that may change meanwhile. */
    start(subscriptions) {
        this.stop();
        this.#timer = setInterval(() => this.#round(subscriptions), PERIOD_MS_MIN / 4);
        this.#round(subscriptions);
    }

    /* What is under way is not heard any more. */
    stop() {
        clearInterval(this.#timer);
        this.#timer = null;
        this.#generation += 1;
        this.#asked.clear();
    }

    #round(subscriptions) {
        const now = Date.now();
        for (const id of this.#asked.keys()) if (!subscriptions.has(id)) this.#asked.delete(id);
        for (const subscription of subscriptions.values()) {
            if ((this.#asked.get(subscription.id) ?? 0) > now) continue;
            this.#asked.set(subscription.id, Infinity);
            void this.#askOne(subscription, this.#generation);
        }
    }

    async #askOne({ id, expr, step_ms }, generation) {
        try {
            const point = await this.#ask({ expr, step_ms });
            if (generation === this.#generation) this.#on_point(id, point);
        } catch (error) {
            if (generation === this.#generation) this.#on_error(error);
        }
        if (generation === this.#generation && this.#asked.has(id))
            this.#asked.set(id, Date.now() + Math.max(PERIOD_MS_MIN, step_ms));
    }
}
