/* SPDX-License-Identifier: Apache-2.0 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
    applyCompletion,
    caretContext,
    errorPosition,
    guessUnit,
    rankCandidates,
} from '../src/promql.js';

const at = (marked) => {
    const caret = marked.indexOf('|');
    return caretContext(marked.replace('|', ''), caret);
};

test('the caret knows what it writes', () => {
    assert.deepEqual(at('node_lo|'), { kind: 'name', prefix: 'node_lo', from: 0 });
    assert.deepEqual(at('sum(ra|)'), { kind: 'name', prefix: 'ra', from: 4 });
    assert.deepEqual(at('node_cpu{mo|}'), {
        kind: 'label',
        prefix: 'mo',
        metric: 'node_cpu',
        from: 9,
    });
    assert.deepEqual(at('node_cpu{cpu="0", |'), {
        kind: 'label',
        prefix: '',
        metric: 'node_cpu',
        from: 18,
    });
    assert.deepEqual(at('x{mode=~"us|er"}'), {
        kind: 'value',
        prefix: 'us',
        metric: 'x',
        label: 'mode',
        from: 9,
    });
    assert.equal(at('sum by (mo|) (x)').kind, 'label');
    assert.equal(at('rate(x[5|m])').kind, 'none');
    assert.equal(at('label_replace(x, "a|", "b")').kind, 'none');
    assert.equal(at('x{a="}", b|}').kind, 'label', 'a brace inside quotes closes nothing');
    assert.equal(at('x{a="q\\"", b="v|').prefix, 'v');
});

test('names that begin with the prefix come first', () => {
    assert.deepEqual(rankCandidates(['b_load', 'load1', 'LOAD5', 'x'], 'load'), [
        'load1',
        'LOAD5',
        'b_load',
    ]);
    assert.deepEqual(rankCandidates(['up'], 'up'), [], 'nothing left to complete');
    assert.equal(
        rankCandidates(
            Array.from({ length: 99 }, (_, i) => `m${i}`),
            'm',
        ).length,
        12,
    );
});

test('a completion replaces the word and opens a function', () => {
    const context = caretContext('sum(ra', 6);
    assert.deepEqual(applyCompletion('sum(ra', 6, context, 'rate', true), {
        text: 'sum(rate(',
        caret: 9,
    });
    assert.deepEqual(applyCompletion('ra(x)', 2, caretContext('ra(x)', 2), 'rate', true), {
        text: 'rate(x)',
        caret: 4,
    });
});

test('positions in messages are found', () => {
    assert.equal(errorPosition('1:8: parse error: unexpected "}"', 'sum(rate}'), 7);
    assert.equal(errorPosition('invalid parameter "query": 2:1: parse error', 'a\nb c'), 2);
    assert.equal(errorPosition('unexpected end at position 4', 'sum('), 4);
    assert.equal(errorPosition('column 3: what is this', 'ab$'), 2);
    assert.equal(errorPosition('too many samples', 'x'), null);
    assert.equal(errorPosition('1:99: too far', 'abc'), 3);
});

test('units follow from names', () => {
    const cases = [
        ['node_memory_MemFree_bytes', 'bytes'],
        ['rate(node_network_receive_bytes_total[1m])', 'bytes_per_s'],
        ['100 * node_filesystem_avail_bytes / node_filesystem_size_bytes', 'percent'],
        ['rate(node_cpu_seconds_total[1m]) * 100', 'percent'],
        ['rate(node_context_switches_total[1m])', 'per_s'],
        ['node_load1', 'count'],
        ['sonde_collect_seconds', 'seconds'],
    ];
    for (const [expr, unit] of cases) assert.equal(guessUnit(expr), unit, expr);
});
