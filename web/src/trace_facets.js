/* SPDX-License-Identifier: Apache-2.0 */

/* trace_facets - what the spans that fit have in common and where they differ: values with counts,
 * a click narrows the search to one, another click widens it again. */
import { h } from './dom.js';
import { formatCount } from './format.js';
import { parseTags, spellTags } from './trace_search.js';

const VALUES_FIRST = 6;

/* facets: of the daemon's summary; params: of the address; on_patch(patch of the address);
 * unfolded: a set that remembers which facets show all their values. */
export function facetList(facets, params, on_patch, unfolded) {
    const { tags } = parseTags(params.tags);
    const groups = [
        group('Service', facets.service, {
            chosen: ({ value }) => params.service === value,
            patch: ({ value }, on) => ({ service: on ? value : null, operation: null }),
        }),
        group('Operation', facets.operation, {
            chosen: ({ value, service }) =>
                params.operation === value && params.service === service,
            patch: ({ value, service }, on) =>
                on ? { service, operation: value } : { operation: null },
            note: ({ service }) => (params.service ? '' : service),
        }),
        group('Status', facets.status, {
            chosen: ({ value }) => params.status === 'error' && value === 'error',
            patch: (_, on) => ({ status: on ? 'error' : null }),
            usable: ({ value }) => value === 'error',
        }),
        ...facets.attributes.map(({ key, values }) =>
            group(key, values, {
                is_key: true,
                chosen: ({ value }) => tags.some((tag) => tag.key === key && tag.value === value),
                patch: ({ value }, on) => {
                    const others = tags.filter((tag) => tag.key !== key);
                    return { tags: spellTags(on ? [...others, { key, value }] : others) || null };
                },
            }),
        ),
    ];
    return groups.filter(Boolean);

    function group(title, values, rules) {
        if (values.length === 0) return null;
        const most = Math.max(...values.map(({ count }) => count));
        const items = values.map((facet) => item(facet, most, rules));
        const rest = unfolded.has(title) ? [] : items.slice(VALUES_FIRST);
        for (const one of rest) one.hidden = true;
        const more =
            rest.length > 0
                ? h(
                      'button',
                      {
                          type: 'button',
                          class: 'link',
                          onclick: (event) => {
                              unfolded.add(title);
                              for (const one of rest) one.hidden = false;
                              event.target.remove();
                          },
                      },
                      `${rest.length} more`,
                  )
                : null;
        return h(
            'section',
            { class: 'facet', 'aria-label': title },
            h('h3', {}, rules.is_key ? h('code', {}, title) : title),
            h('ul', {}, ...items),
            more,
        );
    }

    function item(facet, most, { chosen, patch, note, usable = () => true }) {
        const { value, count, errors } = facet;
        const on = chosen(facet);
        const meter = h('span', { class: 'facet-meter' });
        meter.style.width = `${(count / most) * 100}%`;
        const words = [
            meter,
            h('span', { class: 'facet-value' }, value || '(empty)'),
            note?.(facet) ? h('span', { class: 'facet-note' }, note(facet)) : null,
            errors > 0
                ? h(
                      'span',
                      { class: 'has-errors', title: 'with an error' },
                      `✕${formatCount(errors)}`,
                  )
                : null,
            h('span', { class: 'facet-count' }, formatCount(count)),
        ];
        if (!usable(facet)) return h('li', {}, h('span', { class: 'facet-item' }, ...words));
        return h(
            'li',
            {},
            h(
                'button',
                {
                    type: 'button',
                    class: 'facet-item',
                    'aria-pressed': String(on),
                    title: on ? `${value}: stop narrowing to it` : value,
                    onclick: () => on_patch(patch(facet, !on)),
                },
                ...words,
            ),
        );
    }
}
