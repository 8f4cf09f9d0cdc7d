/* SPDX-License-Identifier: Apache-2.0 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noteServerTime, serverNow } from '../src/clock.js';

test('a clock that is off is followed, a slow answer is not', () => {
    noteServerTime(Date.now() + 90e3);
    assert.ok(Math.abs(serverNow() - Date.now() - 90e3) < 50);
    noteServerTime(NaN);
    assert.ok(serverNow() - Date.now() > 80e3, 'an answer without a date changes nothing');
    noteServerTime(Date.now() - 300);
    assert.ok(Math.abs(serverNow() - Date.now()) < 50);
});
