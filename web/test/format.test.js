/* SPDX-License-Identifier: Apache-2.0 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
    DASH,
    formatBytes,
    formatCount,
    formatRange,
    formatSeconds,
    formatSince,
    formatValue,
    formatWindow,
    significant,
} from '../src/format.js';

test('three significant digits and no noise', () => {
    const cases = [
        [0, '0'],
        [1, '1'],
        [1.5, '1.5'],
        [1.234, '1.23'],
        [12.34, '12.3'],
        [123.4, '123'],
        [0.01234, '0.0123'],
        [0.5, '0.5'],
        [-2.5, '-2.5'],
        [-1e-12, '0'],
        [100, '100'],
        [1000, '1000'],
    ];
    for (const [value, text] of cases) assert.equal(significant(value), text);
});

test('bytes are counted in 1024s', () => {
    assert.equal(formatBytes(0), '0 B');
    assert.equal(formatBytes(1023), '1023 B');
    assert.equal(formatBytes(1023.8), '1 KiB');
    assert.equal(formatBytes(1536), '1.5 KiB');
    assert.equal(formatBytes(24 * 2 ** 30), '24 GiB');
    assert.equal(formatBytes(-2048), '-2 KiB');
});

test('counts get a letter only when long', () => {
    assert.equal(formatCount(9999), '9999');
    assert.equal(formatCount(12345), '12.3 k');
    assert.equal(formatCount(3456789), '3.46 M');
});

test('seconds from microseconds to days', () => {
    const cases = [
        [0, '0 s'],
        [25e-6, '25 µs'],
        [0.0021, '2.1 ms'],
        [1.5, '1.5 s'],
        [60, '1 min'],
        [90, '1 min 30 s'],
        [3600, '1 h'],
        [273600, '3 d 4 h'],
        [86400 + 30, '1 d'],
        [-90, '−1 min 30 s'],
    ];
    for (const [value, text] of cases) assert.equal(formatSeconds(value), text);
});

test('unknown is a dash and never zero', () => {
    for (const value of [null, undefined, NaN]) assert.equal(formatValue(value, 'bytes'), DASH);
    assert.equal(formatValue(Infinity), '∞');
    assert.equal(formatValue(2048, 'bytes_per_s'), '2 KiB/s');
    assert.equal(formatValue(12.34, 'percent'), '12.3 %');
    assert.equal(formatValue(3, 'no such unit'), '3');
});

test('ranges and windows read as sentences', () => {
    assert.equal(formatRange('15m'), 'Last 15 minutes');
    assert.equal(formatRange('1h'), 'Last 1 hour');
    assert.equal(formatRange('1h30m'), 'Last 1h30m');
    const from = new Date(2026, 10, 20, 9, 0).getTime();
    assert.equal(formatWindow(from, from + 3600e3), '20 Nov, 09:00 – 10:00');
    assert.equal(formatWindow(from, from + 60e3), '20 Nov, 09:00:00 – 09:01:00');
    assert.equal(formatWindow(from, from + 86400e3), '20 Nov 09:00 – 21 Nov 09:00');
    assert.equal(formatSince(from, from + 3600e3), '09:00');
    assert.equal(formatSince(from, from + 86400e3), '20 Nov 09:00');
});
