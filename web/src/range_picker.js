/* SPDX-License-Identifier: Apache-2.0 */

/* range_picker - the button that says which time is shown, and the sheet behind it:
 * presets, one line that understands "2h" or "09:00 to 10:30", and two exact moments. */
import { serverNow } from './clock.js';
import { h, icon, setText } from './dom.js';
import { formatDateTime, formatRange, formatWindow } from './format.js';
import { DEFAULT_RANGE, parseFromTo, parseTyped, PRESETS } from './range.js';

export class RangePicker {
    #store;
    #label = h('span', { class: 'range-label' });
    #button;
    #sheet = null;
    #on_outside = (event) => this.#pressedOutside(event);

    element;

    constructor(store) {
        this.#store = store;
        this.#button = h(
            'button',
            {
                type: 'button',
                class: 'bar-button',
                'aria-haspopup': 'dialog',
                'aria-expanded': 'false',
                title: 'Time range (t)',
                onclick: () => this.toggle(),
            },
            icon('clock'),
            this.#label,
        );
        this.element = h('div', { class: 'range-picker' }, this.#button);
        this.show();
    }

    show() {
        const view = this.#store.view();
        const text = view.live
            ? formatRange(this.#store.params.range ?? DEFAULT_RANGE)
            : formatWindow(view.from, view.to);
        setText(this.#label, text);
        this.#button.setAttribute('aria-label', `Time range: ${text}`);
    }

    toggle() {
        if (this.#sheet) this.close();
        else this.#open();
    }

    close() {
        if (!this.#sheet) return false;
        this.#sheet.remove();
        this.#sheet = null;
        document.removeEventListener('pointerdown', this.#on_outside);
        this.#button.setAttribute('aria-expanded', 'false');
        this.#button.focus();
        return true;
    }

    #pressedOutside(event) {
        if (!this.element.contains(event.target)) this.close();
    }

    #open() {
        const error = h('p', { class: 'field-error', role: 'alert' });
        const typed = h('input', {
            type: 'text',
            id: 'range-typed',
            placeholder: '2h, now-1d, 09:00 to 10:30',
            autocomplete: 'off',
            spellcheck: 'false',
            'aria-describedby': 'range-error',
        });
        error.id = 'range-error';
        const view = this.#store.view();
        const from = h('input', { type: 'text', id: 'range-from', autocomplete: 'off' });
        const to = h('input', { type: 'text', id: 'range-to', autocomplete: 'off' });
        from.value = formatDateTime(view.from);
        to.value = view.live ? 'now' : formatDateTime(view.to);
        const apply = (answer) => {
            if (answer.error) setText(error, answer.error);
            else this.#apply(answer);
        };
        this.#sheet = h(
            'div',
            { class: 'sheet', role: 'dialog', 'aria-label': 'Time range' },
            this.#presets(),
            this.#form('Go to', apply, () => parseTyped(typed.value, serverNow()), [
                h('label', { for: 'range-typed' }, 'Type a range'),
                typed,
            ]),
            this.#form('Show', apply, () => parseFromTo(from.value, to.value, serverNow()), [
                h('label', { for: 'range-from' }, 'From'),
                from,
                h('label', { for: 'range-to' }, 'To'),
                to,
            ]),
            error,
        );
        this.element.append(this.#sheet);
        this.#button.setAttribute('aria-expanded', 'true');
        document.addEventListener('pointerdown', this.#on_outside);
        typed.focus({ preventScroll: true });
    }

    #presets() {
        const current = this.#store.view().live ? (this.#store.params.range ?? DEFAULT_RANGE) : '';
        return h(
            'div',
            { class: 'presets', role: 'group', 'aria-label': 'Presets' },
            ...PRESETS.map((preset) =>
                h(
                    'button',
                    {
                        type: 'button',
                        class: 'button',
                        'aria-pressed': String(preset === current),
                        'aria-label': formatRange(preset),
                        onclick: () => this.#apply({ range: preset }),
                    },
                    preset,
                ),
            ),
        );
    }

    #form(action, apply, read, fields) {
        return h(
            'form',
            {
                class: 'range-form',
                onsubmit: (event) => {
                    event.preventDefault();
                    apply(read());
                },
            },
            ...fields,
            h('button', { class: 'button' }, action),
        );
    }

    #apply(answer) {
        this.close();
        if (answer.range) this.#store.release(answer.range);
        else this.#store.fix(answer);
    }
}
