/* SPDX-License-Identifier: Apache-2.0 */

/* health - asks the daemon every few seconds what is wrong, and says it in its own sentences.
 *
 * HealthWatch is one for the page; HealthView shows it on Home. The daemon's findings come
 * sorted, worst first, and are shown unchanged: the judgement is its, not the page's. */
import { health, isAbort } from './api.js';
import { serverNow } from './clock.js';
import { h, icon, withCode } from './dom.js';
import { formatSince } from './format.js';

const PERIOD_MS = 5000;

const LOOKS = {
    critical: { icon: 'stop', word: 'Critical' },
    warning: { icon: 'alert', word: 'Warning' },
    info: { icon: 'info', word: 'Note' },
};

export class HealthWatch {
    #listeners = new Set();
    #timer = null;

    report = null;
    error = null;

    start() {
        document.addEventListener('visibilitychange', () => !document.hidden && this.#ask());
        void this.#ask();
    }

    listen(listener) {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
    }

    async #ask() {
        clearTimeout(this.#timer);
        try {
            this.report = await health({ signal: AbortSignal.timeout(10000) });
            this.error = null;
        } catch (error) {
            if (!isAbort(error)) this.error = error;
        }
        for (const listener of this.#listeners) listener();
        clearTimeout(this.#timer);
        if (!document.hidden) this.#timer = setTimeout(() => void this.#ask(), PERIOD_MS);
    }
}

export class HealthView {
    #watch;
    #store;
    #stop;
    #shape = '';

    element = h('div', { class: 'health', role: 'status', 'aria-live': 'polite' });

    constructor(watch, store) {
        this.#watch = watch;
        this.#store = store;
        this.#stop = watch.listen(() => this.show());
        this.show();
    }

    destroy() {
        this.#stop();
    }

    show() {
        const { report, error } = this.#watch;
        /* Numbers in a sentence may change each time; only then is it said (and read out) anew. */
        const shape = JSON.stringify([error?.message, report?.findings, report?.status_since_ms]);
        if (shape === this.#shape) return;
        this.#shape = shape;
        if (error) this.element.replaceChildren(this.#unknown(error));
        else if (!report)
            this.element.replaceChildren(h('p', { class: 'health-wait' }, 'Checking…'));
        else if (report.findings.length === 0) this.element.replaceChildren(this.#well(report));
        else
            this.element.replaceChildren(
                ...report.findings.map((finding) => this.#finding(finding, report.host)),
            );
    }

    #well({ status_since_ms: since, host }) {
        const text =
            since > 0 ? `Nothing wrong found since ${formatSince(since, serverNow())}.` : '';
        return h(
            'article',
            { class: 'finding finding-ok' },
            icon('check'),
            h(
                'div',
                {},
                h(
                    'h2',
                    {},
                    h(
                        'span',
                        { class: 'claim' },
                        host ? `All is well on ${host}.` : 'All is well.',
                    ),
                ),
                h('p', { class: 'evidence' }, text),
            ),
        );
    }

    #unknown(error) {
        return h(
            'article',
            { class: 'finding finding-unknown' },
            icon('info'),
            h(
                'div',
                {},
                h('h2', {}, `How this machine is doing is unknown: ${lowerFirst(error.message)}`),
                error.hint ? h('p', { class: 'evidence' }, ...withCode(error.hint)) : null,
            ),
        );
    }

    #finding({ severity, claim, evidence, next_step: next, expr, since_ms: since }, host) {
        const look = LOOKS[severity] ?? LOOKS.info;
        return h(
            'article',
            { class: `finding finding-${severity}` },
            icon(look.icon),
            h(
                'div',
                {},
                heading(look.word, claim, { since, host }),
                evidence ? h('p', { class: 'evidence' }, ...withCode(evidence)) : null,
                next
                    ? h('p', { class: 'next-step' }, h('b', {}, 'Next: '), ...withCode(next))
                    : null,
            ),
            expr
                ? h(
                      'a',
                      { class: 'button', href: this.#store.href('explore', { expr }) },
                      'Show me',
                  )
                : null,
        );
    }
}

function heading(word, claim, { since, host }) {
    const time = since > 0 ? `since ${formatSince(since, serverNow())}` : '';
    const place = [host, time].filter(Boolean).join(', ');
    return h(
        'h2',
        {},
        h('span', { class: 'offscreen' }, `${word}: `),
        h('span', { class: 'claim' }, claim),
        place ? h('span', { class: 'since' }, place) : null,
    );
}

function lowerFirst(text) {
    return text.charAt(0).toLowerCase() + text.slice(1);
}
