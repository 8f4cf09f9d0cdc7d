/* SPDX-License-Identifier: Apache-2.0 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bucketQuantile, difference, makeGraph } from '../src/service_graph.js';

const row = (metric, value) => ({ metric, value: [0, String(value)] });

test('counters count from nothing when new, and anew when they fell', () => {
    const end = [row({ a: '1' }, 10), row({ a: '2' }, 3), row({ a: '3' }, 7)];
    const start = [row({ a: '1' }, 4), row({ a: '2' }, 9)];
    assert.deepEqual(
        difference(end, start).map(({ value }) => value),
        [6, 3, 7],
    );
});

test('quantiles of buckets', () => {
    const buckets = [
        { le: Infinity, count: 100 },
        { le: 1, count: 50 },
        { le: 2, count: 100 },
    ];
    assert.equal(bucketQuantile(buckets, 0.5), 1);
    assert.equal(bucketQuantile(buckets, 0.75), 1.5);
    assert.equal(
        bucketQuantile(
            [
                { le: 1, count: 0 },
                { le: Infinity, count: 5 },
            ],
            0.95,
        ),
        1,
    );
    assert.equal(bucketQuantile([], 0.95), null);
    assert.equal(bucketQuantile([{ le: 1, count: 0 }], 0.95), null);
});

test('a database is known from its callers, a service from itself', () => {
    const total = '__name__';
    const graph = makeGraph(
        {
            edges: [
                { metric: { [total]: 'x_total', client: 'front', server: 'api' }, value: 60 },
                { metric: { [total]: 'x_failed_total', client: 'front', server: 'api' }, value: 6 },
                {
                    metric: {
                        [total]: 'x_total',
                        client: 'api',
                        server: 'pg',
                        connection_type: 'database',
                    },
                    value: 30,
                },
                { metric: { [total]: 'x_total', client: 'api', server: 'gone' }, value: 0 },
            ],
            edge_times: [
                {
                    metric: { client: 'api', server: 'pg', connection_type: 'database', le: '0.1' },
                    value: 30,
                },
                {
                    metric: {
                        client: 'api',
                        server: 'pg',
                        connection_type: 'database',
                        le: '+Inf',
                    },
                    value: 30,
                },
            ],
            services: [
                { metric: { service: 'api', status_code: 'STATUS_CODE_UNSET' }, value: 55 },
                { metric: { service: 'api', status_code: 'STATUS_CODE_ERROR' }, value: 5 },
            ],
            service_times: [],
        },
        10,
    );
    assert.deepEqual(graph.nodes.map(({ name, kind, calls }) => [name, kind, calls]).sort(), [
        ['api', 'service', 60],
        ['front', 'service', 0],
        ['pg', 'database', 30],
    ]);
    const [edge] = graph.edges;
    assert.deepEqual([edge.rate, edge.errors, edge.error_share], [6, 6, 0.1]);
    assert.ok(Math.abs(graph.nodes.find(({ name }) => name === 'pg').p95_s - 0.095) < 1e-9);
    assert.equal(graph.edges.length, 2);
});
