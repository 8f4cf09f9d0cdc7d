/* SPDX-License-Identifier: Apache-2.0 */

/* poll - asks again and again while somebody looks: for pages whose answer is not a stream.
 *
 * The next question waits at least the period, and four times as long as the last one took, so
 * that a slow daemon is not pressed harder. A hidden tab asks nothing and asks at once when it is
 * seen again. */
import { isAbort } from './api.js';

const REST = 4;

export class Poll {
    #ask;
    #period_ms;
    #on_error;
    #abort = null;
    #timer = null;
    #ended = false;
    #look = () => !document.hidden && this.now();

    /* ask(signal) -> Promise<boolean>: whether to go on asking. */
    constructor({ ask, period_ms, on_error }) {
        this.#ask = ask;
        this.#period_ms = period_ms;
        this.#on_error = on_error;
        document.addEventListener('visibilitychange', this.#look);
    }

    destroy() {
        this.#ended = true;
        this.stop();
        document.removeEventListener('visibilitychange', this.#look);
    }

    stop() {
        clearTimeout(this.#timer);
        this.#abort?.abort();
        this.#abort = null;
    }

    /* Asks at once; what is in flight is taken back. */
    now() {
        this.stop();
        if (!this.#ended) void this.#run();
    }

    async #run() {
        const abort = new AbortController();
        this.#abort = abort;
        const began = performance.now();
        let again = true;
        try {
            again = await this.#ask(abort.signal);
        } catch (error) {
            if (isAbort(error) || abort.signal.aborted) return;
            this.#on_error(error);
        }
        if (abort.signal.aborted || !again || document.hidden) return;
        const took = performance.now() - began;
        this.#timer = setTimeout(() => this.now(), Math.max(this.#period_ms, REST * took));
    }
}
