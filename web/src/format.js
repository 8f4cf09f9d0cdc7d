/* SPDX-License-Identifier: Apache-2.0 */

/* format - numbers and times as people read them.
 *
 * Pure. A unit is a word from UNITS; `null`, NaN and undefined become a dash, never a zero,
 * because unknown is not nothing. */

export const DASH = '–';

const IEC = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];
const SI = ['', 'k', 'M', 'G', 'T', 'P'];

/* Three significant digits, without exponent, without trailing zeros. */
export function significant(value) {
    const size = Math.abs(value);
    if (size === 0) return '0';
    if (size >= 100) return String(Math.round(value));
    const digits = size >= 10 ? 1 : size >= 1 ? 2 : Math.min(6, 2 - Math.floor(Math.log10(size)));
    const text = value.toFixed(digits);
    const trimmed = text.includes('.') ? text.replace(/\.?0+$/, '') : text;
    return trimmed === '-0' ? '0' : trimmed;
}

function scaled(value, base, names) {
    let size = Math.abs(value);
    let power = 0;
    /* 1023.7 would round to "1024", which is the next unit's one. */
    while (power < names.length - 1 && size >= base - 0.5) {
        size /= base;
        power += 1;
    }
    return [significant(value < 0 ? -size : size), names[power]];
}

export function formatBytes(value) {
    const [number, name] = scaled(value, 1024, IEC);
    return `${number} ${name}`;
}

/* A number with an SI letter from ten thousand up; smaller ones are easier to read whole. */
export function formatCount(value) {
    if (Math.abs(value) < 10000) return significant(value);
    const [number, name] = scaled(value, 1000, SI);
    return `${number} ${name}`.trimEnd();
}

/* Small times by unit (µs, ms, s), long ones in two parts: "3 d 4 h". */
export function formatSeconds(value) {
    const size = Math.abs(value);
    if (size === 0) return '0 s';
    if (size < 1e-3) return `${significant(value * 1e6)} µs`;
    if (size < 1) return `${significant(value * 1e3)} ms`;
    if (size < 60) return `${significant(value)} s`;
    const sign = value < 0 ? '−' : '';
    const parts = [
        ['d', 86400],
        ['h', 3600],
        ['min', 60],
        ['s', 1],
    ];
    let rest = Math.round(size);
    const words = [];
    for (const [name, seconds] of parts) {
        const count = Math.floor(rest / seconds);
        rest -= count * seconds;
        if (count > 0) words.push(`${count} ${name}`);
        else if (words.length > 0) break;
        if (words.length === 2) break;
    }
    return sign + words.join(' ');
}

/* name -> how a value is written, and which steps its axis likes. */
export const UNITS = {
    percent: { write: (value) => `${significant(value)} %`, base: 10 },
    bytes: { write: formatBytes, base: 2 },
    bytes_per_s: { write: (value) => `${formatBytes(value)}/s`, base: 2 },
    seconds: { write: formatSeconds, base: 10 },
    per_s: { write: (value) => `${formatCount(value)}/s`, base: 10 },
    count: { write: formatCount, base: 10 },
};

export function formatValue(value, unit = 'count') {
    if (value === null || value === undefined || Number.isNaN(value)) return DASH;
    if (value === Infinity) return '∞';
    if (value === -Infinity) return '−∞';
    return (UNITS[unit] ?? UNITS.count).write(value);
}

const pad = (number) => String(number).padStart(2, '0');
const clock = (date) => `${pad(date.getHours())}:${pad(date.getMinutes())}`;
const day = (date) => `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;

export const formatClock = (ms) => clock(new Date(ms));

export function formatDay(ms) {
    const date = new Date(ms);
    return `${date.getDate()} ${date.toLocaleString('en', { month: 'short' })}`;
}

/* A moment in local time: seconds always, the day only when the span crosses one. */
export function formatMoment(ms, span_ms = 0) {
    const date = new Date(ms);
    const time = `${clock(date)}:${pad(date.getSeconds())}`;
    return span_ms >= 20 * 3600e3 ? `${day(date)} ${time}` : time;
}

/* The full moment, for tables and tooltips. */
export function formatDateTime(ms) {
    const date = new Date(ms);
    return `${day(date)} ${clock(date)}:${pad(date.getSeconds())}`;
}

/* "14:02" today, "19 Nov 14:02" otherwise. */
export function formatSince(ms, now) {
    const date = new Date(ms);
    if (day(date) === day(new Date(now))) return clock(date);
    return `${formatDay(ms)} ${clock(date)}`;
}

/* A fixed view as the range button shows it. */
export function formatWindow(from, to) {
    const [first, last] = [new Date(from), new Date(to)];
    const with_seconds = to - from < 10 * 60e3;
    const time = (date) =>
        with_seconds ? `${clock(date)}:${pad(date.getSeconds())}` : clock(date);
    if (day(first) === day(last)) return `${formatDay(from)}, ${time(first)} – ${time(last)}`;
    return `${formatDay(from)} ${time(first)} – ${formatDay(to)} ${time(last)}`;
}

const LONG_NAMES = { s: 'second', m: 'minute', h: 'hour', d: 'day' };

/* "15m" as "Last 15 minutes"; a compound stays as it is spelt. */
export function formatRange(spelt) {
    const match = /^(\d+)([smhd])$/.exec(spelt);
    if (!match) return `Last ${spelt}`;
    const [, count, unit] = match;
    return `Last ${count} ${LONG_NAMES[unit]}${count === '1' ? '' : 's'}`;
}
