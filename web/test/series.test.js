/* SPDX-License-Identifier: Apache-2.0 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
    appendVector,
    buildFrame,
    currentValue,
    distinctNames,
    emptyFrame,
    frameToCsv,
    isAllZero,
    limitColumns,
    nameSeries,
    parseSample,
    rowsToCsv,
    spellMetric,
    stackColumns,
    trimFrame,
} from '../src/series.js';

const TARGETS = [{ name: '{{mode}}' }];

test('results of several targets share one time axis', () => {
    const frame = buildFrame(
        [
            [
                {
                    metric: { mode: 'user' },
                    values: [
                        [10, '1'],
                        [11, '2'],
                    ],
                },
            ],
            [
                {
                    metric: { d: 'sda' },
                    values: [
                        [11, '5'],
                        [12, 'NaN'],
                    ],
                },
            ],
        ],
        [{ name: '{{mode}}' }, { name: 'read {{d}}' }],
        1000,
    );
    assert.deepEqual(frame.times, [10, 11, 12]);
    assert.deepEqual(
        frame.columns.map(({ name }) => name),
        ['user', 'read sda'],
    );
    assert.deepEqual(
        frame.columns.map(({ values }) => values),
        [
            [1, 2, null],
            [null, 5, null],
        ],
    );
});

test('a hole in the grid becomes one empty row', () => {
    const values = [
        [10, '1'],
        [12, '2'],
        [20, '3'],
    ];
    const frame = buildFrame([[{ metric: {}, values }]], [{}], 1000);
    assert.deepEqual(frame.times, [10, 12, 13, 20]);
    assert.deepEqual(frame.columns[0].values, [1, 2, null, 3]);
});

test('pushed points join their slot, late ones do not rewrite history', () => {
    const frame = buildFrame([[{ metric: { mode: 'user' }, values: [[10, '1']] }]], TARGETS, 1000);
    const push = (time_ms, value, mode = 'user') =>
        appendVector(frame, [{ metric: { mode }, value }], {
            time_ms,
            target_index: 0,
            target: TARGETS[0],
            step_ms: 1000,
        });
    assert.ok(push(11200, '2'));
    assert.ok(push(11900, '3'), 'the same slot again takes the newer value');
    assert.ok(push(12100, '4', 'system'), 'a new series starts with empty rows');
    assert.deepEqual(frame.times, [10, 11, 12]);
    assert.deepEqual(
        frame.columns.map(({ values }) => values),
        [
            [1, 3, null],
            [null, null, 4],
        ],
    );
    assert.equal(push(9000, '9'), false);
    assert.ok(push(20000, '5'));
    assert.deepEqual(frame.times, [10, 11, 12, 13, 20]);
});

test('a frame can start empty and forgets what slid out', () => {
    const frame = emptyFrame();
    for (let second = 0; second < 10; second += 1) {
        appendVector(frame, [{ metric: {}, value: String(second) }], {
            time_ms: second * 1000,
            target_index: 0,
            step_ms: 1000,
        });
    }
    trimFrame(frame, 5000);
    assert.deepEqual(frame.times, [4, 5, 6, 7, 8, 9]);
    assert.equal(frame.columns[0].values.length, 6);
});

test('stacks are running sums; silence stays silence', () => {
    const columns = [{ values: [1, null, null, 4] }, { values: [2, 3, null, null] }];
    assert.deepEqual(stackColumns(columns), [
        [1, 0, null, 4],
        [3, 3, null, 4],
    ]);
});

test('the heaviest are shown and all are counted', () => {
    const columns = [5, 1, 9, 3].map((value) => ({ name: `${value}`, values: [value, value] }));
    const { shown, total } = limitColumns(columns, 2);
    assert.deepEqual([shown.map(({ name }) => name), total], [['5', '9'], 4]);
});

test('names come from labels', () => {
    const metric = { __name__: 'up', job: 'x', a: 'q"' };
    assert.equal(nameSeries(metric, '{{job}} of {{none}}'), 'x of ');
    assert.equal(
        nameSeries(metric, ({ job }) => job.toUpperCase()),
        'X',
    );
    assert.equal(spellMetric(metric), 'up{a="q\\"", job="x"}');
    assert.equal(spellMetric({}), 'value');
});

test('a legend names only what differs', () => {
    const names = (...metrics) =>
        distinctNames(metrics.map((metric) => ({ metric, name: 'whole' }))).map(({ name }) => name);
    assert.deepEqual(names({ job: 'a', cpu: '0' }, { job: 'a', cpu: '1' }), ['0', '1']);
    assert.deepEqual(names({ cpu: '0', mode: 'idle' }, { cpu: '1', mode: 'user' }), [
        'cpu 0, mode idle',
        'cpu 1, mode user',
    ]);
    assert.deepEqual(names({ __name__: 'a', d: 'x' }, { __name__: 'b' }), ['a, d x', 'b']);
    assert.deepEqual(names({ job: 'a' }), ['whole']);
    assert.deepEqual(names({ job: 'a' }, { job: 'a' }), ['whole', 'whole']);
});

test('the legend does not show a value that is long gone', () => {
    assert.equal(currentValue([1, 2, null]), 2);
    assert.equal(currentValue([1, null, null, null]), null);
});

test('samples are numbers or nothing', () => {
    assert.deepEqual(['1.5', 'NaN', '+Inf', '-Inf', 'x'].map(parseSample), [
        1.5,
        null,
        Infinity,
        -Infinity,
        null,
    ]);
    assert.ok(isAllZero([{ values: [0, null] }]));
    assert.ok(!isAllZero([{ values: [0, 0.1] }]));
});

test('CSV quotes what must be and disarms formulas', () => {
    const frame = {
        times: [0, 1],
        columns: [
            { name: 'a,"b"', values: [1, null] },
            { name: '=x()', values: [2, -3] },
        ],
    };
    assert.equal(
        frameToCsv(frame),
        'time,"a,""b""",\'=x()\r\n1970-01-01T00:00:00.000Z,1,2\r\n1970-01-01T00:00:01.000Z,,-3\r\n',
    );
    assert.equal(rowsToCsv(['n'], [[-1], [null], ['-x']]), "n\r\n-1\r\n\r\n'-x\r\n");
});
