/* SPDX-License-Identifier: Apache-2.0 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CLIENT, SERVER } from '../src/trace_columns.js';
import { buildTree, byService, matchRows, reveal, visibleRows } from '../src/trace_tree.js';
import { traceOf } from './trace_fixture.js';

const MS = 1e6;

test('parents stand before children and siblings by start, whatever order they began in', () => {
    const tree = buildTree(
        traceOf([
            { duration: 100 },
            { parent: 0, start: 1, duration: 10 },
            { parent: 0, start: 2, duration: 10 },
            { parent: 1, start: 3, duration: 2 },
        ]),
    );
    assert.deepEqual([...tree.order], [0, 1, 3, 2]);
    assert.deepEqual([...tree.depth], [0, 1, 1, 2]);
    assert.deepEqual([...tree.size], [4, 2, 1, 1]);
    assert.deepEqual([...tree.place], [0, 1, 3, 2]);
});

test('orphans stand at the top and are counted', () => {
    const tree = buildTree(
        traceOf([{ parent: -2 }, { parent: -2, start: 1 }, { parent: 0, start: 2 }]),
    );
    assert.deepEqual([...tree.order], [0, 2, 1]);
    assert.equal(tree.flaws.orphans, 2);
    assert.equal(tree.flaws.roots, 2);
});

test('a circle of parents is cut once, at its first span; a span may be its own parent', () => {
    const tree = buildTree(
        traceOf([
            { parent: 2 },
            { parent: 0, start: 1 },
            { parent: 1, start: 2 },
            { parent: 3, start: 3 },
            { parent: 2, start: 4 },
        ]),
    );
    assert.equal(tree.flaws.cycles, 2);
    assert.deepEqual([...tree.order], [0, 1, 2, 4, 3]);
    assert.equal(tree.flaws.roots, 2);
});

test('every row stands in the order exactly once, in random graphs with circles', () => {
    let seed = 7;
    const random = (most) => {
        seed = (seed * 1103515245 + 12345) % 2147483648;
        return seed % most;
    };
    for (let round = 0; round < 200; round += 1) {
        const count = 1 + random(30);
        const spans = Array.from({ length: count }, (_, row) => ({
            parent: random(count + 2) - 2,
            start: row,
            duration: random(50) - 5,
        }));
        const tree = buildTree(traceOf(spans));
        assert.deepEqual(
            [...tree.order].sort((a, b) => a - b),
            [...spans.keys()],
        );
        for (let row = 0; row < count; row += 1) {
            assert.ok(tree.self[row] >= 0, 'own time is not negative');
            const above = tree.parent[row];
            if (above >= 0) assert.ok(tree.place[above] < tree.place[row]);
        }
    }
});

test('own time is what no child covers; what overlaps counts once', () => {
    const tree = buildTree(
        traceOf([
            { duration: 100 },
            { parent: 0, start: 10, duration: 30 },
            { parent: 0, start: 20, duration: 40 },
            { parent: 0, start: 90, duration: 50 },
        ]),
    );
    assert.deepEqual([...tree.self], [40, 30, 40, 50]);
});

test('a server whose clock is ahead is moved into its client, with what hangs below', () => {
    const tree = buildTree(
        traceOf([
            { service: 'a', kind: CLIENT, duration: 20 * MS },
            { service: 'b', kind: SERVER, parent: 0, start: 4000 * MS, duration: 14 * MS },
            { service: 'b', parent: 1, start: 4002 * MS, duration: 9 * MS },
        ]),
    );
    assert.equal(tree.flaws.skewed, 1);
    assert.deepEqual([...tree.start], [0, 3 * MS, 5 * MS]);
    assert.deepEqual([...tree.shift], [0, -3997 * MS, -3997 * MS]);
    assert.equal(tree.to, 20 * MS);
});

test('a server that outlives its client, and a consumer much later, are left where they are', () => {
    const tree = buildTree(
        traceOf([
            { service: 'a', kind: CLIENT, duration: 20 * MS },
            { service: 'b', kind: SERVER, parent: 0, start: 5 * MS, duration: 90 * MS },
            { service: 'c', kind: 5, parent: 0, start: 900 * MS, duration: 9 * MS },
        ]),
    );
    assert.equal(tree.shift, null);
    assert.equal(tree.flaws.skewed, 0);
});

test('an end before the start is a point, and is counted', () => {
    const tree = buildTree(traceOf([{ duration: 10 }, { parent: 0, start: 5, duration: -3 }]));
    assert.equal(tree.duration[1], 0);
    assert.equal(tree.flaws.negative, 1);
    assert.deepEqual([tree.from, tree.to], [0, 10]);
});

test('closed rows hide their subtree, and a row can be revealed', () => {
    const tree = buildTree(
        traceOf([{}, { parent: 0, start: 1 }, { parent: 1, start: 2 }, { parent: 0, start: 3 }]),
    );
    const closed = new Set([1]);
    assert.deepEqual([...visibleRows(tree, closed)], [0, 1, 3]);
    assert.equal(reveal(tree, closed, 2), true);
    assert.equal(reveal(tree, closed, 2), false);
    assert.deepEqual([...visibleRows(tree, closed)], [0, 1, 2, 3]);
});

test('services are summed up, and rows are found by name, service or error', () => {
    const trace = traceOf([
        { service: 'front', name: 'GET /', duration: 10 },
        { service: 'stock', name: 'SELECT', parent: 0, start: 2, duration: 7, status: 2 },
    ]);
    const tree = buildTree(trace);
    assert.deepEqual(
        byService(trace, tree).map(({ service, calls, errors, self }) => [
            service,
            calls,
            errors,
            self,
        ]),
        [
            ['stock', 1, 1, 7],
            ['front', 1, 0, 3],
        ],
    );
    assert.deepEqual([...matchRows(trace, 'select')], [0, 1]);
    assert.deepEqual([...matchRows(trace, 'FRONT')], [1, 0]);
    assert.deepEqual([...matchRows(trace, 'error')], [0, 1]);
    assert.equal(matchRows(trace, ' '), null);
});

test('an empty trace is a tree, too', () => {
    const tree = buildTree(traceOf([]));
    assert.deepEqual([tree.from, tree.to, tree.order.length], [0, 0, 0]);
});
