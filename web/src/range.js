/* SPDX-License-Identifier: Apache-2.0 */

/* range - what stretch of time is looked at, and how finely.
 *
 * Pure: no clock, no page. `now` is always handed in, all times are milliseconds since 1970.
 *
 * A view is either *live* (it ends now and moves along) or *fixed* (two moments). A fixed view
 * remembers the live range it came from, so that leaving a zoom leads back there. */

export const PRESETS = ['5m', '15m', '1h', '6h', '24h', '7d', '30d'];
export const DEFAULT_RANGE = '5m';

const UNIT_MS = { ms: 1, s: 1e3, m: 60e3, h: 3600e3, d: 86400e3, w: 7 * 86400e3, y: 365 * 86400e3 };
const STEPS_S = [
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1800,
    3600,
    7200,
    14400,
    21600,
    43200,
    86400,
    2 * 86400,
    7 * 86400,
    14 * 86400,
    30 * 86400,
];

export const SPAN_MS_MIN = 10e3;
export const SPAN_MS_MAX = 10 * UNIT_MS.y;

/* A counter's rate needs two samples; five seconds also steady a clock that ticks in hundredths. */
const RATE_WINDOW_S_MIN = 5;

/* "90s", "1h30m", "7d" as milliseconds; null when it is not a duration. */
export function parseDuration(text) {
    const compact = String(text).trim().toLowerCase().replace(/\s+/g, '');
    if (!/^(\d+(\.\d+)?(ms|[smhdwy]))+$/.test(compact)) return null;
    let total = 0;
    for (const [, number, , unit] of compact.matchAll(/(\d+(\.\d+)?)(ms|[smhdwy])/g)) {
        total += Number(number) * UNIT_MS[unit];
    }
    return Number.isFinite(total) && total > 0 ? total : null;
}

/* The shortest exact spelling: 5400000 is "1h30m". */
export function spellDuration(ms) {
    let rest = Math.max(0, Math.round(ms / 1000));
    if (rest === 0) return '0s';
    let text = '';
    for (const unit of ['d', 'h', 'm', 's']) {
        const size = UNIT_MS[unit] / 1000;
        const count = Math.floor(rest / size);
        if (count > 0) text += `${count}${unit}`;
        rest -= count * size;
    }
    return text;
}

function parseClockTime(text, now) {
    const match = /^(\d{1,2}):(\d{2})(?::(\d{2}))?$/.exec(text);
    if (!match) return null;
    const [hour, minute, second] = [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)];
    if (hour > 23 || minute > 59 || second > 59) return null;
    const day = new Date(now);
    day.setHours(hour, minute, second, 0);
    /* 23:50 typed at 00:10 means last night. */
    return day.getTime() > now ? day.getTime() - UNIT_MS.d : day.getTime();
}

const DATE = /^(\d{4})-(\d{2})-(\d{2})(?:[ t](.+))?$/i;
const TIME_OF_DAY = /^(\d{2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?(z|[+-]\d{2}:\d{2})?$/i;

/* Without a zone it is local time, also for a day without a time. */
function parseDate(text) {
    const date = DATE.exec(text);
    const time = TIME_OF_DAY.exec(date?.[4] ?? '00:00');
    if (!date || !time) return null;
    const [, year, month, day] = date;
    const [, hour, minute, second = '00', zone = ''] = time;
    const spelt = `${year}-${month}-${day}T${hour}:${minute}:${second}${zone.toUpperCase()}`;
    const ms = Date.parse(spelt);
    return Number.isNaN(ms) ? null : ms;
}

/* One moment: "now", "now-1d", "-2h", "2h" (that long ago), "17:30", "2026-11-20 17:30",
 * an ISO time, or seconds or milliseconds since 1970. null when it is none of these. */
export function parseMoment(text, now) {
    const trimmed = String(text).trim().toLowerCase();
    if (trimmed === 'now') return now;
    const ago = /^(?:now\s*)?-\s*(.+)$/.exec(trimmed);
    const back = parseDuration(ago ? ago[1] : trimmed);
    if (back !== null) return now - back;
    if (/^\d{9,10}(\.\d+)?$/.test(trimmed)) return Math.round(Number(trimmed) * 1000);
    if (/^\d{12,13}$/.test(trimmed)) return Number(trimmed);
    return parseClockTime(trimmed, now) ?? parseDate(trimmed);
}

/* What a person typed into the one-line range field:
 * "2h", "now-1d" -> { range }, "A to B" or "A..B" -> { from, to }, else { error }. */
export function parseTyped(text, now) {
    const trimmed = String(text).trim();
    const parts = trimmed.split(/\s+to\s+|\s*\.\.\s*/i);
    if (parts.length === 2) return parseFromTo(parts[0], parts[1], now);
    const duration = parseDuration(trimmed.toLowerCase().replace(/^(now\s*)?-\s*/, ''));
    if (duration !== null) {
        const wrong = spanError(duration);
        return wrong ? { error: wrong } : { range: spellDuration(duration) };
    }
    const from = parseMoment(trimmed, now);
    if (from !== null) return parseFromTo(trimmed, 'now', now);
    return { error: `“${trimmed}” is not a time. Try 2h, now-1d, or 09:00 to 10:30.` };
}

/* Two typed moments, in either order. */
export function parseFromTo(fromText, toText, now) {
    const from = parseMoment(fromText, now);
    const to = parseMoment(toText, now);
    if (from === null) return { error: `The start “${fromText}” is not a time.` };
    if (to === null) return { error: `The end “${toText}” is not a time.` };
    const [first, last] = from <= to ? [from, to] : [to, from];
    const wrong = spanError(last - first);
    return wrong ? { error: wrong } : { from: first, to: last };
}

function spanError(span) {
    if (span < SPAN_MS_MIN) return 'The range is shorter than ten seconds. Widen it.';
    if (span > SPAN_MS_MAX) return 'The range is longer than ten years. Narrow it.';
    return null;
}

/* The step in ms: about one point for each `px_per_point` pixels, never finer than a second,
 * rounded up to a duration that people use. */
export function chooseStep(span, width_px, px_per_point = 1.5) {
    const wanted_s = span / 1000 / Math.max(60, width_px / px_per_point);
    const step_s = STEPS_S.find((candidate) => candidate >= wanted_s);
    return (step_s ?? STEPS_S.at(-1)) * 1000;
}

/* The window of rate() for a step, as PromQL spells it. One second more than the step, so that
 * neighbouring windows share a sample and no increase falls between them. */
export function rateWindow(step_ms) {
    return `${Math.max(RATE_WINDOW_S_MIN, Math.ceil(step_ms / 1000) + 1)}s`;
}

/* Outermost multiples of step, so that every chart of a view has its points at the same times. */
export function alignWindow(from, to, step_ms) {
    return {
        start: Math.ceil(from / step_ms) * step_ms,
        end: Math.floor(to / step_ms) * step_ms,
    };
}

/* Slides a window by a share of its span; it does not go past now. */
export function pan(view, share, now) {
    const shift = Math.min((view.to - view.from) * share, now - view.to);
    return { from: Math.round(view.from + shift), to: Math.round(view.to + shift) };
}

/* factor 2 shows twice as much around the middle, 0.5 half as much. */
export function zoom(view, factor, now) {
    const span = Math.min(SPAN_MS_MAX, Math.max(SPAN_MS_MIN, (view.to - view.from) * factor));
    const to = Math.min(now, (view.from + view.to) / 2 + span / 2);
    return { from: Math.round(to - span), to: Math.round(to) };
}

/* The view that URL parameters describe. Whatever is damaged falls back to the default range
 * and is named in `error`, for a link is typed by people too. */
export function resolveView(params, now) {
    let error = null;
    let range_ms = parseDuration(params.range ?? DEFAULT_RANGE);
    if (range_ms === null || spanError(range_ms)) {
        error = `The range “${params.range}” in the address is not a duration.`;
        range_ms = parseDuration(DEFAULT_RANGE);
    }
    const live = { live: true, range_ms, from: now - range_ms, to: now };
    if (params.from === undefined && params.to === undefined) return { ...live, error };
    const fixed = parseFromTo(
        params.from ?? `now-${spellDuration(range_ms)}`,
        params.to ?? 'now',
        now,
    );
    if (fixed.error) return { ...live, error: fixed.error };
    return { live: false, range_ms, from: fixed.from, to: fixed.to, error };
}

/* A moment as the address carries it: ISO, in UTC, milliseconds only where they matter. */
export function spellMoment(ms) {
    return new Date(ms).toISOString().replace('.000Z', 'Z');
}
