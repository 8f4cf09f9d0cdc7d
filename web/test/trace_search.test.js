/* SPDX-License-Identifier: Apache-2.0 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
    eventQuery,
    parseDurationNs,
    parseTags,
    searchProblem,
    spellDurationNs,
    spellTags,
    toParameters,
    toTraceql,
} from '../src/trace_search.js';

test('durations are read and spelt', () => {
    assert.equal(parseDurationNs('250ms'), 250e6);
    assert.equal(parseDurationNs('1.5 s'), 1.5e9);
    assert.equal(parseDurationNs('80µs'), 80e3);
    assert.equal(parseDurationNs('12'), 12e6);
    assert.equal(parseDurationNs('soon'), null);
    assert.equal(parseDurationNs(undefined), null);
    for (const text of ['250ms', '1.5s', '80us', '7ns', '0ns'])
        assert.equal(spellDurationNs(parseDurationNs(text)), text);
});

test('attributes are pairs, quoted where they must be', () => {
    const text = 'region=eu http.route="/a b" note="say \\"hi\\""';
    const { tags, error } = parseTags(text);
    assert.equal(error, '');
    assert.deepEqual(tags, [
        { key: 'region', value: 'eu' },
        { key: 'http.route', value: '/a b' },
        { key: 'note', value: 'say "hi"' },
    ]);
    assert.equal(spellTags(tags), text);
    assert.match(parseTags('a=b nonsense').error, /nonsense/);
});

test('fields become the conditions of one selector', () => {
    assert.equal(toTraceql({}), '{ }');
    assert.equal(
        toTraceql({ service: 'a"b', operation: 'GET /', minDuration: '1ms', status: 'error' }),
        '{ resource.service.name = "a\\"b" && name = "GET /" && duration >= 1ms && status = error }',
    );
    assert.equal(toTraceql({ tags: 'code=500' }), '{ (.code = "500" || .code = 500) }');
    assert.equal(toTraceql({ tags: 'ä$=x' }), '{ ."ä$" = "x" }');
});

test('fields are said of the same span as a selector, and of the trace otherwise', () => {
    const service = 'front';
    const own = 'resource.service.name = "front"';
    assert.equal(toTraceql({ q: '{ .a = 1 || .b = "}" }' }), '{ .a = 1 || .b = "}" }');
    assert.equal(
        toTraceql({ service, q: '{ .a = 1 || .b = "}" }' }),
        `{ ${own} && (.a = 1 || .b = "}") }`,
    );
    assert.equal(toTraceql({ service, q: '{} | count() > 2' }), `{ ${own} } | count() > 2`);
    assert.equal(toTraceql({ service, q: '{ .a } >> { .b }' }), `{ ${own} } && { .a } >> { .b }`);
    assert.equal(toTraceql({ service, q: '{.a} || {.b}' }), `{ ${own} } && ({.a} || {.b})`);
});

test('what an event has is asked for as TraceQL', () => {
    assert.equal(
        eventQuery({ key: 'exception.type', value: 'Declined' }),
        '{ event.exception.type = "Declined" }',
    );
    assert.equal(
        eventQuery({ key: 'a b', value: '7' }),
        '{ (event."a b" = "7" || event."a b" = 7) }',
    );
});

test('durations in a query can be read and stay exact', () => {
    const asked = (minDuration) => toTraceql({ minDuration });
    assert.equal(asked('132ms'), '{ duration >= 132ms }');
    assert.equal(asked('1250ms'), '{ duration >= 1.25s }');
    assert.equal(asked('1.2345s'), '{ duration >= 1234.5ms }');
    assert.equal(asked('80us'), '{ duration >= 80us }');
    assert.equal(asked('7ns'), '{ duration >= 7ns }');
});

test('without TraceQL the daemon gets its quick conditions', () => {
    const view = { from: 1000, to: 2500 };
    assert.deepEqual(toParameters({ service: 'a', maxDuration: '2s', tags: 'k=v' }, view), [
        ['start', 1],
        ['end', 2.5],
        ['service', 'a'],
        ['max_duration', '2000000000ns'],
        ['attribute', 'k=v'],
    ]);
    assert.deepEqual(toParameters({ status: 'error', q: '{ .a }' }, view).at(-1), [
        'q',
        '{ status = error && (.a) }',
    ]);
});

test('what is wrong with a field is said in a sentence', () => {
    assert.equal(searchProblem({}), '');
    assert.match(searchProblem({ minDuration: 'x' }), /Shortest.*x/);
    assert.match(searchProblem({ tags: 'x' }), /key=value/);
});
