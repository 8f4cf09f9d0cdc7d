/* SPDX-License-Identifier: Apache-2.0 */

/* crosshair - one moment that all charts on the page point at together.
 *
 * A chart under the pointer publishes its time; the others move their own line there, whatever
 * their pixels are. null: nobody points. */

export class Crosshair {
    #listeners = new Set();
    time = null;

    listen(listener) {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
    }

    publish(time, source) {
        if (time === this.time) return;
        this.time = time;
        for (const listener of this.#listeners) listener(time, source);
    }
}
