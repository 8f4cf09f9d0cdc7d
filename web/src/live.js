/* SPDX-License-Identifier: Apache-2.0 */

/* live - one WebSocket for the whole page; points arrive as the daemon commits them.
 *
 * States, shown to the person as they are:
 *
 *     off ──subscribe──► connecting ──open──► live ◄──point── stale
 *                            ▲                 │  └──quiet──────►┘
 *                            └──── waiting ◄───┘ closed: back-off 1, 2, 4 … 30 s with jitter
 *
 * Where a socket never opens though the daemon answers (a proxy in between), the third failure
 * leads to `polling`: ordinary questions take the stream's place (live_poll.js) until a socket does
 * open, which is tried again all the while.
 *
 * Without a subscription it is off, though the socket stays open for the next page.
 * Subscriptions outlive a connection: they are sent again after each reconnect, and listeners
 * hear `reconnected` so that they can load what they missed. */

import { LivePoll } from './live_poll.js';

const BACKOFF_MS_MIN = 1000;
const BACKOFF_MS_MAX = 30000;
const QUIET_MS_MIN = 5000;
const QUIET_STEPS = 3;
const POLL_AFTER = 3;

/* Exported for its test: full delay doubles, jitter takes away up to a third. */
export function backoffDelay(attempt, random = Math.random()) {
    const full = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** attempt);
    return Math.round(full * (1 - random / 3));
}

export class Live {
    #make_socket;
    #poll;
    #socket = null;
    #subscriptions = new Map();
    #outbox = { subscribe: new Map(), unsubscribe: new Set() };
    #flush_scheduled = false;
    #attempt = 0;
    #retry_at = 0;
    #retry_timer = null;
    #watch_timer = null;
    #heard_at = 0;
    #state = 'off';
    #next_id = 1;
    #listeners = new Set();

    /* ask({ expr, step_ms }) -> Promise<{ time_ms, result }>: one point by an ordinary question. */
    constructor(make_socket, ask) {
        this.#make_socket = make_socket;
        this.#poll = new LivePoll({
            ask,
            on_point: (id, point) => this.#polled(id, point),
            on_error: (error) => this.#pollFailed(error),
        });
    }

    get state() {
        return this.#state;
    }

    /* Milliseconds until the next attempt, while waiting. */
    get retryIn() {
        return Math.max(0, this.#retry_at - Date.now());
    }

    /* listener({ type: 'state' | 'reconnected' }); returns the way to stop listening. */
    listen(listener) {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
    }

    /* on_point({ time_ms, result }) and on_error({ code, message, hint }). Returns `stop`. */
    subscribe({ expr, step_ms, on_point, on_error }) {
        const id = `s${this.#next_id++}`;
        this.#subscriptions.set(id, { id, expr, step_ms, on_point, on_error });
        this.#outbox.subscribe.set(id, { id, expr, step_ms });
        this.#ensureOpen();
        this.#scheduleFlush();
        return () => this.#unsubscribe(id);
    }

    /* Drops the wait and tries at once; for a person who presses the button. */
    retryNow() {
        if (this.#state !== 'waiting' && this.#state !== 'polling') return;
        clearTimeout(this.#retry_timer);
        this.#connect();
    }

    #unsubscribe(id) {
        if (!this.#subscriptions.delete(id)) return;
        if (!this.#outbox.subscribe.delete(id)) this.#outbox.unsubscribe.add(id);
        this.#scheduleFlush();
        if (this.#subscriptions.size > 0) return;
        if (this.#isOpen()) this.#setState('off');
    }

    #ensureOpen() {
        if (this.#state !== 'off') return;
        if (this.#isOpen()) this.#setState('live');
        else this.#connect();
    }

    #isOpen() {
        return this.#socket?.readyState === 1;
    }

    #connect() {
        if (this.#state !== 'polling') this.#setState('connecting');
        const socket = this.#make_socket();
        this.#socket = socket;
        socket.onopen = () => this.#opened();
        socket.onmessage = (event) => this.#received(event.data);
        socket.onclose = () => this.#closed(socket);
    }

    #opened() {
        const again = this.#attempt > 0;
        this.#attempt = 0;
        this.#poll.stop();
        this.#heard_at = Date.now();
        this.#outbox.unsubscribe.clear();
        this.#outbox.subscribe.clear();
        for (const { id, expr, step_ms } of this.#subscriptions.values()) {
            this.#outbox.subscribe.set(id, { id, expr, step_ms });
        }
        this.#flush();
        this.#setState(this.#subscriptions.size > 0 ? 'live' : 'off');
        this.#watch_timer ??= setInterval(() => this.#watchQuiet(), 1000);
        if (again) this.#emit({ type: 'reconnected' });
    }

    #closed(socket) {
        if (socket !== this.#socket) return;
        this.#socket = null;
        clearInterval(this.#watch_timer);
        this.#watch_timer = null;
        if (this.#subscriptions.size === 0) {
            this.#poll.stop();
            this.#setState('off');
            return;
        }
        const delay = backoffDelay(this.#attempt);
        this.#attempt += 1;
        this.#retry_at = Date.now() + delay;
        this.#retry_timer = setTimeout(() => this.#connect(), delay);
        if (this.#state !== 'polling') this.#setState('waiting');
        if (this.#attempt >= POLL_AFTER && !this.#poll.running)
            this.#poll.start(this.#subscriptions);
    }

    /* The daemon answers: it is the stream that does not come through. */
    #polled(id, point) {
        const first = this.#state === 'waiting' || this.#state === 'connecting';
        if (first) this.#setState('polling');
        this.#subscriptions.get(id)?.on_point(point);
        if (first) this.#emit({ type: 'reconnected' });
    }

    #pollFailed(error) {
        if (error.code !== 'unreachable') return; /* Its panel has said so with its history. */
        this.#poll.stop();
        if (this.#state === 'polling') this.#setState('waiting');
    }

    #received(text) {
        let message;
        try {
            message = JSON.parse(text);
        } catch {
            return; /* Not ours; the quiet watch will say so if nothing better follows. */
        }
        const subscription = this.#subscriptions.get(message.id);
        if (!subscription) return;
        if (message.error) {
            subscription.on_error?.(message.error);
            return;
        }
        this.#heard_at = Date.now();
        if (this.#state === 'stale') this.#setState('live');
        subscription.on_point(message);
    }

    #watchQuiet() {
        if (this.#state !== 'live' || this.#subscriptions.size === 0) return;
        const steps = [...this.#subscriptions.values()].map(({ step_ms }) => step_ms);
        const patience = Math.max(QUIET_MS_MIN, QUIET_STEPS * Math.min(...steps));
        if (Date.now() - this.#heard_at > patience) this.#setState('stale');
    }

    #scheduleFlush() {
        if (this.#flush_scheduled) return;
        this.#flush_scheduled = true;
        queueMicrotask(() => {
            this.#flush_scheduled = false;
            this.#flush();
        });
    }

    /* One frame for everything that changed in this turn. */
    #flush() {
        if (!this.#isOpen()) return;
        const { subscribe, unsubscribe } = this.#outbox;
        if (subscribe.size === 0 && unsubscribe.size === 0) return;
        const message = {};
        if (unsubscribe.size > 0) message.unsubscribe = [...unsubscribe];
        if (subscribe.size > 0) message.subscribe = [...subscribe.values()];
        if (subscribe.size > 0) this.#heard_at = Date.now();
        subscribe.clear();
        unsubscribe.clear();
        this.#socket.send(JSON.stringify(message));
    }

    #setState(state) {
        this.#state = state;
        this.#emit({ type: 'state' });
    }

    #emit(event) {
        for (const listener of [...this.#listeners]) listener(event);
    }
}
