/* SPDX-License-Identifier: Apache-2.0 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
    formatHash,
    mergeParams,
    parseHash,
    parseList,
    toggleInList,
    travellingParams,
} from '../src/url_state.js';

test('every state survives the way into the address and back', () => {
    const state = {
        page: 'explore',
        params: {
            range: '1h',
            expr: 'rate(x{a=~"b|c", d!="é&="}[5m]) > 0 # ?',
            from: '2026-11-20T09:30:00Z',
        },
    };
    const hash = formatHash(state);
    assert.match(hash, /from=2026-11-20T09:30:00Z/, 'times stay readable');
    const back = parseHash(hash);
    assert.deepEqual({ page: back.page, params: back.params }, state);
});

test('an unknown page is home, and known to be unknown', () => {
    assert.deepEqual(parseHash('#/nowhere?range=5m'), {
        page: 'home',
        params: { range: '5m' },
        known: false,
    });
    assert.deepEqual(parseHash(''), { page: 'home', params: {}, known: true });
});

test('patches remove with null and empty', () => {
    assert.deepEqual(mergeParams({ a: '1', b: '2', c: '3' }, { a: null, b: '', d: '4' }), {
        c: '3',
        d: '4',
    });
    assert.deepEqual(travellingParams({ range: '1h', expr: 'up', from: 'x' }), {
        range: '1h',
        from: 'x',
    });
});

test('lists toggle', () => {
    assert.equal(toggleInList(undefined, 'cpu'), 'cpu');
    assert.equal(toggleInList('cpu,mem', 'cpu'), 'mem');
    assert.deepEqual([...parseList('a,,b')], ['a', 'b']);
});
