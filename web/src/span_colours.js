/* SPDX-License-Identifier: Apache-2.0 */

/* span_colours - which colour a service has within a trace, and signs that need no colour.
 *
 * The order of first appearance gives the colour, so a trace looks the same every time. Past eight
 * services the colours come again with a stripe, and the name stands beside every bar anyway. */
import { colours } from './theme.js';

export function serviceColour(number) {
    const { series } = colours();
    return series[number % series.length];
}

/* 0: plain; 1, 2, …: how many stripes a bar of this service carries. */
export const serviceStripes = (number) => Math.floor(number / colours().series.length) % 3;

export const FONT = '12px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif';
export const FONT_SMALL =
    '11px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif';

/* Makes the canvas as large as its place, in device pixels; returns the context, scaled to CSS
 * pixels, and the size. */
export function fitCanvas(canvas, width, height) {
    const ratio = window.devicePixelRatio || 1;
    const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== wide || canvas.height !== high) {
        canvas.width = wide;
        canvas.height = high;
    }
    const context = canvas.getContext('2d');
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    return context;
}

/* Text that fits into width, with an ellipsis where it does not. */
export function drawText(context, text, x, y, width) {
    if (width < 8) return;
    /* Most fit: a letter is about half as wide as it is high. Long ones are measured. */
    let shown = text.length * 4 > width ? text.slice(0, Math.ceil(width / 3)) : text;
    if (context.measureText(shown).width <= width && shown.length === text.length) {
        context.fillText(shown, x, y);
        return;
    }
    let [low, high] = [0, shown.length];
    while (low < high) {
        const middle = Math.ceil((low + high) / 2);
        if (context.measureText(`${shown.slice(0, middle)}…`).width <= width) low = middle;
        else high = middle - 1;
    }
    if (low > 0) context.fillText(`${shown.slice(0, low)}…`, x, y);
}

/* Names from afar may hold line breaks and signs that turn the direction of writing around. */
export const plain = (text) =>
    text.replace(/[\u0000-\u001f\u007f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '\u00b7');
