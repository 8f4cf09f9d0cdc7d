/* SPDX-License-Identifier: Apache-2.0 */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
    changeText,
    chanceText,
    chartOf,
    countsText,
    figure,
    intervalText,
    marksOf,
    queriesOf,
    reachText,
    reasonText,
    requestOf,
    waitText,
    worseSince,
    worstFirst,
} from '../src/benchmarks.js';

test('what is worse stands on top, most severe and largest by its threshold first', () => {
    const row = (metric, verdict, severity, change) => ({
        metric,
        verdict,
        severity,
        change,
        threshold: 0.1,
    });
    const rows = [
        row('calm', 'stable', null, 0),
        row('better', 'improved', 'warning', -0.2),
        row('a little', 'degraded', 'info', 0.05),
        row('open', 'cannot tell', null, 0.5),
        row('more', 'degraded', 'critical', 0.4),
        row('from nothing', 'degraded', 'critical', null),
    ];
    assert.deepEqual(
        worstFirst(rows).map(({ metric }) => metric),
        ['from nothing', 'more', 'a little', 'open', 'better', 'calm'],
    );
});

test('counts are told worst first and without zeros', () => {
    const counts = { degraded: 2, improved: 0, cannot_tell: 1, stable: 5 };
    assert.equal(countsText(counts), '2 degraded, 1 cannot tell, 5 stable');
    assert.equal(countsText(undefined), '');
});

test('figures carry their unit, and what is not known is a dash', () => {
    assert.equal(figure(0.1, 's'), '100 ms');
    assert.equal(figure(1500, 'ms'), '1.5 s');
    assert.equal(figure(2048, 'B'), '2 KiB');
    assert.equal(figure(12, 'trees'), '12 trees');
    assert.equal(figure(null, 's'), '–');
    assert.equal(reachText({ median: 100, low: 98, high: 103 }), '± 3 %');
    assert.equal(reachText({ median: 100, low: null, high: null }), '');
    assert.equal(reachText({ median: 0, low: 0, high: 1 }), '');
});

test('a change is a share with its sign, from nothing it is none', () => {
    assert.equal(changeText({ change: 0.5 }), '+50 %');
    assert.equal(changeText({ change: -0.062 }), '−6.2 %');
    assert.equal(changeText({ change: null, before: { median: 0 } }), 'from 0');
    assert.equal(intervalText({ change_low: 0.4, change_high: 0.6 }), '+40 % to +60 %');
    assert.equal(intervalText({ change_low: null, change_high: 0.6 }), '');
    assert.equal(chanceText({ p_adjusted: 0.0004 }), '< 0.001');
    assert.equal(chanceText({ p_adjusted: null }), '–');
});

test('the reason of a change is how it stands to its threshold, else what the daemon says', () => {
    assert.equal(
        reasonText({ severity: 'critical', threshold: 0.25 }),
        'past twice its threshold of 25 %',
    );
    assert.equal(reasonText({ severity: null, reason: 'noise of 9 %' }), 'noise of 9 %');
});

test('to wait is rounded up', () => {
    assert.equal(waitText(3200), '4 s');
    assert.equal(waitText(200_000), '4 min');
});

test('worse since the earliest run of those that say so without a break', () => {
    const run = (end_ms, ...degraded) => ({ end_ms, degraded });
    const runs = [run(5, 'a', 'b'), run(4, 'a'), run(3), run(2, 'a')];
    assert.deepEqual(worseSince(runs, 'a'), { since_ms: 4, at_least: false });
    assert.deepEqual(worseSince(runs.slice(0, 2), 'a'), { since_ms: 4, at_least: true });
    assert.equal(worseSince(runs, 'c'), null);
    assert.equal(worseSince(undefined, 'a'), null);
    const failed = [
        run(5, 'a'),
        { end_ms: 4, degraded: [], error: 'no value' },
        run(3, 'a'),
        run(2),
    ];
    assert.deepEqual(worseSince(failed, 'a'), { since_ms: 3, at_least: false });
});

test('marks are in the order of time, and a failed run is unknown', () => {
    const counts = { degraded: 1, improved: 0, cannot_tell: 0, stable: 1 };
    const marks = marksOf([
        { end_ms: 2, verdict: 'degraded', counts, degraded: ['a'] },
        { end_ms: 1, error: 'no value', degraded: [] },
    ]);
    assert.deepEqual(
        marks.map(({ time_ms, look, text, degraded }) => [time_ms, look, text, degraded.length]),
        [
            [1, 'unknown', 'no value', 0],
            [2, 'degraded', '1 degraded, 1 stable', 1],
        ],
    );
});

test('a metric leads to its expression, or to the page of its operation', () => {
    const kept = { queries: { load: { query: 'node_load1' } }, services: true };
    assert.deepEqual(chartOf({ metric: 'load' }, kept), ['explore', { expr: 'node_load1' }]);
    assert.deepEqual(chartOf({ metric: 'load{cpu="0"}' }, kept), [
        'explore',
        { expr: 'node_load1' },
    ]);
    assert.deepEqual(chartOf({ metric: 'shop GET /cart p95' }, kept, ['shop']), [
        'operation',
        { service: 'shop', operation: 'GET /cart' },
    ]);
    assert.deepEqual(chartOf({ metric: 'my shop GET /cart errors' }, kept, ['my', 'my shop']), [
        'operation',
        { service: 'my shop', operation: 'GET /cart' },
    ]);
    assert.equal(chartOf({ metric: 'gone' }, kept), null);
});

test('expressions are a line each, and one without a name is its own', () => {
    assert.deepEqual(
        queriesOf('load = node_load1\n\n up{job="x"} \na == 1\nbusy now=rate(x{a=~"b"}[5m])'),
        {
            load: 'node_load1',
            'up{job="x"}': 'up{job="x"}',
            'a == 1': 'a == 1',
            'busy now': 'rate(x{a=~"b"}[5m])',
        },
    );
});

test('empty fields of the form are left out', () => {
    const empty = {
        name: ' calm ',
        range: '',
        end_ms: 0,
        every: '',
        services: true,
        expressions: '',
    };
    assert.deepEqual(requestOf(empty), { name: 'calm', services: true });
    const full = { ...empty, range: '4s', end_ms: 12.4, every: '10s', expressions: 'x = y' };
    assert.deepEqual(requestOf(full), {
        name: 'calm',
        services: true,
        range: '4s',
        end_ms: 12,
        every: '10s',
        queries: { x: 'y' },
    });
});
