/* SPDX-License-Identifier: Apache-2.0 */

/* tiles - a few figures side by side, each with its name; only what changed is written. */
import { h, setText } from './dom.js';
import { formatCount, formatValue, significant } from './format.js';

export class Tiles {
    #values = new Map();

    element = h('dl', { class: 'tiles' });

    /* figures: [[name, text, look]], in order. What is not among them goes. */
    draw(figures) {
        for (const [name, text, look] of figures) {
            const value = this.#values.get(name) ?? this.#make(name);
            setText(value, text);
            value.dataset.look = look ?? '';
        }
        const names = new Set(figures.map(([name]) => name));
        for (const [name, value] of this.#values) {
            if (names.has(name)) continue;
            value.parentElement.remove();
            this.#values.delete(name);
        }
    }

    #make(name) {
        const value = h('dd');
        this.element.append(h('div', {}, h('dt', {}, name), value));
        this.#values.set(name, value);
        return value;
    }
}

/* Of the numbers of an operation, a service or everything; null: there were no calls. */
export function numberTiles(numbers) {
    const in_seconds = (ms) =>
        formatValue(ms === null || ms === undefined ? null : ms / 1000, 'seconds');
    const { count = 0, failures = 0, throughput_rps = 0 } = numbers ?? {};
    const failed = count === 0 ? 0 : failures / count;
    return [
        ['Rate', formatValue(throughput_rps, 'per_s')],
        ['Calls', formatCount(count)],
        ['Errors', `${significant(failed * 100)} %`, failed > 0 ? 'errors' : ''],
        ['P50', in_seconds(numbers?.p50_ms)],
        ['P95', in_seconds(numbers?.p95_ms)],
        ['P99', in_seconds(numbers?.p99_ms)],
        ['Longest', in_seconds(numbers?.max_ms)],
    ];
}
