/* SPDX-License-Identifier: Apache-2.0 */

/* Measures what tokens.css promises of its colours. Contrast is that of WCAG 2; colour blindness is
 * simulated by the matrices of Machado, Oliveira and Fernandes (2009) at full severity; distance is
 * Euclidean in OKLab, where 0.02 is just noticeable side by side. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const CSS = readFileSync(new URL('../style/tokens.css', import.meta.url), 'utf8');
const APART = 0.07;

const SIGHTS = {
    normal: [1, 0, 0, 0, 1, 0, 0, 0, 1],
    protanopia: [
        0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998,
    ],
    deuteranopia: [
        0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.01182, 0.04294, 0.968881,
    ],
    tritanopia: [
        1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.3039,
    ],
};

function tokens(block) {
    const pairs = [...block.matchAll(/--([\w-]+): (#[0-9a-f]{6});/g)];
    return Object.fromEntries(pairs.map(([, name, hex]) => [name, linear(hex)]));
}

function linear(hex) {
    return [1, 3, 5].map((at) => {
        const value = parseInt(hex.slice(at, at + 2), 16) / 255;
        return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
}

function contrast(one, other) {
    const light = ([red, green, blue]) => 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
}

function seen(colour, matrix) {
    return [0, 3, 6].map((row) => {
        const sum = colour.reduce((total, part, index) => total + matrix[row + index] * part, 0);
        return Math.min(1, Math.max(0, sum));
    });
}

function oklab([red, green, blue]) {
    const long = Math.cbrt(0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue);
    const middle = Math.cbrt(0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue);
    const short = Math.cbrt(0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue);
    return [
        0.2104542553 * long + 0.793617785 * middle - 0.0040720468 * short,
        1.9779984951 * long - 2.428592205 * middle + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * middle - 0.808675766 * short,
    ];
}

const distance = (one, other) => Math.hypot(...one.map((value, index) => value - other[index]));

const [LIGHT, SYSTEM_DARK, DARK] = CSS.split(/\n(?=@media|:root\[)/).map(tokens);

test('the chosen dark and the dark of the system are the same', () => {
    assert.deepEqual(SYSTEM_DARK, DARK);
});

for (const [theme, colour] of Object.entries({ LIGHT, DARK })) {
    const series = Array.from({ length: 8 }, (_, index) => colour[`series-${index + 1}`]);

    test(`${theme}: text can be read, lines can be seen`, () => {
        for (const name of ['ink', 'muted', 'accent', 'ok', 'warning', 'critical']) {
            assert.ok(contrast(colour[name], colour.surface) >= 4.5, `${name} on surface`);
        }
        for (const name of ['ok', 'info', 'warning', 'critical']) {
            assert.ok(contrast(colour[name], colour[`${name}-soft`]) >= 4.5, `${name} on its soft`);
        }
        assert.ok(contrast(colour.muted, colour.paper) >= 4.5, 'muted on paper');
        series.forEach((line, index) => {
            assert.ok(contrast(line, colour.surface) >= 3, `series ${index + 1}`);
        });
    });

    for (const [sight, matrix] of Object.entries(SIGHTS)) {
        test(`${theme}: eight lines are told apart with ${sight}`, () => {
            const spots = series.map((line) => oklab(seen(line, matrix)));
            spots.forEach((spot, index) => {
                for (let other = 0; other < index; other += 1) {
                    const apart = distance(spot, spots[other]);
                    assert.ok(apart >= APART, `${other + 1} and ${index + 1}: ${apart.toFixed(3)}`);
                }
            });
        });
    }
}
