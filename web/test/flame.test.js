/* SPDX-License-Identifier: Apache-2.0 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { foldFlame } from '../src/flame.js';
import { buildTree } from '../src/trace_tree.js';
import { traceOf } from './trace_fixture.js';

test('calls of one operation under the same callers become one box', () => {
    const trace = traceOf([
        { name: 'root', duration: 100 },
        { name: 'query', parent: 0, start: 10, duration: 20 },
        { name: 'query', parent: 0, start: 40, duration: 30, status: 2 },
        { name: 'render', parent: 0, start: 75, duration: 10 },
        { name: 'query', parent: 3, start: 76, duration: 4 },
    ]);
    const boxes = foldFlame(trace, buildTree(trace));
    assert.equal(boxes.count, 4);
    assert.deepEqual(boxes.calls, [1, 2, 1, 1]);
    assert.deepEqual(boxes.errors, [0, 1, 0, 0]);
    assert.deepEqual([...boxes.total], [100, 50, 10, 4]);
    assert.deepEqual([...boxes.left], [0, 0, 50, 50]);
    assert.equal(boxes.row[1], 2, 'the longest stands for it');
    assert.equal(boxes.width, 100);
});

test('what runs side by side is never wider than what it stands on', () => {
    const trace = traceOf([
        { duration: 10 },
        { name: 'b', parent: 0, duration: 10 },
        { name: 'c', parent: 0, duration: 10 },
    ]);
    const boxes = foldFlame(trace, buildTree(trace));
    assert.equal(boxes.total[0], 20);
    assert.deepEqual([...boxes.left], [0, 0, 10]);
});
