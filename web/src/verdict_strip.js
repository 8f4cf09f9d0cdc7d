/* SPDX-License-Identifier: Apache-2.0 */

/* verdict_strip - verdicts over time as a row of marks, oldest first: height and colour both tell
 * which, so that one who sees no red sees the high ones. */
import { svg } from './dom.js';
import { formatDateTime } from './format.js';

const MARKS_MAX = 40;
const STEP = 5;
const HEIGHT = 20;
const HEIGHTS = { degraded: 18, improved: 7, unknown: 3, stable: 3 };

export function verdictStrip(marks) {
    const shown = marks.slice(-MARKS_MAX);
    const width = STEP * shown.length;
    return svg(
        'svg',
        {
            class: 'verdict-strip',
            viewBox: `0 0 ${width} ${HEIGHT}`,
            width,
            height: HEIGHT,
            role: 'img',
            'aria-label': stripText(shown),
        },
        ...shown.map(({ look, text, time_ms }, index) =>
            svg(
                'rect',
                {
                    'data-look': look,
                    x: index * STEP,
                    y: HEIGHT - 1 - HEIGHTS[look],
                    width: STEP - 1.5,
                    height: HEIGHTS[look],
                    rx: 1,
                },
                svg('title', {}, `${formatDateTime(time_ms)}: ${text}`),
            ),
        ),
    );
}

function stripText(marks) {
    const worse = marks.filter(({ look }) => look === 'degraded').length;
    return `${worse} of the newest ${marks.length} verdicts on schedule: degraded`;
}
