/* SPDX-License-Identifier: Apache-2.0 */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { placeOf, thresholdsOf } from '../src/forest.js';

test('right is worse, whichever way that is, and counted in thresholds', () => {
    assert.equal(thresholdsOf(0.5, { threshold: 0.25, better: 'lower' }), 2);
    assert.equal(thresholdsOf(-0.5, { threshold: 0.25, better: 'higher' }), 2);
    assert.ok(placeOf(1) > placeOf(0) && placeOf(0) > placeOf(-1));
});

test('what is beyond the scale stands at its edge', () => {
    assert.equal(placeOf(50), placeOf(3));
    assert.equal(placeOf(-Infinity), placeOf(-3));
});
