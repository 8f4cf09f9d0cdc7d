/* SPDX-License-Identifier: Apache-2.0 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
    alignWindow,
    chooseStep,
    pan,
    parseDuration,
    parseFromTo,
    parseMoment,
    parseTyped,
    rateWindow,
    resolveView,
    spellDuration,
    spellMoment,
    zoom,
} from '../src/range.js';

const NOW = Date.UTC(2026, 10, 20, 12, 0, 0);
const HOUR = 3600e3;

test('durations are read and spelt the same way', () => {
    for (const [text, ms] of [
        ['90s', 90e3],
        ['1h30m', 5400e3],
        ['7d', 7 * 24 * HOUR],
        ['24h', 24 * HOUR],
    ]) {
        assert.equal(parseDuration(text), ms);
        assert.equal(parseDuration(spellDuration(ms)), ms);
    }
    assert.equal(spellDuration(5400e3), '1h30m');
    assert.equal(spellDuration(0), '0s');
});

test('what is not a duration is not guessed', () => {
    for (const text of ['', 'h', '2', '-5m', '2 parsecs', '0s', '1h-2m', '1e3s']) {
        assert.equal(parseDuration(text), null, text);
    }
});

test('moments may be relative, absolute or epochs', () => {
    assert.equal(parseMoment('now', NOW), NOW);
    assert.equal(parseMoment('now-1d', NOW), NOW - 24 * HOUR);
    assert.equal(parseMoment('now - 1h30m', NOW), NOW - 1.5 * HOUR);
    assert.equal(parseMoment('-2h', NOW), NOW - 2 * HOUR);
    assert.equal(parseMoment('2h', NOW), NOW - 2 * HOUR);
    assert.equal(parseMoment('2026-11-20T09:30:00Z', NOW), Date.UTC(2026, 10, 20, 9, 30));
    assert.equal(parseMoment('2026-11-20T09:30:00+01:00', NOW), Date.UTC(2026, 10, 20, 8, 30));
    assert.equal(parseMoment('1795176000', NOW), 1795176000000);
    assert.equal(parseMoment('1795176000123', NOW), 1795176000123);
    assert.equal(parseMoment('tomorrow', NOW), null);
    assert.equal(parseMoment('25:00', NOW), null);
});

test('a clock time later than now means yesterday', () => {
    const now = new Date(2026, 10, 20, 0, 10).getTime();
    assert.equal(parseMoment('23:50', now), new Date(2026, 10, 19, 23, 50).getTime());
    assert.equal(parseMoment('00:05', now), new Date(2026, 10, 20, 0, 5).getTime());
});

test('one line may hold a length or two moments', () => {
    assert.deepEqual(parseTyped('2h', NOW), { range: '2h' });
    assert.deepEqual(parseTyped(' now-1d ', NOW), { range: '1d' });
    assert.deepEqual(parseTyped('now-2h to now-1h', NOW), { from: NOW - 2 * HOUR, to: NOW - HOUR });
    assert.deepEqual(parseTyped('now-1h..now-2h', NOW), { from: NOW - 2 * HOUR, to: NOW - HOUR });
    assert.match(parseTyped('soon', NOW).error, /soon/);
    assert.match(parseTyped('1s', NOW).error, /ten seconds/);
    assert.match(parseFromTo('1h', 'nope', NOW).error, /nope/);
});

test('the step grows with the span and shrinks with the pixels', () => {
    assert.equal(chooseStep(5 * 60e3, 900), 1000);
    assert.equal(chooseStep(15 * 60e3, 450), 5000);
    assert.equal(chooseStep(24 * HOUR, 900), 300e3);
    assert.ok(chooseStep(30 * 24 * HOUR, 300) >= 3600e3);
    assert.ok(chooseStep(HOUR, 1) <= HOUR / 30, 'a hidden chart still has a sane step');
});

test('a rate window is never shorter than its step', () => {
    assert.equal(rateWindow(1000), '5s');
    assert.equal(rateWindow(60e3), '61s');
});

test('windows are aligned to the step', () => {
    assert.deepEqual(alignWindow(1001, 9999, 1000), { start: 2000, end: 9000 });
});

test('panning stops at now, zooming keeps the middle', () => {
    const view = { from: NOW - 2 * HOUR, to: NOW - HOUR };
    assert.deepEqual(pan(view, -0.5, NOW), { from: NOW - 2.5 * HOUR, to: NOW - 1.5 * HOUR });
    assert.deepEqual(pan(view, 4, NOW), { from: NOW - HOUR, to: NOW });
    assert.deepEqual(zoom(view, 0.5, NOW), { from: NOW - 1.75 * HOUR, to: NOW - 1.25 * HOUR });
    const wide = zoom({ from: NOW - HOUR, to: NOW }, 2, NOW);
    assert.deepEqual(wide, { from: NOW - 2 * HOUR, to: NOW });
});

test('a view comes back from the address it was written to', () => {
    const from = NOW - 2 * HOUR;
    const params = { range: '1h', from: spellMoment(from), to: spellMoment(NOW - HOUR) };
    const view = resolveView(params, NOW);
    assert.deepEqual(
        [view.live, view.from, view.to, view.range_ms],
        [false, from, NOW - HOUR, HOUR],
    );
    const live = resolveView({ range: '1h' }, NOW);
    assert.deepEqual([live.live, live.from, live.to, live.error], [true, NOW - HOUR, NOW, null]);
});

test('a damaged address falls back and says so', () => {
    assert.match(resolveView({ range: 'nonsense' }, NOW).error, /nonsense/);
    const view = resolveView({ range: '1h', from: 'x', to: 'now' }, NOW);
    assert.equal(view.live, true);
    assert.match(view.error, /start/);
});
