/* SPDX-License-Identifier: Apache-2.0 */

/* heat_panel - a heatmap with its title, the numbers behind it, and the way it is kept fresh.
 *
 * It asks /api/v1/services/history for what its owner says, at steps that lie on multiples of
 * themselves, so that cells do not shiver while the view moves. */
import { servicesHistory } from './api.js';
import { serverNow } from './clock.js';
import { copyText, h, icon, iconButton, setText } from './dom.js';
import { heatOf } from './heat.js';
import { Heatmap } from './heatmap.js';
import { chooseStep } from './range.js';
import { FrameTable } from './table.js';
import { parseList, toggleInList } from './url_state.js';

const CELL_PX = 8;

export class HeatPanel {
    #context;
    #options;
    #map;
    #table;
    #parts;

    element;

    /* options: { id, title, height, href(selection) }; context: { store }. */
    constructor(options, context) {
        this.#context = context;
        this.#options = options;
        this.#map = new Heatmap({
            ...options,
            on_zoom: (window) => context.store.fix(window),
        });
        this.#table = new FrameTable({ title: options.title, unit: 'seconds' });
        const parts = {
            heading: h('h3', { id: `${options.id}-title` }, options.title),
            toggle: iconButton('table', 'Show as table', () => this.#toggle()),
            copy: iconButton('copy', 'Copy as CSV', () => copyText(this.#table.csv()), {
                hidden: true,
            }),
        };
        this.#parts = parts;
        this.element = h(
            'section',
            {
                class: 'panel heat-panel',
                'aria-labelledby': parts.heading.id,
                'data-panel': options.id,
            },
            h(
                'header',
                { class: 'panel-head' },
                parts.heading,
                h('span', { class: 'panel-tools' }, parts.copy, parts.toggle),
            ),
            this.#map.element,
            h('div', { class: 'panel-table' }, this.#table.element),
        );
        this.showMode();
    }

    destroy() {
        this.#map.destroy();
    }

    #toggle() {
        const { store } = this.#context;
        store.adjust({ table: toggleInList(store.params.table, this.#options.id) });
    }

    setTitle(title) {
        setText(this.#parts.heading, title);
    }

    showMode() {
        const as_table = parseList(this.#context.store.params.table).has(this.#options.id);
        const label = as_table ? 'Show as heatmap' : 'Show as table';
        const { toggle, copy } = this.#parts;
        this.element.classList.toggle('as-table', as_table);
        toggle.setAttribute('aria-label', label);
        toggle.setAttribute('aria-pressed', String(as_table));
        toggle.title = label;
        toggle.replaceChildren(icon(as_table ? 'chart' : 'table'));
        copy.hidden = !as_table;
    }

    /* Whether there was a selection to give up. */
    escape() {
        const had = this.#map.hasSelection;
        if (had) this.#map.clear();
        return had;
    }

    async refresh({ service, operation }, signal) {
        const view = this.#context.store.view();
        const width = this.element.clientWidth || 600;
        const span = view.to - view.from;
        const step_ms = chooseStep(span, width, CELL_PX);
        const end_ms = Math.ceil((view.live ? serverNow() : view.to) / step_ms) * step_ms;
        const range_ms = (Math.ceil(span / step_ms) + 1) * step_ms;
        const history = await servicesHistory({
            service,
            operation,
            range_ms,
            end_ms,
            step_ms,
            signal,
        });
        const to = view.live ? serverNow() : view.to;
        this.#map.draw(heatOf(history), { from: to - span, to });
        this.#table.reset();
        this.#table.draw(frameOf(history));
    }
}

const seconds = (values) => values.map((ms) => (ms === null ? null : ms / 1000));

function frameOf(history) {
    const column = (name, values) => ({ key: name, name, values });
    return {
        times: history.times_ms.map((ms) => ms / 1000),
        columns: [
            column('P50', seconds(history.p50_ms)),
            column('P95', seconds(history.p95_ms)),
            column('P99', seconds(history.p99_ms)),
        ],
    };
}
