/* SPDX-License-Identifier: Apache-2.0 */

/* url_state - the address is the state: "#/explore?range=1h&expr=node_load1".
 *
 * Pure. What is not in the address does not survive a reload, so whatever a person would want
 * to send to a colleague goes in here. Parameters are strings; an absent one is the default. */

export const PAGES = [
    'home',
    'processes',
    'services',
    'operation',
    'traces',
    'trace',
    'compare',
    'map',
    'load',
    'benchmarks',
    'explore',
    'self',
];

export function parseHash(hash) {
    const [path, query = ''] = String(hash)
        .replace(/^#\/?/, '')
        .split(/\?(.*)/s);
    const page = PAGES.includes(path) ? path : 'home';
    const params = {};
    for (const [key, value] of new URLSearchParams(query)) params[key] = value;
    return { page, params, known: path === '' || page === path };
}

/* Slashes, colons and commas stay readable; they are allowed in a fragment. */
export function formatHash({ page, params }) {
    const pairs = Object.entries(params)
        .filter(([, value]) => value !== undefined && value !== null && value !== '')
        .map(([key, value]) => `${key}=${encode(value)}`);
    return `#/${page}${pairs.length > 0 ? `?${pairs.join('&')}` : ''}`;
}

function encode(value) {
    return encodeURIComponent(String(value)).replace(/%(3A|2C|2F)/g, (code) =>
        decodeURIComponent(code),
    );
}

/* The params with a patch; undefined or null removes a key. */
export function mergeParams(params, patch) {
    const merged = { ...params, ...patch };
    for (const key of Object.keys(merged)) {
        if (merged[key] === undefined || merged[key] === null || merged[key] === '')
            delete merged[key];
    }
    return merged;
}

/* Range and window travel along when the page changes; what belongs to a page stays behind. */
export function travellingParams({ range, from, to }) {
    return mergeParams({}, { range, from, to });
}

/* A parameter that is a set of words, "a,b". */
export function parseList(text) {
    return new Set((text ?? '').split(',').filter(Boolean));
}

export function toggleInList(text, word) {
    const list = parseList(text);
    if (!list.delete(word)) list.add(word);
    return [...list].join(',');
}
