/* SPDX-License-Identifier: Apache-2.0 */

/* verdict - what was promised and whether it is kept, in the sentences of `sonde sla check`. */
import { h, icon, withCode } from './dom.js';
import { journeysOf, promiseLines } from './services.js';

const SYMBOLS = { kept: 'check', broken: 'alert', unknown: 'info' };
const WORDS = { kept: 'Kept', broken: 'Broken', unknown: 'Not measured' };

function heading(verdict) {
    const count = verdict.broken_count;
    if (verdict.error) return ['unknown', 'info', 'The promises could not be read.'];
    if (!verdict.promised) return ['unknown', 'info', 'Nothing was promised yet.'];
    if (count === 0 && verdict.lines.some(({ status }) => status === 'unknown'))
        return ['unknown', 'info', 'No promise is broken, but not all could be judged.'];
    if (count === 0) return ['ok', 'check', 'Every promise is kept.'];
    return ['warning', 'alert', `${count} promise${count === 1 ? ' is' : 's are'} broken.`];
}

/* Draws itself anew only when something was said differently, so that a selection of text stays. */
export class Verdict {
    #said = '';
    #href;

    element = h('section', { class: 'verdict', 'aria-label': 'Promises' });

    /* href(line) -> the page of the operation that a line is about. */
    constructor({ href }) {
        this.#href = href;
    }

    draw(verdict, of = {}) {
        const said = JSON.stringify([verdict, of]);
        if (said === this.#said) return;
        this.#said = said;
        const journeys = of.service ? [] : journeysOf(verdict);
        this.element.replaceChildren(
            this.#card(verdict, of),
            ...(journeys.length > 0 ? [this.#journeys(journeys)] : []),
        );
    }

    #card(verdict, of) {
        const [look, symbol, title] = heading(verdict);
        const lines = promiseLines(verdict, of);
        const notes = [];
        if (verdict.error) notes.push(verdict.error);
        else if (!verdict.promised)
            notes.push(
                'Write latencies and success rates into a file and name it in `sla.file`. `sonde sla suggest` writes one from what is measured now.',
            );
        return h(
            'div',
            { class: `finding finding-${look}`, role: 'status' },
            icon(symbol),
            h(
                'div',
                {},
                h('h2', {}, title),
                ...notes.map((note) => h('p', { class: 'evidence' }, ...withCode(note))),
                lines.length > 0 ? this.#sentences(lines) : null,
            ),
        );
    }

    #sentences(lines) {
        return h(
            'ul',
            { class: 'sentences' },
            ...lines.map((line) => h('li', {}, this.#linked(line))),
        );
    }

    #linked(line) {
        if (!line.operation || !line.service) return line.sentence;
        return h('a', { href: this.#href(line) }, line.sentence);
    }

    #journeys(journeys) {
        return h(
            'div',
            { class: 'card journeys' },
            h('h2', {}, 'Journeys'),
            h('ul', {}, ...journeys.map((journey) => this.#journey(journey))),
        );
    }

    #journey({ name, status, lines }) {
        return h(
            'li',
            { 'data-status': status },
            icon(SYMBOLS[status]),
            h('strong', {}, name),
            h('span', { class: 'journey-word' }, WORDS[status]),
            h(
                'span',
                { class: 'journey-lines' },
                ...lines.flatMap((line, index) => [
                    index > 0 ? '; ' : '',
                    this.#shortened(line, name),
                ]),
            ),
        );
    }

    /* Name and outcome stand before it already. */
    #shortened(line, name) {
        const head = `Journey '${name}' `;
        if (!line.sentence.startsWith(head)) return this.#linked(line);
        const rest = line.sentence.slice(head.length);
        const sentence = rest.replace(/^(is kept|was not measured|was measured in part): /, '');
        return this.#linked({ ...line, sentence });
    }
}
