/* SPDX-License-Identifier: Apache-2.0 */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
    agentRows,
    curvesOf,
    figureRows,
    figuresOf,
    figuresSoFar,
    notesBeside,
    processRows,
    requestOf,
    serviceRows,
    stateOf,
} from '../src/load_runs.js';

const point = (time_s, rate) => ({
    time_s,
    rate,
    requests: rate,
    errors: 0,
    p50_ms: 2,
    p95_ms: 5,
    p99_ms: null,
});

test('intervals become columns at moments of the clock, in seconds, without the last splinter', () => {
    const curves = curvesOf([point(1, 10), point(2, 20), point(3, 30), point(3.1, 900)], 5000);
    assert.deepEqual(curves.times, [6, 7, 8]);
    assert.deepEqual(curves.rate, [10, 20, 30]);
    assert.deepEqual(curves.p95, [0.005, 0.005, 0.005]);
    assert.equal(curves.p99[0], null);
});

test('figures tell errors as a share, and what is so far as sums', () => {
    const report = { requests: 200, errors: 3, rate: 20, latency_ms: { p50: 1, p95: 2, p99: 3 } };
    const figures = Object.fromEntries(figuresOf(report).map(([name, text]) => [name, text]));
    assert.equal(figures.Errors, '1.5 %');
    assert.equal(figures.P95, '2 ms');
    assert.equal(figures.Longest, '–');
    assert.deepEqual(figuresSoFar([]), [['Requests', '0']]);
    assert.equal(figuresSoFar([point(1, 10), point(2, 30)])[0][1], '40');
});

test('a form becomes a request without what was left empty', () => {
    assert.deepEqual(requestOf({ url: ' http://a/ ', connections: '', rate: '5', criteria: '' }), {
        url: 'http://a/',
        rate: 5,
    });
    assert.deepEqual(
        requestOf({ url: 'http://a/', duration: '3s ', criteria: 'p95 < 1s, rps > 2' }),
        { url: 'http://a/', duration: '3s', criteria: ['p95 < 1s', 'rps > 2'] },
    );
});

test('a state has a word beside its colour', () => {
    assert.equal(stateOf({ state: 'running' })[2], 'Running');
    assert.equal(stateOf({ state: 'failed' })[2], 'Could not run');
    assert.equal(stateOf({ state: 'done', verdict: 'failed' })[2], 'Failed');
    assert.equal(stateOf({ state: 'done', verdict: 'passed' })[2], 'Passed');
});

test('agents become rows, and what a lost one did not tell a dash', () => {
    const agents = [
        { name: 'a', state: 'ran', requests: 3, share: 0.75, errors: 0, p50_ms: 2, p99_ms: 4 },
        { name: 'b', state: 'lost', requests: 1, share: 0.25, errors: 1, p50_ms: null },
    ];
    const rows = agentRows({ agents });
    assert.deepEqual(rows[0].slice(0, 3), ['a', 'ran', '3']);
    assert.deepEqual(rows[0].slice(4), ['0', '2 ms', '4 ms', '–']);
    assert.deepEqual(rows[1].slice(4, 7), ['1', '–', '–']);
    assert.deepEqual(agentRows({}), []);
});

test('what the daemon saw of the target becomes rows, and what was not measured a dash', () => {
    const figures = [
        { title: 'CPU in use', unit: 'ratio', before: null, during: 0.5, peak: 0.97 },
        { title: 'Busiest disk', subject: 'vda', unit: 'ratio', before: 0, during: 0, peak: 0 },
    ];
    assert.deepEqual(
        figureRows({ figures }).map(([title, before]) => [title, before]),
        [
            ['CPU in use', '–'],
            ['Busiest disk (vda)', figureRows({ figures })[1][2]],
        ],
    );
    assert.equal(processRows({ processes: [{ name: 'app', cores: 1.5 }] })[0][1], '–');
    const services = [{ service: 's', name: 'n', spans: 3, errors: 0, p50_ms: 2, p95_ms: null }];
    assert.deepEqual(serviceRows({ services })[0], {
        cells: ['s', 'n', '3', '0', '2 ms', '–'],
        id: '',
    });
    assert.deepEqual(
        notesBeside({
            notes: [{ text: 'p95 broke: It waits.' }, { text: 'Nothing explains it.' }],
            findings: [{ claim: 'It waits.' }],
        }),
        ['Nothing explains it.'],
    );
    assert.deepEqual([figureRows({}), processRows({}), serviceRows({})], [[], [], []]);
});
