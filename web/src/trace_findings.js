/* SPDX-License-Identifier: Apache-2.0 */

/* trace_findings - what the daemon found in traces, as sentences: the claim, its evidence, what to
 * do; and the way to the spans it speaks of. */
import { h, icon, withCode } from './dom.js';
import { formatSeconds } from './format.js';

const ICONS = { critical: 'stop', warning: 'alert', info: 'info' };
const SHOWN_FIRST = 4;
const SHOWN_FIRST_NARROW = 2;
const NARROW_PX = 720;

/* findings: TraceFinding of the daemon's API. on_spans(finding), href(query): where a question in
 * TraceQL leads; either may be missing. */
export function findingList(findings, { on_spans, href } = {}) {
    const items = findings.map((finding) => findingItem(finding, on_spans, href));
    const rest = items.slice(innerWidth < NARROW_PX ? SHOWN_FIRST_NARROW : SHOWN_FIRST);
    const list = h('ul', { class: 'trace-findings' }, ...items);
    if (rest.length === 0) return list;
    for (const item of rest) item.hidden = true;
    const more = h(
        'button',
        {
            type: 'button',
            class: 'button',
            'aria-expanded': 'false',
            onclick: () => {
                for (const item of rest) item.hidden = false;
                more.remove();
            },
        },
        `${rest.length} more ${rest.length === 1 ? 'finding' : 'findings'}`,
    );
    return h('div', {}, list, more);
}

/* The claim is seen; evidence and next step unfold. */
function findingItem(finding, on_spans, href) {
    const { severity, claim, evidence, next_step, span_ids = [], calls, query } = finding;
    const steps = [];
    if (on_spans && span_ids.length > 0) {
        const words = calls > 1 ? `Show the ${calls.toLocaleString('en')} spans` : 'Show the span';
        steps.push(
            h(
                'button',
                { type: 'button', class: 'button', onclick: () => on_spans(finding) },
                words,
            ),
        );
    }
    if (href && query) steps.push(h('a', { class: 'button', href: href(query) }, 'Others like it'));
    return h(
        'li',
        { class: `trace-finding finding-${severity}`, 'data-kind': finding.kind },
        h(
            'details',
            {},
            h(
                'summary',
                {},
                icon(ICONS[severity] ?? 'info'),
                h('span', { class: 'offscreen' }, `${severity}: `),
                h('span', { class: 'claim' }, ...withCode(claim)),
                saving(finding),
            ),
            h(
                'div',
                { class: 'trace-finding-more' },
                h('p', { class: 'evidence' }, ...withCode(evidence)),
                h('p', { class: 'next-step' }, ...withCode(next_step)),
                href && query ? steps.pop() : null,
            ),
        ),
        ...steps,
    );
}

function saving({ saving_ns, share }) {
    if (!saving_ns) return null;
    const part = share > 0 ? ` · ${(share * 100).toFixed(0)} %` : '';
    return h(
        'span',
        { class: 'trace-saving', title: 'An estimate of what mending it would save' },
        `≈ ${formatSeconds(saving_ns / 1e9)}${part}`,
    );
}
