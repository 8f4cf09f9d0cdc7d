/* SPDX-License-Identifier: Apache-2.0 */

/* live_badge - whether the page moves, and if not, why. One button, always in sight:
 * press it to hold the picture still or to go on; while disconnected, to try again at once. */
import { h, setText } from './dom.js';

const WORDS = {
    off: ['Idle', 'idle', 'Nothing on this page is streamed.'],
    connecting: ['Connecting', 'wait', 'Opening the live stream.'],
    live: ['Live', 'live', 'Points appear as they are recorded. Press to hold still (l).'],
    stale: ['Stale', 'warn', 'The stream is open, but nothing new arrived for a while.'],
    waiting: ['Reconnecting', 'warn', 'The stream broke. Press to try again now.'],
    polling: [
        'Polling',
        'poll',
        'No WebSocket comes through, so points are asked for every two seconds. Press to hold still (l).',
    ],
    paused: ['Paused', 'paused', 'You look at a fixed time. Press to go on live (l).'],
};

export class LiveBadge {
    #store;
    #live;
    #dot = h('span', { class: 'live-dot', 'aria-hidden': 'true' });
    #text = h('span', {});
    #state = '';

    element;

    constructor(store, live) {
        this.#store = store;
        this.#live = live;
        this.element = h(
            'button',
            { type: 'button', class: 'bar-button live-badge', onclick: () => this.press() },
            this.#dot,
            this.#text,
        );
        live.listen(() => this.show());
        setInterval(() => this.#live.state === 'waiting' && this.show(), 1000);
        this.show();
    }

    press() {
        const view = this.#store.view();
        if (!view.live) this.#store.release();
        else if (this.#live.state === 'waiting') this.#live.retryNow();
        else this.#store.fix(view);
    }

    show() {
        const state = this.#store.view().live ? this.#live.state : 'paused';
        const [word, look, explanation] = WORDS[state];
        const seconds = Math.ceil(this.#live.retryIn / 1000);
        setText(this.#text, state === 'waiting' && seconds > 0 ? `${word} in ${seconds} s` : word);
        if (state === this.#state) return;
        this.#state = state;
        this.element.dataset.look = look;
        this.element.dataset.state = state;
        this.element.title = explanation;
        this.element.setAttribute('aria-label', `${word}. ${explanation}`);
    }
}
