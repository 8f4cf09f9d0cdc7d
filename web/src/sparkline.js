/* SPDX-License-Identifier: Apache-2.0 */

/* sparkline - a line as small as a word. It tells the shape; the numbers stand beside it. */
import { svg } from './dom.js';

const WIDTH = 96;
const HEIGHT = 22;

/* Runs of points between gaps, as the path of an SVG. Exported for its test. */
export function sparkPath(values, width = WIDTH, height = HEIGHT) {
    const known = values.filter((value) => value !== null && value !== undefined);
    const most = Math.max(...known, 0);
    const step = width / Math.max(1, values.length - 1);
    let path = '';
    let drawing = false;
    values.forEach((value, index) => {
        const gap = value === null || value === undefined;
        if (!gap) {
            const y = most === 0 ? height - 1 : height - 1 - (value / most) * (height - 2);
            const alone = !drawing && (values[index + 1] ?? null) === null;
            path += `${drawing ? 'L' : 'M'}${(index * step).toFixed(1)} ${y.toFixed(1)}`;
            if (alone) path += 'h1';
        }
        drawing = !gap;
    });
    return path;
}

export class Sparkline {
    #line = svg('path', { class: 'spark-line' });
    #drawn = '';

    element = svg(
        'svg',
        { class: 'spark', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, 'aria-hidden': 'true' },
        this.#line,
    );

    draw(values) {
        const path = sparkPath(values);
        if (path === this.#drawn) return;
        this.#drawn = path;
        this.#line.setAttribute('d', path);
    }
}
