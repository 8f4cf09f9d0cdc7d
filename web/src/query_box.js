/* SPDX-License-Identifier: Apache-2.0 */

/* query_box - the field for an expression: completion of names, labels and values from what the
 * daemon really has, and a mark under the place that an error speaks of.
 *
 * Enter runs; with a suggestion chosen by the arrows, Enter or Tab takes it. */
import { isAbort, labelNames, labelValues } from './api.js';
import { h, withCode } from './dom.js';
import {
    applyCompletion,
    caretContext,
    errorPosition,
    FUNCTIONS,
    rankCandidates,
} from './promql.js';

const FUNCTION_SET = new Set(FUNCTIONS);
const NAMES_FRESH_MS = 60000;
const ROWS_MAX = 8;

export class QueryBox {
    #on_run;
    #field;
    #list = h('ul', {
        class: 'suggestions',
        id: 'suggestions',
        role: 'listbox',
        'aria-label': 'Suggestions',
        hidden: true,
    });
    #error = h('div', { class: 'query-error', role: 'alert' });
    #names = { at: 0, values: [] };
    #abort = null;
    #open = null;
    #chosen = -1;

    element;

    constructor({ on_run }) {
        this.#on_run = on_run;
        this.#field = h('textarea', {
            id: 'expr',
            class: 'query-field',
            rows: '1',
            spellcheck: 'false',
            autocomplete: 'off',
            autocapitalize: 'off',
            placeholder: 'PromQL, for example node_load1',
            role: 'combobox',
            'aria-label': 'Expression',
            'aria-autocomplete': 'list',
            'aria-expanded': 'false',
            'aria-controls': 'suggestions',
            oninput: () => this.#changed(),
            onkeydown: (event) => this.#pressed(event),
            onblur: () => setTimeout(() => this.#hide(), 120),
        });
        /* Its width is known only once it is shown, and changes with the window. */
        new ResizeObserver(() => this.#fit()).observe(this.#field);
        const form = h(
            'form',
            {
                class: 'query-form',
                onsubmit: (event) => {
                    event.preventDefault();
                    this.#run();
                },
            },
            h('div', { class: 'query-wrap' }, this.#field, this.#list),
            h('button', { class: 'button primary' }, 'Run'),
        );
        this.element = h('div', { class: 'query-box' }, form, this.#error);
    }

    get value() {
        return this.#field.value.trim();
    }

    set value(text) {
        if (this.#field.value.trim() === text) return;
        this.#field.value = text;
        this.#fit();
    }

    focus() {
        this.#field.focus();
        this.#field.select();
    }

    destroy() {
        this.#abort?.abort();
    }

    /* null clears. The mark needs the text that was asked, for the field may have moved on. */
    showError(error, asked = '') {
        this.#field.setAttribute('aria-invalid', String(error !== null));
        if (error === null) {
            this.#error.replaceChildren();
            return;
        }
        const position = errorPosition(error.message, asked);
        this.#error.replaceChildren(
            position === null ? '' : markedText(asked, position),
            h('p', {}, h('strong', {}, error.message)),
            error.hint ? h('p', {}, ...withCode(error.hint)) : '',
        );
    }

    #run() {
        this.#hide();
        this.#on_run(this.value);
    }

    /* Grows with its lines, also those that a narrow screen breaks, instead of scrolling inside. */
    #fit() {
        const field = this.#field;
        field.rows = Math.min(ROWS_MAX, field.value.split('\n').length);
        while (field.rows < ROWS_MAX && field.scrollHeight > field.clientHeight + 1) {
            field.rows += 1;
        }
    }

    async #changed() {
        this.#fit();
        this.#abort?.abort();
        const abort = new AbortController();
        this.#abort = abort;
        const caret = this.#field.selectionStart;
        const context = caretContext(this.#field.value, caret);
        try {
            const candidates = await this.#candidates(context, abort.signal);
            if (!abort.signal.aborted)
                this.#show(context, rankCandidates(candidates, context.prefix ?? ''));
        } catch (error) {
            /* Completion is a comfort: without it one types on, and Run tells what is wrong. */
            if (!isAbort(error)) this.#hide();
        }
    }

    async #candidates(context, signal) {
        const match = context.metric || undefined;
        if (context.kind === 'name') {
            if (context.prefix.length < 1) return [];
            return [...(await this.#metricNames(signal)), ...FUNCTIONS];
        }
        if (context.kind === 'label') {
            return (await labelNames({ match, signal })).filter((name) => name !== '__name__');
        }
        if (context.kind === 'value') return labelValues(context.label, { match, signal });
        return [];
    }

    async #metricNames(signal) {
        if (Date.now() - this.#names.at > NAMES_FRESH_MS) {
            this.#names = { values: await labelValues('__name__', { signal }), at: Date.now() };
        }
        return this.#names.values;
    }

    #show(context, words) {
        if (words.length === 0) {
            this.#hide();
            return;
        }
        this.#open = { context, words };
        this.#chosen = -1;
        this.#list.replaceChildren(
            ...words.map((word, index) => this.#option(context, word, index)),
        );
        this.#list.hidden = false;
        this.#field.setAttribute('aria-expanded', 'true');
        this.#field.removeAttribute('aria-activedescendant');
    }

    #option(context, word, index) {
        const kind = context.kind === 'name' && FUNCTION_SET.has(word) ? 'function' : context.kind;
        return h(
            'li',
            {
                id: `suggestion-${index}`,
                role: 'option',
                'aria-selected': 'false',
                onpointerdown: (event) => {
                    event.preventDefault();
                    this.#take(index);
                },
            },
            h('span', {}, word),
            h('span', { class: 'suggestion-kind' }, kind === 'name' ? 'metric' : kind),
        );
    }

    #hide() {
        this.#open = null;
        this.#chosen = -1;
        this.#list.hidden = true;
        this.#field.setAttribute('aria-expanded', 'false');
        this.#field.removeAttribute('aria-activedescendant');
    }

    #choose(index) {
        const options = [...this.#list.children];
        options[this.#chosen]?.setAttribute('aria-selected', 'false');
        this.#chosen = (index + options.length) % options.length;
        const option = options[this.#chosen];
        option.setAttribute('aria-selected', 'true');
        option.scrollIntoView({ block: 'nearest' });
        this.#field.setAttribute('aria-activedescendant', option.id);
    }

    #take(index) {
        const { context, words } = this.#open;
        const word = words[index];
        const field = this.#field;
        const done = applyCompletion(
            field.value,
            field.selectionStart,
            context,
            word,
            FUNCTION_SET.has(word),
        );
        field.value = done.text;
        field.setSelectionRange(done.caret, done.caret);
        this.#hide();
        this.#fit();
    }

    #pressed(event) {
        const { key } = event;
        if (this.#open && (key === 'ArrowDown' || key === 'ArrowUp')) {
            this.#choose(key === 'ArrowDown' ? this.#chosen + 1 : Math.max(this.#chosen, 0) - 1);
        } else if (this.#open && key === 'Tab') {
            this.#take(Math.max(0, this.#chosen));
        } else if (this.#open && key === 'Enter' && this.#chosen >= 0) {
            this.#take(this.#chosen);
        } else if (this.#open && key === 'Escape') {
            this.#hide();
        } else if (key === 'Enter' && !event.shiftKey) {
            this.#run();
        } else {
            return;
        }
        event.preventDefault();
    }
}

/* The line that holds the position, with a mark under the letter. */
function markedText(text, position) {
    const start = text.lastIndexOf('\n', position - 1) + 1;
    const end = text.indexOf('\n', position);
    const line = text.slice(start, end < 0 ? text.length : end);
    const column = position - start;
    return h(
        'pre',
        { class: 'marked', 'aria-hidden': 'true' },
        line.slice(0, column),
        h('mark', {}, line[column] ?? ' '),
        line.slice(column + 1),
    );
}
