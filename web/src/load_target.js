/* SPDX-License-Identifier: Apache-2.0 */

/* load_target - who was at both ends of a load: the agents that made it, and what the daemon saw of
 * its target: what explains its figures, which operations answered, how the machine did before and
 * meanwhile.
 *
 * Text comes from programs that were watched, so it is only ever set as text. */
import { h, icon } from './dom.js';
import { agentRows, figureRows, notesBeside, processRows, serviceRows } from './load_runs.js';

function table(title, heads, rows) {
    if (rows.length === 0) return null;
    return h(
        'div',
        { class: 'load-compare' },
        h('h3', {}, title),
        h(
            'table',
            { class: 'load-table' },
            h('thead', {}, h('tr', {}, ...heads.map((head) => h('th', { scope: 'col' }, head)))),
            h(
                'tbody',
                {},
                ...rows.map((row) => h('tr', {}, ...row.map((cell) => h('td', {}, cell)))),
            ),
        ),
    );
}

function finding({ claim, evidence, next_step, severity, trace_ids = [] }, store) {
    const links = trace_ids.map((id) =>
        h('a', { href: store.href('trace', { id }) }, `trace ${id.slice(-8)}`),
    );
    return h(
        'div',
        { class: 'load-finding', 'data-look': severity === 'info' ? 'ok' : 'warning' },
        h('p', {}, icon('alert'), claim),
        h('p', { class: 'table-note' }, [evidence, next_step].filter(Boolean).join(' ')),
        links.length > 0 ? h('p', { class: 'load-links' }, ...links) : '',
    );
}

/* Elements for one report; none where it was made here and nobody watched. */
export function targetElements(report, store) {
    const target = report?.target;
    const agents = table(
        'The machines that made it',
        ['Agent', 'State', 'Requests', 'Share', 'Errors', 'P50', 'P99', 'Busiest thread'],
        agentRows(report ?? {}),
    );
    if (!target) return [agents].filter(Boolean);
    const services = serviceRows(target).map(({ cells, id }) => [
        ...cells,
        id ? h('a', { href: store.href('trace', { id }) }, id.slice(-8)) : '',
    ]);
    return [
        agents,
        h('h3', {}, 'The target meanwhile'),
        ...notesBeside(target).map((text) => h('p', { class: 'table-note' }, text)),
        ...(target.findings ?? []).map((one) => finding(one, store)),
        table(
            'What answered, by its spans',
            ['Service', 'Operation', 'Spans', 'Errors', 'P50', 'P95', 'Slowest'],
            services,
        ),
        table('The machine', ['', 'Before', 'During', 'Peak'], figureRows(target)),
        table(
            'Processes that used most CPU',
            ['Process', 'Cores before', 'Cores during', 'Memory'],
            processRows(target),
        ),
    ].filter(Boolean);
}
