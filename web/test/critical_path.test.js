/* SPDX-License-Identifier: Apache-2.0 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { criticalPath } from '../src/critical_path.js';
import { buildTree } from '../src/trace_tree.js';
import { traceOf } from './trace_fixture.js';

const path = (spans) => criticalPath(buildTree(traceOf(spans)));

test('of two that ran side by side the one that ended last was waited for', () => {
    const { own, on } = path([
        { duration: 100 },
        { parent: 0, start: 10, duration: 50 },
        { parent: 0, start: 10, duration: 80 },
    ]);
    assert.deepEqual([...on], [1, 0, 1]);
    assert.deepEqual([...own], [20, 0, 80]);
});

test('calls one after the other are all on it, and the stretches make up the whole', () => {
    const found = path([
        { duration: 100 },
        { parent: 0, start: 10, duration: 20 },
        { parent: 0, start: 40, duration: 50 },
        { parent: 2, start: 50, duration: 10 },
    ]);
    assert.deepEqual([...found.own], [30, 20, 40, 10]);
    const sum = found.ends.reduce((all, end, at) => all + end - found.starts[at], 0);
    assert.equal(sum, 100);
    for (let at = 1; at < found.ends.length; at += 1)
        assert.equal(found.ends[at], found.starts[at - 1], 'without a hole');
});

test('what goes on after its parent has ended was not waited for', () => {
    const { own } = path([
        { duration: 100 },
        { parent: 0, start: 60, duration: 400 },
        { parent: 0, start: 200, duration: 30 },
    ]);
    assert.deepEqual([...own], [60, 40, 0]);
});

test('a trace in pieces has the path of its longest piece; an empty one has none', () => {
    assert.deepEqual(
        [
            ...path([
                { duration: 5, parent: -2 },
                { start: 1, duration: 50, parent: -2 },
            ]).own,
        ],
        [0, 50],
    );
    assert.deepEqual(path([]).rows, []);
});

test('a hundred thousand siblings take no longer than it takes to sort them', () => {
    const spans = [{ duration: 1e9 }];
    for (let at = 0; at < 100000; at += 1)
        spans.push({ parent: 0, start: at * 100, duration: at % 3 === 0 ? 90 : 50 });
    const { own } = path(spans);
    assert.equal(
        own.reduce((sum, ns) => sum + ns, 0),
        1e9,
    );
});
