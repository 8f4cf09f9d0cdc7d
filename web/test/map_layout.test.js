/* SPDX-License-Identifier: Apache-2.0 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { layoutMap } from '../src/map_layout.js';

const edge = (from, to) => ({ from, to });

test('callers stand before the called, and over several layers a way leads', () => {
    const { nodes, edges } = layoutMap(
        ['db', 'front', 'api', 'mail'],
        [edge('front', 'api'), edge('api', 'db'), edge('front', 'db'), edge('front', 'mail')],
    );
    assert.deepEqual(
        ['front', 'api', 'mail', 'db'].map((name) => nodes.get(name).layer),
        [0, 1, 1, 2],
    );
    const way = edges.find(({ from, to }) => from === 'front' && to === 'db');
    assert.equal(way.points.length, 3);
    assert.ok(way.points.every(({ x }, at, all) => at === 0 || x > all[at - 1].x));
});

test('circles and self calls have a picture; every edge keeps its direction', () => {
    const { nodes, edges } = layoutMap(
        ['a', 'b', 'c'],
        [edge('a', 'b'), edge('b', 'c'), edge('c', 'a'), edge('b', 'b')],
    );
    assert.equal(nodes.size, 3);
    assert.equal(edges.length, 4);
    const back = edges.find(({ from }) => from === 'c');
    assert.ok(back.points[0].x > back.points.at(-1).x);
});

test('the same map in another order of words is the same picture', () => {
    const names = ['e', 'd', 'c', 'b', 'a'];
    const edges = [edge('a', 'c'), edge('a', 'd'), edge('b', 'c'), edge('b', 'e'), edge('d', 'e')];
    const one = layoutMap(names, edges);
    const other = layoutMap([...names].reverse(), [...edges].reverse());
    assert.deepEqual([...one.nodes], [...other.nodes]);
});

test('no two boxes of a layer lie on one another, also among many', () => {
    let seed = 3;
    const random = (most) => {
        seed = (seed * 1103515245 + 12345) % 2147483648;
        return seed % most;
    };
    const names = Array.from({ length: 60 }, (_, at) => `service ${at}`);
    const edges = Array.from({ length: 140 }, () => edge(names[random(60)], names[random(60)]));
    const { nodes, width, height } = layoutMap(names, edges, { row: 80 });
    const places = [...nodes.values()];
    for (const one of places) {
        assert.ok(one.x > 0 && one.x < width && one.y > 0 && one.y < height);
        for (const other of places)
            assert.ok(
                one === other || one.layer !== other.layer || Math.abs(one.y - other.y) >= 79,
            );
    }
});

test('a tree is drawn without crossings', () => {
    const { nodes } = layoutMap(
        ['root', 'a', 'b', 'c', 'a1', 'b1', 'c1'],
        [
            edge('root', 'c'),
            edge('root', 'a'),
            edge('root', 'b'),
            edge('a', 'c1'),
            edge('b', 'b1'),
            edge('c', 'a1'),
        ],
    );
    const order = (list) => [...list].sort((x, y) => nodes.get(x).y - nodes.get(y).y);
    const parents = { c1: 'a', b1: 'b', a1: 'c' };
    assert.deepEqual(
        order(['a1', 'b1', 'c1']).map((name) => parents[name]),
        order(['a', 'b', 'c']),
    );
});

test('nothing is a map, too', () => {
    const { nodes, edges } = layoutMap([], []);
    assert.deepEqual([nodes.size, edges.length], [0, 0]);
});
