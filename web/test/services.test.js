/* SPDX-License-Identifier: Apache-2.0 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
    errorKinds,
    filterOperations,
    journeysOf,
    metadataSeen,
    modelFigures,
    operationRows,
    promiseLines,
    sortOperations,
    targetLines,
} from '../src/services.js';

function row(service, operation, { count = 100, failures = 0, p95_ms = 10, promise } = {}) {
    return { service, operation, count, failures, failure_rate: failures / count, p95_ms, promise };
}

test('the worst is on top: promises, then failures, then durations', () => {
    const rows = [
        row('a', 'fast'),
        row('a', 'slow', { p95_ms: 900 }),
        row('b', 'failing', { failures: 50 }),
        row('b', 'unknown', { p95_ms: null }),
        row('c', 'broken', { promise: 'broken', p95_ms: 1 }),
    ];
    const names = sortOperations(rows, '', false).map(({ operation }) => operation);
    assert.deepEqual(names, ['broken', 'failing', 'slow', 'fast', 'unknown']);
});

test('what is unknown comes last in both directions', () => {
    const rows = [row('a', 'x', { p95_ms: null }), row('a', 'y'), row('a', 'z', { p95_ms: 20 })];
    for (const [descending, wanted] of [
        [true, 'zyx'],
        [false, 'yzx'],
    ]) {
        const sorted = sortOperations(rows, 'p95', descending);
        assert.equal(sorted.map(({ operation }) => operation).join(''), wanted);
    }
});

test('rows come from the answer and go by the filter', () => {
    const rows = operationRows({
        services: [
            { service: 'shop', operations: [{ operation: 'GET /cart', count: 4, failures: 1 }] },
            { service: 'bank', operations: [{ operation: 'pay', count: 0, failures: 0 }] },
        ],
    });
    assert.equal(rows[0].failure_rate, 0.25);
    assert.equal(rows[1].failure_rate, 0);
    assert.equal(filterOperations(rows, { text: 'SHOP cart' }).length, 1);
    assert.equal(filterOperations(rows, { text: '', service: 'bank' }).length, 1);
    assert.equal(filterOperations(rows, { text: 'nowhere' }).length, 0);
});

test('journeys are told apart from promises', () => {
    const verdict = {
        lines: [
            { status: 'broken', sentence: 'Overall …' },
            { status: 'broken', service: 's', operation: 'o', sentence: 'a' },
            { status: 'kept', journey: 'one', sentence: 'b' },
            { status: 'broken', journey: 'two', sentence: 'c' },
            { status: 'broken', journey: 'two', sentence: 'd' },
            { status: 'unknown', journey: 'three', sentence: 'e' },
        ],
    };
    assert.equal(promiseLines(verdict).length, 2);
    assert.equal(promiseLines(verdict, { service: 's' }).length, 1);
    const journeys = journeysOf(verdict).map(({ name, status, lines }) => [
        name,
        status,
        lines.length,
    ]);
    assert.deepEqual(journeys, [
        ['one', 'kept', 1],
        ['two', 'broken', 2],
        ['three', 'unknown', 1],
    ]);
    assert.deepEqual(targetLines({ max_p95_latency_ms: 250, min_success_rate: 0.9 }), [
        { name: 'P95 promised', value: 0.25 },
    ]);
});

test('failures are told by type, else by what was said', () => {
    const spans = [
        { attributes: { 'error.type': 'Timeout' }, status_message: 'took too long' },
        { attributes: { 'error.type': 'Timeout' } },
        { attributes: {}, status_message: 'declined\nstack' },
        { attributes: {}, events: [{ name: 'exception', attributes: { 'exception.type': 'E' } }] },
        { attributes: {} },
    ];
    assert.deepEqual(
        errorKinds(spans).map(({ kind, count, said }) => [kind, count, said]),
        [
            ['Timeout', 2, 'took too long'],
            ['declined', 1, ''],
            ['E', 1, ''],
            ['unnamed', 1, ''],
        ],
    );
});

test('what was noted is counted by key and value', () => {
    const spans = [1, 2, 3].map((id) => ({
        attributes: { id, tenant: id < 3 ? 'acme' : 'globex' },
    }));
    const seen = metadataSeen(spans);
    assert.deepEqual(
        seen.map(({ key, distinct }) => [key, distinct]),
        [
            ['id', 3],
            ['tenant', 2],
        ],
    );
    assert.deepEqual(seen[1].values[0], { value: 'acme', count: 2 });
});

test('model calls are summed, and what none tells is unknown', () => {
    assert.equal(modelFigures([{ attributes: {}, duration_ns: 1 }]), null);
    const call = (extra) => ({
        duration_ns: 1e9,
        attributes: { 'gen_ai.request.model': 'm', 'gen_ai.usage.output_tokens': 30, ...extra },
    });
    const figures = modelFigures([call({ 'gen_ai.usage.cost': 0.5 }), call({})]);
    assert.equal(figures.output_tokens, 60);
    assert.equal(figures.tokens_per_s, 30);
    assert.equal(figures.cost_usd, 0.5);
    assert.equal(figures.input_tokens, null);
    assert.deepEqual(figures.models, ['m']);
});
