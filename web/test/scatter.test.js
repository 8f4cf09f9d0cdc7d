/* SPDX-License-Identifier: Apache-2.0 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
    durationScale,
    durationTicks,
    makeScale,
    nearestDot,
    selection,
    timeTicks,
} from '../src/scatter.js';

const BOX = { left: 50, top: 10, width: 100, height: 200 };
const VIEW = { from: 0, to: 1000 };

test('the scale holds every duration, also nothing and less than nothing', () => {
    const durations = [0, -5, 2e6, 9e9];
    const scale = durationScale(durations);
    const { y } = makeScale(BOX, VIEW, scale);
    for (const ns of durations) assert.ok(y(ns) >= BOX.top && y(ns) <= BOX.top + BOX.height);
    assert.ok(y(9e9) < y(2e6));
});

test('one duration, or none, still makes a scale of some height', () => {
    for (const durations of [[], [5e6], [5e6, 5e6]]) {
        const { low, high } = durationScale(durations);
        assert.ok(high - low >= 1, `${durations}`);
    }
});

test('ticks are round and no more than asked for', () => {
    assert.deepEqual(durationTicks({ low: 6, high: 7.1 }, 6), [1e6, 2e6, 5e6, 1e7]);
    assert.deepEqual(durationTicks({ low: 3, high: 9 }, 8).map(Math.log10), [3, 4, 5, 6, 7, 8, 9]);
    for (const high of [4, 6, 9, 12, 15]) {
        const ticks = durationTicks({ low: 3, high }, 5);
        assert.ok(ticks.length >= 1 && ticks.length <= 5);
    }
    const times = timeTicks(0, 3600e3, 6);
    assert.deepEqual(
        times.map((ms) => ms / 60e3),
        [0, 10, 20, 30, 40, 50, 60],
    );
});

test('what is drawn and what is pointed at agree', () => {
    const scale = makeScale(BOX, VIEW, { low: 6, high: 9 });
    assert.equal(scale.x(500), 100);
    assert.equal(Math.round(scale.time(scale.x(250))), 250);
    assert.equal(Math.round(scale.duration(scale.y(4e7))), 4e7);
    const picked = selection(scale, { x: 100, y: 10 }, { x: 75, y: 210 });
    assert.deepEqual([picked.from, picked.to], [250, 500]);
    assert.equal(Math.round(picked.min), 1e6);
    assert.equal(Math.round(picked.max), 1e9);
});

test('the nearest dot within reach is met', () => {
    const dots = [
        { x: 0, y: 0 },
        { x: 10, y: 0 },
    ];
    assert.equal(nearestDot(dots, 7, 1, 12), 1);
    assert.equal(nearestDot(dots, 30, 30, 12), -1);
});
