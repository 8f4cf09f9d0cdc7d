/* SPDX-License-Identifier: Apache-2.0 */

/* store - the page's state, kept in the address and told to whoever listens.
 *
 * `go` makes an entry in the history (a step that "back" undoes); `adjust` replaces the current
 * one (typing in a filter must not fill the history). The view's live end moves by itself:
 * ask `view()` when it is needed instead of keeping it. */
import { serverNow } from './clock.js';
import { resolveView, spellMoment } from './range.js';
import { formatHash, mergeParams, parseHash, travellingParams } from './url_state.js';

export class Store {
    #state;
    #listeners = new Set();

    constructor() {
        this.#state = parseHash(location.hash);
        window.addEventListener('popstate', () => this.#adopt());
        window.addEventListener('hashchange', () => this.#adopt());
    }

    get page() {
        return this.#state.page;
    }

    get params() {
        return this.#state.params;
    }

    view() {
        return resolveView(this.#state.params, serverNow());
    }

    listen(listener) {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
    }

    go(patch) {
        this.#change(this.#state.page, mergeParams(this.#state.params, patch), 'pushState');
    }

    adjust(patch) {
        this.#change(this.#state.page, mergeParams(this.#state.params, patch), 'replaceState');
    }

    goPage(page, params = {}) {
        const travelling = travellingParams(this.#state.params);
        this.#change(page, mergeParams(travelling, params), 'pushState');
    }

    /* The address of a page with the present range, for links. */
    href(page, params = {}) {
        return formatHash({
            page,
            params: mergeParams(travellingParams(this.#state.params), params),
        });
    }

    /* Holds two moments; `range` stays, as the way back. */
    fix({ from, to }) {
        this.go({ from: spellMoment(from), to: spellMoment(to) });
    }

    /* Back to the live range, or to another one. */
    release(range = this.#state.params.range) {
        this.go({ range, from: null, to: null });
    }

    #change(page, params, how) {
        const hash = formatHash({ page, params });
        if (hash === formatHash(this.#state)) return;
        history[how](null, '', hash);
        this.#adopt();
    }

    #adopt() {
        const next = parseHash(location.hash);
        const before = this.#state;
        if (formatHash(next) === formatHash(before)) return;
        this.#state = next;
        for (const listener of [...this.#listeners]) listener(this.#state, before);
    }
}
