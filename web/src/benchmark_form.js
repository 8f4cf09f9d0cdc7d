/* SPDX-License-Identifier: Apache-2.0 */

/* benchmark_form - keeps a stretch of time as a benchmark. A name that is taken is asked about, not
 * overwritten: the verdicts of the old one would go with it. */
import { createBenchmark } from './api.js';
import { requestOf } from './benchmarks.js';
import { serverNow } from './clock.js';
import { h, icon, setText, textField, withCode } from './dom.js';
import { parseMoment } from './range.js';

export class BenchmarkForm {
    #on_made;
    #fields = {};
    #problem = h('p', { class: 'error-note', role: 'alert' });
    #taken = h('div', { class: 'benchmark-ask', role: 'group', hidden: true });
    #submit = h('button', { type: 'submit', class: 'button primary' }, icon('plus'), 'Keep it');

    element;

    /* on_made(benchmark). */
    constructor({ on_made }) {
        this.#on_made = on_made;
        this.element = h(
            'form',
            {
                class: 'card benchmark-form',
                'aria-label': 'Keep a benchmark',
                onsubmit: (event) => {
                    event.preventDefault();
                    void this.#make(false);
                },
                oninput: () => this.#calm(),
            },
            textField(this.#fields, 'name', 'Name', { placeholder: 'before the release', required: true }),
            textField(this.#fields, 'range', 'Over how long', { placeholder: '1h' }),
            textField(this.#fields, 'until', 'Until', { placeholder: 'now' }),
            textField(this.#fields, 'every', 'Compare by itself every', { placeholder: 'never; or 10m, 1d' }),
            this.#what(),
            h('div', { class: 'benchmark-do' }, this.#submit, this.#problem, this.#taken),
        );
    }

    focus() {
        this.#fields.name.focus();
    }

    #what() {
        const services = h('input', { type: 'checkbox', name: 'services', checked: true });
        const expressions = h('textarea', {
            name: 'expressions',
            rows: '2',
            spellcheck: 'false',
            placeholder: 'load = node_load1',
        });
        Object.assign(this.#fields, { services, expressions });
        return h(
            'fieldset',
            { class: 'benchmark-what' },
            h('legend', {}, 'What counts'),
            h('label', { class: 'check' }, services, 'P50, P95 and errors of every operation'),
            h(
                'label',
                { class: 'field' },
                h('span', {}, 'and these expressions, NAME = PROMQL, one a line'),
                expressions,
            ),
        );
    }

    #calm() {
        setText(this.#problem, '');
        this.#taken.hidden = true;
    }

    #read() {
        const { name, range, until, every, services, expressions } = this.#fields;
        const now = serverNow();
        const end_ms = until.value.trim() ? parseMoment(until.value, now) : 0;
        if (end_ms === null)
            throw new Error(`“${until.value}” is not a time. Try 2h, yesterday’s date, or 17:30.`);
        return requestOf({
            name: name.value,
            range: range.value,
            end_ms,
            every: every.value,
            services: services.checked,
            expressions: expressions.value,
        });
    }

    async #make(replace) {
        this.#calm();
        this.#submit.disabled = true;
        try {
            const made = await createBenchmark({ ...this.#read(), replace });
            this.element.reset();
            this.#on_made(made);
        } catch (error) {
            if (error.code === 'exists') this.#askToReplace();
            else this.#problem.replaceChildren(...withCode(`${error.message} ${error.hint ?? ''}`));
        } finally {
            this.#submit.disabled = false;
        }
    }

    #askToReplace() {
        const name = this.#fields.name.value.trim();
        const replace = h(
            'button',
            { type: 'button', class: 'button', onclick: () => void this.#make(true) },
            'Replace it',
        );
        this.#taken.replaceChildren(
            h('p', {}, `There is a benchmark “${name}” already. Its verdicts would go with it.`),
            replace,
            h(
                'button',
                {
                    type: 'button',
                    class: 'button',
                    onclick: () => {
                        this.#calm();
                        this.#fields.name.select();
                    },
                },
                'Choose another name',
            ),
        );
        this.#taken.hidden = false;
        replace.focus();
    }
}
