/* SPDX-License-Identifier: Apache-2.0 */

/* forest - a change as a dot with whiskers. The scale is the metric's own threshold and its right side
 * is worse, whichever way that is: so all rows of a table have their lines below each other, and the
 * eye finds what is past them. The figures stand beside it in words. */
import { svg } from './dom.js';

const WIDTH = 260;
const HEIGHT = 26;
const MIDDLE = HEIGHT / 2;
const DOT = 3.5;
const EDGE = 8; /* Room for an arrow. */
const REACH = 3; /* Thresholds to each side; what is farther is at the edge, with an arrow. */

const known = (value) => value !== null && value !== undefined;

/* A change in thresholds, to the worse. */
export function thresholdsOf(change, { threshold, better }) {
    return ((better === 'higher' ? -1 : 1) * change) / (threshold || 1);
}

/* Where that is in the picture. */
export function placeOf(thresholds) {
    const within = Math.max(-REACH, Math.min(REACH, thresholds));
    return WIDTH / 2 + (within / REACH) * (WIDTH / 2 - EDGE);
}

export function forestPicture(row) {
    const { change, change_low: low, change_high: high } = row;
    return svg(
        'svg',
        {
            class: 'forest',
            viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
            width: WIDTH,
            height: HEIGHT,
            'aria-hidden': 'true',
            focusable: 'false',
        },
        band(1, 2, 'forest-warning'),
        band(2, REACH, 'forest-critical'),
        upright(-1, 'forest-limit'),
        upright(1, 'forest-limit'),
        upright(0, 'forest-zero'),
        known(low) && known(high)
            ? whiskers([low, high].map((value) => thresholdsOf(value, row)).sort((a, b) => a - b))
            : null,
        known(change) ? dot(thresholdsOf(change, row)) : null,
    );
}

function band(from, to, name) {
    const x = placeOf(from);
    return svg('rect', { class: name, x, y: 0, width: placeOf(to) - x, height: HEIGHT });
}

function upright(at, name) {
    return svg('path', { class: name, d: `M${placeOf(at)} 0v${HEIGHT}` });
}

/* An interval that is no wider than the dot has no ends to be seen. */
function whiskers([low, high]) {
    if (placeOf(high) - placeOf(low) < 2 * DOT && Math.abs(high) <= REACH) return null;
    const end = (at, way) =>
        Math.abs(at) > REACH
            ? `M${placeOf(at) + way * 2} ${MIDDLE - 4}l${way * 4} 4l${-way * 4} 4`
            : `M${placeOf(at)} ${MIDDLE - 4}v8`;
    return svg('path', {
        class: 'forest-whisker',
        d: `M${placeOf(low)} ${MIDDLE}H${placeOf(high)}${end(low, Math.sign(low))}${end(high, Math.sign(high))}`,
    });
}

function dot(at) {
    return svg('circle', { class: 'forest-dot', cx: placeOf(at), cy: MIDDLE, r: DOT });
}
